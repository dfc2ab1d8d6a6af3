//! Taking hold of an instance.
use record::KeeperState;
use rustix::process::{Signal, geteuid};
use state::{Directory, Lock, LockHeld};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::{Duration, Instant};
use tool::{Code, Failure};
use tree::ProcessHandle;

/// How long a keeper that is told to stop gets to say that it does.
const WORD: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);

/// The liveness lock. The keeper `stopping` is waited for: whoever started us stops it, and may have been killed meanwhile, so it is told again.
/// Any other that holds the lock keeps its instance, and nothing changes.
pub(crate) fn take(directory: &Directory, stopping: Option<u32>) -> Result<Lock, Failure> {
    let path = directory.lock_file();
    let mut until = Instant::now() + WORD;
    let mut is_told = false;
    loop {
        let pid = match Lock::take(&path) {
            Ok(lock) => return Ok(lock),
            Err(LockHeld::By(pid)) => pid,
            Err(LockHeld::Io(error)) => {
                return Err(not_a_lock(directory, &error));
            }
        };
        if stopping != Some(pid) || Instant::now() > until {
            return Err(kept_already(directory, pid));
        }
        if !std::mem::replace(&mut is_told, true) {
            tell(directory, pid);
        }
        if matches!(directory.status(), Ok(Some(status)) if status.state == KeeperState::Stopping) {
            until = Instant::now() + WORD;
        }
        thread::sleep(PAUSE);
    }
}

/// Tell the keeper to stop: whoever announced that may have been killed before he did. One of another user is not ours to
/// tell.
fn tell(directory: &Directory, pid: u32) {
    let is_ours =
        std::fs::metadata(format!("/proc/{pid}")).is_ok_and(|found| found.uid() == geteuid().as_raw());
    let Some(keeper) = ProcessHandle::open(pid).filter(|_| is_ours) else { return };
    if directory.keeper().ok().flatten() == Some(pid)
        && let Err(error) = keeper.signal(Signal::TERM)
    {
        log::info!("cannot tell process {pid} to stop: {error}");
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
