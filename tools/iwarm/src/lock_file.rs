//! One `iwarm` at a time works on a cache: an exclusive flock(2) on `.warm.lock` in it.
use crate::place::refused;
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::{Duration, Instant};
use tool::{Code, Failure};

/// How often a lock that somebody holds is asked for again. flock(2) has no time limit of its own.
const INTERVAL: Duration = Duration::from_millis(50);

/// The lock, held until it is dropped, and until whoever inherited it has ended.
#[derive(Debug)]
pub(crate) struct WarmLock {
    file: OwnedFd,
}

impl WarmLock {
    /// Take it, waiting at most `patience` for whoever holds it.
    pub(crate) fn take(root: &Path, patience: Duration) -> Result<Self, Failure> {
        let path = root.join(".warm.lock");
        // Reading is enough for flock(2), so a lock that another user made serves too.
        let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = rustix::fs::open(&path, flags, Mode::from(0o644));
        let file = file.map_err(|error| refused(&path, &error.into()))?;
        let start = Instant::now();
        let mut told = false;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self { file }),
                Err(Errno::WOULDBLOCK) if start.elapsed() < patience => {
                    if !std::mem::replace(&mut told, true) {
                        log::warn!("waiting for another iwarm that holds {}", path.display());
                    }
                    std::thread::sleep(INTERVAL.min(patience));
                }
                Err(Errno::WOULDBLOCK) => {
                    let what = format!("cannot lock {}", path.display());
                    let cause = format!("another iwarm has held it for {} s", patience.as_secs());
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
