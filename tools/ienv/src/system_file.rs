//! Small files in which the system describes itself.
use std::path::Path;

/// More than any file that is read here holds.
const CAP: usize = 1 << 20;

/// All of one; `None` where it cannot be read.
pub(crate) fn text(path: &str) -> Option<String> {
    String::from_utf8(owner::read_named(Path::new(path), CAP).ok()?).ok()
}

/// Its first line.
pub(crate) fn line(path: &str) -> Option<String> {
    text(path)?.lines().next().map(tool::one_line)
}
