//! The key that a server wants, from a file of the operator's.
use std::io;
use std::path::Path;

/// The largest key file.
const LARGEST: usize = 64 << 10;

/// The first line of a key file.
///
/// # Errors
/// What the system says, or that the line is empty.
pub fn key_in(file: &Path) -> io::Result<String> {
    let text = owner::read_named(file, LARGEST)?;
    let text = String::from_utf8(text).map_err(|_| io::Error::other("it is no text"))?;
    match text.lines().next().map(str::trim).filter(|key| !key.is_empty()) {
        Some(key) => Ok(key.to_owned()),
        None => Err(io::Error::other("its first line is empty")),
    }
}
