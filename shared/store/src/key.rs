//! The names of files and folders in uv's cache (uv 0.11.15, uv-cache-key and uv-distribution-filename).
use std::hash::{Hash, Hasher};

/// The longest `{version}-{tags}` that is used as it is.
const KEY_LENGTH: usize = 64;
/// How much of the version is kept where it is not.
const VERSION_LENGTH: usize = 47;

/// SeaHash of a text, hashed as Rust hashes a `str`; hex of the little-endian bytes.
pub(crate) fn digest(text: &str) -> String {
    let mut hasher = seahash::SeaHasher::new();
    text.hash(&mut hasher);
    base16ct::lower::encode_string(&hasher.finish().to_le_bytes())
}

/// A URL as uv hashes it: without credentials, default port, trailing slash and `.git`, path percent-decoded, and in lower
/// case on the one host whose paths have no case. Query and fragment stay.
pub(crate) fn canonical_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, rest) = rest.find(['/', '?', '#']).map_or((rest, ""), |at| rest.split_at(at));
    let (path, query) = rest.find(['?', '#']).map_or((rest, ""), |at| rest.split_at(at));
    let scheme = scheme.to_lowercase();
    let host = authority.rsplit('@').next().unwrap_or(authority).to_lowercase();
    let port = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => "",
    };
    let host = host.strip_suffix(port).unwrap_or(&host);
    let path = path.strip_suffix('/').unwrap_or(path);
    let path = path.strip_suffix(".git").unwrap_or(path);
    let mut path = lock::percent_decode(path);
    if host == "github.com" {
        path = path.to_lowercase();
    }
    format!("{scheme}://{host}{path}{query}")
}

/// A wheel's file name, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WheelName<'a> {
    /// As PEP 503 normalises it.
    pub(crate) name: String,
    pub(crate) version: &'a str,
    /// Build tag, if any, and the three tags.
    pub(crate) tags: &'a str,
}

impl<'a> WheelName<'a> {
    pub(crate) fn parse(file: &'a str) -> Option<Self> {
        let mut parts = file.strip_suffix(".whl")?.splitn(3, '-');
        let (name, version, tags) = (normalised(parts.next()?), parts.next()?, parts.next()?);
        Some(Self { name, version, tags })
    }

    /// The wheel's key, under a version that is written as the lock file writes it: `{version}-{tags}`, or where that is
    /// long, the start of the version and a digest.
    pub(crate) fn key(&self, version: &str) -> String {
        let whole = format!("{version}-{}", self.tags);
        if whole.len() <= KEY_LENGTH {
            return whole;
        }
        let start: String = version.chars().take(VERSION_LENGTH).collect();
        format!("{}-{}", start.trim_end_matches(['.', '+']), digest(self.tags))
    }
}

/// A project's name as PEP 503 normalises it.
#[must_use]
pub fn normalised(name: &str) -> String {
    let mut normal = String::with_capacity(name.len());
    for letter in name.chars() {
        match letter {
            '-' | '_' | '.' if normal.ends_with('-') => {}
            '-' | '_' | '.' => normal.push('-'),
            letter => normal.extend(letter.to_lowercase()),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_uvs() {
        assert_eq!(
            digest("cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.musllinux_1_2"),
            "5a2adc379b2dc214"
        );
        assert_eq!(digest(&canonical_url("https://pypi.org/simple")), "b2a7eb67d4c26b82");
        assert_eq!(digest(&canonical_url("https://download.pytorch.org/whl/cu121")), "105f2b6141aa1e84");
    }

    #[test]
    fn what_does_not_change_a_place_does_not_change_its_url() {
        let plain = canonical_url("https://x.invalid/whl/cu128");
        assert_eq!(canonical_url("https://user:word@X.invalid/whl/cu128/"), plain);
        assert_eq!(canonical_url("https://x.invalid/whl/cu128.git"), plain);
        assert_eq!(canonical_url("https://x.invalid:443/whl/cu128"), plain);
        assert_eq!(canonical_url("https://x.invalid/a%2Bb"), "https://x.invalid/a+b");
        assert_eq!(canonical_url("https://x.invalid/a/?b=/c/#d"), "https://x.invalid/a?b=/c/#d");
    }

    #[test]
    fn short_keys_stand_as_they_are_and_long_ones_are_digested() {
        let key = |file: &str| WheelName::parse(file).map(|wheel| wheel.key(wheel.version));
        assert_eq!(key("six-1.17.0-py2.py3-none-any.whl").unwrap(), "1.17.0-py2.py3-none-any");
        let long = "x-3.0.4-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.musllinux_1_2.whl";
        assert_eq!(key(long).unwrap(), "3.0.4-5a2adc379b2dc214");
        assert_eq!(key("six.whl"), None);
        let parsed = WheelName::parse("Zope.Interface-5.0.0alpha1-1-py3-none-any.whl").unwrap();
        assert_eq!((parsed.name.as_str(), parsed.tags), ("zope-interface", "1-py3-none-any"));
        assert_eq!(parsed.key("5.0.0a1"), "5.0.0a1-1-py3-none-any", "the lock has the normalised version");
    }

    #[test]
    fn names_are_normalised() {
        assert_eq!(normalised("Flash_Attn.Kernels--x"), "flash-attn-kernels-x");
    }
}
