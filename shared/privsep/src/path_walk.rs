//! The way to a path that the operator named, one component at a time.
//!
//! Root follows what only root could have put there. From a folder that others may write on, the way is followed with
//! their rights, so that a link of theirs leads nowhere that they could not go.
//!
//! `owner::Dir::open` walks a path too, and the two answer different questions. There nobody but us gets what is found, so
//! that the rights of whoever owns a step are enough, and what several could have put there is refused. Here a recipient gets
//! it: where it is not known who put a step there, or two users have, the recipient's own rights go on, and the recipient
//! gets nothing that he could not have had. What is missing is not made on the way but reported, with whose rights it would
//! be, so that `Folders` can take it away again. One walker for both would have each of these choices twice.
use crate::rights::Rights;
use child::User;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};
use rustix::io::Errno;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// As many links as the kernel follows.
const LINKS: u32 = 40;

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What becomes of a link in the place of the file itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkPolicy {
    /// The operator named it: it is followed.
    Follow,
    /// Its name follows from another: it is refused.
    Refuse,
}

/// Open a file to read, for root, to be handed to `recipient`. A pipe in its place does not hang us; devices and sockets are
/// not opened.
///
/// # Errors
/// What the system says: to root, or where others may write on the way, to them or to `recipient`.
pub fn open(path: &Path, recipient: &User, links: LinkPolicy) -> io::Result<OwnedFd> {
    let mut way = PathWalk::to(path, recipient)?;
    while let Some(step) = way.next()? {
        match step {
            Step::Folder => {}
            Step::Absent(_) => return Err(Errno::NOENT.into()),
            Step::Link if way.is_last() && links == LinkPolicy::Refuse => return Err(Errno::LOOP.into()),
            Step::Link => way.follow()?,
            Step::Other(_) if !way.is_last() => return Err(Errno::NOTDIR.into()),
            Step::Other(FileType::RegularFile) => return way.open_entry(),
            Step::Other(_) => return Err(io::Error::other("not a regular file")),
        }
    }
    way.reopen_folder()
}

/// What stands at the next name. A folder was entered.
pub(crate) enum Step {
    Folder,
    Link,
    Other(FileType),
    Absent(OsString),
}

/// Where the way has come to.
pub(crate) struct PathWalk<'u> {
    pub(crate) recipient: &'u User,
    pub(crate) rights: Rights,
    pub(crate) folder: OwnedFd,
    /// The name in the folder that was looked at last.
    entry: OsString,
    /// What is still to go, the next last.
    rest: Vec<OsString>,
    links: u32,
}

impl<'u> PathWalk<'u> {
    pub(crate) fn to(path: &Path, recipient: &'u User) -> io::Result<Self> {
        if !path.is_absolute() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not an absolute path"));
        }
        let (rest, entry) = (names(path), OsString::new());
        Ok(Self { recipient, rights: Rights::Ours, folder: top()?, entry, rest, links: 0 })
    }

    /// Look at the next name, and enter it where it is a folder; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Step>> {
        let Some(name) = self.rest.pop() else { return Ok(None) };
        self.entry.clone_from(&name);
        let holder = fstat(&self.folder)?;
        // A folder that is held open by the time it is judged is the one that is entered.
        let found = match self.openat(FOLDER) {
            Ok(folder) => (fstat(&folder)?, Some(folder)),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::NOENT) => return Ok(Some(self.absent(&holder, name))),
                Some(Errno::NOTDIR | Errno::LOOP) => (self.stat()?, None),
                _ => return Err(error),
            },
        };
        let (stat, folder) = found;
        let rights = self.rights.through(&holder, &stat, self.recipient);
        if rights != self.rights {
            // Whether they may come this far is for the system to say.
            self.rights = rights;
            self.rest.push(name);
            return self.next();
        }
        Ok(Some(match (folder, FileType::from_raw_mode(stat.st_mode)) {
            (Some(folder), _) => {
                self.folder = folder;
                Step::Folder
            }
            (None, FileType::Symlink) => Step::Link,
            (None, kind) => Step::Other(kind),
        }))
    }

    /// Nothing is there: whoever may write the folder makes it.
    fn absent(&mut self, holder: &Stat, name: OsString) -> Step {
        // In a folder with the sticky bit a new entry is its maker's.
        let mut new = *holder;
        new.st_uid = 0;
        self.rights = self.rights.through(holder, &new, self.recipient);
        Step::Absent(name)
    }

    /// Put the target of the link that was just met on the way.
    pub(crate) fn follow(&mut self) -> io::Result<()> {
        self.links += 1;
        if self.links > LINKS {
            return Err(Errno::LOOP.into());
        }
        let (folder, entry) = (&self.folder, &self.entry);
        let target = self.rights.act(self.recipient, || Ok(readlinkat(folder, entry, Vec::new())?))?;
        let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
        if target.is_absolute() {
            self.folder = top()?;
        }
        self.rest.extend(names(&target));
        Ok(())
    }

    /// Whether nothing is left of the way.
    pub(crate) fn is_last(&self) -> bool {
        self.rest.is_empty()
    }

    /// Enter the folder of this name, which is there by now.
    pub(crate) fn restart_at(&mut self, name: OsString) {
        self.rest.push(name);
    }

    /// The folder where the way has come to, open to be locked and read.
    pub(crate) fn reopen_folder(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = &self.folder;
        self.rights.act(self.recipient, || Ok(openat(folder, ".", flags, Mode::empty())?))
    }

    fn open_entry(&self) -> io::Result<OwnedFd> {
        self.openat(OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC)
    }

    fn openat(&self, flags: OFlags) -> io::Result<OwnedFd> {
        let (folder, entry) = (&self.folder, &self.entry);
        self.rights.act(self.recipient, || Ok(openat(folder, entry, flags, Mode::empty())?))
    }

    fn stat(&self) -> io::Result<Stat> {
        let (folder, entry) = (&self.folder, &self.entry);
        self.rights.act(self.recipient, || Ok(statat(folder, entry, AtFlags::SYMLINK_NOFOLLOW)?))
    }
}

fn top() -> io::Result<OwnedFd> {
    Ok(openat(CWD, "/", FOLDER, Mode::empty())?)
}

/// The names of a path, the first last.
fn names(path: &Path) -> Vec<OsString> {
    let name = |component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().rev().filter_map(name).collect()
}
