//! One instance's keeper: what it does when something happens, and what it says about it in `status.json`.
use crate::cause;
use crate::egress::Watch;
use crate::events::{Event, Events};
use crate::log::Log;
use crate::place::Place;
use crate::processes::{Engine, code, mark, words};
use crate::restart::{Restarts, luck, now};
use crate::segments::Segments;
use crate::tend::{ASK_AGAIN, Tended};
use diagnose::{Class, Diagnosis};
use record::{How, Keeper as State};
use rustix::process::WaitStatus;
use state::{Directory, Note, Order, Status};
use std::fs::File;
use std::os::fd::AsFd;
use std::time::Instant;
use tool::{Code, Failure};

/// Everything that a keeper holds.
pub(crate) struct Keeper {
    pub(crate) order: Order,
    pub(crate) place: Place,
    pub(crate) status: Status,
    pub(crate) events: Events,
    pub(crate) log: Log,
    pub(crate) restarts: Restarts,
    pub(crate) tended: Tended,
    pub(crate) segments: Segments,
    pub(crate) egress: Option<Watch>,
    /// A shared lock on the install that the engine runs from.
    pub(crate) _install: Option<File>,
}

/// Why an engine that was watched is to be ended, or has ended.
enum Over {
    /// We were told to stop.
    Told,
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
    how: Option<How>,
    reason: Option<String>,
    exit: Option<WaitStatus>,
}

