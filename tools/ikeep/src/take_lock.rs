//! Taking hold of an instance.
use record::KeeperState;
use state::{Directory, Lock, LockHeld};
use std::io;
use std::thread;
use std::time::{Duration, Instant};
use tool::{Code, Failure};

/// How long a keeper that was told to stop gets to say that it does.
const WORD: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(20);

/// The liveness lock. With `replace`, a keeper that holds it and is on its way out is waited for: whoever started us
/// stops it, and may have been killed meanwhile. One that is not told to stop keeps its instance, and nothing changes.
pub(crate) fn take(directory: &Directory, replace: bool) -> Result<Lock, Failure> {
    let path = directory.lock_file();
    let mut until = Instant::now() + WORD;
    loop {
        let pid = match Lock::take(&path) {
            Ok(lock) => return Ok(lock),
            Err(LockHeld::By(pid)) => pid,
            Err(LockHeld::Io(error)) => {
                return Err(not_a_lock(directory, &error));
            }
        };
        if !replace || Instant::now() > until {
            return Err(kept_already(directory, pid));
        }
        if matches!(directory.status(), Ok(Some(status)) if status.state == KeeperState::Stopping) {
            until = Instant::now() + WORD;
        }
        thread::sleep(PAUSE);
    }
}

/// Why it cannot be locked, and the way out where something else stands in its place.
fn not_a_lock(directory: &Directory, error: &io::Error) -> Failure {
    use io::ErrorKind::{InvalidData, IsADirectory};
    let what = format!("cannot lock {}", directory.lock_file().display());
    let failure = Failure::io(Code::Unmet, what, error);
    match (error.kind(), directory.engine(), directory.instance()) {
        (IsADirectory | InvalidData, Some(engine), Some(instance)) => {
            failure.hint(format!("istop --forget {engine}/{instance} removes what stands there"))
        }
        _ => failure,
    }
}

/// That another keeper has the instance.
pub(crate) fn kept_already(directory: &Directory, pid: u32) -> Failure {
    let what = format!("cannot lock {}", directory.lock_file().display());
    Failure::new(Code::Later, what, format!("process {pid} keeps this instance already"))
}
