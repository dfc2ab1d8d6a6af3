//! Why an engine ended: from its exit and the tail of its log to a class and the line that proves it.
//!
//! The knowledge is `patterns.txt`, a table in order of precedence; this crate reads it. It claims nothing that neither the
//! log nor the exit proves, looks at a bounded tail only, and keeps nothing, because a keeper calls it.
#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "tests make their own files"))]
mod class;
mod errno;
mod exit;
mod level;
mod line;
mod prefix;
mod table;
mod tail;

pub use class::Class;
pub use exit::Exit;

use line::head;
use record::Engine;
use table::{Row, Verdict};
use tail::Evidence;

/// How much of the proving line is handed on.
const SHOWN_BYTES: usize = 1024;

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
    let (noise, rows): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.makes == Verdict::Noise);
    let all = tail::evidence(engine, tail);
    // SGLang raises what it calls a warning.
    let is_raised = |found: &&Evidence<'_>| found.line.shown().contains("Error: Warning: ");
    let is_noise =
        |found: &&Evidence<'_>| !is_raised(found) && noise.iter().any(|row| row.matches(&found.line));
    let evidence: Vec<_> = all.iter().filter(|found| !is_noise(found)).collect();
    for rank in rows.chunk_by(|a, b| a.rank == b.rank) {
        let as_sure = &rows[..rows.partition_point(|row| row.rank <= rank[0].rank)];
        let of = |found: &Evidence<'_>| rank.iter().find_map(|row| row.class(found));
        let first = evidence.iter().find_map(|found| Some((of(found)?, found)));
        let proved =
            first.map(|(class, found)| (class, Some(cause(class, found, &all, as_sure).line.shown())));
        let by_exit = || rank.iter().find_map(|row| Some((row.class_by(exit)?, None)));
        if let Some((class, line)) = proved.or_else(by_exit) {
            let line = line.map(|line: &str| head(line, SHOWN_BYTES).to_owned());
            let hint = class.hint(engine, line.as_deref());
            return Diagnosis { class, line, hint };
        }
    }
    Diagnosis { class: Class::Unknown, line: None, hint: Class::Unknown.hint(engine, None) }
}

/// The exception at the root of this one, as far as it is of the same class, and no less sure.
fn cause<'a>(
    class: Class,
    found: &'a Evidence<'a>,
    all: &'a [Evidence<'a>],
    rows: &[Row],
) -> &'a Evidence<'a> {
    let same = |cause: &&Evidence<'_>| rows.iter().find_map(|row| row.class(cause)) == Some(class);
    std::iter::successors(Some(found), |found| found.cause.map(|at| &all[at]).filter(same))
        .last()
        .unwrap_or(found)
}

#[cfg(test)]
mod tests;
