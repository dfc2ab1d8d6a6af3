//! A line of a log: what stands before its text, how grave its writer holds it, and where in a traceback it stands.
use crate::level::Level;
use crate::prefix::Prefix;
use std::borrow::Cow;

/// How much of one line is looked at.
const BYTES: usize = 8 * 1024;

/// One line, as a terminal would have shown it.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    pub(crate) text: Cow<'a, str>,
    /// Where the text begins behind what processes and loggers put before it.
    body: usize,
    pub(crate) level: Level,
    /// A logger wrote it: with it begins something new.
    pub(crate) begins: bool,
    /// The source file that the logger names, if it does.
    source: (usize, usize),
}

impl<'a> Line<'a> {
    pub(crate) fn new(raw: &'a str) -> Self {
        let text = plain(raw);
        let mut prefix = Prefix::default();
        while prefix.take(&text[prefix.end..]) {}
        let Prefix { end, level, begins, source } = prefix;
        Self { text, body: end, level, begins, source }
    }

    /// The text behind all prefixes, with its indentation.
    pub(crate) fn body(&self) -> &str {
        &self.text[self.body..]
    }

    /// The source file that wrote the line, by the logger.
    pub(crate) fn source(&self) -> &str {
        &self.text[self.source.0..self.source.1]
    }

    /// The whole line without the blanks at its ends.
    pub(crate) fn shown(&self) -> &str {
        self.text.trim()
    }

    /// Is it a frame of a Python traceback: the place, the source line there, or the marks below it?
    pub(crate) fn is_frame(&self) -> bool {
        let body = self.body();
        body.starts_with("    ") && !body.trim_start().starts_with("| ") || body.starts_with("  File \"")
    }

    /// The text without its indentation, and without the bars of a group of exceptions.
    pub(crate) fn words(&self) -> &str {
        self.body().trim_start().trim_start_matches("| ")
    }

    /// `SomeError: words`, with or without modules before it, as a traceback ends.
    pub(crate) fn is_exception(&self) -> bool {
        let name = self.words().split([':', '(']).next().unwrap_or_default();
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
        let last = name.rsplit('.').next().unwrap_or_default();
        plain && EXCEPTIONS.iter().any(|end| last.ends_with(end))
    }

    /// The source line that a frame quotes.
    pub(crate) fn quoted(&self) -> Option<&str> {
        let code = self.body().trim();
        let marks = code.chars().all(|c| matches!(c, '^' | '~' | ' ' | '|'));
        (self.is_frame() && !marks && !code.starts_with("File \"")).then_some(code)
    }
}

/// How names of exceptions end.
const EXCEPTIONS: [&str; 6] = ["Error", "Exception", "Exit", "Timeout", "Failed", "OutOfResources"];

/// The line without what a progress bar had overwritten, without colours, and no more than is looked at.
fn plain(line: &str) -> Cow<'_, str> {
    let line = line.trim_end();
    let line = head(line.rsplit('\r').next().unwrap_or(line), BYTES).trim_end();
    if !line.contains('\x1b') {
        return Cow::Borrowed(line);
    }
    let mut pieces = line.split('\x1b');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let sequence = piece.strip_prefix('[').unwrap_or(piece);
        text.push_str(sequence.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, rest)| rest));
    }
    Cow::Owned(text)
}

/// At most so many bytes of the text, whole characters only.
pub(crate) fn head(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_told_from_what_an_exception_says() {
        let frame = Line::new("(W pid=1) ERROR 11-20 10:02:13 [core.py:1]     sock.bind(addr)");
        assert_eq!((frame.is_frame(), frame.quoted()), (true, Some("sock.bind(addr)")));
        assert_eq!(Line::new("    ~~~~^^^^").quoted(), None);
        assert!(!Line::new("  Value error, x").is_frame());
        assert!(!Line::new("    | ValueError: x").is_frame());
    }

    #[test]
    fn an_exception_is_known_by_its_shape() {
        for text in [
            "KeyError: 'a'",
            "a.b.CError",
            "ray.exceptions.RayTaskError(ValueError): x",
            "  | AssertionError",
        ] {
            assert!(Line::new(text).is_exception(), "{text}");
        }
        for text in ["an Error: x", "Error retrieving list", "INFO: x", ""] {
            assert!(!Line::new(text).is_exception(), "{text}");
        }
    }

    #[test]
    fn no_line_whatever_it_holds_makes_it_panic() {
        for raw in [
            "",
            "[",
            "(pid=",
            "[rank",
            "ERROR",
            "ERROR ",
            "ERROR é.py:",
            "0.0.0.0",
            "é | ",
            "[W",
            "2026-11-20T",
            "[2026-1",
        ] {
            drop(Line::new(raw));
        }
    }
}
