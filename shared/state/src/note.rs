//! The keeper's own lines in an engine's log: `ikeep: 2026-11-29T10:00:00Z starting /path/to/llama-server`.
use std::fmt;
use text::{unix_of, utc};

const PREFIX: &str = "ikeep: ";
/// How the text begins of the note that comes before each start.
const START: &str = "starting ";

/// One line of the keeper's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note<'a> {
    /// When it was written, in whole unix seconds; `None` in a log of an older keeper, which wrote no times.
    pub at_unix: Option<u64>,
    /// What it says.
    pub text: &'a str,
}

impl<'a> Note<'a> {
    /// A note of this moment.
    #[must_use]
    pub fn now(text: &'a str) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self { at_unix: now.ok().map(|now| now.as_secs()), text }
    }

    /// The text of the note that marks a start of the program at this path.
    #[must_use]
    pub fn start_of(program: &std::path::Path) -> String {
        format!("{START}{}", program.display())
    }

    /// A line of a log, without its end; `None` for a line of the engine's.
    #[must_use]
    pub fn read(line: &'a str) -> Option<Self> {
        let text = line.strip_prefix(PREFIX)?;
        let timed = text.split_once(' ').and_then(|(time, text)| Some((unix_of(time)?, text)));
        Some(match timed {
            Some((at_unix, text)) => Self { at_unix: Some(at_unix), text },
            None => Self { at_unix: None, text },
        })
    }

    /// Whether it marks a start of the engine.
    #[must_use]
    pub fn is_start(&self) -> bool {
        self.text.starts_with(START)
    }
}

/// The line, without its end.
impl fmt::Display for Note<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        if let Some(at_unix) = self.at_unix {
            write!(f, "{} ", utc(at_unix))?;
        }
        f.write_str(self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let note = Note { at_unix: Some(1_795_946_400), text: "starting /x y" };
        assert_eq!(note.to_string(), "ikeep: 2026-11-29T10:00:00Z starting /x y");
        assert_eq!(Note::read(&note.to_string()), Some(note));
        assert!(note.is_start());
        let written = Note::now("told to stop").to_string();
        let told = Note::read(&written).unwrap();
        assert!(told.at_unix.is_some() && told.text == "told to stop" && !told.is_start(), "{told:?}");
    }

    #[test]
    fn a_note_of_an_older_keeper_has_no_time() {
        let note = |text| Some(Note { at_unix: None, text });
        assert_eq!(Note::read("ikeep: starting x"), note("starting x"));
        assert_eq!(Note::read("ikeep: 2026-02-30T10:00:00Z x"), note("2026-02-30T10:00:00Z x"));
        assert_eq!(Note::read("ikeep: 2026-é2-03T10:00:00Z x"), note("2026-é2-03T10:00:00Z x"));
        assert_eq!(Note::read("an engine says ikeep: x"), None);
    }
}
