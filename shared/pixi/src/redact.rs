//! Credentials do not come out of a program that was given them.

/// A text without the credentials in its URLs: `scheme://user:word@host` becomes `scheme://***@host`.
#[must_use]
pub fn redact(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        safe.push_str(before);
        let end = after.find(is_outside_authority).unwrap_or(after.len());
        // A password may itself hold an @: the last one ends it.
        match after[..end].rfind('@') {
            Some(at) => {
                safe.push_str("***");
                rest = &after[at..];
            }
            None => rest = after,
        }
    }
    safe.push_str(rest);
    safe
}

fn is_outside_authority(letter: char) -> bool {
    letter.is_whitespace()
        || matches!(letter, '/' | '?' | '#' | '"' | '\'' | '`' | '<' | '>' | ')' | ']' | '}')
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn credentials_go_and_everything_else_stays() {
        for (text, safe) in [
            ("no URL at all", "no URL at all"),
            ("GET http://x.invalid:80/a@b", "GET http://x.invalid:80/a@b"),
            ("via http://me:word@x.invalid:3128.", "via http://***@x.invalid:3128."),
            (
                "'http://token@x.invalid/a' and https://a:p@ss@y.invalid",
                "'http://***@x.invalid/a' and https://***@y.invalid",
            ),
            ("://", "://"),
        ] {
            assert_eq!(redact(text), safe);
        }
    }
}
