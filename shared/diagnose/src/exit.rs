//! How an engine's process ended.
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// How the engine's process ended, with what else is known of its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code, if it exited.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// The `oom_kill` counter of its memory cgroup grew while it ran.
    pub oom_killed: bool,
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        Self { code: status.code(), signal: status.signal(), oom_killed: false }
    }
}
