//! The folder in the cache that pixi installs into, on the cache's own disk so that it takes little room there, and the
//! lock that lets one `iwarm` at a time have one: an exclusive flock(2) on `.warm.lock`.
use crate::cache_folders::refused;
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tool::{Code, Failure};

const PREFIX: &str = ".warm-";

/// A folder `.warm-<nonce>`, removed when it is dropped.
#[derive(Debug)]
pub(crate) struct ScratchDir {
    folder: PathBuf,
}

impl ScratchDir {
    /// An empty one. Whoever holds the lock may.
    pub(crate) fn make(root: &Path, _lock: &WarmLock) -> Result<Self, Failure> {
        loop {
            let random = std::hash::RandomState::new().build_hasher().finish();
            let folder = root.join(format!("{PREFIX}{:04x}", random & 0xffff));
            match std::fs::create_dir(&folder) {
                Ok(()) => return Ok(Self { folder }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(refused(&folder, &error)),
            }
        }
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        remove(&self.folder);
    }
}

/// Remove what killed runs left. With the lock held nobody else is at work.
pub(crate) fn sweep(root: &Path, _lock: &WarmLock) {
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            log::info!("removing {}, which a killed iwarm left", entry.path().display());
            remove(&entry.path());
        }
    }
}

fn remove(folder: &Path) {
    let removed = std::fs::remove_dir_all(folder).or_else(|error| match error.kind() {
        // A package may have folders that nobody may write.
        io::ErrorKind::PermissionDenied => {
            open_up(folder);
            std::fs::remove_dir_all(folder)
        }
        _ => Err(error),
    });
    if let Err(error) = removed {
        log::warn!("cannot remove {}: {}", folder.display(), tool::io_text(&error));
    }
}

/// Make every folder below ours to write. Files stay as they are: they may be the cache's own, linked.
fn open_up(folder: &Path) {
    drop(std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)));
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

/// How often a lock that somebody holds is asked for again. flock(2) has no time limit of its own.
const INTERVAL: Duration = Duration::from_millis(50);

/// The lock, held until it is dropped, and until whoever inherited it has ended.
#[derive(Debug)]
pub(crate) struct WarmLock {
    file: OwnedFd,
}

impl WarmLock {
    /// Take it, waiting at most `timeout` for whoever holds it.
    pub(crate) fn take(root: &Path, timeout: Duration) -> Result<Self, Failure> {
        let path = root.join(".warm.lock");
        // Reading is enough for flock(2), so a lock that another user made serves too; a pipe in its place is not waited for.
        let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = rustix::fs::open(&path, flags, Mode::from(0o644));
        let file = file.map_err(|error| refused(&path, &error.into()))?;
        let start = Instant::now();
        let mut told = false;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self { file }),
                Err(Errno::WOULDBLOCK) if start.elapsed() < timeout => {
                    if !std::mem::replace(&mut told, true) {
                        log::warn!("waiting for another iwarm that holds {}", path.display());
                    }
                    std::thread::sleep(INTERVAL.min(timeout));
                }
                Err(Errno::WOULDBLOCK) => {
                    let what = format!("cannot lock {}", path.display());
                    let cause = format!("another iwarm has held it for {} s", timeout.as_secs());
                    return Err(Failure::new(Code::Later, what, cause).hint("run again when it is done"));
                }
                Err(error @ (Errno::NOLCK | Errno::NOSYS | Errno::OPNOTSUPP)) => {
                    let what = format!("cannot lock {}", path.display());
                    return Err(Failure::io(Code::Unmet, what, &error.into()).hint(NO_LOCKS));
                }
                Err(error) => return Err(refused(&path, &error.into())),
            }
        }
    }

    /// The descriptor, for a child that writes in the cache.
    pub(crate) fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

/// What to do where locks are refused.
pub(crate) const NO_LOCKS: &str = "pixi needs locks on the cache's disk, which some network disks refuse; fill the \
                                   cache on a local disk and copy it, with its dot files and *.lock";
