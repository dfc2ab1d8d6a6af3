//! The folders below the one that is unpacked into: each is reached from the one above it, and never through a link.
use crate::ArchiveError;
use crate::name::shown;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

#[derive(Debug)]
pub(crate) struct Folders {
    top: OwnedFd,
    /// The folder that was written to last, as most members follow one of the same folder.
    last: Option<(Vec<u8>, OwnedFd)>,
}

impl Folders {
    /// Those below `path`.
    pub(crate) fn open(path: &Path) -> rustix::io::Result<Self> {
        Ok(Self { top: rustix::fs::open(path, FOLDER, Mode::empty())?, last: None })
    }

    /// The one that is unpacked into.
    pub(crate) fn top(&self) -> BorrowedFd<'_> {
        self.top.as_fd()
    }

    /// The folder of the member with these parts, made where it is missing, and the member's last part.
    pub(crate) fn parent<'n>(
        &mut self,
        parts: &[&'n [u8]],
        name: &[u8],
    ) -> Result<(BorrowedFd<'_>, &'n [u8]), ArchiveError> {
        let (base, folders) =
            parts.split_last().ok_or_else(|| ArchiveError::member(name, "it has no name"))?;
        let key = folders.join(&b'/');
        if self.last.as_ref().is_none_or(|(last, _)| *last != key) {
            self.last = Some((key, self.make(folders, name)?));
        }
        let fd = self.last.as_ref().map_or(self.top.as_fd(), |(_, fd)| fd.as_fd());
        Ok((fd, base))
    }

    /// The folder with these parts, made where it is missing, for the member of this name.
    pub(crate) fn make(&self, parts: &[&[u8]], name: &[u8]) -> Result<OwnedFd, ArchiveError> {
        let mut folder = self.begin()?;
        for part in parts {
            match rustix::fs::mkdirat(&folder, *part, Mode::from(0o777)) {
                Err(Errno::EXIST) => {}
                other => other.map_err(|error| refused(name, error))?,
            }
            folder = match rustix::fs::openat(&folder, *part, FOLDER, Mode::empty()) {
                Err(Errno::LOOP | Errno::NOTDIR) => {
                    let why = format!("its folder '{}' is a link or a file in this archive", shown(part));
                    return Err(ArchiveError::member(name, &why));
                }
                other => other.map_err(|error| refused(name, error))?,
            };
        }
        Ok(folder)
    }

    /// The folder with these parts; `None` where it is not there, or only through a link.
    pub(crate) fn find(&self, parts: &[&[u8]]) -> Result<Option<OwnedFd>, ArchiveError> {
        let mut folder = self.begin()?;
        for part in parts {
            let Ok(next) = rustix::fs::openat(&folder, *part, FOLDER, Mode::empty()) else { return Ok(None) };
            folder = next;
        }
        Ok(Some(folder))
    }

    fn begin(&self) -> Result<OwnedFd, ArchiveError> {
        self.top.try_clone().map_err(|error| ArchiveError::system("cannot copy a descriptor", error))
    }
}

/// The failure to make the member of this name.
pub(crate) fn refused(name: &[u8], error: Errno) -> ArchiveError {
    match error {
        Errno::EXIST => ArchiveError::member(name, "two members have this name"),
        error => ArchiveError::system(&format!("cannot write {}", shown(name)), error),
    }
}
