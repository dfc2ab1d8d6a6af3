//! Writing and removing files.
use crate::dir::{Dir, one_name, refused};
use rustix::fs::{AtFlags, Mode, OFlags, fchmod, renameat, statat, unlinkat};
use rustix::rand::{GetRandomFlags, getrandom};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, UNIX_EPOCH};

/// How the name of a file ends that is not finished yet.
const DRAFT: &str = ".new";
/// How deep folders are removed. Each level holds a descriptor.
const DEPTH: usize = 64;
/// No file takes this long to write that is replaced as a whole.
const ABANDONED: Duration = Duration::from_secs(600);

impl Dir {
    /// Replace a file in one step, with these permissions whatever the umask.
    ///
    /// # Errors
    /// What the system says; the old file is then still there, and nothing else is.
    pub fn replace(&self, name: impl AsRef<OsStr>, mode: u32, content: &[u8]) -> io::Result<()> {
        self.replace_with(name.as_ref(), mode, |file| file.write_all(content))
    }

    /// The same for good: what it says must be on the disk before the name is. Drafts that killed processes have left, old
    /// enough that nobody writes to them any more, go.
    ///
    /// # Errors
    /// As [`Dir::replace`].
    pub fn replace_for_good(&self, name: impl AsRef<OsStr>, mode: u32, content: &[u8]) -> io::Result<()> {
        // Who was killed while it wrote may have left its own; that is in nobody's way.
        drop(self.remove_abandoned(name.as_ref()));
        self.replace_with(name.as_ref(), mode, |file| {
            file.write_all(content)?;
            file.sync_all()
        })
    }

    fn remove_abandoned(&self, name: &OsStr) -> io::Result<()> {
        for draft in self.names()? {
            if is_draft_of(name, &draft) {
                let stat = self.act(|| statat(&self.fd, &draft, AtFlags::SYMLINK_NOFOLLOW))??;
                let written = UNIX_EPOCH + Duration::from_secs(u64::try_from(stat.st_mtime).unwrap_or(0));
                if written.elapsed().is_ok_and(|age| age > ABANDONED) {
                    self.remove(&draft)?;
                }
            }
        }
        Ok(())
    }

    fn replace_with(
        &self,
        name: &OsStr,
        mode: u32,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<()> {
        let name = one_name(name)?;
        let draft = draft_name(name)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let (mut file, _) = self.open_regular(&draft, flags, Mode::from(0o600))?;
        let written = write(&mut file).and_then(|()| {
            // Root without CAP_FOWNER, as in a container, changes nobody else's file.
            self.actor.act(|| fchmod(&file, Mode::from(mode)))??;
            Ok(self.actor.act(|| renameat(&self.fd, &draft, &self.fd, name))??)
        });
        if written.is_err() {
            // What was written of it is worth nothing; on a full disk its room is.
            drop(self.remove(&draft));
        }
        written
    }

    /// Write over a file that is there, for when the disk has no room for another: the same blocks, padded with blanks. A
    /// reader may find it half written.
    ///
    /// # Errors
    /// What the system says, and as [`Dir::open_own`].
    pub fn overwrite(&self, name: impl AsRef<OsStr>, content: &[u8]) -> io::Result<()> {
        let (mut file, stat) = self.open_regular(name.as_ref(), OFlags::WRONLY, Mode::empty())?;
        self.must_be_own(&stat)?;
        let mut padded = content.to_vec();
        padded.resize(content.len().max(usize::try_from(stat.st_size).unwrap_or(0)), b' ');
        file.write_all(&padded)
    }

    /// Open a file to read and write, and make it where it is missing, with these permissions where it is.
    ///
    /// # Errors
    /// What the system says, and as [`Dir::open_own`].
    pub fn open_or_make(&self, name: impl AsRef<OsStr>, mode: u32) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE;
        let (file, stat) = self.open_regular(name.as_ref(), flags, Mode::from(mode))?;
        self.must_be_own(&stat)?;
        Ok(file)
    }

