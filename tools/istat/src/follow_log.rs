//! A log as it grows.
use crate::inspect;
use crate::log::Log;
use crate::since::{self, Since};
use record::KeeperState;
use state::Directory;
use std::io;
use std::thread;
use std::time::Duration;
use tool::{Code, Failure, Io};

const PAUSE: Duration = Duration::from_millis(100);

/// Write the last 20 lines of an instance's log, or those `since` a moment, and all that follow, across rotations, until
/// its keeper is gone or nobody reads any more.
pub(crate) fn follow_log(place: &Directory, since: Option<Since>, io: &mut Io) -> Result<(), Failure> {
    let what = || format!("cannot read the log of {}", place.path().display());
    let cannot = |error: &io::Error| Failure::io(Code::Unmet, what(), error);
    let Some((_, state, status)) = inspect::state(place)? else {
        return Err(Failure::new(Code::Unmet, what(), "nothing was ever kept there"));
    };
    let user = place.user().map_err(|error| cannot(&error))?;
    let mut log = if let Some(since) = since {
        since::write((user, &status.log_file), since, is_live(state), io)?.map_err(|error| cannot(&error))?
    } else {
        let mut log = Log::open(user, &status.log_file).map_err(|error| cannot(&error))?;
        let begun = log.last_lines().map_err(|error| cannot(&error))?;
        io.print(&tool::lines_of(&begun))?;
        log
    };
    while !io.gone() {
        // Asked before reading: what a keeper wrote before it went is then read below.
        let live = place.state().is_ok_and(|state| state.is_some_and(|(state, _)| is_live(state)));
        let text = log.more(live).map_err(|error| cannot(&error))?;
        if !text.is_empty() {
            io.print(&tool::lines_of(&text))?;
        } else if !live {
            break;
        } else {
            thread::sleep(PAUSE);
        }
    }
    Ok(())
}

fn is_live(state: KeeperState) -> bool {
    !matches!(state, KeeperState::Failed | KeeperState::Stopped | KeeperState::Lost)
}
