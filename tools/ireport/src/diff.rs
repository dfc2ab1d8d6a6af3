//! What changed since it worked.
use crate::changes::{Change, Group, between};
use crate::page::{Cell, Page, Section, code, text};
use crate::run::Run;

const SECTIONS: [(Group, &str); 6] = [
    (Group::Outcome, "What became of it"),
    (Group::Inputs, "What went in"),
    (Group::Versions, "Machine and versions"),
    (Group::Flags, "Flags, environment and control"),
    (Group::Resolved, "What was resolved and installed"),
    (Group::Times, "Times"),
];

/// The report, and whether anything but times has changed.
pub(crate) fn page(old: &Run, new: &Run) -> (Page, bool) {
    let changes = between(old, new);
    let changed = changes.iter().any(|change| change.group != Group::Times);
    let mut first = Section::new("Summary");
    first.text(format!(
        "The exit code of the old run is {}, that of the new one {}.",
        old.code(),
        new.code()
    ));
    first.text(match changed {
        true => "What changed, by what it is; what only one of them has stands alone.",
        false => "Nothing has changed but times.",
    });
    let mut sections = vec![first];
    for (group, title) in SECTIONS {
        let of: Vec<&Change> = changes.iter().filter(|change| change.group == group).collect();
        let mut section = Section::new(title);
        if group == Group::Times {
            section.table(&["of", "", "old", "new", "factor"], of.into_iter().map(timed).collect());
        } else {
            section.table(&["of", "", "old", "new"], of.into_iter().map(row).collect());
        }
        sections.push(section);
    }
    sections.retain(|section| !section.blocks.is_empty());
    (Page { title: "infer-dev: what changed between two runs".to_owned(), sections }, changed)
}

fn row(change: &Change) -> Vec<Cell> {
    let side = |value: &Option<String>| code(value.clone().unwrap_or_default());
    vec![text(&change.of), text(&change.member), side(&change.old), side(&change.new)]
}

fn timed(change: &Change) -> Vec<Cell> {
    let number = |value: &Option<String>| value.as_ref().and_then(|value| value.parse::<f64>().ok());
    let factor = match (number(&change.old), number(&change.new)) {
        (Some(old), Some(new)) if old > 0.0 => format!("{:.2}", new / old),
        _ => String::new(),
    };
    let mut row = row(change);
    row.push(text(factor));
    row
}
