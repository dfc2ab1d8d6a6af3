//! A log from a moment on, across the files that were rotated away.
//!
//! Only the keeper's lines have a time. What stands after one is of that time or later, and so is all of a file whose
//! predecessor was last written then: the log begins at the first line of which that is known.
use crate::log::Log;
use owner::Owner;
use state::Note;
use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tool::{Failure, Io};

/// As much of a line as is looked at and written at a time.
const PIECE_BYTES: u64 = 64 << 10;

/// A moment, in seconds of unix time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Since(u64);

impl Since {
    /// `10m`, `1h30m`: so long ago. `2026-11-29`, `2026-11-29T10:00`, `2026-11-29T10:00:30Z`: that moment, in UTC as in the
    /// log.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let ago = duration(text).map(|ago| now.saturating_sub(ago).as_secs());
        let at = ago
            .or_else(|| moment(text))
            .ok_or("it is a duration as 10m or 1h30m, or a UTC time as 2026-11-29T10:00")?;
        if at > now.as_secs() {
            return Err("it is in the future; times are UTC, as in the log".to_owned());
        }
        Ok(Self(at))
    }
}

/// Numbers with their units: d, h, m, s.
fn duration(text: &str) -> Option<Duration> {
    let (mut sum, mut number) = (0_u64, None::<u64>);
    for c in text.chars() {
        if let Some(digit) = c.to_digit(10) {
            number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(u64::from(digit))?);
            continue;
        }
        let unit = match c {
            'd' => 86_400,
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        sum = sum.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    (number.is_none() && !text.is_empty()).then(|| Duration::from_secs(sum))
}

/// A date with or without a time of day, with or without seconds and the Z.
fn moment(text: &str) -> Option<u64> {
    let text = text.strip_suffix('Z').unwrap_or(text).replacen(' ', "T", 1);
    let rest = match text.len() {
        10 => "T00:00:00Z",
        16 => ":00Z",
        19 => "Z",
        _ => return None,
    };
    // Read as the keeper's own lines are.
    Note::read(&format!("ikeep: {text}{rest} ")).and_then(|note| note.at_unix)
}

/// Write what is known to be of `since` or later, up to the end of the log as it is now; what follows is read from the log
/// that comes back. `live`: more may follow.
pub(crate) fn write(
    log: (Owner, &Path),
    Since(at): Since,
    live: bool,
    io: &mut Io,
) -> Result<io::Result<Log>, Failure> {
    let (mut log, older) = match files(log, at) {
        Ok(files) => files,
        Err(error) => return Ok(Err(error)),
    };
    let mut known = false;
    for file in older {
        if let Err(error) = copy(&mut BufReader::new(file), at, &mut known, io)? {
            return Ok(Err(error));
        }
        // Whatever came later was written after this file was.
        known = true;
    }
    let rest = copy(&mut BufReader::new(&log.file), at, &mut known, io)?;
    if !known {
        tool::note("istat", "no line of the log is known to be of that time or later");
    }
    Ok(rest.map(|rest| {
        // A line that ends later is of now.
        log.begun = if known || live { rest } else { Vec::new() };
        log
    }))
}

/// The log, and the files before it that were written at `at` or later, the oldest first. Opened from the newest on: one
/// that is rotated meanwhile is met twice, and none is missed.
pub(crate) fn files((user, path): (Owner, &Path), at: u64) -> io::Result<(Log, Vec<File>)> {
    let log = Log::open(user, path)?;
    let id = |metadata: &Metadata| (metadata.dev(), metadata.ino());
    let mut met = vec![id(&log.file.metadata()?)];
    let mut older = Vec::new();
    for number in 1_u32.. {
        let file = match state::open_log(&log.user, &PathBuf::from(format!("{}.{number}", path.display()))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            file => file?,
        };
        let metadata = file.metadata()?;
        if u64::try_from(metadata.mtime()).is_ok_and(|written| written < at) {
            break;
        }
        if !met.contains(&id(&metadata)) {
            met.push(id(&metadata));
            older.push(file);
        }
    }
    older.reverse();
    Ok((log, older))
}

/// Write all lines from the first on that is `known`. What stands at the end without its line's end comes back.
fn copy(
    input: &mut impl BufRead,
    at: u64,
    known: &mut bool,
    io: &mut Io,
) -> Result<io::Result<Vec<u8>>, Failure> {
    let mut text = Vec::new();
    let (mut piece, mut within_a_line) = (Vec::new(), false);
    loop {
        piece.clear();
        match input.take(PIECE_BYTES).read_until(b'\n', &mut piece) {
            Err(error) => return Ok(Err(error)),
            Ok(0) => piece.clear(),
            Ok(_) => {}
        }
        let ended = piece.ends_with(b"\n");
        let last = !ended && (piece.len() as u64) < PIECE_BYTES;
        if last || io.gone() {
            io.print(&tool::lines_of(&String::from_utf8_lossy(&text)))?;
            return Ok(Ok(piece));
        }
        if !*known && !within_a_line {
            let line = String::from_utf8_lossy(&piece);
            *known = Note::read(&line).and_then(|note| note.at_unix).is_some_and(|written| written >= at);
        }
        within_a_line = !ended;
        if *known {
            text.extend_from_slice(&piece);
        }
        if text.len() as u64 > PIECE_BYTES {
            io.print(&tool::lines_of(&String::from_utf8_lossy(&std::mem::take(&mut text))))?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        let seconds = |text| duration(text).map(|time| time.as_secs());
        assert_eq!(
            [seconds("10m"), seconds("1h30m"), seconds("2d"), seconds("0s")],
            [Some(600), Some(5400), Some(172_800), Some(0)]
        );
        for wrong in ["", "10", "m", "10 m", "10m5", "1w", "99999999999999999999s", "-1m"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn moments_are_utc_to_the_day_the_minute_or_the_second() {
        let at = 1_795_946_400;
        for text in [
            "2026-11-29T10:00",
            "2026-11-29 10:00",
            "2026-11-29T10:00:00",
            "2026-11-29T10:00:00Z",
            "2026-11-29T10:00Z",
        ] {
            assert_eq!(moment(text), Some(at), "{text}");
        }
        assert_eq!(moment("2026-11-29"), Some(at - 36_000));
        for wrong in [
            "2026-11-31",
            "2026-11-29T24:00",
            "2026-11-29T10",
            "10:00",
            "2026-11-29T10:00+01:00",
            "ikeep: xxxxx",
        ] {
            assert_eq!(moment(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_future_has_no_lines() {
        assert!(Since::parse("2100-01-01").is_err_and(|error| error.contains("future")));
        assert_eq!(Since::parse("99999d"), Ok(Since(0)));
    }
}
