//! A file of uv's cache that says what an answer of the network became: msgpack, then a cache policy, then the policy's
//! length as a little-endian u64.
use owner::read_file;
use serde::Serialize;
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

/// What uv 0.11 writes of an answer to a request for `url` that came `now` (unix seconds): what is said, then the policy of an
/// answer with status 200 and no headers, then the policy's length.
///
/// # Errors
/// It cannot be written as msgpack.
pub(crate) fn write<T: Serialize>(said: &T, url: &str, now: u64) -> io::Result<Vec<u8>> {
    let mut bytes = rmp_serde::to_vec(said).map_err(io::Error::other)?;
    let policy = policy(url, now);
    bytes.extend_from_slice(&policy);
    bytes.extend_from_slice(&(policy.len() as u64).to_le_bytes());
    Ok(bytes)
}

/// The bytes of uv's `CachePolicy` but for the text that it points to (rkyv 0.8).
const POLICY_BYTES: usize = 0x140;

/// The request's URL, then the structure with its distance: all other fields are as those of an answer that says nothing.
fn policy(url: &str, now: u64) -> Vec<u8> {
    let mut policy = url.as_bytes().to_vec();
    policy.resize(policy.len().next_multiple_of(4), 0);
    // A list with nothing in it, which points to where it would be.
    let list = policy.len();
    policy.resize(list.next_multiple_of(8), 0);
    let root = policy.len();
    policy.resize(root + POLICY_BYTES, 0);
    let mut put = |at: usize, bytes: &[u8]| policy[root + at..root + at + bytes.len()].copy_from_slice(bytes);
    let distance = |from: usize, to: usize| {
        let (from, to) = (i64::try_from(from).unwrap_or_default(), i64::try_from(to).unwrap_or_default());
        i32::try_from(to - from).unwrap_or_default().to_le_bytes()
    };
    let length = u32::try_from(url.len()).unwrap_or_default();
    // The first byte's two highest bits distinguish a long text from a short one.
    put(0x8, &((length & !0x3f) << 2 | length & 0x3f | 0x80).to_le_bytes());
    put(0xc, &distance(root + 0x8, 0));
    put(0x78, &now.to_le_bytes());
    put(0x80, &200_u16.to_le_bytes());
    put(0xf0, &[1]);
    put(0xf8, &now.to_le_bytes());
    put(0x130, &now.to_le_bytes());
    put(0x138, &distance(root + 0x138, list));
    policy
}

/// Whether it can be the name of a folder that uv made up.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(['/', '.'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_as_uv_writes_it() {
        let url = "https://files.invalid/packages/0123456789/six-1.17.0-py2.py3-none-any.whl";
        let policy = policy(url, 0x6b01_7dd8);
        assert_eq!((url.len(), policy.len()), (73, 80 + POLICY_BYTES));
        let set: Vec<(usize, &[u8])> = policy[80..]
            .chunks(4)
            .enumerate()
            .filter(|(_, word)| *word != [0; 4])
            .map(|(at, word)| (at * 4, word))
            .collect();
        let expected: [(usize, &[u8]); 8] = [
            (0x8, &[0x89, 1, 0, 0]),
            (0xc, &[0xa8, 0xff, 0xff, 0xff]),
            (0x78, &[0xd8, 0x7d, 0x01, 0x6b]),
            (0x80, &[200, 0, 0, 0]),
            (0xf0, &[1, 0, 0, 0]),
            (0xf8, &[0xd8, 0x7d, 0x01, 0x6b]),
            (0x130, &[0xd8, 0x7d, 0x01, 0x6b]),
            (0x138, &[0xc4, 0xfe, 0xff, 0xff]),
        ];
        assert_eq!(set, expected);
    }
}
