//! What goes away: attempts that came to nothing, and installs that are older than those to keep.
use crate::root::is_install_name;
use crate::{Install, InstallRoot, RootLock, marker};
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use std::path::Path;

/// Names below `.installs/` that only work in progress has.
const UNFINISHED: [&str; 2] = [".incoming-", ".current-"];

impl InstallRoot {
    /// Remove what a killed `iinstall` left. With the lock held nobody else is at work.
    pub fn sweep(&self, _lock: &RootLock) {
        for entry in std::fs::read_dir(self.installs()).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let unfinished = UNFINISHED.iter().any(|prefix| name.starts_with(prefix));
            let path = entry.path();
            // A disk that does not answer is no reason to take an install for unfinished.
            let unmarked = || matches!(path.join(marker::NAME).try_exists(), Ok(false));
            if unfinished || (is_install_name(&name) && unmarked()) {
                log::info!("removing {}, which was never finished", path.display());
                remove(&path);
            }
        }
    }

    /// Remove all installs but the current one and `keep` others: those that were current before it come first. Returns what
    /// the removed ones were made from.
    #[must_use]
    pub fn prune(&self, current: &Install, keep: usize, _lock: &RootLock) -> Vec<String> {
        let mut rest = self.complete();
        rest.retain(|install| install.name() != current.name());
        let mut kept = 0;
        let mut step = current.previous().map(str::to_owned);
        while let Some(name) = step.filter(|_| kept < keep) {
            // A chain that comes back to where it was finds nothing left.
            let Some(index) = rest.iter().position(|install| install.name() == name) else { break };
            step = rest.remove(index).previous().map(str::to_owned);
            kept += 1;
        }
        let retired = rest.into_iter().skip(keep - kept).filter(retire);
        retired.map(|install| install.record.id).collect()
    }
}

/// Remove an install that nobody runs from: keepers hold a shared flock on its folder. Without its marker it is no
/// install any more, so that goes first; should we be killed then, the rest is swept. Says whether it is gone.
fn retire(install: &Install) -> bool {
    let path = &install.path;
    if !install.edited().is_empty() {
        log::info!("{} was edited and stays", path.display());
        return false;
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let held = rustix::fs::open(path, flags, Mode::empty()).and_then(|folder| {
        flock(&folder, FlockOperation::NonBlockingLockExclusive)?;
        Ok(folder)
    });
    let Ok(_held) = held else {
        log::info!("{} is in use and stays", path.display());
        return false;
    };
    match std::fs::remove_file(path.join(marker::NAME)) {
        Ok(()) => remove(path),
        Err(error) => {
            log::warn!("cannot remove {}: {error}", path.display());
            return false;
        }
    }
    true
}

fn remove(path: &Path) {
    let folder = path.symlink_metadata().is_ok_and(|stat| stat.is_dir());
    let removed = if folder { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    if let Err(error) = removed {
        log::warn!("cannot remove {}: {error}", path.display());
    }
}
