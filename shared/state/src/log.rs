//! The log that a keeper writes for its engine.
use crate::Note;
use owner::{Dir, Owner};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

const LINES: usize = 20;
const BYTES: u64 = 64 << 10;
/// Enough to find in it why an engine ended.
const EVIDENCE_BYTES: u64 = 256 << 10;
const EVIDENCE_LINES: usize = 2000;

/// Open a log by its path, which its user chose: with that user's rights, and only a file of that user's.
///
/// # Errors
/// What the system says; that it is no regular file or somebody else's.
pub fn open_log(user: &Owner, path: &Path) -> io::Result<File> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(rustix::io::Errno::INVAL.into());
    };
    if !path.is_absolute() {
        return Err(rustix::io::Errno::INVAL.into());
    }
    Dir::open_as(user, folder)?.open_own(name)
}

/// The last 20 lines of a user's log, of the last start only; none where it cannot be read.
#[must_use]
pub fn log_tail(user: &Owner, path: &Path) -> Vec<String> {
    last_lines(&end_of(user, path))
}

/// What the engine of our own user has written since it was last started: the last 2000 lines among the last 256 KiB, also where the
/// log was rotated in between. Read line by line, because a keeper that does so must stay small.
#[must_use]
pub fn log_since_start(path: &Path) -> Vec<String> {
    let mut lines = VecDeque::new();
    let known = take_lines(path, &mut lines).unwrap_or(true);
    if !known {
        lines.clear();
        let before = PathBuf::from(format!("{}.1", path.display()));
        // Where there is none, the log begins here.
        take_lines(&before, &mut lines).ok();
        take_lines(path, &mut lines).ok();
    }
    lines.into()
}

/// Add the engine's lines; a start empties what was gathered. Says whether the start was seen, or is too far back.
fn take_lines(path: &Path, lines: &mut VecDeque<String>) -> io::Result<bool> {
    let mut file = open_log(&Owner::current(), path)?;
    let skipped = file.metadata()?.len().saturating_sub(EVIDENCE_BYTES);
    file.seek(SeekFrom::Start(skipped))?;
    let mut known = skipped > 0;
    let mut reader = BufReader::new(file.take(EVIDENCE_BYTES));
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\n', '\r']);
        match Note::read(text) {
            Some(note) if note.is_start() => {
                lines.clear();
                known = true;
            }
            Some(_) => {}
            None => lines.push_back(text.to_owned()),
        }
        if lines.len() > EVIDENCE_LINES {
            lines.pop_front();
        }
        line.clear();
    }
    Ok(known)
}

/// The last bytes of a file; nothing where it cannot be read.
fn end_of(user: &Owner, path: &Path) -> String {
    let mut text = Vec::new();
    let read = open_log(user, path).and_then(|mut file| {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(BYTES)))?;
        file.take(BYTES).read_to_end(&mut text)
    });
    if read.is_err() { String::new() } else { String::from_utf8_lossy(&text).into_owned() }
}

/// The keeper marks each start with a line of its own.
fn starts(line: &str) -> bool {
    Note::read(line).is_some_and(|note| note.is_start())
}

fn last_lines(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let start = lines.iter().rposition(|line| starts(line));
    let from = start.map_or(0, |start| start + 1).max(lines.len().saturating_sub(LINES));
    let clean = |line: &&str| line.chars().filter(|c| *c == '\t' || !c.is_control()).take(2000).collect();
    lines[from..].iter().map(clean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_start_and_only_so_many_lines() {
        assert_eq!(last_lines("old\nikeep: starting x\na\n\nb \n"), ["a", "b"]);
        assert_eq!(last_lines("old\nikeep: 2026-11-29T10:00:00Z starting x\na\n"), ["a"]);
        let many: String = (0..30).map(|n| format!("line {n}\n")).collect();
        let lines = last_lines(&many);
        assert_eq!((lines.len(), lines[0].as_str()), (20, "line 10"));
    }

    #[test]
    fn escapes_are_taken_out() {
        assert_eq!(last_lines("\u{1b}[31mred\u{1b}[0m\n"), ["[31mred[0m"]);
    }

    #[test]
    fn a_log_that_is_not_there_has_no_lines() {
        assert!(log_tail(&Owner::current(), Path::new("/nonexistent/log")).is_empty());
        assert!(log_since_start(Path::new("/nonexistent/log")).is_empty());
    }

    #[test]
    fn a_start_whose_log_was_rotated_is_found_in_the_one_before() {
        let folder = std::env::temp_dir().join(format!("infer-dev-log-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let log = folder.join("a.log");
        std::fs::write(folder.join("a.log.1"), "old\nikeep: starting x\na\n").unwrap();
        std::fs::write(&log, "b\nikeep: 2026-11-29T10:00:00Z told\nc\n").unwrap();
        assert_eq!(log_since_start(&log), ["a", "b", "c"]);
        std::fs::write(&log, "d\nikeep: 2026-11-29T10:00:00Z starting x\nd\n").unwrap();
        assert_eq!(log_since_start(&log), ["d"]);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
