//! An engine that nobody uses, ended until somebody wants it again.
use crate::events::Event;
use crate::keeper::{End, Keeper};
use crate::processes::Engine;
use record::{KeeperState as State, StopMethod};

impl Keeper {
    /// End the engine, and wait until somebody wants it. The end of the keeping, where we are told to stop first.
    ///
    /// The keeper stays, and with it the lock, the port's claim and the secrets: so one start follows, however many ask.
    pub(crate) fn sleep(&mut self, mut engine: Engine) -> Option<End> {
        let limit = self.request.plan.control.idle_stop_s.unwrap_or_default();
        self.log.note(&format!("no request for {limit} s: the engine is ended until one comes"));
        // One that was sent to an engine that was awake.
        self.events.wake_requested();
        self.enter(State::Asleep);
        let how = self.end(&mut engine);
        if self.events.stop_requested() {
            return Some(End::stopped(how, engine.exit));
        }
        self.status.pid = None;
        self.save();
        while !self.events.wake_requested() {
            let event = self.next(None);
            if self.events.stop_requested() {
                return Some(End::stopped(StopMethod::Gone, engine.exit));
            }
            match event {
                Ok(Some(Event::Note(text))) => self.log.note(&text),
                Ok(Some(Event::LinesLost)) => self.save(),
                // Without a state directory the next start says so.
                _ => {}
            }
        }
        self.log.note("somebody wants it: the engine is started");
        None
    }
}
