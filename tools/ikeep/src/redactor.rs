//! Secrets do not reach the log, whatever the engine prints.

/// Replaces secrets in a stream, also where one comes in two pieces.
pub(crate) struct Redactor {
    secrets: Vec<Vec<u8>>,
    held: Vec<u8>,
}

impl Redactor {
    /// Shorter ones are no secrets, and would make holes in every line.
    const SHORTEST: usize = 4;

    pub(crate) fn new(mut secrets: Vec<Vec<u8>>) -> Self {
        secrets.retain(|secret| secret.len() >= Self::SHORTEST);
        // The longest first, or one that another begins with would leave its end.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self { secrets, held: Vec::new() }
    }

    /// What may be written now; an end that could be the beginning of a secret is held back.
    pub(crate) fn feed(&mut self, chunk: &[u8]) -> Vec<u8> {
        let mut text = std::mem::take(&mut self.held);
        text.extend_from_slice(chunk);
        for secret in &self.secrets {
            text = replaced(&text, secret);
        }
        let begins =
            |length: &usize| self.secrets.iter().any(|s| s.starts_with(&text[text.len() - length..]));
        let longest = self.secrets.first().map_or(0, |secret| secret.len() - 1).min(text.len());
        let held = (1..=longest).rev().find(begins).unwrap_or(0);
        self.held = text.split_off(text.len() - held);
        text
    }

    /// The end of the stream: what was held back was no secret.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }
}

/// One pass: what stands in a secret's place is not looked at again, or the secret `secret` would never end.
fn replaced(text: &[u8], secret: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(secret.len()).position(|window| window == secret) {
        kept.extend_from_slice(&rest[..at]);
        kept.extend_from_slice(b"[secret]");
        rest = &rest[at + secret.len()..];
    }
    kept.extend_from_slice(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(secrets: &[&str], pieces: &[&str]) -> String {
        let mut redactor = Redactor::new(secrets.iter().map(|secret| secret.as_bytes().to_vec()).collect());
        let mut text: Vec<u8> = pieces.iter().flat_map(|piece| redactor.feed(piece.as_bytes())).collect();
        text.extend(redactor.finish());
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn every_occurrence_goes_once_also_where_it_comes_in_pieces() {
        assert_eq!(redacted(&["hunter22"], &["a hunt", "er22 b hunter22\n"]), "a [secret] b [secret]\n");
        assert_eq!(redacted(&["abcd", "abcdef"], &["abcdef abcd abc"]), "[secret] [secret] abc");
    }

    #[test]
    fn a_secret_that_is_part_of_what_stands_in_its_place_ends() {
        assert_eq!(redacted(&["secret"], &["the secret garden"]), "the [secret] garden");
        assert_eq!(redacted(&["[secret]"], &["[secret][secret]"]), "[secret][secret]");
    }

    #[test]
    fn what_is_too_short_is_no_secret() {
        assert_eq!(redacted(&["abc"], &["abc"]), "abc");
    }
}