impl Keeper {
    /// Start the engine.
    pub(crate) fn start(&mut self) -> Result<Engine, Failure> {
        // On disk before the engine runs: whoever carries the mark can be found, whenever we are killed.
        self.status.mark = Some(mark().map_err(|e| Failure::io(Code::Unmet, "cannot make a mark", &e))?);
        self.status.started_unix = Some(now());
        self.status.healthy_unix = None;
        self.status.state = State::Running;
        self.status.since_unix = now();
        if !self.place.is_locked() {
            // Another keeper may have been started meanwhile.
            self.place.restore(&self.order, &self.status)?;
        }
        let written = self.place.write_status(&self.status);
        written.map_err(|error| self.place.not_written("status.json", &error))?;
        let plan = &self.order.plan;
        // In the file before the engine runs: what follows this line is of this start.
        self.log.note(&Note::start_of(&plan.program));
        self.log.settle();
        self.segments = Segments::now();
        let mark = self.status.mark.as_deref().unwrap_or_default();
        let (secrets, output) = (&self.order.secrets, self.log.input.as_fd());
        let mut engine = Engine::start((plan, secrets), mark, output, self.egress.as_ref())?;
        self.status.pid = u32::try_from(engine.leader.as_raw_nonzero().get()).ok();
        self.save();
        self.ask_health(&mut engine);
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
            (Some(engine), _) => self.keep_on(Ok(engine)),
            (None, Some(other)) if !self.wait_for(other) => End::told(How::Gone, None),
            (None, _) => {
                let started = self.start();
                self.keep_on(started)
            }
        };
        self.finish(end)
    }

    /// Keep it through as many starts as it takes, until we are told to stop or there is no point in another one.
    fn keep_on(&mut self, mut started: Result<Engine, Failure>) -> End {
        loop {
            let begun = Instant::now();
            let (why, exit) = match started {
                Err(failure) => {
                    self.status.explain(failure.class, None, failure.hint);
                    (format!("{}: {}", failure.what, failure.cause), None)
                }
                Ok(mut engine) => {
                    let over = self.watch(&mut engine);
                    if matches!(over, Over::Told) {
                        return self.stop(engine);
                    }
                    if matches!(over, Over::Idle) {
                        match self.sleep(engine) {
                            Some(end) => return end,
                            None => {
                                started = self.start();
                                continue;
                            }
                        }
                    }
                    let how = self.end(&mut engine);
                    if self.events.told_to_stop() {
                        return End::told(how, engine.exit);
                    }
                    if let Over::Unrecorded(Failure { what, cause, .. }) = over {
                        return End::failed(
                            format!("its state directory is gone: {what}: {cause}"),
                            engine.exit,
                        );
                    }
                    let why = match over {
                        Over::Hung(why) => self.explain_hung(&why),
                        _ => self.explain(&engine),
                    };
                    (why, engine.exit)
                }
            };
            self.status.pid = None;
            self.status.last_exit = exit.map(|exit| words(Some(exit)));
            let delay = match self.restarts.after(begun.elapsed(), luck()) {
                Ok(delay) => delay,
                Err(because) => return End::failed(format!("{why}, {because}"), exit),
            };
            self.log.note(&format!("{why}; next start in {:.1} s", delay.as_secs_f64()));
            self.status.reason = Some(why);
            self.enter(State::Backoff);
            if !self.pause(delay) {
                return End::told(How::Gone, exit);
            }
            self.status.restarts += 1;
            started = self.start();
        }
    }

    /// Why the engine was ended although nobody had asked for it.
    fn explain_hung(&mut self, why: &str) -> String {
        let (class, hint) =
            (Class::Hung.id().to_owned(), Class::Hung.hint(self.order.plan.engine, None).to_owned());
        self.log.note(&format!("hint: {hint}"));
        self.status.explain(Some(class), None, Some(hint));
        format!("the engine hung: {why}")
    }

    /// Why the engine has ended by itself, from what it has said: for the status, and for whoever reads the log.
    fn explain(&mut self, engine: &Engine) -> String {
        let why = format!("the engine ended by itself: {}", words(engine.exit));
        let Some(exit) = engine.exit else { return why };
        self.log.settle();
        let Diagnosis { class, line, hint } = cause::of(&self.order.plan, exit, engine.oom_killed());
        if class != Class::Unknown {
            self.log.note(&format!("{class}: {}", line.as_deref().unwrap_or("its exit says so")));
            self.log.note(&format!("hint: {hint}"));
        }
        self.status.explain(Some(class.id().to_owned()), line, Some(hint.to_owned()));
        why
    }

    /// Until there is a reason to end the engine, or it ends by itself.
    fn watch(&mut self, engine: &mut Engine) -> Over {
        while !self.events.told_to_stop() {
            let again = engine.asked.is_none().then(|| Instant::now() + ASK_AGAIN);
            let event = match self.next(again) {
                Ok(None) => {
                    self.ask_health(engine);
                    continue;
                }
                Ok(event) => event,
                Err(failure) => return Over::Unrecorded(failure),
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
                        return Over::Ended;
                    }
                }
                Some(Event::Hung(pid, why)) if pid == engine.leader => {
                    self.log.note(&format!("the engine hangs and is ended: {why}"));
                    return Over::Hung(why);
                }
                Some(Event::Idle(pid)) if pid == engine.leader => return Over::Idle,
                Some(Event::Note(text)) => self.log.note(&text),
                Some(Event::LinesLost) => self.save(),
                Some(Event::Stop | Event::Wake | Event::Healthy(_) | Event::Hung(..) | Event::Idle(_))
                | None => {}
            }
        }
        Over::Told
    }

    fn stop(&mut self, mut engine: Engine) -> End {
        self.log.note("told to stop");
        self.enter(State::Stopping);
        let how = self.end(&mut engine);
        End::told(how, engine.exit)
    }

    /// The last words, in the log first: whoever reads a final state finds the log complete.
    fn finish(mut self, end: End) -> u8 {
        self.tell_egress();
        let exit = end.exit.map(|exit| words(Some(exit)));
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
        drop(self.place.write_status(&self.status));
        match (end.exit, end.state) {
            (Some(exit), _) if !self.order.plan.control.background => code(exit),
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
        if let Err(error) = self.place.write_status(&self.status) {
            self.log.note(&format!("{}: {error}", self.place.cannot_write("status.json")));
        }
    }
}

impl End {
    pub(crate) fn told(how: How, exit: Option<WaitStatus>) -> Self {
        Self { state: State::Stopped, how: Some(how), reason: None, exit }
    }

    fn failed(reason: String, exit: Option<WaitStatus>) -> Self {
        Self { state: State::Failed, how: None, reason: Some(reason), exit }
    }
}
