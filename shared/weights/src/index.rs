//! The index of a sharded model: which tensor is in which file.
//!
//! Names are not kept: an index may have a million.
use crate::header::{HEADER_BYTES, number};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

/// What an index says.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// The files that it names, and the numbers of the tensors in each.
    pub(crate) files: BTreeMap<String, Vec<u64>>,
}

/// The part of an index that is read.
#[derive(Deserialize)]
struct IndexFile<T> {
    weight_map: T,
}

impl<'de> Deserialize<'de> for Index {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct IndexVisitor;
        impl<'de> Visitor<'de> for IndexVisitor {
            type Value = Index;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("a table of tensors and their files")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Index, A::Error> {
                let mut index = Index::default();
                while let Some((name, file)) = entries.next_entry::<Cow<'de, str>, Cow<'de, str>>()? {
                    match index.files.get_mut(&*file) {
                        Some(tensors) => tensors.push(number(&name)),
                        None => drop(index.files.insert(file.into_owned(), vec![number(&name)])),
                    }
                }
                Ok(index)
            }
        }
        input.deserialize_map(IndexVisitor)
    }
}

impl Index {
    /// Read an index.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let written: IndexFile<Self> =
            serde_json::from_slice(&bytes(path)?).map_err(|error| format!("it is damaged: {error}"))?;
        Ok(written.weight_map)
    }
}

/// The name of the tensor with this number, from the file once more: names are not kept.
pub(crate) fn name_of(path: &Path, wanted: u64) -> Option<String> {
    struct NameSearch(u64);
    impl<'de> Visitor<'de> for NameSearch {
        type Value = Option<String>;

        fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            out.write_str("an index")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut found = None;
            while let Some(key) = entries.next_key::<Cow<'de, str>>()? {
                if key == "weight_map" {
                    found = entries.next_value_seed(Self(self.0))?;
                } else if number(&key) == self.0 {
                    found = Some(key.into_owned());
                    entries.next_value::<IgnoredAny>()?;
                } else {
                    entries.next_value::<IgnoredAny>()?;
                }
            }
            Ok(found)
        }
    }
    impl<'de> DeserializeSeed<'de> for NameSearch {
        type Value = Option<String>;

        fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
            input.deserialize_map(self)
        }
    }
    let bytes = bytes(path).ok()?;
    let mut input = serde_json::Deserializer::from_slice(&bytes);
    NameSearch(wanted).deserialize(&mut input).ok()?
}

/// All of an index.
fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    let cap = usize::try_from(HEADER_BYTES).unwrap_or(usize::MAX);
    owner::read_file(path, cap).map_err(|error| failure::io_text(&error))
}
