//! The names of members: which may be used, and how a message shows them.

const NAME_CEILING: usize = 1024;
/// As Linux has it, for one part of a path and for a whole one with its end mark.
const PART_CEILING: usize = 255;
pub(crate) const TARGET_CEILING: usize = 4095;
const DEPTH_CEILING: usize = 64;

/// The parts of a member's name, or why it has none that may be used.
pub(crate) fn components(name: &[u8]) -> Result<Vec<&[u8]>, &'static str> {
    if name.starts_with(b"/") {
        return Err("an absolute path");
    }
    if name.len() > NAME_CEILING || name.contains(&0) {
        return Err("a name that is too long or holds a zero byte");
    }
    let parts: Vec<&[u8]> =
        name.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    if parts.iter().any(|part| part.len() > PART_CEILING) {
        return Err("a name that is too long or holds a zero byte");
    }
    if parts.iter().any(|part| *part == b"..") {
        return Err("a path that leads out of the archive");
    }
    if parts.len() > DEPTH_CEILING {
        return Err("too many folders in one another");
    }
    Ok(parts)
}

/// A name for a message: it may hold anything, and a terminal obeys some of that.
pub(crate) fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_folder_have_no_components() {
        for name in ["/bin/x", "..", "../x", "a/../../x", "a/..", "a/../b"] {
            assert!(components(name.as_bytes()).is_err(), "{name}");
        }
        assert_eq!(components(b"./a//b/").unwrap(), [b"a", b"b"]);
        assert!(components(b"./").unwrap().is_empty());
        assert!(components(&[b'a'; 1025]).is_err());
        assert!(components(&[b'a'; 256]).is_err() && components(&[b'a'; 255]).is_ok());
    }
}
