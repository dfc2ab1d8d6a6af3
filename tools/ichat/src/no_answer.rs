//! Why there is no answer.
use ask::Error;
use tool::{Code, Failure};

/// What the engine said is an answer, and it is no; that it said nothing may change.
pub(crate) fn failure(what: String, error: &Error) -> Failure {
    let code = match error {
        Error::Unreachable(_) | Error::TimedOut => Code::Later,
        Error::Status { code: 401 | 403, .. } | Error::Untrusted(_) => Code::Unmet,
        Error::Status { code: 429 | 503, .. } => Code::Later,
        Error::Status { .. } | Error::Malformed(_) => Code::No,
    };
    let failure = Failure::new(code, what, error.to_string());
    match error.code() {
        Some(401 | 403) => failure.hint("give the server's key with --key-file"),
        _ => failure,
    }
}
