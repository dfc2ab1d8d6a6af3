//! The credentials of one thread, changed for a while.
//!
//! Only raw system calls are made: they change the calling thread alone, where the C library's wrappers change all threads.
//! The real and the saved user id stay root's, so that the user whose rights the thread has can neither signal nor trace it.
use rustix::io::Errno;
use rustix::process::{Gid, RawGid, RawUid, Uid};
use rustix::thread::{capabilities, set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use std::io;

/// What a thread may do: its effective ids and its supplementary groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) uid: RawUid,
    pub(crate) gid: RawGid,
    pub(crate) groups: Vec<RawGid>,
}

impl Credentials {
    /// Those that the calling thread has now.
    fn of_thread() -> io::Result<Self> {
        let groups = rustix::process::getgroups()?.into_iter().map(Gid::as_raw).collect();
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        Ok(Self { uid, gid, groups })
    }

    /// Give the calling thread these, until the guard is dropped.
    pub(crate) fn assume(&self) -> io::Result<AssumedRights> {
        let assumed = AssumedRights { before: Self::of_thread()? };
        // Where this fails half way, the guard takes back what was done.
        self.set()?;
        Ok(assumed)
    }

    /// Root first: nobody else may set groups. What is so already is not set: who may not set anything, as the root of some
    /// user namespaces, has then nothing to take back either.
    fn set(&self) -> io::Result<()> {
        set_thread_res_uid(None, Uid::ROOT, None)?;
        let now = Self::of_thread()?;
        if now.groups != self.groups {
            let groups: Vec<Gid> = self.groups.iter().copied().map(Gid::from_raw).collect();
            set_thread_groups(&groups)?;
        }
        if now.gid != self.gid {
            set_thread_res_gid(None, Gid::from_raw(self.gid), None)?;
        }
        set_thread_res_uid(None, Uid::from_raw(self.uid), None)?;
        // A process may have told the kernel to leave it its capabilities at a change of user.
        if self.uid != 0 && !capabilities(None)?.effective.is_empty() {
            return Err(Errno::PERM.into());
        }
        Ok(())
    }
}

/// While it lives, the thread has other credentials than before.
#[must_use]
pub(crate) struct AssumedRights {
    before: Credentials,
}

impl Drop for AssumedRights {
    fn drop(&mut self) {
        if self.before.set().is_err() {
            // Nothing that follows may run with the rights of somebody else.
            std::process::abort();
        }
    }
}

/// Whether the calling thread may assume the credentials of others: it is root, or acts for root already.
pub(crate) fn is_root() -> bool {
    rustix::process::getuid().is_root() || rustix::process::geteuid().is_root()
}
