//! One instance, as it is now.
use crate::why;
use ask::Target;
use gpu::Holder;
use record::{KeeperState, Plan, Rung, Status};
use state::Directory;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tool::{Code, Failure};
use tree::Process;

/// How long one question to an engine may take. SGLang's health generates a token, which takes a second and more.
const LIMIT: Duration = Duration::from_secs(3);

/// What was seen.
pub(crate) struct Inspected {
    pub(crate) status: Status,
    /// It is where its plan wants it, as far as is known without having it generate.
    pub(crate) ready: bool,
    /// The run directory that it was found in.
    pub(crate) run_dir: PathBuf,
    /// From the last start to the first 200 of `/health`; absent before that.
    pub(crate) start_to_healthy_s: Option<f64>,
    processes: Vec<Process>,
}

impl Inspected {
    /// With the GPU memory that its processes hold.
    pub(crate) fn with_gpu(mut self, holders: &[Holder]) -> Self {
        let pids: Vec<u32> = self.processes.iter().map(|process| process.pid).collect();
        self.status.gpu_bytes = gpu::bytes_held_by(holders, &pids);
        self
    }
}

/// Its keeper, and what that does or has left; `None` where nothing was ever kept.
pub(crate) fn state(place: &Directory) -> Result<Option<(Option<u32>, KeeperState, state::Status)>, Failure> {
    let unreadable =
        |name: &'static str| move |error: io::Error| unreadable(&place.path().join(name), &error);
    let keeper = place.keeper().map_err(unreadable("lock"))?;
    let kept = place.state_while(keeper.is_some()).map_err(unreadable("status.json"))?;
    Ok(kept.map(|(state, status)| (keeper, state, status)))
}

/// Look at the instance of a state directory; `None` where nothing was ever kept.
pub(crate) fn inspect(place: &Directory) -> Result<Option<Inspected>, Failure> {
    let unreadable =
        |name: &'static str| move |error: io::Error| unreadable(&place.path().join(name), &error);
    let (Some(engine), Some(instance)) = (place.engine(), place.instance()) else { return Ok(None) };
    let Some((keeper, state, kept)) = state(place)? else { return Ok(None) };
    let plan = place.plan().map_err(unreadable("plan.json"))?;
    let user = place.user().map_err(unreadable(""))?;
    let processes = match (keeper, &kept.instance_id) {
        (Some(keeper), _) => tree::family(keeper),
        (None, Some(id)) if state == KeeperState::Lost => tree::find_by_instance_id(id, &user),
        _ => Vec::new(),
    };
    let pid = kept.pid.filter(|pid| processes.iter().any(|process| process.pid == *pid));
    let unplanned = || Target::at("127.0.0.1", kept.port);
    let target = plan.as_ref().map_or_else(unplanned, |plan| Target::of_plan(plan, &user));
    let url = target.url().to_owned();
    let runs = state == KeeperState::Running && pid.is_some();
    let (rung, goal) = if runs { highest_rung(place, target, plan.as_ref()) } else { (None, Rung::Alive) };
    // What another server answers says nothing of this one.
    let ours = || {
        let host = plan.as_ref().map_or("127.0.0.1", |plan| plan.host.as_str());
        keeper.is_none_or(|keeper| tree::answers(host, kept.port, keeper, &user).is_ok())
    };
    let rung = rung.map(|rung| if rung > Rung::Alive && !ours() { Rung::Alive } else { rung });
    let mut status = Status {
        engine,
        instance: instance.to_owned(),
        state,
        rung,
        url,
        pid,
        restarts: kept.restarts,
        up_s: kept.started_unix.filter(|_| runs).map(since),
        stale: plan.as_ref().is_some_and(|plan| user.act(|| is_stale(plan)).unwrap_or(false)),
        log_file: kept.log_file.clone(),
        rss_bytes: (!processes.is_empty()).then(|| tree::usage(&processes).rss_bytes),
        gpu_bytes: None,
        last_exit: None,
        class: None,
        reason: None,
        evidence: None,
        hint: None,
        egress: kept.egress.clone().map(why::cleaned_egress),
    };
    let idle_stop_s = plan.as_ref().and_then(|plan| plan.control.idle_stop_s);
    why::explain(&mut status, &kept, idle_stop_s);
    let run_dir = place.path().parent().and_then(Path::parent).unwrap_or(Path::new("/")).to_owned();
    // One that sleeps is where its plan wants it.
    let ready = state == KeeperState::Asleep || rung.is_some_and(|rung| rung >= goal);
    let start_to_healthy_s =
        kept.started_unix.zip(kept.healthy_unix).map(|(start, healthy)| tenths(healthy - start));
    Ok(Some(Inspected { status, ready, run_dir, start_to_healthy_s, processes }))
}

/// A file of a state directory that cannot be used, and the hint: other rights, or istop --forget.
fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let failure = Failure::io(Code::Unmet, format!("cannot read {}", path.display()), error);
    why::cleaned(match error.kind() {
        io::ErrorKind::PermissionDenied => failure.hint("run istat as root or as the instance's user"),
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            failure.hint("it is damaged: istop --forget removes it, ilaunch writes it anew")
        }
        _ => failure,
    })
}

/// The rung it is on, and the one that it has to be on. Nothing is generated to find out, so `listed` is the highest; a key
/// that we may not read leaves it at `healthy`.
fn highest_rung(place: &Directory, target: Target, plan: Option<&Plan>) -> (Option<Rung>, Rung) {
    let goal = plan.map_or(Rung::Listed, |plan| plan.control.ready_rung.min(Rung::Listed));
    let (key, goal) = match place.api_key() {
        Ok(key) => (key, goal),
        Err(_) => (None, goal.min(Rung::Healthy)),
    };
    if target.health(LIMIT).is_err() {
        return (Some(Rung::Alive), goal);
    }
    let served = plan.and_then(|plan| plan.served_name.as_deref());
    let listed = target.with_key(key).models(LIMIT).is_ok_and(|ids| match served {
        Some(name) => ids.iter().any(|id| id == name),
        None => !ids.is_empty(),
    });
    (Some(if listed { Rung::Listed } else { Rung::Healthy }), goal)
}

/// Whether its install is no longer the current one.
fn is_stale(plan: &Plan) -> bool {
    plan.install_path.as_deref().and_then(install::is_current) == Some(false)
}

fn since(unix: f64) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64());
    tenths(now - unix)
}

/// Rounded to tenths of a second, never negative: a clock may have been set back.
fn tenths(seconds: f64) -> f64 {
    (seconds.max(0.0) * 10.0).round() / 10.0
}
