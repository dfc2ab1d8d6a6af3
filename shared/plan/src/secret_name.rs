//! Which names and which parts of a JSON text are secrets.
use serde_json::Value as Json;

/// What stands before `_token` where a token of a text is meant, or a count of them.
const OF_TEXT: &str = "bos eos eot eom pad unk sep cls mask fim image img audio video vision start end stop think special \
     placeholder first last next per";

/// Whether a value of this name is a secret.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    match name.strip_suffix("_token") {
        Some(which) => {
            let word = which.rsplit(['_', '.']).next().unwrap_or_default();
            !OF_TEXT.split(' ').any(|known| known == word)
        }
        None => ["_key", "password", "secret"].iter().any(|end| name.ends_with(end)),
    }
}

/// The secrets in a text that is JSON, as they are and as JSON writes them: an engine prints them out of it.
#[must_use]
pub fn leaves(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if let Ok(value @ (Json::Object(_) | Json::Array(_))) = serde_json::from_str(text) {
        gather(&value, false, &mut found);
    }
    found
}

fn gather(value: &Json, secret: bool, found: &mut Vec<String>) {
    match value {
        Json::Object(members) => {
            members.iter().for_each(|(name, value)| gather(value, is_name(name), found));
        }
        Json::Array(values) => values.iter().for_each(|value| gather(value, secret, found)),
        Json::String(text) if secret => {
            let written = value.to_string();
            let inner = &written[1..written.len() - 1];
            found.extend((inner != text).then(|| inner.to_owned()));
            found.push(text.clone());
        }
        Json::Number(number) if secret => found.push(number.to_string()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets() {
        for name in ["api_key", "api-key", "HF_TOKEN", "hf_token", "DB_PASSWORD", "password", "client_secret"]
        {
            assert!(is_name(name), "{name}");
        }
        for name in ["api_key_file", "max_tokens", "key", "tokenizer", "ssl_keyfile", "secrets_dir"] {
            assert!(!is_name(name), "{name}");
        }
        for name in [
            "eos_token",
            "think-end-token",
            "hf_overrides.pad_token",
            "kt_max_deferred_experts_per_token",
            "bucket-time-to-first-token",
        ] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn secrets_in_a_json_value_are_found_however_deep() {
        let text = r#"{"api_key": "k\"1", "my_key": {"type": "string"}, "a": [{"my_token": ["x1", "x2"], "eos_token": "</s>"}], "b": {"password": 12345}}"#;
        assert_eq!(leaves(text), [r#"k\"1"#, r#"k"1"#, "x1", "x2", "12345"]);
        for text in ["sk-1", "\"x\"", "{\"eos_token\": \"</s>\"}", "{api_key: x"] {
            assert!(leaves(text).is_empty(), "{text}");
        }
    }
}
