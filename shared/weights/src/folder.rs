//! A folder and what is in it.
use std::path::Path;

/// Its path, and the names in it.
pub(crate) struct Folder<'a> {
    pub(crate) path: &'a Path,
    /// Sorted.
    pub(crate) names: Vec<String>,
}

impl Folder<'_> {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.binary_search_by(|other| other.as_str().cmp(name)).is_ok()
    }

    pub(crate) fn names_ending_with(&self, end: &str) -> Vec<String> {
        let hidden = |name: &str| name.starts_with('.');
        self.names.iter().filter(|name| name.ends_with(end) && !hidden(name)).cloned().collect()
    }
}
