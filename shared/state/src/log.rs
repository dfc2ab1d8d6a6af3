//! The log that a keeper writes for its engine.
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// How the keeper's own lines begin.
pub const KEEPER_LINE: &str = "ikeep: ";
/// How the keeper's line goes on that comes before each start.
pub const START_LINE: &str = "starting ";

const LINES: usize = 20;
const BYTES: u64 = 64 << 10;

/// The last 20 lines of a log, of the last start only; none where it cannot be read.
#[must_use]
pub fn log_tail(path: &Path) -> Vec<String> {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|mut file| {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(BYTES)))?;
        file.take(BYTES).read_to_end(&mut text)
    });
    if read.is_err() { Vec::new() } else { last_lines(&String::from_utf8_lossy(&text)) }
}

/// The keeper marks each start with a line of its own.
fn last_lines(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let starts =
        |line: &&str| line.strip_prefix(KEEPER_LINE).is_some_and(|rest| rest.starts_with(START_LINE));
    let start = lines.iter().rposition(starts);
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
        assert!(log_tail(Path::new("/nonexistent/log")).is_empty());
    }
}
