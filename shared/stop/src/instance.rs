//! One instance.
use crate::request::{Expected, Request};
use failure::{Code, Failure};
use gpu::{Meter, Unreleased};
use owner::Owner;
use record::{KeeperState, Plan, StopMethod};
use rustix::process::Signal;
use state::Directory;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};
use tree::{Listening, Process, ProcessHandle, Swept};

/// What the keeper needs beyond the engine's grace: the rest's, and its own end.
pub(crate) const MARGIN: Duration = Duration::from_secs(10);
/// As long as anybody waits for an engine, whatever its plan says.
const LONGEST_S: u64 = 24 * 3600;
/// The engine's grace where the plan cannot be read.
pub(crate) const GRACE: Duration = Duration::from_secs(30);
/// How long the kernel gets to take down what was killed. Drivers hold on to the dead for long.
const DEATH: Duration = Duration::from_secs(30);
/// How long a port may stay taken after the last process that held it.
const PORT: Duration = Duration::from_secs(5);
/// How long a driver gets to take back the GPU memory of processes that have ended.
const GPU: Duration = Duration::from_secs(10);

/// How long the lock may be held by somebody who is no keeper.
pub(crate) const SHORT_WAIT: Duration = Duration::from_secs(2);
/// Between two looks at a lock or a port.
pub(crate) const PAUSE: Duration = Duration::from_millis(10);

/// What it took.
#[derive(Debug)]
pub struct StopOutcome {
    /// What ended it.
    pub how: StopMethod,
    /// How long it took.
    pub seconds: f64,
    /// Processes that outlived the keeper and were ended.
    pub orphans: u32,
    /// The port, where somebody else listens on it.
    pub port_held: Option<u16>,
    /// GPU memory that its driver has not taken back.
    pub gpu_left: Option<Unreleased>,
    /// Its state was removed too.
    pub forgotten: bool,
}

impl StopOutcome {
    /// One that was gone already.
    pub const ALREADY: Self = Self {
        how: StopMethod::Gone,
        seconds: 0.0,
        orphans: 0,
        port_held: None,
        gpu_left: None,
        forgotten: false,
    };
}

/// Stop the instance of a state directory: end its keeper, or what a keeper that is gone has left, and wait for the port
/// and, where a GPU answers, for its memory. `None`: nothing runs and nothing was left.
pub(crate) fn stop(
    request: &Request,
    limit: Option<Duration>,
    meter: &Meter,
) -> Result<Option<StopOutcome>, Failure> {
    let begun = Instant::now();
    let place = &request.place;
    let processes = processes(place);
    let plan = place.plan().ok().flatten();
    let before = place.status().ok().flatten();
    let grace = plan.as_ref().map(|plan| Duration::from_secs(plan.control.stop_timeout_s.min(LONGEST_S)));
    let ended = end_keeper(request, limit.unwrap_or(grace.unwrap_or(GRACE) + MARGIN))?;
    let Some((state, now)) = place.state().map_err(|error| unreadable(place, &error))? else {
        return Ok(None);
    };
    if ended.is_none() && state != KeeperState::Lost {
        log::info!("nothing of {} runs", place.path().display());
        return Ok(None);
    }
    // Somebody may have started the instance again by now: that start is not ours to end.
    let status = match (&ended, before) {
        (Some(ended), Some(before)) if now.keeper_pid != ended.keeper => before,
        _ => now,
    };
    let user = place.user().map_err(|error| unreadable(place, &error))?;
    log::info!("looks for what is left of {}", place.path().display());
    let swept =
        status.instance_id.map_or_else(|| Ok(Swept::default()), |id| tree::sweep(&id, &user, status.pid));
    let swept = swept.map_err(|error| unseen(place.path(), &error))?;
    if let Some(pid) = swept.stuck {
        return Err(stuck(place.path(), pid));
    }
    for name in tree::remove(&status.segments, &user) {
        log::info!("removed /dev/shm/{name}, which it had left");
    }
    let (how, killed) = match ended.map(|ended| ended.killed) {
        None => (StopMethod::Gone, 0),
        Some(Some(others)) => (StopMethod::Kill, others),
        Some(None) => (status.how.unwrap_or(StopMethod::Term), 0),
    };
    let port_held = plan.as_ref().filter(|plan| !port_gets_free(plan)).map(|plan| plan.port);
    let gpu_left = plan.and_then(|plan| gpu_left(&plan, &processes, meter));
    let seconds = (begun.elapsed().as_secs_f64() * 1e3).round() / 1e3;
    let orphans = killed + swept.ended;
    Ok(Some(StopOutcome { how, seconds, orphans, port_held, gpu_left, forgotten: false }))
}

