//! New keepers that wait until the old ones are gone.
use crate::launch::Launch;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Those that wait, by their state directory.
#[derive(Default)]
pub(crate) struct Replacements {
    waiting: HashMap<PathBuf, Launch>,
}

impl Replacements {
    /// Whether one waits in this state directory.
    pub(crate) fn has(&self, state_dir: &Path) -> bool {
        self.waiting.contains_key(state_dir)
    }

    /// The one that waits in this state directory.
    pub(crate) fn take(&mut self, state_dir: &Path) -> Option<Launch> {
        self.waiting.remove(state_dir)
    }

    /// Have one wait in this state directory.
    pub(crate) fn add(&mut self, state_dir: PathBuf, launch: Launch) {
        self.waiting.insert(state_dir, launch);
    }

    /// The one that waits in this state directory, and goes on waiting.
    pub(crate) fn waiting(&mut self, state_dir: &Path) -> Option<&mut Launch> {
        self.waiting.get_mut(state_dir)
    }
}
