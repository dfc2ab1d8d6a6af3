//! Waiting for another instance that shares the GPU, before the first start.
use crate::keeper::Keeper;
use record::KeeperState as State;
use state::Directory;
use std::time::Duration;

/// How often the other instance is looked at that has to be healthy first.
const LOOK: Duration = Duration::from_millis(250);

impl Keeper {
    /// Say that the engine is not started yet, and why.
    pub(crate) fn wait(&mut self, other: &Directory) {
        self.log.note(&format!("waiting for {}", other.path().display()));
        self.enter(State::Waiting);
    }

    /// Wait until the other instance needs the shared GPU no longer for its start; `false` when told to stop first.
    pub(crate) fn wait_for(&mut self, other: &Directory) -> bool {
        while is_starting(other) {
            if !self.pause(LOOK) {
                return false;
            }
        }
        true
    }
}

/// Whether the other instance is still on its way to being healthy. What cannot be read cannot be waited for.
fn is_starting(other: &Directory) -> bool {
    match other.state() {
        Ok(Some((State::Running | State::Backoff | State::Stopping, status))) => {
            status.healthy_unix.is_none()
        }
        Ok(Some((State::Waiting, _))) => true,
        Ok(Some((State::Asleep | State::Failed | State::Stopped | State::Lost, _)) | None) | Err(_) => false,
    }
}
