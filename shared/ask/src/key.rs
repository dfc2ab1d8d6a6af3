//! The key that a server wants, from a file of the operator's.
use std::io;
use std::path::Path;

/// The first line of a key file.
///
/// # Errors
/// What the system says, or that the line is empty.
pub fn key_in(file: &Path) -> io::Result<String> {
    let text = std::fs::read_to_string(file)?;
    match text.lines().next().map(str::trim).filter(|key| !key.is_empty()) {
        Some(key) => Ok(key.to_owned()),
        None => Err(io::Error::other("its first line is empty")),
    }
}
