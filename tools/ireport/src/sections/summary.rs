//! In a few lines: what became of each instance.
use super::cells::tabled;
use crate::page::{Cell, Section, code, text};
use crate::run::{Entry, Run};

pub(crate) fn section(run: &Run) -> Section {
    let subjects = subjects(run);
    let rows: Vec<Vec<Cell>> = subjects.iter().map(|subject| row(run, subject)).collect();
    let mut section =
        tabled("Summary", &["what", "became", "ready after", "first token after", "tokens a second"], rows);
    let count = |kind: &str| run.all(kind).filter(|entry| entry.subject().contains('/')).count();
    let (planned, ready) = (distinct(run, "plan").max(distinct(run, "instance")), distinct(run, "ready"));
    section.text(format!(
        "Planned: {planned}. Ready: {ready}. Answers: {}. Failures: {}. Warnings: {}. The exit code of the run is {}.",
        count("answer"),
        run.all("failed").count(),
        run.all("warning").count(),
        run.code()
    ));
    if let Some(damage) = &run.damage {
        section.text(format!("The stream is not whole: {damage}. Nothing after that is in this report."));
    }
    section
}

/// How many instances have a record of this kind.
fn distinct(run: &Run, kind: &str) -> usize {
    let mut subjects: Vec<String> = run.all(kind).map(Entry::subject).collect();
    subjects.sort();
    subjects.dedup();
    subjects.len()
}

/// Every instance in order, and every engine of which no instance is spoken.
fn subjects(run: &Run) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for entry in run.entries.iter().filter(|entry| entry.kind() != "warning") {
        let subject = entry.subject();
        if !subject.is_empty() && !found.contains(&subject) {
            found.push(subject);
        }
    }
    let all = found.clone();
    found.retain(|one| one.contains('/') || !all.iter().any(|other| other.starts_with(&format!("{one}/"))));
    found
}

fn row(run: &Run, subject: &str) -> Vec<Cell> {
    let of = |kind: &'static str| run.all(kind).filter(|entry| entry.subject() == subject).last();
    let engine = subject.split('/').next().unwrap_or_default();
    let failed = |entry: &&Entry| entry.subject() == subject || entry.subject() == engine;
    let ready = of("ready");
    let became = if let Some(failed) = run.all("failed").find(failed) {
        format!("failed, by {}: {}", failed.text("by"), failed.text("what"))
    } else if let Some(ready) = ready {
        format!("ready, rung {}", ready.text("rung"))
    } else if let Some(skipped) = of("skipped") {
        format!("skipped, by {}: {}", skipped.text("by"), skipped.text("why"))
    } else {
        let last = run.entries.iter().rfind(|entry| entry.subject() == subject);
        format!("its last record is '{}'", last.map(Entry::kind).unwrap_or_default())
    };
    let after = ready.and_then(super::served::last_ms);
    let answer = of("answer");
    let number = |name: &str| answer.and_then(|answer| answer.number(name));
    vec![
        code(subject),
        text(became),
        text(after.map(|ms| format!("{:.2} s", ms / 1e3)).unwrap_or_default()),
        text(number("ttft_ms").map(|ms| format!("{ms:.0} ms")).unwrap_or_default()),
        text(number("tokens_per_second").map(|rate| format!("{rate:.1}")).unwrap_or_default()),
    ]
}
