//! What the sections show in the same way.
use crate::page::{Cell, Section, code, text};
use crate::run::Entry;

/// Rows `member | value` of what is there.
pub(super) fn facts(entry: &Entry, names: &[&str]) -> Vec<Vec<Cell>> {
    let there = names.iter().filter(|name| entry.value(name).is_some());
    there.map(|name| vec![text(*name), code(entry.text(name))]).collect()
}

/// A size for a person.
pub(crate) fn size(bytes: Option<f64>) -> String {
    bytes.map(|bytes| tool::size(bytes as u64)).unwrap_or_default()
}

pub(super) fn seconds(entry: &Entry) -> Cell {
    text(entry.number("seconds").map(|time| format!("{time:.3}")).unwrap_or_default())
}

pub(super) fn yes(flag: bool) -> Cell {
    text(if flag { "yes" } else { "no" })
}

/// A section with one table.
pub(super) fn tabled(title: &'static str, head: &[&'static str], rows: Vec<Vec<Cell>>) -> Section {
    let mut section = Section::new(title);
    section.table(head, rows);
    section
}
