//! Folders that root makes for another user.
use crate::path_walk::{PathWalk, Step};
use crate::rights::Rights;
use child::User;
use rustix::fs::{
    AtFlags, FlockOperation, Gid, Mode, OFlags, RenameFlags, Uid, fchmod, fchown, flock, fstat, mkdirat,
    openat, renameat_with, unlinkat,
};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// How often a folder that others take away is made again.
const ATTEMPTS: u32 = 1000;
const MODE: u32 = 0o755;

/// Folders that were made for a user. Those that came to nothing go again, unless somebody else counts on them: whoever
/// does holds a shared flock(2) on them.
#[derive(Debug, Default)]
pub struct Folders {
    /// The innermost first.
    made: Vec<MadeFolder>,
    held: Vec<OwnedFd>,
}

/// One folder that was made, and with whose rights.
#[derive(Debug)]
struct MadeFolder {
    parent: OwnedFd,
    name: OsString,
    rights: Rights,
    user: User,
}

impl Folders {
    /// Make `folder` where it is missing, `user`'s own, for root. Those above it become root's, open to all; below a folder
    /// that others may write, whoever may makes them, so that nothing comes to be where he could not have made it.
    ///
    /// # Errors
    /// What the system says.
    pub fn make(&mut self, user: &User, folder: &Path) -> io::Result<()> {
        for _ in 0..ATTEMPTS {
            let mut made = Vec::new();
            let way = match make(user, folder, &mut made) {
                Ok(way) => way,
                // One on the way was taken away again just now.
                Err(error) if error.kind() == io::ErrorKind::NotFound && !made.is_empty() => continue,
                Err(error) => {
                    remove_made(&made);
                    return Err(error);
                }
            };
            // What cannot be opened is the user's to complain of, and what cannot be locked is not taken away.
            let Some(open) = way.and_then(|way| way.reopen_folder().ok()) else { return Ok(()) };
            match flock(&open, FlockOperation::NonBlockingLockShared) {
                Err(Errno::WOULDBLOCK) => continue,
                Err(_) => return Ok(()),
                Ok(()) if fstat(&open)?.st_nlink == 0 => continue,
                Ok(()) => {}
            }
            self.made.splice(..0, made);
            self.held.push(open);
            return Ok(());
        }
        Ok(())
    }

    /// All is done: remove what is still empty, where nobody else is at work in it.
    pub fn keep(self) {
        let alone = |folder: &OwnedFd| flock(folder, FlockOperation::NonBlockingLockExclusive).is_ok();
        if self.held.iter().all(alone) {
            remove_made(&self.made);
        }
    }
}

fn remove_made(made: &[MadeFolder]) {
    for MadeFolder { parent, name, rights, user } in made {
        let removed = rights.act(user, || Ok(unlinkat(parent, name, AtFlags::REMOVEDIR)?));
        if let Err(error) = removed {
            log::debug!("{}: {}", name.display(), failure::io_text(&error));
        }
    }
}

/// Go to the folder and make what is missing; `None` where something else has its name.
fn make<'u>(user: &'u User, folder: &Path, made: &mut Vec<MadeFolder>) -> io::Result<Option<PathWalk<'u>>> {
    let mut way = PathWalk::to(folder, user)?;
    while let Some(step) = way.next()? {
        match step {
            Step::Folder => {}
            Step::Link => way.follow()?,
            // Whoever is to use it says so.
            Step::Other(_) if way.is_last() => return Ok(None),
            Step::Other(_) => return Err(Errno::NOTDIR.into()),
            Step::Absent(name) => {
                if make_entry(&way, &name)? {
                    let parent = way.folder.try_clone()?;
                    let (rights, user) = (way.rights.clone(), user.clone());
                    made.insert(0, MadeFolder { parent, name: name.clone(), rights, user });
                }
                way.restart_at(name);
            }
        }
    }
    Ok(Some(way))
}

/// Make one folder; `false` where somebody else has by now.
fn make_entry(way: &PathWalk<'_>, name: &OsStr) -> io::Result<bool> {
    let (parent, rights, user) = (&way.folder, &way.rights, way.recipient);
    if *rights == Rights::Recipient {
        return rights.act(user, || match mkdirat(parent, name, Mode::from(MODE)) {
            Err(Errno::EXIST) => Ok(false),
            other => Ok(other.map(|()| true)?),
        });
    }
    // It is there with its owner or not at all: somebody else may be about to make it too, or end us in between.
    let draft = draft();
    let drafted = rights.act(user, || {
        mkdirat(parent, &draft, Mode::from(MODE))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(parent, &draft, flags, Mode::empty())?)
    })?;
    let placed = give(&drafted, way).and_then(|()| rights.act(user, || place(parent, &draft, name)));
    placed.inspect_err(|_| drop(rights.act(user, || Ok(unlinkat(parent, &draft, AtFlags::REMOVEDIR)?))))
}

/// Give the last folder to the user. By its descriptor, and only what its maker's rights have made: a folder of somebody
/// else may have been put in its place.
fn give(drafted: &OwnedFd, way: &PathWalk<'_>) -> io::Result<()> {
    let maker = if let Rights::Owner(user) = &way.rights { user.owner().uid() } else { 0 };
    if fstat(drafted)?.st_uid != maker {
        return Err(Errno::PERM.into());
    }
    // Root without CAP_FOWNER, as in a container, changes nobody else's folder.
    way.rights.act(way.recipient, || Ok(fchmod(drafted, Mode::from(MODE))?))?;
    if way.is_last() {
        let owner = way.recipient.owner();
        let (uid, gid) = (Uid::from_raw(owner.uid()), Gid::from_raw(owner.gid()));
        fchown(drafted, Some(uid), Some(gid))?;
    }
    Ok(())
}

/// Give the folder its name. One that has it by now stays.
fn place(parent: &OwnedFd, draft: &OsStr, name: &OsStr) -> io::Result<bool> {
    let placed = match renameat_with(parent, draft, parent, name, RenameFlags::NOREPLACE) {
        // A file system without that: at worst an empty folder is replaced.
        Err(Errno::INVAL | Errno::NOSYS) => rustix::fs::renameat(parent, draft, parent, name),
        other => other,
    };
    match placed {
        Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {
            unlinkat(parent, draft, AtFlags::REMOVEDIR)?;
            Ok(false)
        }
        other => Ok(other.map(|()| true)?),
    }
}

/// A name that nobody can foresee.
fn draft() -> OsString {
    let random = std::hash::RandomState::new().build_hasher().finish();
    format!(".new-{random:016x}").into()
}
