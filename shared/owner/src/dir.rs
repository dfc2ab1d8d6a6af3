//! A folder that is open, and what lies in it.
use crate::Owner;
use crate::owner::{is_trusted, may_name};
use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, openat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Every open of an entry: what it turns out to be is looked at afterwards, and a FIFO holds nobody up.
const ENTRY: OFlags = OFlags::CLOEXEC.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// A folder, held by its descriptor: whatever becomes of its path, this one stays meant. Its entries are reached by one
/// name at a time and through no link, with the rights of the user whose it is.
#[derive(Debug)]
pub struct Dir {
    pub(crate) fd: OwnedFd,
    pub(crate) path: PathBuf,
    /// With whose rights its entries are touched.
    pub(crate) actor: Owner,
    pub(crate) stat: Stat,
    /// Whose files are expected here, beside root's.
    pub(crate) expected: u32,
}

impl Dir {
    pub(crate) fn new(fd: OwnedFd, stat: Stat, path: PathBuf, actor: Owner) -> Self {
        Self { fd, path, actor, stat, expected: stat.st_uid }
    }

    /// Whether it still has a name, and the owner and the permissions that it had when it was opened.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        let same = |now: Stat| {
            let (then, now) = (&self.stat, &now);
            (then.st_uid, then.st_gid, then.st_mode) == (now.st_uid, now.st_gid, now.st_mode)
                && now.st_nlink > 0
        };
        fstat(&self.fd).is_ok_and(same)
    }

    /// Where it was found.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whose it is.
    #[must_use]
    pub fn owner(&self) -> Owner {
        // A look into the user database is spared where there was one already.
        if self.actor.uid() == self.stat.st_uid { self.actor.clone() } else { Owner::of_stat(&self.stat) }
    }

    /// Whether nobody but root and us can have put anything here. A group that may write is ours or root's own.
    #[must_use]
    pub fn is_private(&self) -> bool {
        let mode = Mode::from_raw_mode(self.stat.st_mode);
        let group = [0, rustix::process::getegid().as_raw()].contains(&self.stat.st_gid);
        is_trusted(self.stat.st_uid) && !mode.contains(Mode::WOTH) && (group || !mode.contains(Mode::WGRP))
    }

    /// Open a regular file for reading, whoever's it is.
    ///
    /// # Errors
    /// What the system says; that it is no regular file, or a link, or that another name may lead to it from elsewhere.
    pub fn open_file(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        self.open_regular(name.as_ref(), OFlags::RDONLY, Mode::empty()).map(|(file, _)| file)
    }

    /// Open a regular file for reading that belongs to whoever has this folder, or that root has put here.
    ///
    /// # Errors
    /// As [`Dir::open_file`]; that it is somebody else's.
    pub fn open_own(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        let (file, stat) = self.open_regular(name.as_ref(), OFlags::RDONLY, Mode::empty())?;
        self.must_be_own(&stat)?;
        Ok(file)
    }

    /// What stands in a file of at most `cap` bytes, as [`Dir::open_own`] opens it; `None` where there is none.
    ///
    /// # Errors
    /// As [`Dir::open_own`]; that it is larger.
    pub fn read(&self, name: impl AsRef<OsStr>, cap: usize) -> io::Result<Option<Vec<u8>>> {
        let file = match self.open_own(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        read_capped(file, cap).map(Some)
    }

    /// The names of all entries, sorted.
    ///
    /// # Errors
    /// What the system says.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = self.actor.act(|| openat(&self.fd, ".", flags, Mode::empty()))??;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::new(open)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Do something with the rights that its entries are touched with, as [`Owner::act`].
    ///
    /// # Errors
    /// As [`Owner::act`].
    pub fn act<T>(&self, act: impl FnOnce() -> T) -> io::Result<T> {
        self.actor.act(act)
    }

    /// The same folder once more.
    pub(crate) fn reopen(&self) -> io::Result<Self> {
        let (path, actor) = (self.path.clone(), self.actor.clone());
        Ok(Self { fd: self.fd.try_clone()?, path, actor, stat: self.stat, expected: self.expected })
    }

    pub(crate) fn open_regular(&self, name: &OsStr, how: OFlags, mode: Mode) -> io::Result<(File, Stat)> {
        let name = one_name(name)?;
        let opened = self.actor.act(|| openat(&self.fd, name, how | ENTRY, mode))?;
        let file = File::from(opened.map_err(|error| match error {
            Errno::LOOP => refused("it is a symbolic link"),
            // A FIFO that nobody reads, or a socket.
            Errno::NXIO => refused("it is no regular file"),
            other => other.into(),
        })?);
        let stat = fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(refused("it is no regular file"));
        }
        if self.is_open_to_others() && stat.st_nlink > 1 && is_trusted(stat.st_uid) {
            return Err(refused("it has another name elsewhere, and others can make names here"));
        }
        Ok((file, stat))
    }

    pub(crate) fn must_be_own(&self, stat: &Stat) -> io::Result<()> {
        // Where nobody but root makes names, root has put it here, whoever's it is.
        let own = [0, self.expected].contains(&stat.st_uid) || self.is_private();
        if own && may_name(self.expected, stat) {
            return Ok(());
        }
        let text = format!("it belongs to uid {}, not to uid {}", stat.st_uid, self.expected);
        Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
    }

    /// Whether root acts here, where others can make names.
    pub(crate) fn is_open_to_others(&self) -> bool {
        self.actor.uid() == 0 && Mode::from_raw_mode(self.stat.st_mode).intersects(Mode::WGRP | Mode::WOTH)
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// One component of a path: what has several, or leads up, is no name of an entry.
pub(crate) fn one_name(name: &OsStr) -> io::Result<&OsStr> {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes == b"." || bytes == b".." || bytes.contains(&b'/') {
        return Err(Errno::INVAL.into());
    }
    Ok(name)
}

/// Most files that are read as a whole are smaller.
const USUAL: usize = 64 << 10;

/// All of a file, at most `cap` bytes. A size that is only claimed costs nothing.
pub(crate) fn read_capped(file: File, cap: usize) -> io::Result<Vec<u8>> {
    let too_large = || io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {cap} bytes"));
    let most = u64::try_from(cap).unwrap_or(u64::MAX);
    let size = file.metadata()?.len();
    if size > most {
        return Err(too_large());
    }
    // Room for one read(2) of what is usual; what it is more is read as it comes.
    let mut bytes = Vec::with_capacity(usize::try_from(size).map_or(USUAL, |size| USUAL.min(size + 1)));
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() > cap { Err(too_large()) } else { Ok(bytes) }
}

pub(crate) fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
