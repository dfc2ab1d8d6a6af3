//! The file as it is written, all versions in one shape: each version uses its part of the fields.
use serde::de::Visitor;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// Read before anything else, so that another version is named and not misread.
#[derive(Deserialize)]
pub(crate) struct Version {
    pub(crate) version: u32,
}

#[derive(Deserialize)]
pub(crate) struct Document {
    /// Version 7: what the platform names stand for.
    #[serde(default)]
    pub(crate) platforms: Vec<Platform>,
    #[serde(default)]
    pub(crate) environments: BTreeMap<String, Environment>,
    #[serde(default)]
    pub(crate) packages: Vec<Entry>,
}

#[derive(Deserialize)]
pub(crate) struct Platform {
    pub(crate) name: String,
    pub(crate) subdir: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Environment {
    #[serde(default)]
    pub(crate) indexes: Vec<String>,
    #[serde(default)]
    pub(crate) find_links: Vec<serde_norway::Value>,
    #[serde(default)]
    pub(crate) packages: BTreeMap<String, Vec<Reference>>,
}

/// One line of an environment. Version 6 adds fields where one location stands for several packages.
#[derive(Deserialize)]
pub(crate) struct Reference {
    pub(crate) conda: Option<String>,
    pub(crate) conda_source: Option<String>,
    pub(crate) pypi: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) build: Option<String>,
    pub(crate) subdir: Option<String>,
}

/// One package. Versions 4 and 5 give it as `url` or `path`; from 6 on the location's key is the kind.
#[derive(Deserialize)]
pub(crate) struct Entry {
    pub(crate) kind: Option<String>,
    pub(crate) url: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) conda: Option<String>,
    pub(crate) conda_source: Option<String>,
    pub(crate) pypi: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) name: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) version: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) build: Option<String>,
    pub(crate) build_number: Option<u64>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) subdir: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) sha256: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) md5: Option<String>,
    pub(crate) size: Option<u64>,
    /// A number; packages built from source may have a table instead.
    pub(crate) timestamp: Option<serde_norway::Value>,
    pub(crate) index: Option<String>,
}

/// A text, and no number that could be read as one: `version: 1.0` without quotes is none to rattler either.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    struct Text;
    impl Visitor<'_> for Text {
        type Value = Option<String>;
        fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            out.write_str("a string")
        }
        fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
            Ok(Some(text.to_owned()))
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
    }
    deserializer.deserialize_any(Text)
}