/// A keeper that has ended.
struct Ended {
    keeper: u32,
    /// We killed it, and so many others with it; `None`: it went as it should.
    killed: Option<u32>,
}

/// TERM to the keeper, and wait. `None` when there is none.
fn end_keeper(request: &Request, limit: Duration) -> Result<Option<Ended>, Failure> {
    let place = &request.place;
    let Some(keeper) = open_keeper(place, "stop")? else { return Ok(None) };
    let is_meant = match request.expected {
        Expected::Anybody => true,
        Expected::Keeper(pid) => pid == keeper.pid(),
        Expected::Nobody => false,
    };
    if !is_meant {
        let cause = format!("it was started again in the meantime, and process {} keeps it", keeper.pid());
        return Err(Failure::new(Code::Later, format!("did not stop {}", place.path().display()), cause));
    }
    let pid = keeper.pid();
    let user = place.user().map_err(|error| unreadable(place, &error))?;
    let path = place.path().display();
    log::info!("{path} is kept by process {pid}: sends it TERM and waits {} s at most", limit.as_secs());
    let killed = end_process((place.path(), &user), keeper, limit)?;
    Ok(Some(Ended { keeper: pid, killed }))
}

/// TERM to the keeper of a state directory and its user, and KILL to it and its tree once `limit` has passed; says how many
/// others were killed with it.
pub(crate) fn end_process(
    (path, user): (&Path, &Owner),
    keeper: ProcessHandle,
    limit: Duration,
) -> Result<Option<u32>, Failure> {
    match signal(user, &keeper, Signal::TERM) {
        Err(error) if error.raw_os_error() != Some(rustix::io::Errno::SRCH.raw_os_error()) => {
            let what = format!("cannot stop {}: process {} keeps it", path.display(), keeper.pid());
            return Err(refused(what, &error));
        }
        // A suspended process gets no signal before it continues.
        _ => drop(signal(user, &keeper, Signal::CONT)),
    }
    let keeper = [keeper];
    if tree::wait_for_exit(&keeper, limit) {
        return Ok(None);
    }
    kill_tree((path, user), &keeper).map(Some)
}

/// The keeper, asked for again once it is pinned: what is signalled is what holds the lock.
pub(crate) fn open_keeper(place: &Directory, what: &str) -> Result<Option<ProcessHandle>, Failure> {
    let ask = || place.keeper().map_err(|error| unreadable(place, &error));
    let until = Instant::now() + SHORT_WAIT;
    while let Some(pid) = ask()? {
        if !is_keeper(pid) {
            if Instant::now() >= until {
                let cause = format!("process {pid} holds its lock and is no keeper");
                return Err(Failure::new(
                    Code::Later,
                    format!("cannot {what} {}", place.path().display()),
                    cause,
                ));
            }
            thread::sleep(PAUSE);
            continue;
        }
        let pinned = ProcessHandle::open(pid);
        if ask()? == Some(pid) {
            return match pinned {
                Some(pinned) => Ok(Some(pinned)),
                None => Err(Failure::new(
                    Code::Unmet,
                    format!("cannot {what} {}", place.path().display()),
                    format!("its keeper, process {pid}, cannot be seen from here"),
                )),
            };
        }
    }
    Ok(None)
}

