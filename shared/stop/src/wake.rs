//! Waking an instance whose engine was ended because nobody asked.
use crate::instance::{PAUSE, open_keeper, refused, signal, unreadable};
use failure::{Code, Failure};
use record::KeeperState;
use rustix::process::Signal;
use state::Directory;
use std::thread;
use std::time::{Duration, Instant};

/// Tell the keeper of a sleeping instance to start its engine; says whether it slept. Told twice, it starts it once.
///
/// # Errors
/// Code 69: its keeper is another user's. 75: who holds its lock is no keeper.
pub fn wake(place: &Directory) -> Result<bool, Failure> {
    if !sleeps(place)? {
        return Ok(false);
    }
    let Some(keeper) = open_keeper(place, "wake")? else { return Ok(false) };
    let user = place.user().map_err(|error| unreadable(place, &error))?;
    // Only a keeper that sleeps gets the signal: one of another version may not know it.
    if !sleeps(place)? {
        return Ok(false);
    }
    match signal(&user, &keeper, Signal::USR1) {
        Ok(()) => Ok(true),
        // It was asked to stop meanwhile.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => Ok(false),
        Err(error) => {
            let what = format!("cannot wake {}: process {} keeps it", place.path().display(), keeper.pid());
            Err(refused(what, &error))
        }
    }
}

/// The same, and wait until it is awake: its engine may still be on its way out.
///
/// # Errors
/// As [`wake`]. Code 75: it is not awake after `limit`.
pub fn awake(place: &Directory, limit: Duration) -> Result<(), Failure> {
    let until = Instant::now() + limit;
    while wake(place)? {
        if Instant::now() >= until {
            let what = format!("cannot wake {}", place.path().display());
            return Err(Failure::new(Code::Later, what, "its engine has still to end"));
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}

fn sleeps(place: &Directory) -> Result<bool, Failure> {
    let state = place.state().map_err(|error| unreadable(place, &error))?;
    Ok(matches!(state, Some((KeeperState::Asleep, _))))
}
