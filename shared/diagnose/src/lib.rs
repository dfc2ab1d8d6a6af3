//! Why an engine ended: from its exit and the tail of its log to a class and the line that proves it.
//!
//! The knowledge is `patterns.txt`, a table in order of precedence; this crate reads it. It claims nothing that neither the
//! log nor the exit proves, looks at a bounded tail only, and keeps nothing, because a keeper calls it.
mod class;
mod table;

pub use class::Class;

use record::Engine;
use std::borrow::Cow;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// How much of a log's end is looked at: lines, bytes, and bytes of any one line.
const LINES: usize = 400;
const BYTES: usize = 256 * 1024;
const LINE_BYTES: usize = 8 * 1024;

/// How much of the proving line is handed on.
const SHOWN_BYTES: usize = 1024;

/// How the engine's process ended, with what else is known of its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code, if it exited.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// The `oom_kill` counter of its memory cgroup grew while it ran.
    pub oom_killed: bool,
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        Self { code: status.code(), signal: status.signal(), oom_killed: false }
    }
}

/// What is known of an engine's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// Why.
    pub class: Class,
    /// The log line that proves it; absent where the exit alone does. With `Class::Unknown`: the first that looks like the reason.
    pub line: Option<String>,
    /// What to do about it.
    pub hint: &'static str,
}

/// Find out why an engine ended. `tail` is the end of what it wrote since it was last started, oldest line first.
#[must_use]
pub fn diagnose(engine: Engine, exit: Exit, tail: &[String]) -> Diagnosis {
    let mut rows = table::rows();
    rows.retain(|row| row.is_for(engine));
    let (noise, rows): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.class.is_none());
    let mut lines = evidence(tail);
    lines.retain(|line| !noise.iter().any(|row| row.matches(line)));
    for block in rows.chunk_by(|a, b| a.class == b.class) {
        let line = lines.iter().find(|line| block.iter().any(|row| row.matches(line)));
        if let Some(class) = block[0].class
            && (line.is_some() || block.iter().any(|row| row.is_proved_by(exit)))
        {
            let line = line.map(|line| head(line, SHOWN_BYTES).to_owned());
            return Diagnosis { class, line, hint: class.hint() };
        }
    }
    Diagnosis { class: Class::Unknown, line: None, hint: Class::Unknown.hint() }
}

/// The lines that are looked at, as a terminal would have shown them.
fn evidence(tail: &[String]) -> Vec<Cow<'_, str>> {
    let mut room = BYTES;
    let last = tail.iter().rev().take(LINES).map(|line| plain(line));
    let mut lines: Vec<_> = last
        .take_while(|line| {
            let fits = line.len() <= room;
            room = room.saturating_sub(line.len());
            fits
        })
        .filter(|line| !line.is_empty())
        .collect();
    lines.reverse();
    lines
}

/// The line without what a progress bar had overwritten, and without colours.
fn plain(line: &str) -> Cow<'_, str> {
    let line = line.trim_end();
    let line = head(line.rsplit('\r').next().unwrap_or(line), LINE_BYTES).trim();
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
fn head(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests;
