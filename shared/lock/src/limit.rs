//! What keeps a file that is no lock file from costing much.

/// How many brackets may be open at once.
pub(crate) const NESTING: usize = 1000;

/// Whether brackets nest as no lock file's do. The YAML crate takes the square of their depth in time, and looks at its own
/// limit only afterwards. Text in quotes counts too: it has hardly any that are not closed.
pub(crate) fn nests_deeply(bytes: &[u8]) -> bool {
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

/// An error quotes the value that it complains of, however long that is.
pub(crate) fn brief(message: &str) -> String {
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
