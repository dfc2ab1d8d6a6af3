//! One instance's keeper: what it does when something happens, and what it says about it in `status.json`.
use crate::engine::{Engine, words};
use crate::events::{Event, Events};
use crate::log::Log;
use record::Keeper as State;
use state::{Directory, Lock, Order, Status};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tool::{Code, Failure};

/// Everything that a keeper holds.
pub(crate) struct Keeper {
    pub(crate) order: Order,
    pub(crate) directory: Directory,
    pub(crate) status: Status,
    pub(crate) events: Events,
    pub(crate) log: Log,
    /// Held until the end: this is what says that we live.
    pub(crate) _lock: Lock,
    /// A shared lock on the install that the engine runs from.
    pub(crate) _install: Option<File>,
}

impl Keeper {
    /// Start the engine.
    pub(crate) fn start(&mut self) -> Result<Engine, Failure> {
        let plan = &self.order.plan;
        // On disk before the engine runs: whoever carries the mark can be found, whenever we are killed.
        self.status.mark = Some(mark().map_err(|e| Failure::io(Code::Unmet, "cannot make a mark", &e))?);
        self.status.state = State::Running;
        self.status.since_unix = now();
        self.status.started_unix = Some(now());
        let written = self.write_status();
        written.map_err(|e| Failure::io(Code::Unmet, cannot_write(&self.directory, "status.json"), &e))?;
        let mark = self.status.mark.as_deref().unwrap_or_default();
        let engine = Engine::start(plan, &self.order.secrets, mark, self.log.input.as_fd())?;
        let pid = engine.leader.as_raw_nonzero().get();
        self.status.pid = u32::try_from(pid).ok();
        self.log.note(&format!("started {} as process {pid}", plan.program.display()));
        self.save();
        if let Err(error) = self.events.watch_health(engine.leader, &plan.host, plan.port) {
            self.log.note(&format!("nobody asks /health: {error}"));
        }
        Ok(engine)
    }

    /// Say in `status.json` that the engine was never started.
    pub(crate) fn not_started(&mut self, failure: &Failure) {
        self.status.reason = Some(format!("{}: {}", failure.what, failure.cause));
        self.log.note(self.status.reason.as_deref().unwrap_or_default());
        self.enter(State::Failed);
    }

    /// Keep the engine until we are told to stop, or it ends by itself. The exit code is ours.
    pub(crate) fn keep(mut self, mut engine: Engine) -> u8 {
        loop {
            match self.events.next(None) {
                Some(Event::Healthy(pid)) if pid == engine.leader => {
                    self.status.healthy_unix = Some(now());
                    self.save();
                }
                Some(Event::Child) => {
                    engine.reap();
                    if engine.exit.is_some() {
                        return self.fail(engine);
                    }
                }
                Some(Event::Stop) => return self.stop(engine),
                Some(Event::Healthy(_)) | None => {}
            }
        }
    }

    /// Nobody asked it to end, so it failed, whatever its exit code says.
    fn fail(mut self, mut engine: Engine) -> u8 {
        let exit = engine.exit.map(words).unwrap_or_default();
        engine.end(&self.events, self.grace());
        let when = if self.status.healthy_unix.is_some() { "" } else { " before it was healthy" };
        self.status.reason = Some(format!("the engine ended by itself{when}: {exit}"));
        self.finish(State::Failed, exit);
        Code::No.number()
    }

    fn stop(mut self, mut engine: Engine) -> u8 {
        self.log.note("told to stop");
        self.enter(State::Stopping);
        self.status.how = Some(engine.end(&self.events, self.grace()));
        let exit = engine.exit.map(words).unwrap_or_default();
        self.finish(State::Stopped, exit);
        0
    }

    /// The last words, in the log first: whoever reads a final state finds the log complete.
    fn finish(mut self, state: State, exit: String) {
        self.log.note(&format!("{}: {exit}", state.id()));
        self.status.pid = None;
        self.status.last_exit = Some(exit);
        self.status.state = state;
        self.status.since_unix = now();
        self.log.close();
        // Nobody is left to be told that the disk is full; the lock is free in a moment, and that says `lost`.
        drop(write_status(&self.directory, &self.status));
    }

    fn enter(&mut self, state: State) {
        self.status.state = state;
        self.status.since_unix = now();
        self.save();
    }

    /// A status that cannot be written stops no engine.
    fn save(&self) {
        if let Err(error) = self.write_status() {
            self.log.note(&format!("{}: {error}", cannot_write(&self.directory, "status.json")));
        }
    }

    fn write_status(&self) -> io::Result<()> {
        write_status(&self.directory, &self.status)
    }

    fn grace(&self) -> Duration {
        Duration::from_secs(self.order.plan.control.stop_timeout_s)
    }
}

fn write_status(directory: &Directory, status: &Status) -> io::Result<()> {
    directory.replace("status.json", 0o644, &serde_json::to_vec(status)?)
}

pub(crate) fn cannot_write(directory: &Directory, name: &str) -> String {
    format!("cannot write {}", directory.path().join(name).display())
}

/// Unix seconds.
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn mark() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim_end().to_owned())
}
