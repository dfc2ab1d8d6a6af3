//! No success that is none, no panic, no wait without an end, whatever the system refuses and whoever is at the other end.
mod answers;
mod config;
mod joining;
mod keeper;
mod kills;
mod memory;
mod old_kernel;
mod output;
mod surroundings;
mod sweep;
mod threads;
mod unread;

use crate::kit::{Keeping, Output, as_root};
use crate::tree::tool_names;
use std::sync::atomic::{AtomicU32, Ordering};

/// An ordinary user who has no name and no other process, and whom the kernel's limits hold.
pub(crate) struct Ordinary {
    pub(crate) uid: u32,
}

impl Ordinary {
    /// Another one for each test, because the limit on processes counts all of a user's. `None` where
    /// we are not root.
    pub(crate) fn new() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if !as_root() {
            return None;
        }
        let run = std::process::id() % 1000 * 30;
        Some(Self { uid: 60_001 + run + NEXT.fetch_add(1, Ordering::Relaxed) })
    }

    /// A sandbox that is his, with the tools in `bin`, first on PATH.
    pub(crate) fn keeping(&self) -> Keeping {
        use std::os::unix::fs::chown;
        let keeping = Self::guests();
        let folders = ["", "home", "tmp", "run", "w", "bin"].map(|folder| keeping.sandbox.path(folder));
        for folder in folders {
            chown(folder, Some(self.uid), Some(self.uid)).unwrap();
        }
        keeping
    }

    /// One that is root's, and that he can look into.
    pub(crate) fn guests() -> Keeping {
        let mut keeping = Keeping::new();
        for tool in tool_names() {
            keeping.sandbox.own_tool(&tool, &format!("bin/{tool}"));
        }
        let path = format!("{}:{}", keeping.sandbox.text("bin"), "/usr/local/bin:/usr/bin:/bin");
        keeping.sandbox.set("PATH", &path);
        keeping
    }

    /// Run a script as this user.
    pub(crate) fn sh(&self, keeping: &Keeping, script: &str) -> Output {
        let path = keeping.sandbox.write("script.sh", format!("set -euo pipefail\n{script}\n"));
        keeping.sandbox.sh(&format!("{} bash {}", self.prefix(), path.display()))
    }

    /// Run one command as this user, with no more processes and threads than it has at its start.
    pub(crate) fn alone(&self, keeping: &Keeping, command: &str) -> Output {
        keeping.sandbox.sh(&format!("{} prlimit --nproc=1:1 {command}", self.prefix()))
    }

    fn prefix(&self) -> String {
        format!("exec setpriv --reuid={0} --regid={0} --clear-groups", self.uid)
    }
}
