//! Waiting until something happens to the instance.
use super::Keeper;
use crate::event::Event as Heard;
use crate::life::Event;
use crate::processes::Engine;
use record::KeeperState as State;
use state::Directory;
use std::time::{Duration, Instant};

/// How often the other instance is looked at that has to be healthy first.
const LOOK: Duration = Duration::from_millis(250);
/// How long after the system had no thread to give it is asked for one again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

impl Keeper {
    /// Say that the engine is not started yet, and why.
    pub(crate) fn wait_for(&mut self, other: &Directory) {
        self.log.note(&format!("waiting for {}", other.path().display()));
        self.enter(State::Waiting);
    }

    /// What happens next to the engine, or to the one that has been before. The first start waits for `other`.
    pub(super) fn wait(&mut self, mut engine: Option<&mut Engine>, other: Option<&Directory>) -> Event {
        loop {
            let state = self.status.state;
            match state {
                _ if self.events.stop_requested() => return Event::Stop,
                State::Asleep if self.events.wake_requested() => return Event::Wanted,
                State::Waiting if !other.is_some_and(is_starting) => return Event::Due,
                _ => {}
            }
            let unasked = engine.as_ref().is_some_and(|engine| engine.asked.is_none());
            let until = match state {
                State::Waiting => Some(Instant::now() + LOOK),
                State::Backoff => Some(self.next_start),
                State::Running if unasked => Some(Instant::now() + ASK_AGAIN),
                _ => None,
            };
            match (self.next(until), engine.as_deref_mut()) {
                (Err(failure), _) => return Event::Unrecorded(failure),
                (Ok(None), _) if state == State::Backoff => return Event::Due,
                (Ok(None), Some(engine)) => self.start_health_checks(engine),
                (Ok(None), None) => {}
                (Ok(Some(heard)), engine) => {
                    if let Some(event) = self.hear(heard, engine) {
                        return event;
                    }
                }
            }
        }
    }

    /// What that means for the instance, where it means something.
    fn hear(&mut self, heard: Heard, engine: Option<&mut Engine>) -> Option<Event> {
        match (heard, engine) {
            (Heard::Note(text), _) => self.log.note(&text),
            (Heard::LinesLost, _) => self.save(),
            (Heard::Healthy(pid), Some(engine)) if pid == engine.leader => return Some(Event::Healthy),
            (Heard::Hung(pid, why), Some(engine)) if pid == engine.leader => return Some(Event::Hung(why)),
            (Heard::Idle(pid), Some(engine)) if pid == engine.leader => return Some(Event::Idle),
            (Heard::Child, Some(engine)) => {
                engine.reap();
                return engine.exit.map(|_| Event::Ended);
            }
            // What was said of an earlier engine. Who wants us to stop or to start it is remembered.
            _ => {}
        }
        None
    }
}

/// Whether the other instance is still on its way to being healthy. What cannot be read cannot be waited for.
fn is_starting(other: &Directory) -> bool {
    match other.settled_state() {
        Ok(Some((State::Running | State::Backoff | State::Stopping, status))) => {
            status.healthy_unix.is_none()
        }
        Ok(Some((State::Waiting, _))) => true,
        Ok(Some((State::Asleep | State::Failed | State::Stopped | State::Lost, _)) | None) | Err(_) => false,
    }
}
