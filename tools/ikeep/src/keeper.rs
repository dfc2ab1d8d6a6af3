//! One instance's keeper: what it does when something happens, and what it says about it in `status.json`.
use crate::cause;
use crate::egress::EgressWatch;
use crate::events::{Event, Events};
use crate::log::Log;
use crate::processes::{Engine, code, describe_exit, new_instance_id};
use crate::restart::{Restarts, jitter, now};
use crate::segments::Segments;
use crate::state_dir::StateDir;
use crate::upkeep::{ASK_AGAIN, Upkeep};
use diagnose::{Class, Diagnosis};
use record::{KeeperState as State, StopMethod};
use rustix::process::WaitStatus;
use state::{Directory, Note, StartRequest, Status};
use std::fs::File;
use std::os::fd::AsFd;
use std::time::Instant;
use tool::{Code, Failure};

/// Everything that a keeper holds.
pub(crate) struct Keeper {
    pub(crate) request: StartRequest,
    pub(crate) state_dir: StateDir,
    pub(crate) status: Status,
    pub(crate) events: Events,
    pub(crate) log: Log,
    pub(crate) restarts: Restarts,
    pub(crate) upkeep: Upkeep,
    pub(crate) segments: Segments,
    pub(crate) egress: Option<EgressWatch>,
    /// A shared lock on the install that the engine runs from.
    pub(crate) _install: Option<File>,
}

/// Why an engine that was watched is to be ended, or has ended.
enum WatchEnd {
    /// We were told to stop.
    StopRequested,
    /// It ended by itself.
    Ended,
    /// It hangs; why.
    Hung(String),
    /// Nobody uses it.
    Idle,
    /// Its state directory is gone and cannot be made again.
    Unrecorded(Failure),
}

/// How a keeping ended.
pub(crate) struct End {
    state: State,
    how: Option<StopMethod>,
    reason: Option<String>,
    exit: Option<WaitStatus>,
}

impl Keeper {
    /// Start the engine.
    pub(crate) fn start(&mut self) -> Result<Engine, Failure> {
        // On disk before the engine runs: whoever carries the mark can be found, whenever we are killed.
        self.status.instance_id =
            Some(new_instance_id().map_err(|e| Failure::io(Code::Unmet, "cannot make a mark", &e))?);
        self.status.started_unix = Some(now());
        self.status.healthy_unix = None;
        self.status.state = State::Running;
        self.status.since_unix = now();
        if !self.state_dir.is_locked() {
            // Another keeper may have been started meanwhile.
            self.state_dir.restore(&self.request, &self.status)?;
        }
        let written = self.state_dir.write_status(&self.status);
        written.map_err(|error| self.state_dir.not_written("status.json", &error))?;
        let plan = &self.request.plan;
        // In the file before the engine runs: what follows this line is of this start.
        self.log.note(&Note::start_of(&plan.program));
        self.log.settle();
        self.segments = Segments::now();
        let mark = self.status.instance_id.as_deref().unwrap_or_default();
        let (secrets, output) = (&self.request.secrets, self.log.input.as_fd());
        let mut engine = Engine::start((plan, secrets), mark, output, self.egress.as_ref())?;
        self.status.pid = u32::try_from(engine.leader.as_raw_nonzero().get()).ok();
        self.save();
        self.start_health_checks(&mut engine);
        Ok(engine)
    }

    /// Say in `status.json` that the first start was none.
    pub(crate) fn not_started(mut self, failure: &Failure) {
        self.status.explain(failure.class.clone(), None, failure.hint.clone());
        self.finish(End::failed(format!("{}: {}", failure.what, failure.cause), None));
    }

    /// Keep the engine, once `other` is out of the way where it was not started at once. The exit code is ours.
    pub(crate) fn keep(mut self, started: Option<Engine>, other: Option<&Directory>) -> u8 {
        let end = match (started, other) {
            (Some(engine), _) => self.keep_running(Ok(engine)),
            (None, Some(other)) if !self.wait_for(other) => End::stopped(StopMethod::Gone, None),
            (None, _) => {
                let started = self.start();
                self.keep_running(started)
            }
        };
        self.finish(end)
    }

    /// Keep it through as many starts as it takes, until we are told to stop or there is no point in another one.
    fn keep_running(&mut self, mut started: Result<Engine, Failure>) -> End {
        loop {
            let begun = Instant::now();
            let (why, exit) = match started {
                Err(failure) => {
                    self.status.explain(failure.class, None, failure.hint);
                    (format!("{}: {}", failure.what, failure.cause), None)
                }
                Ok(mut engine) => {
                    let over = self.watch(&mut engine);
                    if matches!(over, WatchEnd::StopRequested) {
                        return self.stop(engine);
                    }
                    if matches!(over, WatchEnd::Idle) {
                        match self.sleep(engine) {
                            Some(end) => return end,
                            None => {
                                started = self.start();
                                continue;
                            }
                        }
                    }
                    let how = self.end(&mut engine);
                    if self.events.stop_requested() {
                        return End::stopped(how, engine.exit);
                    }
                    if let WatchEnd::Unrecorded(Failure { what, cause, .. }) = over {
                        return End::failed(
                            format!("its state directory is gone: {what}: {cause}"),
                            engine.exit,
                        );
                    }
                    let why = match over {
                        WatchEnd::Hung(why) => self.explain_hung(&why),
                        _ => self.explain(&engine),
                    };
                    (why, engine.exit)
                }
            };
            self.status.pid = None;
            self.status.last_exit = exit.map(|exit| describe_exit(Some(exit)));
            let delay = match self.restarts.after(begun.elapsed(), jitter()) {
                Ok(delay) => delay,
                Err(because) => return End::failed(format!("{why}, {because}"), exit),
            };
            self.log.note(&format!("{why}; next start in {:.1} s", delay.as_secs_f64()));
            self.status.reason = Some(why);
            self.enter(State::Backoff);
            if !self.pause(delay) {
                return End::stopped(StopMethod::Gone, exit);
            }
            self.status.restarts += 1;
            started = self.start();
        }
    }

