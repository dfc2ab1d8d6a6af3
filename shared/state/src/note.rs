//! The keeper's own lines in an engine's log: `ikeep: 2026-11-29T10:00:00Z starting /path/to/llama-server`.
use std::fmt;

const PREFIX: &str = "ikeep: ";
/// How the text begins of the note that comes before each start.
const START: &str = "starting ";
const DAY_S: u64 = 86_400;

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

/// RFC 3339 in UTC, to the second.
fn utc(unix_s: u64) -> String {
    let (year, month, day) = date(unix_s / DAY_S);
    let second = unix_s % DAY_S;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The unix seconds of a time that [`utc`] wrote; `None` for any other text.
fn unix_of(text: &str) -> Option<u64> {
    let digits = |range: std::ops::Range<usize>| -> Option<u64> {
        let part = text.get(range)?;
        part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())?
    };
    let day = day_of(digits(0..4)?, digits(5..7)?, digits(8..10)?)?;
    let unix_s = day * DAY_S + digits(11..13)? * 3600 + digits(14..16)? * 60 + digits(17..19)?;
    // Written again it is the same text, or it was none of these times.
    (utc(unix_s) == text).then_some(unix_s)
}

/// Year, month and day of a day since 1970, by counting in eras of 400 years that begin on the first of March: a leap day
/// is then the last day of its year.
fn date(day: u64) -> (u64, u64, u64) {
    let day = day + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

/// The same back; `None` before 1970 and for a month that is none.
fn day_of(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = year - u64::from(month <= 2).min(year);
    let month = (1..=12).contains(&month).then(|| (month + 9) % 12)?;
    let in_year = (153 * month + 2) / 5 + day.checked_sub(1)?;
    let (era, in_era) = (year / 400, year % 400);
    let days = era * 146_097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year;
    days.checked_sub(719_468)
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

    #[test]
    fn days_are_those_of_the_calendar() {
        let times = [
            (0, "1970-01-01T00:00:00Z"),
            (68_169_599, "1972-02-28T23:59:59Z"),
            (68_169_600, "1972-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (4_102_444_799, "2099-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ];
        for (unix_s, text) in times {
            assert_eq!((utc(unix_s).as_str(), unix_of(text)), (text, Some(unix_s)));
        }
        for day in 0..100_000 {
            let (year, month, of_month) = date(day);
            assert_eq!(day_of(year, month, of_month), Some(day));
        }
    }
}
