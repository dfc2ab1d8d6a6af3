//! Making folders.
use crate::{Dir, Owner, walk, write};
use rustix::fs::{
    AtFlags, Mode, OFlags, RenameFlags, fchmod, fchown, fstat, mkdirat, openat, renameat, renameat_with,
    unlinkat,
};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use std::ffi::OsStr;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

/// Open a folder, and make it where it is missing: `owner`'s own, open to all to look into. Those above it that are missing
/// too belong to whoever has the folder that they are made in. One that exists is left as it is.
///
/// # Errors
/// What the system says; who is not root makes folders for nobody else.
pub fn make_folder(path: &Path, owner: &Owner) -> io::Result<Dir> {
    walk::walk(&Owner::current(), path, Some(walk::Missing { last: Some(owner), mode: 0o755 }))
}

/// Open a folder, and make it where it is missing, and those above it: each belongs to whoever has the folder that it is made
/// in, and is open to all to look into. One that exists is left as it is.
///
/// # Errors
/// What the system says.
pub fn make_common_folder(path: &Path) -> io::Result<Dir> {
    walk::walk(&Owner::current(), path, Some(walk::Missing { last: None, mode: 0o755 }))
}

/// Open a folder, and make it where it is missing, and those above it: each belongs to whoever has the folder that it is made
/// in, and is open to its owner alone. One that exists is left as it is.
///
/// # Errors
/// What the system says.
pub fn make_private_folder(path: &Path) -> io::Result<Dir> {
    walk::walk(&Owner::current(), path, Some(walk::Missing { last: None, mode: 0o700 }))
}

impl Dir {
    /// Make a folder in this one for `owner`, with these permissions whatever the umask. It is there with its owner or not
    /// at all: somebody else may be about to make it too, or end us in between. One that has the name by then stays.
    ///
    /// # Errors
    /// What the system says.
    pub fn make(&self, name: impl AsRef<OsStr>, mode: u32, owner: &Owner) -> io::Result<()> {
        let name = crate::dir::one_name(name.as_ref())?;
        let draft = write::draft_name(name)?;
        self.actor.act(|| mkdirat(&self.fd, &draft, Mode::from(0o700)))??;
        let made = self.hand_over(&draft, mode, owner).and_then(|()| self.place(&draft, name));
        if !matches!(made, Ok(true)) {
            drop(self.actor.act(|| unlinkat(&self.fd, &draft, AtFlags::REMOVEDIR)));
        }
        made.map(drop)
    }

    /// Give this folder to another user, with the permissions 0755 and no others. For root, where the old owner has no more
    /// to do with it; what lies in it stays whose it is.
    ///
    /// # Errors
    /// What the system says.
    pub fn give(&self, owner: &Owner) -> io::Result<()> {
        let (uid, gid) = (Some(Uid::from_raw(owner.uid())), Some(Gid::from_raw(owner.gid())));
        // By this descriptor: the name can mean another folder by now.
        rustix::fs::chownat(&self.fd, "", uid, gid, AtFlags::EMPTY_PATH)?;
        // The old owner may have let himself in. A descriptor that only names a folder takes neither call.
        let this = format!("/proc/self/fd/{}", self.fd.as_raw_fd());
        for list in ["system.posix_acl_access", "system.posix_acl_default"] {
            match rustix::fs::removexattr(&this, list) {
                Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(rustix::fs::chmod(&this, Mode::from(0o755))?)
    }

    /// Give this folder these permissions.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let set = || fchmod(openat(&self.fd, ".", flags, Mode::empty())?, Mode::from(mode));
        Ok(self.actor.act(set)??)
    }

    /// Only of a folder that whoever acts here has made: in a user's folder the user can have put another in its place.
    fn hand_over(&self, draft: &OsStr, mode: u32, owner: &Owner) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = self.actor.act(|| openat(&self.fd, draft, flags, Mode::empty()))??;
        self.actor.act(|| fchmod(&made, Mode::from(mode)))??;
        if self.actor != *owner {
            if fstat(&made)?.st_uid != self.actor.uid() {
                return Err(Errno::PERM.into());
            }
            fchown(&made, Some(Uid::from_raw(owner.uid())), Some(Gid::from_raw(owner.gid())))?;
        }
        Ok(())
    }

    /// Give the folder its name. `false`: another has it by now.
    fn place(&self, draft: &OsStr, name: &OsStr) -> io::Result<bool> {
        let placed = self.actor.act(|| {
            match renameat_with(&self.fd, draft, &self.fd, name, RenameFlags::NOREPLACE) {
                // A file system without that: at worst an empty folder is replaced.
                Err(Errno::INVAL | Errno::NOSYS) => renameat(&self.fd, draft, &self.fd, name),
                other => other,
            }
        })?;
        match placed {
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => Ok(false),
            other => Ok(other.map(|()| true)?),
        }
    }
}
