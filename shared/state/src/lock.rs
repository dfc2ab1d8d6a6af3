//! Liveness: a POSIX fcntl lock on `lock`, held by the keeper for as long as it lives.
//!
//! The kernel drops the lock when the process ends, however it ends, and F_GETLK names the holder without taking anything.
//! fcntl locks also go when *any* descriptor of the file is closed, so the keeper opens the file exactly once.
#![expect(clippy::disallowed_methods, reason = "a keeper takes the lock in its own user's directory")]
use nix::fcntl::{FcntlArg, fcntl};
use owner::Dir;
use rustix::fs::{FileType, FlockOperation, Mode, OFlags, fcntl_lock};
use std::fs::File;
use std::io;
use std::path::Path;

/// The keeper's hold on its state directory. Dropping it is the end of the keeping.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// Why the lock was not taken.
#[derive(Debug)]
pub enum LockHeld {
    /// Another keeper holds it.
    By(u32),
    /// The file cannot be opened or locked.
    Io(io::Error),
}

impl Lock {
    /// Take the lock, making the file where it does not exist. For a keeper, in its own user's directory.
    ///
    /// # Errors
    /// [`LockHeld::By`] when another process holds it.
    pub fn take(path: &Path) -> Result<Self, LockHeld> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let refused = |why: &str| LockHeld::Io(io::Error::new(io::ErrorKind::InvalidData, why));
        let file = rustix::fs::open(path, flags, Mode::from(0o644)).map_err(|error| match error {
            rustix::io::Errno::LOOP => refused("it is a symbolic link"),
            other => LockHeld::Io(other.into()),
        })?;
        let stat = rustix::fs::fstat(&file).map_err(|e| LockHeld::Io(e.into()))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(refused("it is no regular file"));
        }
        // Readers need to open it, whatever the umask. Somebody else's file would not be ours to lock either.
        rustix::fs::fchmod(&file, Mode::from(0o644)).map_err(|e| LockHeld::Io(e.into()))?;
        Self::of(File::from(file))
    }

    /// The same with the rights of the user whose directory it is.
    pub(crate) fn take_in(dir: &Dir) -> Result<Self, LockHeld> {
        dir.open_or_make("lock", 0o644).map_err(LockHeld::Io).and_then(Self::of)
    }

    fn of(file: File) -> Result<Self, LockHeld> {
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { file }),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => {
                // The holder may have gone in between; then 0 says so and the caller's retry finds it free.
                Err(LockHeld::By(holder_of(&file).ok().flatten().unwrap_or(0)))
            }
            Err(error) => Err(LockHeld::Io(error.into())),
        }
    }

    /// Whether it is the lock of the file at `path`, where readers ask. What cannot be looked at is taken to be there.
    #[must_use]
    pub fn is_at(&self, path: &Path) -> bool {
        match (rustix::fs::fstat(&self.file), rustix::fs::lstat(path)) {
            (Ok(held), Ok(found)) => (held.st_dev, held.st_ino) == (found.st_dev, found.st_ino),
            (_, Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR)) => false,
            _ => true,
        }
    }

    /// Whether its file has no name any more, so that nobody can ask it.
    #[must_use]
    pub fn is_removed(&self) -> bool {
        rustix::fs::fstat(&self.file).is_ok_and(|held| held.st_nlink == 0)
    }
}

/// The process that holds the lock of a state directory, if any. Takes nothing.
pub(crate) fn holder(dir: &Dir) -> io::Result<Option<u32>> {
    match dir.open_own("lock") {
        Ok(file) => holder_of(&file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// F_GETLK for a write lock works on a descriptor that is open for reading only. `None` too where no process can be named: the
/// kernel says -1 of a lock that belongs to an open file (F_OFD_SETLK), which no keeper of ours takes, and 0 of a process
/// that cannot be seen from here.
fn holder_of(file: &File) -> io::Result<Option<u32>> {
    let short = |number: i32| i16::try_from(number).unwrap_or_default();
    let (l_type, l_whence) = (short(libc::F_WRLCK), short(libc::SEEK_SET));
    let mut found = libc::flock { l_type, l_whence, l_start: 0, l_len: 0, l_pid: 0 };
    fcntl(file, FcntlArg::F_GETLK(&mut found))?;
    if found.l_type == short(libc::F_UNLCK) {
        return Ok(None);
    }
    Ok(u32::try_from(found.l_pid).ok().filter(|pid| *pid > 0))
}
