//! Making another install current, and noting that in the audit log.
use crate::args::Args;
use install::{Install, InstallRoot, RootLock};
use record::{Env, Warning};
use state::audit::{Entry, Event, note};
use tool::{Failure, StopSignals};

/// What an install that becomes current is noted as.
pub(crate) struct Switch<'a> {
    env: &'a Env,
    by: &'a str,
    event: Event,
}

impl<'a> Switch<'a> {
    /// By the tool of this name, for these arguments.
    pub(crate) fn new(args: &Args, env: &'a Env, by: &'a str) -> Self {
        Self { env, by, event: event(args) }
    }

    /// Make `install` the current one, and say in its record that it was not. No signal ends us between the two, or before it
    /// is noted.
    pub(crate) fn to(
        &self,
        install: &mut Install,
        root: &InstallRoot,
        lock: &RootLock,
    ) -> Result<Option<Warning>, Failure> {
        let _signals = StopSignals::hold()?;
        root.activate(install, lock)?;
        install.record.switched = true;
        // As another user, we are answered for.
        if privsep::is_rerun() {
            return Ok(None);
        }
        let entry = Entry::new(self.by, self.event, self.env.engine).named();
        Ok(note(&self.env.run_dir, &entry.at(&install.path)))
    }
}

/// What these arguments ask for.
pub(crate) fn event(args: &Args) -> Event {
    if args.rollback { Event::Rollback } else { Event::Install }
}
