//! One instance's keeper: what it does when something happens, and what it says about it in `status.json`.
mod audit;
mod ending;
mod segments;
mod upkeep;
mod waiting;

use crate::egress::EgressWatch;
use crate::events::Events;
use crate::life::{self, Action, Event};
use crate::log::Log;
use crate::processes::{Engine, new_instance_id};
use crate::restart::{Restarts, now};
use crate::state_dir::StateDir;
use record::{KeeperState as State, Plan, StopMethod};
use segments::Segments;
use state::{Directory, Note, StartRequest, Status};
use std::fs::File;
use std::os::fd::AsFd;
use std::process::ExitStatus;
use std::time::Instant;
use tool::{Code, Failure};
use upkeep::Upkeep;

/// Everything that a keeper holds.
pub(crate) struct Keeper {
    request: StartRequest,
    state_dir: StateDir,
    status: Status,
    events: Events,
    log: Log,
    restarts: Restarts,
    /// When the delay before it is over.
    next_start: Instant,
    upkeep: Upkeep,
    segments: Segments,
    egress: Option<EgressWatch>,
    /// A shared lock on the install that the engine runs from.
    _install: Option<File>,
}

impl Keeper {
    pub(crate) fn new(
        request: StartRequest,
        state_dir: StateDir,
        events: Events,
        log: Log,
        install: Option<File>,
    ) -> Self {
        let plan = &request.plan;
        Self {
            status: first_status(plan),
            restarts: Restarts::of(&plan.control),
            egress: EgressWatch::of(plan),
            request,
            state_dir,
            events,
            log,
            next_start: Instant::now(),
            upkeep: Upkeep::now(),
            segments: Segments::now(),
            _install: install,
        }
    }

    /// Start the engine.
    pub(crate) fn start(&mut self) -> Result<Engine, Failure> {
        self.status.state = State::Running;
        self.status.since_unix = now();
        self.status.started_unix = Some(now());
        self.status.healthy_unix = None;
        // On disk before the engine runs: a process that carries the instance id can be found even after we are killed.
        self.status.instance_id =
            Some(new_instance_id().map_err(|e| Failure::io(Code::Unmet, "cannot make an instance id", &e))?);
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
        let instance_id = self.status.instance_id.as_deref().unwrap_or_default();
        let (secrets, output) = (&self.request.secrets, self.log.input.as_fd());
        let mut engine = Engine::start((plan, secrets), instance_id, output, self.egress.as_ref())?;
        self.status.pid = u32::try_from(engine.leader.as_raw_nonzero().get()).ok();
        self.save();
        self.start_health_checks(&mut engine);
        Ok(engine)
    }

    /// Say in `status.json` that the first start was none.
    pub(crate) fn not_started(mut self, failure: &Failure) {
        self.status.explain(failure.class.clone(), None, failure.hint.clone());
        let event = Event::NoMore(format!("{}: {}", failure.what, failure.cause));
        self.finish(event, State::Failed, None);
    }

    /// Keep the engine, as the table of `life` says, until one of its final states. The exit code is ours.
    ///
    /// Where it was not started yet, that waits for `other`.
    pub(crate) fn keep(mut self, mut engine: Option<Engine>, other: Option<&Directory>) -> u8 {
        let mut follows = None;
        loop {
            let event = follows.take().unwrap_or_else(|| self.wait(engine.as_mut(), other));
            let (action, next) = life::step(self.status.state, &event);
            follows = match action {
                Action::Stay => None,
                Action::Start | Action::Restart => {
                    self.status.restarts += u32::from(action == Action::Restart);
                    self.start_again(&event, &mut engine)
                }
                Action::Prove => {
                    self.prove();
                    None
                }
                Action::End => engine.as_mut().and_then(|engine| self.end_because(event, next, engine)),
                Action::Delay => {
                    self.delay(event, next);
                    None
                }
                Action::Finish => {
                    self.audit_end(&event, next);
                    return self.finish(event, next, engine.and_then(|engine| engine.exit));
                }
            };
        }
    }

    /// Start another engine in place of the last. What follows where it cannot be started.
    fn start_again(&mut self, event: &Event, engine: &mut Option<Engine>) -> Option<Event> {
        if matches!(event, Event::Wanted) {
            self.log.note("somebody wants it: the engine is started");
        }
        *engine = None;
        let started = self.start();
        self.audit_start(event, started.is_ok());
        match started {
            Ok(started) => {
                *engine = Some(started);
                None
            }
            Err(failure) => Some(self.start_failed(failure)),
        }
    }

    /// The engine has shown that it can run.
    fn prove(&mut self) {
        self.restarts.healthy();
        self.status.healthy_unix = Some(now());
        self.save();
        self.upkeep.at_rest = false;
    }

    /// Wait for the next start.
    fn delay(&mut self, event: Event, next: State) {
        if let Event::Again { why, delay } = event {
            self.log.note(&format!("{why}; next start in {:.1} s", delay.as_secs_f64()));
            self.status.reason = Some(why);
            self.next_start = Instant::now() + delay;
        }
        self.enter(next);
    }

    /// Write the final state, in the log first: whoever reads that state finds the log complete.
    fn finish(mut self, event: Event, state: State, exit: Option<ExitStatus>) -> u8 {
        self.report_egress();
        let (how, reason) = match event {
            Event::Gone(how) => (Some(how), None),
            Event::NoMore(reason) => (None, Some(reason)),
            // No engine ran any more.
            _ => (Some(StopMethod::Gone), None),
        };
        let last_exit = exit.map(child::exit_words);
        let word = reason.as_ref().or(last_exit.as_ref());
        self.log.note(&format!("{}{}", state.id(), word.map_or(String::new(), |word| format!(": {word}"))));
        self.status.pid = None;
        if exit.is_some() && how.is_some() {
            // This end was asked for.
            self.status.explain(None, None, None);
        }
        self.status.last_exit = last_exit.or(self.status.last_exit);
        self.status.reason = reason;
        self.status.how = how;
        self.status.state = state;
        self.status.since_unix = now();
        self.status.log_lost_lines = self.log.close();
        // Should this fail, a reader concludes that the instance is lost.
        drop(self.state_dir.write_status(&self.status));
        match (exit, state) {
            (Some(exit), _) if !self.request.plan.control.background => child::exit_code(exit),
            (_, State::Stopped) => 0,
            _ => Code::No.number(),
        }
    }

    fn enter(&mut self, state: State) {
        self.status.state = state;
        self.status.since_unix = now();
        self.save();
    }

    /// A status that cannot be written stops no engine.
    fn save(&mut self) {
        self.status.log_lost_lines = self.log.lost_lines();
        if let Err(error) = self.state_dir.write_status(&self.status) {
            self.log.note(&format!("{}: {error}", self.state_dir.cannot_write("status.json")));
        }
    }
}

fn first_status(plan: &Plan) -> Status {
    Status {
        format: 1,
        state: State::Running,
        workspace: plan.workspace.clone(),
        keeper_pid: std::process::id(),
        pid: None,
        instance_id: None,
        port: plan.port,
        restarts: 0,
        since_unix: now(),
        started_unix: None,
        healthy_unix: None,
        last_exit: None,
        class: None,
        evidence: None,
        reason: None,
        hint: None,
        how: None,
        log_file: plan.log_file.clone(),
        log_lost_lines: 0,
        segments: Vec::new(),
        egress: None,
        plan_hash: plan.hash.clone(),
    }
}
