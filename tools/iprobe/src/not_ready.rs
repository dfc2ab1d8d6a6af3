//! Why a rung was not reached.
use ask::{Error, Target};
use tool::{Code, Failure};

/// What may be done about it.
pub(crate) enum NotReady {
    /// It may be, later.
    Pending(String),
    /// The same, and something has moved.
    Moved(String),
    /// Somebody else has our port.
    PortConflict(String),
    /// A server that is healthy and says no will say no again.
    Final(Failure),
}

impl NotReady {
    pub(crate) fn pending(why: String) -> Self {
        Self::Pending(why)
    }

    pub(crate) fn of(target: &Target, asked: &str, error: &Error) -> Self {
        let refusal = |code| {
            let what = format!("{} refuses {asked}", target.url());
            Failure::new(code, what, error.to_string())
        };
        if let Error::Untrusted(cause) = error {
            let failure = Failure::new(Code::Unmet, format!("cannot speak TLS to {}", target.url()), cause);
            return Self::Final(
                failure.hint("restart it where its certificate has changed since: ilaunch --replace"),
            );
        }
        match error.code() {
            Some(401 | 403) => {
                Self::Final(refusal(Code::Unmet).hint("give the server's key with --key-file"))
            }
            Some(code @ (400 | 404 | 405 | 501)) => {
                let mend = if code == 400 { "mend what it names, often the chat template; " } else { "" };
                let hint = "for a server that does not chat, set ready_rung = \"listed\" in its control table, \
                            or give --rung listed";
                Self::Final(refusal(Code::No).hint(format!("{mend}{hint}")))
            }
            _ => Self::Pending(format!("{asked}: {error}")),
        }
    }
}
