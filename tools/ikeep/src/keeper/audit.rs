//! What is noted of what the keeper does by itself.
use super::Keeper;
use crate::life::Event as Happened;
use record::KeeperState as State;
use state::audit::{Entry, Event, note_instance};
use tool::Code;

impl Keeper {
    /// The engine was started again, because of that, or could not be.
    pub(super) fn audit_start(&self, because: &Happened, started: bool) {
        let event = match because {
            Happened::Wanted => Event::Wake,
            // The first start is noted by whoever asked for it.
            Happened::Due if self.status.restarts == 0 => return,
            _ => Event::Restart,
        };
        let entry = self.entry(event);
        self.audit(&if started { entry } else { entry.not_done(Code::No) });
    }

    /// The engine was ended until somebody wants it.
    pub(super) fn audit_sleep(&self) {
        self.audit(&self.entry(Event::Sleep));
    }

    /// This instance is kept no longer.
    pub(super) fn audit_end(&self, event: &Happened, state: State) {
        self.audit(&match event {
            Happened::Gone(how) => self.entry(Event::Stop).stopped(*how, false),
            Happened::NoMore(reason) => {
                self.entry(Event::GiveUp).because(self.status.class.as_deref(), reason).not_done(Code::No)
            }
            _ if state == State::Failed => self.entry(Event::GiveUp).not_done(Code::No),
            _ => self.entry(Event::Stop),
        });
    }

    fn entry(&self, event: Event) -> Entry<'static> {
        let plan = &self.request.plan;
        let entry = Entry::new("ikeep", event, plan.engine).of(&plan.instance);
        match (event, &self.status.reason) {
            (Event::Restart, Some(reason)) => entry.because(self.status.class.as_deref(), reason),
            _ => entry,
        }
    }

    fn audit(&self, entry: &Entry<'_>) {
        if let Some(warning) = note_instance(&self.state_dir.directory, entry) {
            self.log.note(&warning.what);
        }
    }
}
