//! Records of kinds that this version does not know, as they came.
use crate::page::Section;
use crate::run::{Entry, Run};

pub(crate) fn section(run: &Run) -> Section {
    let mut section = Section::new("Other records");
    let unknown = |entry: &&Entry| !entry.known && !entry.members().is_empty();
    let lines: Vec<String> = run
        .entries
        .iter()
        .filter(unknown)
        .filter_map(|entry| serde_json::to_string(entry.members()).ok())
        .collect();
    if !lines.is_empty() {
        section.lines(lines.join("\n"));
    }
    section
}
