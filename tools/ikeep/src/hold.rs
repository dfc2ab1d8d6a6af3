//! Taking hold of an instance.
use record::Keeper;
use state::{Directory, Lock, Taken};
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
            Err(Taken::By(pid)) => pid,
            Err(Taken::Io(error)) => {
                return Err(Failure::io(Code::Unmet, format!("cannot lock {}", path.display()), &error));
            }
        };
        if !replace || Instant::now() > until {
            return Err(kept_already(directory, pid));
        }
        if matches!(directory.status(), Ok(Some(status)) if status.state == Keeper::Stopping) {
            until = Instant::now() + WORD;
        }
        thread::sleep(PAUSE);
    }
}

/// That another keeper has the instance.
pub(crate) fn kept_already(directory: &Directory, pid: u32) -> Failure {
    let what = format!("cannot lock {}", directory.lock_file().display());
    Failure::new(Code::Later, what, format!("process {pid} keeps this instance already"))
}
