//! Stopping instances, and proving that they are gone: their processes, their ports, their GPU memory.
//!
//! `istop` stops what an operator names, `ilaunch` what a plan no longer wants. Both promise the same. What its keeper has
//! put to sleep is woken here too.
mod forget;
mod instance;
mod report;
mod request;
mod unrecorded;
mod wake;

pub use instance::StopOutcome;
pub use report::{report, report_failure};
pub use request::{Expected, Request};
pub use wake::{awake, wake};

use failure::Failure;
use gpu::Meter;
use state::Unrecorded;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

/// What became of one instance that was to be stopped; `None` where nothing ran, was left or was remembered.
pub type Stopped = Result<Option<StopOutcome>, Failure>;

/// Stop all these instances at once, as far as there are threads for it; each is handed on as it is gone. A keeper that has
/// not gone after `limit` is killed, by default 10 s after the instance's `stop_timeout_s`.
pub fn stop_all(requests: Vec<Request>, limit: Option<Duration>) -> impl Iterator<Item = (Request, Stopped)> {
    let (sender, results) = channel();
    let meter = Arc::new(Meter::default());
    let mut left = Vec::new();
    let only = requests.len() == 1;
    for request in requests {
        let (sender, meter, theirs) = (sender.clone(), Arc::clone(&meter), request.clone());
        // Each mostly waits, and none for another. One alone needs no thread but this one.
        let run = move || {
            let stopped = answer(&theirs, limit, &meter);
            drop(sender.send((theirs, stopped)));
        };
        if only || threads::start("stop", run).is_err() {
            left.push(request);
        }
    }
    let here = left.into_iter().map(move |request| {
        let stopped = answer(&request, limit, &meter);
        (request, stopped)
    });
    here.chain(results)
}

/// Every instance gets an answer, also where there is a fault in ours.
fn answer(request: &Request, limit: Option<Duration>, meter: &Meter) -> Stopped {
    let stopped = catch_unwind(AssertUnwindSafe(|| stop(request, limit, meter)));
    stopped.unwrap_or_else(|_| Err(threads::no_answer("stop")))
}

/// End all that runs of these instances, whose state directories are gone, all at once.
#[must_use]
pub fn stop_all_unrecorded(
    found: &[Unrecorded],
    limit: Option<Duration>,
) -> Vec<Result<StopOutcome, Failure>> {
    let stopped = threads::each("stop", found, |found| unrecorded::stop(found, limit));
    stopped.into_iter().map(|stopped| stopped.and_then(|stopped| stopped)).collect()
}

fn stop(request: &Request, limit: Option<Duration>, meter: &Meter) -> Stopped {
    if !request.forget {
        return instance::stop(request, limit, meter);
    }
    let is_damaged = forget::is_damaged(&request.place);
    let mut gone = if is_damaged { None } else { instance::stop(request, limit, meter)? };
    let mut forgotten = forget::forget(&request.place);
    if is_damaged {
        // A damaged state says nothing of what ran: without it, what still does is found by its processes, unless its keeper
        // has written the state again by now.
        gone = match unrecorded::stop_in(&request.place, limit)? {
            None => instance::stop(request, limit, meter)?,
            stopped => stopped,
        };
        // Its keeper has written its end by now.
        if gone.is_some() {
            forgotten = forget::forget(&request.place);
        }
    }
    let forgotten = forgotten?;
    let gone = gone.or(forgotten.then_some(StopOutcome::ALREADY));
    Ok(gone.map(|gone| StopOutcome { forgotten, ..gone }))
}
