//! Ending the memory of an instance that does not run.
use crate::instance;
use failure::{Code, Failure};
use state::{Directory, LockHeld};
use std::io;
use std::thread;
use std::time::Instant;

/// Whether its status is no status, and nobody keeps it who would write a better one, or its lock is no lock.
pub(crate) fn is_damaged(place: &Directory) -> bool {
    let broken =
        |error: &io::Error| matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof);
    match place.keeper() {
        Ok(None) => place.status().is_err_and(|error| broken(&error)),
        Ok(Some(_)) => false,
        Err(error) => broken(&error),
    }
}

/// As the instance's user, whose files they are. Says whether there was anything to forget.
pub(crate) fn forget(place: &Directory) -> Result<bool, Failure> {
    let what = || format!("cannot forget {}", place.path().display());
    let until = Instant::now() + instance::SHORT_WAIT;
    let forgotten = loop {
        match place.forget() {
            // Somebody else is forgetting it.
            Err(LockHeld::By(pid)) if !instance::is_keeper(pid) && Instant::now() < until => {
                thread::sleep(instance::PAUSE);
            }
            forgotten => break forgotten,
        }
    };
    forgotten.map_err(|taken| match taken {
        LockHeld::By(pid) => Failure::new(Code::Later, what(), format!("process {pid} keeps it")),
        LockHeld::Io(error) => instance::refused(what(), &error),
    })
}
