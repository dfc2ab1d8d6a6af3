//! Files of secrets that the operator names.
use failure::{Code, Failure};
use std::path::Path;

/// The largest file of secrets that is read.
const LARGEST: usize = 4 << 20;

/// The text of such a file.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    let what = || format!("cannot read {}", path.display());
    let bytes = owner::read_named(path, LARGEST).map_err(|error| Failure::io(Code::Unmet, what(), &error))?;
    String::from_utf8(bytes).map_err(|_| Failure::new(Code::Unmet, what(), "not UTF-8"))
}

/// The first key of a key file: one on each line, comments after '#'.
pub(crate) fn first_key(text: &str) -> Option<&str> {
    text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))
}
