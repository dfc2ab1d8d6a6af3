//! All instances, as they are at one moment, and at one moment after the other.
use crate::changes::Changes;
use crate::inspect::{self, Inspected};
use crate::table::{self, Style};
use crate::unrecorded;
use record::{Engine, Warning};
use state::Instances;
use std::collections::BTreeSet;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::thread;
use std::time::Duration;
use tool::{Failure, Io};

const REDRAW: Duration = Duration::from_secs(2);
/// Between two looks for changes: each asks every engine for its health.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What could be seen, and why there may be more.
pub(crate) struct Selection {
    pub(crate) inspected: Vec<Inspected>,
    /// Instances of which the state cannot be read.
    pub(crate) failed: Vec<(Engine, String, Failure)>,
    /// Run directories that cannot be read: the first.
    pub(crate) unread: Option<Failure>,
    /// What runs without a state directory.
    pub(crate) unrecorded: Vec<Warning>,
}

impl Selection {
    /// All at once: one that does not answer holds up no other.
    pub(crate) fn now(run_dir: Option<&Path>, names: &[String]) -> Result<Self, Failure> {
        let (Instances { places, unread }, unrecorded) = unrecorded::find_settled(run_dir, names)?;
        for place in &places {
            log::info!("looks at {}", place.path().display());
        }
        log::info!("{} instances have a state directory, {} run without one", places.len(), unrecorded.len());
        let holders = || if places.is_empty() { Vec::new() } else { gpu::holders().unwrap_or_default() };
        let (held, looks) = thread::scope(|scope| {
            let held = tool::thread::start_scoped(scope, "holders", holders);
            let looks = tool::thread::each("look", &places, inspect::inspect);
            // Without a thread one question comes after the other.
            (held.map_or_else(|_| holders(), |thread| thread.join().unwrap_or_default()), looks)
        });
        let (mut inspected, mut failed) = (Vec::new(), Vec::new());
        for (place, look) in places.iter().zip(looks) {
            match (look.and_then(|look| look), place.engine()) {
                (Ok(seen), _) => inspected.extend(seen.map(|seen| seen.with_gpu(&held))),
                (Err(failure), Some(engine)) => {
                    failed.push((engine, place.instance().unwrap_or_default().to_owned(), failure));
                }
                (Err(failure), None) => return Err(failure),
            }
        }
        let unrecorded = unrecorded.iter().map(unrecorded::warning).collect();
        Ok(Self { inspected, failed, unread: unread.into_iter().next(), unrecorded })
    }

    /// Tell what cannot be read, and what runs without a state directory: all for which `is_new` is true, which is asked once
    /// for each.
    pub(crate) fn report(
        &mut self,
        io: &mut Io,
        mut is_new: impl FnMut(String) -> bool,
    ) -> Result<(), Failure> {
        for (engine, instance, failure) in self.failed.drain(..) {
            if is_new(format!("{engine}/{instance}: {}: {}", failure.what, failure.cause)) {
                io.fail((engine, instance.as_str()), failure)?;
            }
        }
        for warning in self.unrecorded.drain(..) {
            if is_new(warning.what.clone()) {
                io.warn(warning)?;
            }
        }
        Ok(())
    }
}

/// Write the table anew until nobody reads it.
pub(crate) fn redraw(
    run_dir: Option<&Path>,
    names: &[String],
    style: Style,
    io: &mut Io,
) -> Result<(), Failure> {
    while !io.gone() {
        let clear = if io::stdout().is_terminal() { "\x1b[H\x1b[2J" } else { "" };
        let mut seen = Selection::now(run_dir, names)?;
        // Said each time: what was said before went with the screen.
        seen.report(io, |_| true)?;
        io.print(&format!("{clear}{}\n", table::of(&seen.inspected, style)))?;
        seen.unread.map_or(Ok(()), Err)?;
        thread::sleep(REDRAW);
    }
    Ok(())
}

/// Write every status that differs from the last one of its instance, until nobody reads them. What cannot be read, and
/// what runs without a state directory, is listed once.
pub(crate) fn write_changes(run_dir: Option<&Path>, names: &[String], io: &mut Io) -> Result<(), Failure> {
    let (mut changes, mut told) = (Changes::default(), BTreeSet::new());
    while !io.gone() {
        let mut seen = Selection::now(run_dir, names)?;
        for inspected in std::mem::take(&mut seen.inspected) {
            if changes.take(&inspected) {
                io.write(inspected.status)?;
            }
        }
        seen.report(io, |text| told.insert(text))?;
        seen.unread.map_or(Ok(()), Err)?;
        thread::sleep(LOOK_AGAIN);
    }
    Ok(())
}
