//! The key that a server wants, from a file of the operator's.
use owner::Owner;
use std::io;
use std::path::Path;

/// The largest key file.
const MAX_KEY_BYTES: usize = 64 << 10;

/// The first line of a key file.
///
/// # Errors
/// What the system says, or that the line is empty.
pub fn read_key(file: &Path) -> io::Result<String> {
    first_line(owner::read_named(file, MAX_KEY_BYTES)?)
}

/// The same of a file that a user's own file names: with that user's rights.
///
/// # Errors
/// As [`read_key`].
pub fn read_key_as(user: &Owner, file: &Path) -> io::Result<String> {
    first_line(owner::read_as(user, file, MAX_KEY_BYTES)?)
}

fn first_line(text: Vec<u8>) -> io::Result<String> {
    let text = String::from_utf8(text).map_err(|_| io::Error::other("it is no text"))?;
    match text.lines().next().map(str::trim).filter(|key| !key.is_empty()) {
        Some(key) => Ok(key.to_owned()),
        None => Err(io::Error::other("its first line is empty")),
    }
}
