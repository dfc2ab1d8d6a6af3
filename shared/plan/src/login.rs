//! Logins in URLs: `https://user:word@host`.

/// The characters that end a URL in a text.
const ENDS: &[char] = &['"', '\'', '<', '>', '`'];

/// Every login in the URLs of a text: what stands before the `@`, and the password alone.
#[must_use]
pub fn logins(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("://") {
        let end = after.find(|c: char| c.is_whitespace() || ENDS.contains(&c)).unwrap_or(after.len());
        let authority = after[..end].split(['/', '?', '#']).next().unwrap_or_default();
        // A password may itself hold an @: the last one ends it.
        if let Some((login, _)) = authority.rsplit_once('@').filter(|(login, _)| !login.is_empty()) {
            found.push(login.to_owned());
            found.extend(
                login.split_once(':').map(|(_, word)| word.to_owned()).filter(|word| !word.is_empty()),
            );
        }
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::logins;

    #[test]
    fn a_login_is_found_wherever_a_url_stands() {
        assert_eq!(logins("postgres://me:w@rd@db.invalid/x?a=b@c"), ["me:w@rd", "w@rd"]);
        assert_eq!(logins("{\"url\": \"https://token@h\"}"), ["token"]);
        for plain in ["http://h:80/a@b", "mail me@h.invalid", "s3://bucket/key", "http://@h", "a: b@c", "://"]
        {
            assert!(logins(plain).is_empty(), "{plain}");
        }
    }
}
