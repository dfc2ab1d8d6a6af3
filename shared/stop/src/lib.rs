//! Stopping instances, and proving that they are gone: their processes, their ports, their GPU memory.
//!
//! `istop` stops what an operator names, `ilaunch` what a plan no longer wants. Both promise the same.
mod one;
mod report;

pub use one::Gone;
pub use report::report;

use gpu::Meter;
use state::Directory;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;
use tool::Failure;

/// What became of one instance that was to be stopped; `None` where nothing ran and nothing was left.
pub type Stopped = Result<Option<Gone>, Failure>;

/// Stop the instances of these state directories, all at once; each is handed on as it is gone. A keeper that has not
/// gone after `limit` is killed, by default 10 s after the instance's `stop_timeout_s`.
#[must_use]
pub fn all(places: Vec<Directory>, limit: Option<Duration>) -> Receiver<(Directory, Stopped)> {
    let (sender, results) = channel();
    let meter = Arc::new(Meter::default());
    for place in places {
        let (sender, meter) = (sender.clone(), Arc::clone(&meter));
        // Each mostly waits, and none for another.
        thread::spawn(move || {
            let stopped = one::stop(&place, limit, &meter);
            drop(sender.send((place, stopped)));
        });
    }
    results
}
