//! What a run's stream shows, in the order in which a reader asks: did it serve, what was asked for, what was made of it, what
//! went wrong, where and from what.
mod failures;
mod inputs;
mod machine;
mod other;
mod served;
mod steps;
mod summary;
mod times;

pub(crate) use served::last_ms;

use crate::moment;
use crate::page::{Cell, Page, Section, code, text};
use crate::run::{Entry, Run};

/// The whole report.
pub(crate) fn page(run: &Run) -> Page {
    let sections = [
        summary::section(run),
        failures::section(run),
        steps::asked(run),
        steps::resolved(run),
        steps::verified(run),
        steps::installed(run),
        served::launched(run),
        served::rungs(run),
        served::answers(run),
        times::section(run),
        machine::host(run),
        machine::network(run),
        inputs::section(run),
        other::section(run),
    ];
    Page { title: title(run), sections: sections.into_iter().filter(|one| !one.blocks.is_empty()).collect() }
}

fn title(run: &Run) -> String {
    match run.all("host").next() {
        Some(host) => {
            format!("infer-dev: a run on {}, {}", host.text("hostname"), moment::date(host.number("at_unix")))
        }
        None => "infer-dev: a run".to_owned(),
    }
}

/// Rows `member | value` of what is there.
fn facts(entry: &Entry, names: &[&str]) -> Vec<Vec<Cell>> {
    let there = names.iter().filter(|name| entry.value(name).is_some());
    there.map(|name| vec![text(*name), code(entry.text(name))]).collect()
}

/// A size for a person.
pub(crate) fn size(bytes: Option<f64>) -> String {
    bytes.map(|bytes| tool::size(bytes as u64)).unwrap_or_default()
}

fn seconds(entry: &Entry) -> Cell {
    text(entry.number("seconds").map(|time| format!("{time:.3}")).unwrap_or_default())
}

fn yes(flag: bool) -> Cell {
    text(if flag { "yes" } else { "no" })
}

/// A section with one table.
fn tabled(title: &'static str, head: &[&'static str], rows: Vec<Vec<Cell>>) -> Section {
    let mut section = Section::new(title);
    section.table(head, rows);
    section
}
