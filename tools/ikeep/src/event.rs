//! One thing that a keeper hears of, before it is known what that means for the instance.
use rustix::process::Pid;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// We were told to stop.
    Stop,
    /// A child ended, or several.
    Child,
    /// The engine of this process id answered `/health` with 200.
    Healthy(Pid),
    /// The engine of this process id hangs; why.
    Hung(Pid, String),
    /// Nobody has asked the engine of this process id for as long as it waits for somebody.
    Idle(Pid),
    /// Somebody wants the engine that sleeps.
    Wake,
    /// Something for the log.
    Note(String),
    /// The log has begun to lose lines, or ceased to.
    LinesLost,
}
