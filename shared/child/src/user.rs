//! A user of this machine, with everything that running as one takes.
use failure::{Code, Failure};
use nix::unistd::{self, Uid};
use owner::Owner;
use std::cell::RefCell;
use std::io;
use std::path::PathBuf;
use std::process::Command;

/// So many that were found are remembered, by what they were asked for.
const MAX_CACHED: usize = 8;

thread_local! {
    static CACHE: RefCell<Vec<(String, User)>> = const { RefCell::new(Vec::new()) };
}

/// A user of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// Home directory.
    pub home: PathBuf,
    owner: Owner,
}

impl User {
    /// The user of this name (or number); `None` where there is none.
    ///
    /// # Errors
    /// What the user database says.
    pub fn named(name: &str) -> io::Result<Option<Self>> {
        // The database is asked once: each instance asks for the same user several times.
        let cached = CACHE
            .with_borrow(|cached| cached.iter().find(|(of, _)| of == name).map(|(_, user)| user.clone()));
        if cached.is_some() {
            return Ok(cached);
        }
        let found = match name.parse().map(Uid::from_raw) {
            Ok(uid) => unistd::User::from_uid(uid)?,
            Err(_) => unistd::User::from_name(name)?,
        };
        let found = found.map(Self::complete).transpose()?;
        if let Some(user) = &found {
            CACHE.with_borrow_mut(|cached| {
                cached.truncate(MAX_CACHED - 1);
                cached.insert(0, (name.to_owned(), user.clone()));
            });
        }
        Ok(found)
    }

    /// The user of this name, where children are to run as somebody else than we do. `variable` is where another is named.
    ///
    /// # Errors
    /// There is no such user, or we may not become another: code 69.
    pub fn other(name: Option<&str>, variable: &str) -> Result<Option<Self>, Failure> {
        let Some(name) = name else { return Ok(None) };
        let what = format!("cannot run as user {name}");
        let found = Self::named(name).map_err(|error| Failure::io(Code::Unmet, what.clone(), &error))?;
        let Some(user) = found else {
            let hint = format!("make that user, or set {variable} to another");
            return Err(Failure::new(Code::Unmet, what, "there is no such user").hint(hint));
        };
        if user.is_current() {
            return Ok(None);
        }
        if !unistd::geteuid().is_root() {
            let hint = format!("run as root or as that user, or unset {variable}");
            return Err(Failure::new(Code::Unmet, what, "only root becomes another user").hint(hint));
        }
        Ok(Some(user))
    }

    /// Whoever runs this process; `None` where its uid has no name.
    ///
    /// # Errors
    /// What the user database says.
    pub fn current() -> io::Result<Option<Self>> {
        unistd::User::from_uid(unistd::geteuid())?.map(Self::complete).transpose()
    }

    /// A name for the uid of this process where no user has it: libraries ask for one, and end whoever has none.
    #[must_use]
    pub fn substitute_user() -> Option<String> {
        let uid = unistd::geteuid();
        matches!(unistd::User::from_uid(uid), Ok(None)).then(|| format!("uid{uid}"))
    }

    /// Give a command that runs as we do that name, unless the environment has one.
    pub fn set_name_of_unknown_user(command: &mut Command) {
        let missing = |name: &&str| std::env::var_os(name).is_none();
        let missing: Vec<&str> = ["USER", "LOGNAME"].into_iter().filter(missing).collect();
        if !missing.is_empty()
            && let Some(substitute_user) = Self::substitute_user()
        {
            command.envs(missing.into_iter().map(|name| (name, substitute_user.clone())));
        }
    }

    /// Whether this process already runs as the user.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.owner.is_current()
    }

    /// Whose rights the user has.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Do something with this user's rights, as [`Owner::act`].
    ///
    /// # Errors
    /// As [`Owner::act`].
    pub fn act<T>(&self, act: impl FnOnce() -> T) -> io::Result<T> {
        self.owner.act(act)
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
        // Whom we are anyway has our groups: asking the user database for them costs more than all else that is asked here.
        let owner = if user.uid == unistd::geteuid() { Owner::current() } else { Owner::of_entry(&user)? };
        Ok(Self { name: user.name, home: user.dir, owner })
    }
}

#[cfg(test)]
mod tests {
    use super::User;
    use failure::Code;

    #[test]
    fn who_we_are_is_nobody_else_and_who_is_not_is_told_where_to_name_another() {
        let own = nix::unistd::geteuid().to_string();
        assert_eq!((User::other(None, "X"), User::other(Some(&own), "X")), (Ok(None), Ok(None)));
        let failure = User::other(Some("no-such-user"), "AUTO_INFER_SGLANG_USER").unwrap_err();
        assert_eq!(
            (failure.code, failure.what.as_str(), failure.cause.as_str()),
            (Code::Unmet, "cannot run as user no-such-user", "there is no such user")
        );
        let hint = "make that user, or set AUTO_INFER_SGLANG_USER to another";
        assert_eq!(failure.hint.as_deref(), Some(hint));
    }
}
