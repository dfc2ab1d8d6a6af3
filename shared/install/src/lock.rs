//! One `iinstall` at a time works on a folder: an exclusive flock(2) on `.installs/.lock`.
use crate::{InstallRoot, refused};
use rustix::fs::{FlockOperation, Mode, OFlags, Stat, flock, fstat};
use rustix::io::Errno;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::{Duration, Instant};
use tool::{Code, Failure};

/// How often a lock that somebody holds is asked for again. flock(2) has no time limit of its own.
const INTERVAL: Duration = Duration::from_millis(50);

/// What to do where a file system has no locks.
pub const NO_LOCKS: &str = "a network file system without locks: mount it with them (NFS: not with nolock), or \
                                   use a local disk";

/// The file.
pub(crate) const NAME: &str = ".lock";

/// The lock, held until it is dropped.
#[derive(Debug)]
pub struct RootLock {
    file: OwnedFd,
}

impl RootLock {
    /// Take it where the folder is known to be there, waiting at most `timeout` for whoever holds it.
    ///
    /// # Errors
    /// Somebody else holds it all that time (code 75), or it cannot be taken.
    pub fn wait(root: &InstallRoot, timeout: Duration) -> Result<Self, Failure> {
        Self::take(root, timeout)?.ok_or_else(|| refused(&root.installs(), &Errno::NOENT.into()))
    }

    /// Take it, waiting at most `timeout` for whoever holds it; `None` where the folder went away meanwhile.
    pub(crate) fn take(root: &InstallRoot, timeout: Duration) -> Result<Option<Self>, Failure> {
        let path = root.installs().join(NAME);
        // Reading is enough for flock(2), so a lock that another user made serves too; a pipe in its place is not waited for.
        let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = match rustix::fs::open(&path, flags, Mode::from(0o644)) {
            // On a read-only disk an existing one can still be asked for.
            Err(Errno::ROFS) => rustix::fs::open(&path, flags.difference(OFlags::CREATE), Mode::empty()),
            Err(Errno::NOENT) => return Ok(None),
            other => other,
        };
        let file = file.map_err(|error| refused(&path, &error.into()))?;
        let start = Instant::now();
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(is_at(&path, &file).then_some(Self { file })),
                Err(Errno::WOULDBLOCK) if start.elapsed() < timeout => {
                    if start.elapsed() < INTERVAL {
                        log::warn!("waiting for another iinstall that holds {}", path.display());
                    }
                    std::thread::sleep(INTERVAL.min(timeout));
                }
                Err(Errno::WOULDBLOCK) => {
                    let what = format!("cannot lock {}", path.display());
                    let cause = format!(
                        "another iinstall, or what a killed one left running, has held it for {} s",
                        timeout.as_secs()
                    );
                    return Err(Failure::new(Code::Later, what, cause).hint("run again when it is done"));
                }
                Err(error @ (Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS)) => {
                    let what = format!("cannot lock {}", path.display());
                    return Err(Failure::io(Code::Unmet, what, &error.into()).hint(NO_LOCKS));
                }
                Err(error) => return Err(refused(&path, &error.into())),
            }
        }
    }
}

/// Whether the open file is still the one of that name: a failed run unlinks its lock file, so check that
/// this is still the current one.
fn is_at(path: &Path, file: &OwnedFd) -> bool {
    let identity = |stat: Stat| (stat.st_dev, stat.st_ino);
    let Ok(open) = fstat(file) else { return false };
    open.st_nlink > 0 || rustix::fs::stat(path).is_ok_and(|there| identity(there) == identity(open))
}

impl AsRawFd for RootLock {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}
