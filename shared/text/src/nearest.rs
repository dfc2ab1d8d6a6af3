//! What a mistyped name was meant to be.

/// Below this two names are not alike; clap's own limit for its suggestions is a little lower.
const ALIKE: f64 = 0.8;

/// Of the known names the one most like `name`, the first of equals; `None` where none is like it.
pub fn nearest<S: AsRef<str>>(name: &str, known: impl IntoIterator<Item = S>) -> Option<S> {
    let mut best = (ALIKE, None);
    for candidate in known {
        let likeness = strsim::jaro_winkler(name, candidate.as_ref());
        if likeness > best.0 {
            best = (likeness, Some(candidate));
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_strange_one_has_none() {
        let known =
            ["VLLM_CONFIG", "VLLM_CACHE_ROOT", "SGLANG_CONFIG", "LLAMA_CPP_ON_BOOT", "SGLANG_BUNDLE_PATH"];
        for (name, meant) in [
            ("VLMM_CONFIG", Some("VLLM_CONFIG")),
            ("SGLAN_CONFIG", Some("SGLANG_CONFIG")),
            ("LLAMACPP_ON_BOOT", Some("LLAMA_CPP_ON_BOOT")),
            ("SGLANG_BUNDLE", Some("SGLANG_BUNDLE_PATH")),
            ("WEATHER", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known), meant, "{name}");
        }
    }
}