    /// Why the engine was ended although nobody had asked for it.
    fn explain_hung(&mut self, why: &str) -> String {
        let (class, hint) =
            (Class::Hung.id().to_owned(), Class::Hung.hint(self.request.plan.engine, None).to_owned());
        self.log.note(&format!("hint: {hint}"));
        self.status.explain(Some(class), None, Some(hint));
        format!("the engine hung: {why}")
    }

    /// Why the engine has ended by itself, from what it has said: for the status, and for whoever reads the log.
    fn explain(&mut self, engine: &Engine) -> String {
        let why = format!("the engine ended by itself: {}", describe_exit(engine.exit));
        let Some(exit) = engine.exit else { return why };
        self.log.settle();
        let Diagnosis { class, line, hint } = cause::of(&self.request.plan, exit, engine.oom_killed());
        if class != Class::Unknown {
            self.log.note(&format!("{class}: {}", line.as_deref().unwrap_or("its exit says so")));
            self.log.note(&format!("hint: {hint}"));
        }
        self.status.explain(Some(class.id().to_owned()), line, Some(hint.to_owned()));
        why
    }

    /// Until there is a reason to end the engine, or it ends by itself.
    fn watch(&mut self, engine: &mut Engine) -> WatchEnd {
        while !self.events.stop_requested() {
            let again = engine.asked.is_none().then(|| Instant::now() + ASK_AGAIN);
            let event = match self.next(again) {
                Ok(None) => {
                    self.start_health_checks(engine);
                    continue;
                }
                Ok(event) => event,
                Err(failure) => return WatchEnd::Unrecorded(failure),
            };
            match event {
                Some(Event::Healthy(pid)) if pid == engine.leader => {
                    self.restarts.healthy();
                    self.status.healthy_unix = Some(now());
                    self.save();
                }
                Some(Event::Child) => {
                    engine.reap();
                    if engine.exit.is_some() {
                        return WatchEnd::Ended;
                    }
                }
                Some(Event::Hung(pid, why)) if pid == engine.leader => {
                    self.log.note(&format!("the engine hangs and is ended: {why}"));
                    return WatchEnd::Hung(why);
                }
                Some(Event::Idle(pid)) if pid == engine.leader => return WatchEnd::Idle,
                Some(Event::Note(text)) => self.log.note(&text),
                Some(Event::LinesLost) => self.save(),
                Some(Event::Stop | Event::Wake | Event::Healthy(_) | Event::Hung(..) | Event::Idle(_))
                | None => {}
            }
        }
        WatchEnd::StopRequested
    }

    fn stop(&mut self, mut engine: Engine) -> End {
        self.log.note("told to stop");
        self.enter(State::Stopping);
        let how = self.end(&mut engine);
        End::stopped(how, engine.exit)
    }

    /// The last words, in the log first: whoever reads a final state finds the log complete.
    fn finish(mut self, end: End) -> u8 {
        self.report_egress();
        let exit = end.exit.map(|exit| describe_exit(Some(exit)));
        let word = end.reason.as_ref().or(exit.as_ref());
        self.log.note(&format!(
            "{}{}",
            end.state.id(),
            word.map_or(String::new(), |word| format!(": {word}"))
        ));
        self.status.pid = None;
        if exit.is_some() && end.how.is_some() {
            // This end was asked for.
            self.status.explain(None, None, None);
        }
        self.status.last_exit = exit.or(self.status.last_exit);
        self.status.reason = end.reason;
        self.status.how = end.how;
        self.status.state = end.state;
        self.status.since_unix = now();
        self.status.log_lost_lines = self.log.close();
        // Should this fail, a reader concludes that the instance is lost.
        drop(self.state_dir.write_status(&self.status));
        match (end.exit, end.state) {
            (Some(exit), _) if !self.request.plan.control.background => code(exit),
            (_, State::Stopped) => 0,
            _ => Code::No.number(),
        }
    }

    pub(crate) fn enter(&mut self, state: State) {
        self.status.state = state;
        self.status.since_unix = now();
        self.save();
    }

    /// A status that cannot be written stops no engine.
    pub(crate) fn save(&mut self) {
        self.status.log_lost_lines = self.log.lost_lines();
        if let Err(error) = self.state_dir.write_status(&self.status) {
            self.log.note(&format!("{}: {error}", self.state_dir.cannot_write("status.json")));
        }
    }
}

impl End {
    pub(crate) fn stopped(how: StopMethod, exit: Option<WaitStatus>) -> Self {
        Self { state: State::Stopped, how: Some(how), reason: None, exit }
    }

    fn failed(reason: String, exit: Option<WaitStatus>) -> Self {
        Self { state: State::Failed, how: None, reason: Some(reason), exit }
    }
}
