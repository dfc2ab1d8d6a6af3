//! Whose rights a thing is touched with.
use crate::credentials::{Credentials, is_root};
use nix::unistd::{self, Gid, Uid};
use rustix::fs::{AtFlags, CWD, Stat, fstat, statat};
use std::cell::RefCell;
use std::cmp::Ordering;
use std::ffi::CString;
use std::io;
use std::os::fd::AsFd;

/// The group of users that the user database does not know, where a file gives no better one.
const NO_GROUP: u32 = 65_534;

/// More users than that have engines on few machines.
const MAX_CACHED: usize = 8;

thread_local! {
    static CACHE: RefCell<Vec<Owner>> = const { RefCell::new(Vec::new()) };
}

/// A user, as far as the kernel's checks are concerned. It comes from our own process, from the user database, or from
/// something that the kernel says who owns, and never from a number that somebody wrote down.
#[derive(Clone, Debug)]
pub struct Owner {
    credentials: Credentials,
}

impl PartialEq for Owner {
    fn eq(&self, other: &Self) -> bool {
        self.uid() == other.uid()
    }
}

impl Eq for Owner {}

impl PartialOrd for Owner {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Owner {
    fn cmp(&self, other: &Self) -> Ordering {
        self.uid().cmp(&other.uid())
    }
}

impl Owner {
    /// Whoever the calling thread acts as now.
    #[must_use]
    pub fn current() -> Self {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let groups = rustix::process::getgroups().unwrap_or_default();
        let groups = groups.into_iter().map(rustix::process::Gid::as_raw).collect();
        Self { credentials: Credentials { uid, gid, groups } }
    }

    /// A user that was looked up in the user database.
    ///
    /// # Errors
    /// What the user database says of the user's groups.
    pub fn of_entry(entry: &unistd::User) -> io::Result<Self> {
        let name = CString::new(entry.name.as_str())?;
        let groups = unistd::getgrouplist(&name, entry.gid)?.into_iter().map(Gid::as_raw).collect();
        Ok(Self { credentials: Credentials { uid: entry.uid.as_raw(), gid: entry.gid.as_raw(), groups } })
    }

    /// Whose an open file or folder is.
    ///
    /// # Errors
    /// What the system says.
    pub fn of(open: impl AsFd) -> io::Result<Self> {
        Ok(Self::of_stat(&fstat(open)?))
    }

    /// As whom a process runs; its user cannot have it look like anybody else's.
    ///
    /// # Errors
    /// What the system says: there is no such process.
    pub fn of_process(pid: u32) -> io::Result<Self> {
        let found = statat(CWD, format!("/proc/{pid}"), AtFlags::SYMLINK_NOFOLLOW)?;
        let (uid, gid) = (found.st_uid, found.st_gid);
        Ok(Self { credentials: Credentials { uid, gid, groups: vec![gid] } })
    }

    /// The groups are those of the user database: a file's group says nothing about its owner, who can have made it in a
    /// folder that hands its group down. Only of a user whom the database does not know there is no better sign.
    pub(crate) fn of_stat(stat: &Stat) -> Self {
        let (uid, gid) = (stat.st_uid, stat.st_gid);
        // Whoever is not root never acts as anybody, so nobody needs to be looked up.
        if is_root()
            && uid != 0
            && let Some(owner) = Self::known(uid)
        {
            return owner;
        }
        let gid = if gid == 0 && uid != 0 { NO_GROUP } else { gid };
        Self { credentials: Credentials { uid, gid, groups: vec![gid] } }
    }

    /// As the user database has him, which is asked once: a way leads through many folders of one user.
    fn known(uid: u32) -> Option<Self> {
        let met = CACHE.with_borrow(|known| known.iter().find(|owner| owner.uid() == uid).cloned());
        met.or_else(|| {
            let entry = unistd::User::from_uid(Uid::from_raw(uid)).ok().flatten()?;
            let owner = Self::of_entry(&entry).ok()?;
            CACHE.with_borrow_mut(|known| {
                known.truncate(MAX_CACHED - 1);
                known.insert(0, owner.clone());
            });
            Some(owner)
        })
    }

    /// User id.
    #[must_use]
    pub fn uid(&self) -> u32 {
        self.credentials.uid
    }

    /// Primary group.
    #[must_use]
    pub fn gid(&self) -> u32 {
        self.credentials.gid
    }

    /// All groups, the primary one included.
    #[must_use]
    pub fn groups(&self) -> &[u32] {
        &self.credentials.groups
    }

    /// Whether the calling thread acts as this user anyway.
    #[must_use]
    pub fn is_current(&self) -> bool {
        rustix::process::geteuid().as_raw() == self.uid()
    }

    /// Whether what belongs to this user is as good as our own: it is root's, who may do anything anyway, or ours.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        is_trusted(self.uid())
    }

    /// Send a signal, if this user could send it himself. That is asked here: the kernel also lets pass what the real user
    /// may, who stays root in [`Owner::act`], or is not root and is asked to end a process of his own. `send` sends it to the
    /// process `pid`, which cannot come to be another one.
    ///
    /// # Errors
    /// EPERM where the user could not; what the system says.
    pub fn signal(&self, pid: u32, send: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        if self.is_current() {
            return send();
        }
        let status = match std::fs::read_to_string(format!("/proc/{pid}/status")) {
            // One that is hidden from us is not ours, which the kernel says.
            Err(_) if !is_root() => return send(),
            read => read?,
        };
        let ids = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
        // Real, effective, saved.
        let mut ids = ids.split_ascii_whitespace().step_by(2).take(2);
        if !ids.any(|id| id.parse() == Ok(self.uid())) {
            return Err(rustix::io::Errno::PERM.into());
        }
        self.act(send)?
    }

    /// Do something with this user's rights and no others: the calling thread has them until `act` returns or panics. Who
    /// is not root acts with his own. Start no thread and no process in it: they would have these rights, and root's within
    /// reach.
    ///
    /// # Errors
    /// What the system says when we may not have the user's rights; then nothing was done. A root without CAP_SETUID, or
    /// in a user namespace that does not know the user, may not.
    pub fn act<T>(&self, act: impl FnOnce() -> T) -> io::Result<T> {
        if self.is_current() || !is_root() {
            return Ok(act());
        }
        let _assumed = self.credentials.assume().map_err(|error| {
            let words = error.to_string();
            let words = words.split(" (os error ").next().unwrap_or_default();
            io::Error::new(error.kind(), format!("cannot act as uid {}: {words}", self.uid()))
        })?;
        Ok(act())
    }
}

/// Who logged in to run this process, as the kernel remembers it through sudo and su; `None` for what the system started.
#[must_use]
pub fn login_uid() -> Option<u32> {
    let text = std::fs::read_to_string("/proc/self/loginuid").ok()?;
    text.trim().parse().ok().filter(|uid| *uid != u32::MAX)
}

/// Whether the word of user `uid` may have us open the file of `stat`. The kernel asks whether he could where root does it with
/// his rights. Who is not root has his own: he opens for another user what is that user's or open to all, and nothing that is
/// his own, wherever it lies.
pub(crate) fn may_name(uid: u32, stat: &Stat) -> bool {
    let open_to_all = stat.st_mode & 0o004 != 0 && rustix::process::geteuid().as_raw() != stat.st_uid;
    is_root() || is_trusted(uid) || stat.st_uid == uid || open_to_all
}

/// Root, or whoever runs this process; not whoever the thread acts as for a while.
pub(crate) fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == if is_root() { 0 } else { rustix::process::geteuid().as_raw() }
}