    /// Make a file to write, with at most these permissions. Nothing may have its name, not even a link that leads nowhere.
    ///
    /// # Errors
    /// What the system says; that there is something of that name.
    pub fn make_file(&self, name: impl AsRef<OsStr>, mode: u32) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        self.open_regular(name.as_ref(), flags, Mode::from(mode)).map(|(file, _)| file)
    }

    /// Remove a file, or a link but not what it leads to. Says whether there was one.
    ///
    /// # Errors
    /// What the system says.
    pub fn remove(&self, name: impl AsRef<OsStr>) -> io::Result<bool> {
        let name = one_name(name.as_ref())?;
        match self.actor.act(|| unlinkat(&self.fd, name, AtFlags::empty()))? {
            Err(rustix::io::Errno::NOENT) => Ok(false),
            other => Ok(other.map(|()| true)?),
        }
    }

    /// Give what has this name another one, in the place of a file that has it. Says whether there was anything.
    ///
    /// # Errors
    /// What the system says.
    pub fn rename(&self, name: impl AsRef<OsStr>, to: impl AsRef<OsStr>) -> io::Result<bool> {
        let (name, to) = (one_name(name.as_ref())?, one_name(to.as_ref())?);
        match self.actor.act(|| renameat(&self.fd, name, &self.fd, to))? {
            Err(rustix::io::Errno::NOENT) => Ok(false),
            other => Ok(other.map(|()| true)?),
        }
    }

    /// Remove whatever has this name: a file, a link but not what it leads to, a folder with all that is in it. Says whether
    /// there was anything.
    ///
    /// # Errors
    /// What the system says; that folders lie in it too deep.
    pub fn remove_all(&self, name: impl AsRef<OsStr>) -> io::Result<bool> {
        self.remove_down(name.as_ref(), DEPTH)
    }

    fn remove_down(&self, name: &OsStr, depth: usize) -> io::Result<bool> {
        let folder = match crate::walk::step(self, one_name(name)?) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Ok(crate::walk::Step::Folder(folder)) => folder,
            // A link that is not to be followed can be removed.
            _ => return self.remove(name),
        };
        let Some(depth) = depth.checked_sub(1) else { return Err(refused("folders lie in it too deep")) };
        for below in folder.names()? {
            folder.remove_down(&below, depth)?;
        }
        match self.actor.act(|| unlinkat(&self.fd, name, AtFlags::REMOVEDIR))? {
            Err(rustix::io::Errno::NOENT) => Ok(false),
            other => Ok(other.map(|()| true)?),
        }
    }

    /// Remove what a [`Dir::replace`] has left behind that was killed. For the only writer of this folder.
    ///
    /// # Errors
    /// What the system says.
    pub fn remove_drafts(&self) -> io::Result<()> {
        for name in self.names()? {
            let bytes = name.as_bytes();
            if bytes.starts_with(b".") && bytes.ends_with(DRAFT.as_bytes()) {
                self.remove(&name)?;
            }
        }
        Ok(())
    }
}

/// Whether a file of this name is what a [`Dir::replace`] of `name` writes, or has left behind that was killed.
#[must_use]
pub fn is_draft_of(name: impl AsRef<OsStr>, draft: impl AsRef<OsStr>) -> bool {
    let begins = [b".", name.as_ref().as_bytes(), b"."].concat();
    let draft = draft.as_ref().as_bytes();
    draft.starts_with(&begins) && draft.ends_with(DRAFT.as_bytes())
}

/// A name that nobody can have taken before.
pub(crate) fn draft_name(name: &OsStr) -> io::Result<OsString> {
    let mut random = [0; 8];
    getrandom(&mut random, GetRandomFlags::empty())?;
    let random = u64::from_ne_bytes(random);
    let mut draft = OsString::from(".");
    draft.push(name);
    draft.push(format!(".{random:016x}{DRAFT}"));
    Ok(draft)
}
