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
        for secret in &self.secrets {
            text = without_ends(&text, secret);
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

/// Python's libraries cut a long value in its middle: what is left of a secret on either side of the dots goes too.
fn without_ends(text: &[u8], secret: &[u8]) -> Vec<u8> {
    const DOTS: &[u8] = b"...";
    let mut kept = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.windows(DOTS.len()).position(|window| window == DOTS) {
        let (before, after) = (&rest[..at], &rest[at + DOTS.len()..]);
        let lengths = || (Redactor::SHORTEST..secret.len()).rev();
        let head = lengths().find(|length| before.ends_with(&secret[..*length])).unwrap_or(0);
        let tail = lengths().find(|length| after.starts_with(&secret[secret.len() - length..])).unwrap_or(0);
        for (piece, cut) in [(&before[..at - head], head), (DOTS, tail)] {
            kept.extend_from_slice(piece);
            kept.extend_from_slice(if cut > 0 { b"[secret]" } else { b"" });
        }
        rest = &after[tail..];
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

    #[test]
    fn what_is_left_of_a_secret_that_was_cut_in_its_middle_goes_too() {
        let cut =
            redacted(&["sk-0123456789abcdef"], &["input_value={'api_key': 'sk-01234...89abcdef'}, x...\n"]);
        assert_eq!(cut, "input_value={'api_key': '[secret]...[secret]'}, x...\n");
        let pieces = redacted(&["sk-0123456789abcdef"], &["'sk-01", "234...x'"]);
        assert_eq!(pieces, "'[secret]...x'");
        assert_eq!(redacted(&["sk-0123456789abcdef"], &["a...b sk-0 c"]), "a...b sk-0 c");
    }
}