/// Whether it is one of ours. Whoever ends the memory of an instance holds its lock too, for a moment.
pub(crate) fn is_keeper(pid: u32) -> bool {
    Process::name(pid).is_some_and(|name| name == "ikeep")
}

/// With the rights of the instance's user: whatever he has made us take for his keeper, it is his.
pub(crate) fn signal(user: &Owner, process: &ProcessHandle, signal: Signal) -> io::Result<()> {
    user.signal(process.pid(), || process.signal(signal))
}

/// KILL to the keeper, first, so that it starts nothing again, and to all that descend from it.
fn kill_tree((path, user): (&Path, &Owner), keeper: &[ProcessHandle; 1]) -> Result<u32, Failure> {
    let others: Vec<ProcessHandle> =
        tree::descendants(keeper[0].pid()).into_iter().filter_map(ProcessHandle::of).collect();
    // Who has gone in the meantime cannot be signalled, and that is seen below.
    let send = |process: &ProcessHandle| drop(signal(user, process, Signal::KILL));
    send(&keeper[0]);
    let ids: Vec<u32> = others.iter().map(ProcessHandle::pid).collect();
    let all = tree::kill(others, &send, DEATH);
    if !tree::wait_for_exit(keeper, DEATH) {
        return Err(stuck(path, keeper[0].pid()));
    }
    let lives = |pid: &&u32| Process::read(**pid).is_some_and(|process| !process.zombie);
    match ids.iter().find(lives).filter(|_| !all) {
        Some(pid) => Err(stuck(path, *pid)),
        None => Ok(u32::try_from(ids.len()).unwrap_or(u32::MAX)),
    }
}

/// All processes are gone, and with them their sockets; whoever listens now is somebody else.
fn port_gets_free(plan: &Plan) -> bool {
    let address: Option<IpAddr> = plan.host.parse().ok().filter(|address: &IpAddr| !address.is_unspecified());
    let until = Instant::now() + PORT;
    loop {
        if tree::listening(address, plan.port, &[]) == Listening::Nobody {
            return true;
        }
        if Instant::now() >= until {
            return false;
        }
        thread::sleep(PAUSE);
    }
}

/// All of it that run now, before any is told to go: afterwards only their ids are left, in the driver's list.
fn processes(place: &Directory) -> Vec<u32> {
    let kept = place.keeper().ok().flatten().map(tree::family);
    let left = || {
        let (_, status) = place.state().ok()??;
        Some(tree::find_by_instance_id(&status.instance_id?, &place.user().ok()?))
    };
    kept.or_else(left).unwrap_or_default().into_iter().map(|process| process.pid).collect()
}

/// What the driver still counts as theirs, or as used, when its time is up.
fn gpu_left(plan: &Plan, processes: &[u32], meter: &Meter) -> Option<Unreleased> {
    if plan.gpu_ids == "none" || processes.is_empty() {
        return None;
    }
    let visible = plan.env_set.get(gpu::VISIBLE).map(String::as_str);
    gpu::wait_until_released(meter, processes, (&plan.gpu_ids, visible), GPU)
}

fn stuck(path: &Path, pid: u32) -> Failure {
    let what = format!("cannot stop {}", path.display());
    let failure = Failure::new(Code::Later, what, format!("process {pid} was killed and has not ended"));
    failure.hint("the kernel is still taking it down, often in a driver; try again")
}

pub(crate) fn unseen(place: &Path, error: &io::Error) -> Failure {
    let what = format!("cannot look for what is left of {}", place.display());
    Failure::io(Code::Unmet, what, error).hint("it may still run: try again")
}

pub(crate) fn unreadable(place: &Directory, error: &io::Error) -> Failure {
    refused(format!("cannot read {}", place.path().display()), error)
}

pub(crate) fn refused(what: String, error: &io::Error) -> Failure {
    let failure = Failure::io(Code::Unmet, what, error);
    match error.kind() {
        io::ErrorKind::PermissionDenied => failure.hint("run as root or as the instance's user"),
        _ => failure,
    }
}
