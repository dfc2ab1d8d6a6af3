//! With whose rights a cache is read: those of whoever installs from it. What he may not read is a gap, and a link that he
//! has planted leads us nowhere that he could not go.
use child::User;
use std::io;
use tool::{Code, Failure};

/// Whoever installs, where root looks for him; else ourselves.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    user: Option<User>,
}

impl Reader {
    /// The user of this name. Who is not root reads as himself.
    ///
    /// # Errors
    /// The user database cannot be read: 69. Whether there is such a user is for the tool that runs as him.
    pub(crate) fn of(name: Option<&str>) -> Result<Self, Failure> {
        let cannot = |error| Failure::io(Code::Unmet, "cannot look the installing user up", &error);
        let user = name.map(User::named).transpose().map_err(cannot)?.flatten();
        let root = rustix::process::geteuid().is_root();
        Ok(Self { user: user.filter(|user| root && !user.is_current()) })
    }

    /// Who it is, if not ourselves.
    pub(crate) fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    /// Do something with these rights, on the calling thread or one of its own.
    ///
    /// # Errors
    /// We may not have them; then nothing was done.
    pub(crate) fn act<T: Send>(&self, act: impl FnOnce() -> T + Send) -> io::Result<T> {
        match &self.user {
            None => Ok(act()),
            Some(user) => user.act(act),
        }
    }

    /// The same where it is all that is to be done.
    ///
    /// # Errors
    /// As [`Reader::act`]: 69.
    pub(crate) fn must_act<T: Send>(&self, act: impl FnOnce() -> T + Send) -> Result<T, Failure> {
        self.act(act).map_err(|error| self.refused(&error))
    }

    /// The failure to have these rights.
    pub(crate) fn refused(&self, error: &io::Error) -> Failure {
        let name = self.user.as_ref().map_or("this user", |user| &user.name);
        Failure::io(Code::Unmet, format!("cannot read the cache as {name}"), error)
            .hint("run icache as the user who installs, or as a root that may become that user")
    }
}
