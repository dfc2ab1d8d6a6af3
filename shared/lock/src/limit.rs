//! What keeps a file that is no lock file from costing much, and says why it is none.

/// More bytes than any lock file has: those of large workspaces have a few millions.
pub const CEILING_BYTES: usize = 64 << 20;

/// How many brackets may be open at once.
const NESTING: usize = 1000;

/// Whether brackets nest as no lock file's do. The YAML crate takes the square of their depth in time, and looks at its own
/// limit only afterwards. Text in quotes counts too: it has hardly any that are not closed.
fn nests_deeply(bytes: &[u8]) -> bool {
    let mut open = 0_usize;
    bytes.iter().any(|byte| {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        open > NESTING
    })
}

/// The byte order mark that some editors put before text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Why it is not even looked into.
pub(crate) fn why_not_parsed(bytes: &[u8]) -> Option<String> {
    if std::str::from_utf8(bytes).is_err() {
        return Some("it is not UTF-8".to_owned());
    }
    nests_deeply(bytes).then(|| format!("more than {NESTING} brackets are open at once"))
}

/// What is wrong with a file that the YAML crate refuses like this. Behind a mark the first line is not at the margin, which
/// that crate, pixi's too, takes for a document of its own.
pub(crate) fn cause(bytes: &[u8], message: &str) -> String {
    match bytes.starts_with(BYTE_ORDER_MARK) {
        true => "it begins with a byte order mark, which pixi does not read".to_owned(),
        false => truncated(message),
    }
}

/// An error quotes the value that it complains of, however long that is.
fn truncated(message: &str) -> String {
    const LENGTH: usize = 300;
    match message.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use crate::{Error, LockFile};

    fn malformed(text: &str) -> String {
        match LockFile::parse(text.as_bytes()) {
            Err(Error::Malformed(cause)) => cause,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_hundred_thousand_open_brackets_are_refused_unparsed() {
        for open in ["[", "{a: ", "[{"] {
            let cause = malformed(&format!("version: 7\nenvironments: {}", open.repeat(100_000)));
            assert_eq!(cause, "more than 1000 brackets are open at once");
        }
        let closed = format!("version: 7\nx: '{}'\nenvironments: {{}}\n", "[a]{b}".repeat(5000));
        assert!(LockFile::parse(closed.as_bytes()).is_ok());
    }

    #[test]
    fn a_value_is_not_quoted_at_any_length() {
        let cause = malformed(&format!("version: 7\nenvironments: '{}'\n", "é".repeat(100_000)));
        assert!(cause.starts_with("environments: invalid type: string") && cause.ends_with('…'), "{cause}");
        assert!(cause.len() < 1000);
    }
}
