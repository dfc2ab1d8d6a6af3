//! Why an archive was not unpacked. Whoever knows the archive's name makes a `Failure` of it.
use std::io;
use tool::{Code, Failure, io_text};

const AGAIN: &str = "copy it here again";

/// Cause, code and hint; the object is named by the caller.
#[derive(Debug)]
pub struct ArchiveError {
    code: Code,
    cause: String,
    hint: Option<String>,
}

impl ArchiveError {
    /// The archive is at fault.
    pub fn bad(cause: impl Into<String>) -> Self {
        Self { code: Code::Input, cause: cause.into(), hint: None }
    }

    /// One of its members is.
    pub(crate) fn member(name: &[u8], why: &str) -> Self {
        Self::bad(format!("member '{}': {why}", String::from_utf8_lossy(name).escape_debug()))
    }

    /// This machine lacks something.
    pub fn unmet(cause: impl Into<String>) -> Self {
        Self { code: Code::Unmet, cause: cause.into(), hint: None }
    }

    /// The system refused to do `what`.
    pub fn system(what: &str, error: impl Into<io::Error>) -> Self {
        Self::unmet(format!("{what}: {}", io_text(&error.into())))
    }

    /// The system has no thread to give.
    #[must_use]
    pub fn no_thread(failure: Failure) -> Self {
        let Failure { code, what, cause, hint, .. } = failure;
        Self { code, cause: format!("{what}: {cause}"), hint }
    }

    /// Reading went wrong: the disk, where the system says so, else what is in the archive.
    #[must_use]
    pub fn reading(error: &io::Error) -> Self {
        if error.raw_os_error().is_some() {
            return Self::unmet(io_text(error));
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::truncated(),
            _ => Self::bad(format!("it is damaged: {}", io_text(error))).hint(AGAIN),
        }
    }

    /// It ends too early.
    #[must_use]
    pub fn truncated() -> Self {
        Self::bad("it is truncated: it ends before its end mark").hint(AGAIN)
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }

    /// The failure of doing `what`.
    #[must_use]
    pub fn failure(self, what: impl Into<String>) -> Failure {
        let failure = Failure::new(self.code, what, self.cause);
        match self.hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

/// Cause and hint, for a caller that does not use the code.
impl From<ArchiveError> for io::Error {
    fn from(error: ArchiveError) -> Self {
        Self::other(error.cause)
    }
}
