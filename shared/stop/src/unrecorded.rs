//! Stopping what runs without a state directory, found by the instance ids of its processes.
use crate::StopOutcome;
use crate::instance::{self, GRACE, MARGIN};
use failure::{Code, Failure};
use record::StopMethod;
use state::{Directory, Unrecorded};
use std::path::Path;
use std::time::{Duration, Instant};
use tree::ProcessHandle;

/// TERM to its keeper, where that lives, then an end to all that carries one of its instance ids. Which port and which GPUs it had is
/// not known.
pub(crate) fn stop(found: &Unrecorded, limit: Option<Duration>) -> Result<StopOutcome, Failure> {
    let begun = Instant::now();
    let mut gone = StopOutcome::ALREADY;
    if let Some(keeper) = found.keeper.and_then(|pid| pin(pid, found)) {
        let ended =
            instance::end_process((&found.state_dir, &found.owner), keeper, limit.unwrap_or(GRACE + MARGIN))?;
        (gone.how, gone.orphans) = ended.map_or((StopMethod::Term, 0), |others| (StopMethod::Kill, others));
    }
    for id in &found.instance_ids {
        let swept = tree::sweep(id, &found.owner, None);
        let swept = swept.map_err(|error| instance::unseen(&found.state_dir, &error))?;
        if let Some(pid) = swept.stuck {
            let what = format!("cannot stop what ran in {}", found.state_dir.display());
            return Err(Failure::new(
                Code::Later,
                what,
                format!("process {pid} was killed and has not ended"),
            ));
        }
        gone.orphans += swept.ended;
    }
    gone.seconds = (begun.elapsed().as_secs_f64() * 1e3).round() / 1e3;
    Ok(gone)
}

/// The same of all that ran in a state directory that is empty now; `None` where nothing did.
pub(crate) fn stop_in(place: &Directory, limit: Option<Duration>) -> Result<Option<StopOutcome>, Failure> {
    let run_dir = place.path().parent().and_then(Path::parent);
    let path = std::path::absolute(place.path()).unwrap_or_else(|_| place.path().to_owned());
    let mut stopped = None;
    for found in state::find_unrecorded(run_dir)?.iter().filter(|found| found.state_dir == path) {
        stopped = Some(stop(found, limit)?);
    }
    Ok(stopped)
}

/// The keeper, looked for again once it is pinned: what is signalled is what its engine descends from.
fn pin(pid: u32, found: &Unrecorded) -> Option<ProcessHandle> {
    let pinned = ProcessHandle::open(pid)?;
    let still = |child: &u32| {
        let keeper = tree::Process::read(*child).and_then(tree::keeper_of);
        keeper.is_some_and(|keeper| keeper.pid == pid)
    };
    found.pids.iter().any(still).then_some(pinned)
}
