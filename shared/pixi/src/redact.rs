//! Credentials do not come out of a program that was given them.
use std::ffi::OsString;

/// A text without the credentials in its URLs: `scheme://user:word@host` becomes `scheme://***@host`, and `?token=word`
/// `?token=***`.
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
        let end = rest.find(is_outside_url).unwrap_or(rest.len());
        if let Some(query) = rest[..end].find('?') {
            safe.push_str(&rest[..query]);
            safe.push_str(&lock::redact_query(&rest[query..end]));
            rest = &rest[end..];
        }
    }
    safe.push_str(rest);
    safe
}

fn is_outside_authority(letter: char) -> bool {
    matches!(letter, '/' | '?' | '#') || is_outside_url(letter)
}

fn is_outside_url(letter: char) -> bool {
    letter.is_whitespace() || matches!(letter, '"' | '\'' | '`' | '<' | '>' | ')' | ']' | '}')
}

/// What a program that was given proxies must not repeat, even without the URL around it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Credentials(Vec<String>);

impl Credentials {
    /// Those of the proxies that these variables name.
    pub(crate) fn of(variables: impl Iterator<Item = (OsString, OsString)>) -> Self {
        /// Shorter ones would take half of any text with them.
        const SHORTEST: usize = 4;
        let mut words = Vec::new();
        for (name, value) in variables {
            let name = name.to_string_lossy().to_lowercase();
            let value = value.to_string_lossy();
            let address = value.split_once("://").map_or(&*value, |(_, address)| address);
            let Some((credentials, _)) = address.rsplit_once('@').filter(|_| name.ends_with("_proxy")) else {
                continue;
            };
            words.push(credentials.to_owned());
            words.extend(credentials.split_once(':').map(|(_, word)| word.to_owned()));
        }
        words.retain(|word| word.len() >= SHORTEST);
        Self(words)
    }

    /// A text without them, and without those in its URLs.
    pub(crate) fn redact(&self, text: &str) -> String {
        self.0.iter().fold(redact(text), |text, word| text.replace(word.as_str(), "***"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Credentials, redact};
    use std::ffi::OsString;

    #[test]
    fn a_proxys_credentials_go_without_their_url_too() {
        let variables = [
            ("HTTPS_PROXY", "http://me:word@x.invalid:3128"),
            ("http_proxy", "you:other@y.invalid"),
            ("ALL_PROXY", "socks5://z.invalid"),
            ("NO_PROXY", "localhost,127.0.0.1"),
            ("MAIL", "somebody@w.invalid"),
        ];
        let credentials = Credentials::of(variables.map(|(n, v)| (OsString::from(n), v.into())).into_iter());
        assert_eq!(
            credentials.redact("me:word, 'other' of http://a:b@z.invalid is not somebody"),
            "***, '***' of http://***@z.invalid is not somebody"
        );
    }

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
            (
                "GET https://x.invalid/a.whl?token=abc&part=1 (error 403), https://y.invalid/?sig=b",
                "GET https://x.invalid/a.whl?token=***&part=1 (error 403), https://y.invalid/?sig=***",
            ),
            ("://", "://"),
        ] {
            assert_eq!(redact(text), safe);
        }
    }
}
