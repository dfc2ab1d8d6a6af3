//! Reading a small file of a cache, which may be full of anything.
use std::io;
use std::path::Path;

/// Its bytes. What is no file is not opened: a pipe would be waited for.
///
/// # Errors
/// What the system says, or that it is no regular file.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    std::fs::read(path)
}
