//! The engine's end, and that of what it leaves in /dev/shm: recorded while it runs, removed when all of it is gone.
use super::Keeper;
use crate::processes::Engine;
use owner::Owner;
use record::StopMethod;
use std::time::{Duration, Instant};
use tree::Baseline;

/// How often is looked what it has made, while it starts and afterwards: that takes some milliseconds for each of its
/// processes.
const WHILE_STARTING: Duration = Duration::from_secs(5);
const LATER: Duration = Duration::from_secs(60);
/// Who was never healthy has nothing to finish, and may not even hear TERM: vLLM swallows it while its core starts.
const NEVER_HEALTHY: Duration = Duration::from_secs(5);

/// What was there before the engine, and when was last looked what is there since.
pub(super) struct Segments {
    before: Baseline,
    looked: Instant,
    /// It was healthy by then: most of what it makes, it makes on the way there.
    settled: bool,
}

impl Segments {
    /// Before the engine starts.
    pub(super) fn now() -> Self {
        Self { before: Baseline::now(), looked: Instant::now(), settled: false }
    }
}

impl Keeper {
    /// End the engine and all that is left of it.
    pub(super) fn end(&mut self, engine: &mut Engine) -> StopMethod {
        self.record_segments();
        let how = engine.end(&self.events, self.grace());
        let segments = std::mem::take(&mut self.status.segments);
        for name in tree::remove(&segments, &Owner::current()) {
            self.log.note(&format!("removed /dev/shm/{name}, which the engine had left"));
        }
        how
    }

    /// What the engine has made by now, where it is time to look again.
    pub(super) fn record_new_segments(&mut self) {
        let settles = self.status.healthy_unix.is_some() && !self.segments.settled;
        let every = if self.segments.settled { LATER } else { WHILE_STARTING };
        if self.status.pid.is_some() && (settles || self.segments.looked.elapsed() >= every) {
            self.record_segments();
            self.segments.settled |= settles;
        }
    }

    /// On disk, for whoever has to clean up after us too.
    fn record_segments(&mut self) {
        self.segments.looked = Instant::now();
        let made = self.segments.before.created_by(&tree::family(std::process::id()), &Owner::current());
        let known = &mut self.status.segments;
        let new: Vec<_> = made.into_iter().filter(|segment| !known.contains(segment)).collect();
        if !new.is_empty() {
            known.extend(new);
            self.save();
        }
    }

    fn grace(&self) -> Duration {
        let grace = Duration::from_secs(self.request.plan.control.stop_timeout_s);
        if self.status.healthy_unix.is_some() { grace } else { grace.min(NEVER_HEALTHY) }
    }
}
