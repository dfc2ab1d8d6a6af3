//! Package URLs: `pkg:conda/zlib@1.3?build=h1&subdir=linux-64`.
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

/// One of them.
pub(crate) struct Purl {
    kind: &'static str,
    name: String,
    version: Option<String>,
    /// In the order of their names, as the form has it.
    qualifiers: BTreeMap<&'static str, String>,
}

impl Purl {
    pub(crate) fn new(kind: &'static str, name: &str, version: Option<&str>) -> Self {
        let version = version.map(str::to_owned);
        Self { kind, name: name.to_owned(), version, qualifiers: BTreeMap::new() }
    }

    /// The same with a qualifier. An empty one is none.
    pub(crate) fn with(mut self, key: &'static str, value: &str) -> Self {
        if !value.is_empty() {
            self.qualifiers.insert(key, value.to_owned());
        }
        self
    }
}

impl Display for Purl {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "pkg:{}/{}", self.kind, encoded(&self.name, ""))?;
        if let Some(version) = &self.version {
            write!(f, "@{}", encoded(version, ""))?;
        }
        for (at, (key, value)) in self.qualifiers.iter().enumerate() {
            let before = if at == 0 { '?' } else { '&' };
            write!(f, "{before}{key}={}", encoded(value, "/"))?;
        }
        Ok(())
    }
}

/// Percent-encoded, but for letters, digits, `-._~:` and those that are plain here.
fn encoded(text: &str, plain: &str) -> String {
    let is_plain = |byte: u8| {
        byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) || plain.as_bytes().contains(&byte)
    };
    text.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_form_would_read_otherwise_is_encoded() {
        let purl = Purl::new("pypi", "torch", Some("2.9.1+cu128"))
            .with("repository_url", "https://x.invalid/whl/cu128?a=b")
            .with("build", "");
        assert_eq!(
            purl.to_string(),
            "pkg:pypi/torch@2.9.1%2Bcu128?repository_url=https://x.invalid/whl/cu128%3Fa%3Db"
        );
        assert_eq!(Purl::new("conda", "__a", None).to_string(), "pkg:conda/__a");
    }
}
