//! Room on the disk, asked before it is used: an archive may say that it is large, or be larger than it says.
use crate::ArchiveError;
use rustix::fs::fstatvfs;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Never take the last of it: a twentieth of the disk, at most this, is left.
const MARGIN_CEILING: u64 = 256 << 20;
/// Ask again after so many bytes, as others write too.
const INTERVAL: u64 = 64 << 20;

/// The room on one disk.
#[derive(Debug)]
pub struct Space {
    path: PathBuf,
    dir: OwnedFd,
    margin: u64,
    since: u64,
}

impl Space {
    /// Of the disk of `dir`; failures name `path`.
    ///
    /// # Errors
    /// What the system says.
    pub fn of(path: &Path, dir: BorrowedFd<'_>) -> rustix::io::Result<Self> {
        let disk = fstatvfs(dir)?;
        let margin = (disk.f_blocks.saturating_mul(disk.f_frsize) / 20).min(MARGIN_CEILING);
        let dir = rustix::io::fcntl_dupfd_cloexec(dir, 0)?;
        Ok(Self { path: path.to_owned(), dir, margin, since: 0 })
    }

    /// Refuse to write `bytes` more where the margin would be touched.
    ///
    /// # Errors
    /// It would.
    pub fn admit(&self, bytes: u64) -> Result<(), ArchiveError> {
        let disk =
            fstatvfs(&self.dir).map_err(|error| ArchiveError::system("cannot ask for free space", error))?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if bytes.saturating_add(self.margin) <= free {
            return Ok(());
        }
        let (need, margin, free) = (mib(bytes), mib(self.margin), mib(free));
        let folder = self.path.display();
        let text = format!(
            "{need} more and a margin of {margin} do not fit the disk of {folder}, where {free} are free"
        );
        Err(ArchiveError::unmet(text).hint("make room there, or install on another disk"))
    }

    /// Refuse to make `count` files more where the file system has no room for them.
    pub(crate) fn admit_files(&self, count: u64) -> Result<(), ArchiveError> {
        let disk =
            fstatvfs(&self.dir).map_err(|error| ArchiveError::system("cannot ask for free space", error))?;
        // A file system that does not count them says 0.
        if disk.f_files == 0 || disk.f_favail > count {
            return Ok(());
        }
        Err(ArchiveError::unmet(format!("the disk of {} has room for no more files", self.path.display())))
    }

    /// Count what was written, and ask again now and then.
    pub(crate) fn wrote(&mut self, bytes: u64) -> Result<(), ArchiveError> {
        self.since += bytes;
        if self.since < INTERVAL {
            return Ok(());
        }
        self.since = 0;
        self.admit(0)
    }
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}
