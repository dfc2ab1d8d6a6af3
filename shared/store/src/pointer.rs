//! A file of uv's cache that says what an answer of the network became: msgpack, then a cache policy, then the policy's
//! length as a little-endian u64.
use owner::read_file;
use serde::de::DeserializeOwned;
use std::io::{self, Cursor};
use std::path::Path;

/// It has some hundred bytes and the headers of an answer.
const POINTER_BYTES: usize = 16 << 20;

/// Read what stands before the policy.
///
/// # Errors
/// What the system says, or what is wrong with the file.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    let bytes = read_file(path, POINTER_BYTES)?;
    let short = || io::Error::other("it is cut short");
    let (body, length) = bytes.split_last_chunk::<8>().ok_or_else(short)?;
    let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| short())?;
    let payload = body.len().checked_sub(length).map(|end| &body[..end]).ok_or_else(short)?;
    let mut payload = Cursor::new(payload);
    let value = rmp_serde::from_read(&mut payload)
        .map_err(|error| io::Error::other(format!("it is not a pointer: {error}")))?;
    // What is left of a file that was cut short may end in a length, too: of nothing, where it ends in zeros.
    if length == 0 || payload.position() != payload.get_ref().len() as u64 {
        return Err(short());
    }
    Ok(value)
}

/// Whether it can be the name of a folder that uv made up.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(['/', '.'])
}
