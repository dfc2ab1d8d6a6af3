//! A user of this machine, with everything that running as one takes.
use nix::unistd::{self, Gid, Uid};
use std::ffi::CString;
use std::io;
use std::path::PathBuf;
use std::process::Command;

/// A user of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// All groups, the primary one included.
    pub groups: Vec<u32>,
    /// Home directory.
    pub home: PathBuf,
}

impl User {
    /// The user of this name (or number); `None` where there is none.
    ///
    /// # Errors
    /// What the user database says.
    pub fn named(name: &str) -> io::Result<Option<Self>> {
        let found = match name.parse().map(Uid::from_raw) {
            Ok(uid) => unistd::User::from_uid(uid)?,
            Err(_) => unistd::User::from_name(name)?,
        };
        found.map(Self::complete).transpose()
    }

    /// Whoever runs this process; `None` where its uid has no name.
    ///
    /// # Errors
    /// What the user database says.
    pub fn current() -> io::Result<Option<Self>> {
        unistd::User::from_uid(unistd::geteuid())?.map(Self::complete).transpose()
    }

    /// Whether this process already runs as the user.
    #[must_use]
    pub fn is_current(&self) -> bool {
        unistd::geteuid().as_raw() == self.uid
    }

    /// Run `act` with the user's rights, on a thread of its own: only a thread's credentials change, and it ends.
    ///
    /// # Errors
    /// What the system says when we may not become the user.
    pub fn act<T: Send>(&self, act: impl FnOnce() -> T + Send) -> io::Result<T> {
        if self.is_current() {
            return Ok(act());
        }
        let become_and_act = || {
            crate::start::become_user(self)?;
            Ok(act())
        };
        std::thread::scope(|scope| {
            let acting = scope.spawn(become_and_act);
            acting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Give a command the user's HOME, USER, LOGNAME and SHELL, and none of the caller's XDG folders.
    pub fn reset_environment(&self, command: &mut Command) {
        command.env("HOME", &self.home).env("USER", &self.name).env("LOGNAME", &self.name);
        for name in Self::RESET {
            command.env_remove(name);
        }
    }

    /// Variables that name the caller's folders and that another user must not inherit.
    pub const RESET: [&str; 6] =
        ["XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "MAIL"];

    fn complete(user: unistd::User) -> io::Result<Self> {
        let name = CString::new(user.name.as_str())?;
        let groups = unistd::getgrouplist(&name, user.gid)?.into_iter().map(Gid::as_raw).collect();
        let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
        Ok(Self { name: user.name, uid, gid, groups, home: user.dir })
    }
}
