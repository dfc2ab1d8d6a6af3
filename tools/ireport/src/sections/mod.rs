//! What a run's stream shows, in the order in which a reader asks: did it serve, what was asked for, what was made of it, what
//! went wrong, where and from what.
mod cells;
mod failures;
mod inputs;
mod machine;
mod other;
mod served;
mod steps;
mod summary;
mod times;

pub(crate) use cells::size;
pub(crate) use served::last_ms;

use crate::moment;
use crate::page::Page;
use crate::run::Run;

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
