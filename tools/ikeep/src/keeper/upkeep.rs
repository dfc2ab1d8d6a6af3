//! Waiting, with an eye on what is missing meanwhile: the state directory, without which nobody sees the engine or can stop
//! it, and a thread that asks the engine how it is.
use super::Keeper;
use crate::event::Event;
use crate::memory;
use crate::processes::Engine;
use std::time::{Duration, Instant};
use tool::Failure;

/// How often is looked whether the state directory is still there, which costs three stat(2).
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How long an engine runs on that nobody can see, while its state directory cannot be made again.
const GONE_LIMIT: Duration = Duration::from_secs(10);

/// When the state directory was last looked after, and since when it has been gone.
pub(super) struct Upkeep {
    last: Instant,
    gone_since: Option<Instant>,
    /// Whether there is nothing more to give up since the engine became healthy.
    pub(super) at_rest: bool,
}

impl Upkeep {
    pub(super) fn now() -> Self {
        Self { last: Instant::now(), gone_since: None, at_rest: true }
    }
}

impl Keeper {
    /// The next event; `None` once it is `until`. Fails when the state directory has been gone for too long.
    pub(super) fn next(&mut self, until: Option<Instant>) -> Result<Option<Event>, Failure> {
        loop {
            let look = self.upkeep.last + CHECK_INTERVAL;
            if let Some(event) = self.events.next(Some(until.map_or(look, |until| until.min(look)))) {
                return Ok(Some(event));
            }
            if Instant::now() >= look {
                self.upkeep.last = Instant::now();
                self.restore_state_dir()?;
                self.record_new_segments();
                if self.report_egress() {
                    self.save();
                }
                if !std::mem::replace(&mut self.upkeep.at_rest, true) {
                    memory::release();
                }
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return Ok(None);
            }
        }
    }

    /// Write the state directory again where somebody has removed it: without it nobody sees the engine or can stop it.
    fn restore_state_dir(&mut self) -> Result<(), Failure> {
        if self.state_dir.is_complete() {
            self.upkeep.gone_since = None;
            return Ok(());
        }
        let restored = self.state_dir.restore(&self.request, &self.status);
        let first = self.upkeep.gone_since.is_none();
        let since = *self.upkeep.gone_since.get_or_insert_with(Instant::now);
        match restored {
            Ok(()) => self.log.note("the state directory was removed, and is written again"),
            // Who holds the lock where readers ask can at least be stopped.
            Err(failure) if since.elapsed() >= GONE_LIMIT && !self.state_dir.is_locked() => {
                return Err(failure);
            }
            Err(Failure { what, cause, .. }) if first => {
                self.log.note(&format!("the state directory was removed: {what}: {cause}"));
            }
            Err(_) => {}
        }
        Ok(())
    }

    /// Take what the engine tried to reach into the status, and what is new of it into the log. `false`: nothing is new.
    pub(super) fn report_egress(&mut self) -> bool {
        let Some(watch) = &mut self.egress else { return false };
        let seen = watch.seen();
        let (attempts, targets) = std::mem::replace(&mut watch.told, (seen.attempts, seen.targets.len()));
        let first = self.status.egress.is_none();
        for target in seen.targets.iter().skip(targets) {
            self.log.note(&format!(
                "process {} tried to reach {} ({})",
                target.pid, target.address, target.family
            ));
        }
        if let Some(why) = seen.unwatched.as_ref().filter(|_| first) {
            self.log.note(&format!("what the engine tries to reach is not watched: {why}"));
        }
        let new = first || seen.attempts != attempts;
        self.status.egress = Some(seen);
        new
    }

    /// Have the engine asked how it is. That takes a thread; where there is none, said once, it is not asked yet.
    pub(super) fn start_health_checks(&mut self, engine: &mut Engine) {
        let key = self.request.secrets.api_key.as_deref();
        match self.events.watch_health(engine.leader, &self.request.plan, key) {
            Ok(asked) => engine.asked = Some(asked),
            Err(error) if !engine.unasked_told => {
                engine.unasked_told = true;
                self.log.note(&format!("cannot ask the engine for its health yet: {error}"));
            }
            Err(_) => {}
        }
    }
}
