//! Ending an engine, finding out why, and what follows from it.
use super::Keeper;
use crate::cause;
use crate::life::Event;
use crate::processes::Engine;
use crate::restart::jitter;
use diagnose::{Class, Diagnosis};
use record::KeeperState as State;
use std::process::ExitStatus;
use std::time::Duration;
use tool::Failure;

impl Keeper {
    /// End all of the engine because of that, in state `next`. What follows, where it is not to wait for what happens.
    pub(super) fn end_because(&mut self, event: Event, next: State, engine: &mut Engine) -> Option<Event> {
        self.announce_end(&event);
        if next != self.status.state {
            self.enter(next);
        }
        let how = self.end(engine);
        if self.events.stop_requested() {
            return Some(Event::Gone(how));
        }
        let why = match event {
            Event::Idle => {
                // The keeper stays, and with it the lock, the port's claim and the secrets: one start follows, however
                // many ask.
                self.status.pid = None;
                self.audit_sleep();
                self.save();
                return None;
            }
            Event::Unrecorded(Failure { what, cause, .. }) => {
                return Some(Event::NoMore(format!("its state directory is gone: {what}: {cause}")));
            }
            Event::Hung(why) => self.explain_hung(&why),
            _ => self.explain(engine),
        };
        Some(self.again_or_not(why, engine.started.elapsed(), engine.exit))
    }

    fn announce_end(&mut self, event: &Event) {
        match event {
            Event::Stop => self.log.note("told to stop"),
            Event::Hung(why) => self.log.note(&format!("the engine hangs and is ended: {why}")),
            Event::Idle => {
                let limit = self.request.plan.control.idle_stop_s.unwrap_or_default();
                self.log.note(&format!("no request for {limit} s: the engine is ended until one comes"));
                // One that was sent to an engine that was awake.
                self.events.wake_requested();
            }
            _ => {}
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
        let Some(exit) = engine.exit else { return "the engine ended by itself".to_owned() };
        self.log.settle();
        let Diagnosis { class, line, hint } = cause::of(&self.request.plan, exit, engine.oom_killed());
        if class != Class::Unknown {
            self.log.note(&format!("{class}: {}", line.as_deref().unwrap_or("its exit says so")));
            self.log.note(&format!("hint: {hint}"));
        }
        self.status.explain(Some(class.id().to_owned()), line, Some(hint.to_owned()));
        format!("the engine ended by itself: {}", child::exit_words(exit))
    }

    /// It could not be started again.
    pub(super) fn start_failed(&mut self, Failure { what, cause, class, hint, .. }: Failure) -> Event {
        self.status.explain(class, None, hint);
        self.again_or_not(format!("{what}: {cause}"), Duration::ZERO, None)
    }

    /// Whether it is worth another start, now that it has failed after `up`.
    fn again_or_not(&mut self, why: String, up: Duration, exit: Option<ExitStatus>) -> Event {
        self.status.pid = None;
        self.status.last_exit = exit.map(child::exit_words);
        match self.restarts.after(up, jitter()) {
            Ok(delay) => Event::Again { why, delay },
            Err(because) => Event::NoMore(format!("{why}, {because}")),
        }
    }
}
