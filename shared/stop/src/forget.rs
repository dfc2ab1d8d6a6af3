//! Forgetting an instance that does not run: its state is removed.
use crate::instance;
use failure::{Code, Failure};
use state::{Directory, LockHeld};
use std::io;
use std::thread;
use std::time::Instant;

/// Whether its `status.json` is damaged and no keeper will write it again, or its lock file is damaged.
pub(crate) fn is_damaged(place: &Directory) -> bool {
    let broken =
        |error: &io::Error| matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof);
    match place.keeper() {
        Ok(None) => place.status().is_err_and(|error| broken(&error)),
        Ok(Some(_)) => false,
        Err(error) => broken(&error),
    }
}

/// Removes the state, with the rights of the instance's user. Returns whether there was any.
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
