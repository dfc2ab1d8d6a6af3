//! Text that comes from a process of another user, for a terminal and for records.

/// The longest text that crosses, in bytes.
pub(crate) const TEXT_BYTES: usize = 8 << 10;

/// The same text without what a terminal would obey or a reader would be deceived by, at most `limit` bytes of it.
pub(crate) fn clean(text: &str, limit: usize) -> String {
    let mut cleaned = String::new();
    for character in text.chars() {
        let shown = if is_deceptive(character) { char::REPLACEMENT_CHARACTER } else { character };
        if cleaned.len() + shown.len_utf8() > limit {
            break;
        }
        cleaned.push(shown);
    }
    cleaned
}

/// Control characters, and those that turn the direction of writing.
pub(crate) fn is_deceptive(character: char) -> bool {
    let turns = matches!(
        character,
        '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    turns || character.is_control() && character != '\t'
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn what_a_terminal_would_obey_is_replaced_and_the_rest_is_cut_at_a_character() {
        assert_eq!(
            clean("a\x1b[2Jb\r\nc\td\u{9b}\u{202e}", 100),
            "a\u{fffd}[2Jb\u{fffd}\u{fffd}c\td\u{fffd}\u{fffd}"
        );
        assert_eq!(clean("\u{e4}\u{e4}\u{e4}", 5), "\u{e4}\u{e4}");
    }
}
