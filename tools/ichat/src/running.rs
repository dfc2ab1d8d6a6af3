//! The instance that runs, for a person at a terminal.
use ask::Target;
use record::{Engine, KeeperState, Rung};
use state::{Directory, Instances};
use std::time::Duration;
use tool::{Code, Failure};

/// How long one may take to say that it is healthy.
const LIMIT: Duration = Duration::from_secs(3);

/// An instance that can be asked.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) engine: Engine,
    pub(crate) instance: String,
    pub(crate) place: Directory,
    pub(crate) target: Target,
    /// The name that it serves its model under, where its plan says.
    pub(crate) served_name: Option<String>,
    /// Others that could be asked too.
    pub(crate) others: Vec<String>,
}

/// How far one is.
enum Readiness {
    Ready(Running),
    /// It cannot be asked now, and why; whether that may change by itself.
    NotReady(&'static str, bool),
}

/// The instance of this name, or without one the first that is ready, engines in the usual order: it runs, is healthy and
/// is there to chat.
///
/// # Errors
/// Code 65 for a name that means nothing, 75 where one may become ready, 69 where none will.
pub(crate) fn find(name: Option<&str>) -> Result<Running, Failure> {
    let names: Vec<String> = name.into_iter().map(str::to_owned).collect();
    let Instances { places, unread } = state::filter(state::find_all(None)?, &names)?;
    let seen = tool::thread::each("look", &places, |place| look(place, name.is_some()));
    let (mut ready, mut others, mut soon) = (Vec::new(), Vec::new(), false);
    for (place, seen) in places.iter().zip(seen) {
        match seen.and_then(|seen| seen) {
            Ok(Readiness::Ready(running)) => ready.push(running),
            Ok(Readiness::NotReady(why, may_change)) => {
                soon |= may_change;
                others.push(format!("{} {why}", full_name(place)));
            }
            // One that cannot be read hides no other.
            Err(failure) => others.push(format!("{}: {}", failure.what, failure.cause)),
        }
    }
    let mut ready = ready.into_iter();
    let Some(mut first) = ready.next() else {
        return Err(unread.into_iter().next().unwrap_or_else(|| none_ready(&others, soon)));
    };
    first.others = ready.map(|other| format!("{}/{}", other.engine, other.instance)).collect();
    Ok(first)
}

fn none_ready(others: &[String], soon: bool) -> Failure {
    let cause = if others.is_empty() { "nothing was started".to_owned() } else { others.join(", ") };
    let failure =
        Failure::new(if soon { Code::Later } else { Code::Unmet }, "no instance can be asked", cause);
    failure.hint(if soon {
        "try again in a while; istat --table shows more"
    } else if others.is_empty() {
        "start one, as in: ienv llama-cpp | iplan | ilaunch | iprobe; or name a server with --url"
    } else {
        "start one again, as in: ienv llama-cpp | iplan | ilaunch | iprobe; istat --table shows how each ended"
    })
}

/// `named`: asked for by name, it is asked whatever it is there for.
fn look(place: &Directory, named: bool) -> Result<Readiness, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::io(Code::Unmet, format!("cannot read {}", place.path().display()), &error)
    };
    let (Some(engine), Some(instance)) = (place.engine(), place.instance()) else {
        return Ok(Readiness::NotReady("is no engine", false));
    };
    let Some((state, status)) = place.state().map_err(unreadable)? else {
        return Ok(Readiness::NotReady("is only just starting", true));
    };
    match state {
        KeeperState::Running => {}
        KeeperState::Waiting => return Ok(Readiness::NotReady("waits for another", true)),
        KeeperState::Backoff => return Ok(Readiness::NotReady("is between two starts", true)),
        KeeperState::Asleep => {
            return Ok(Readiness::NotReady(
                "is asleep: a request through ibridge or ilaunch starts it",
                false,
            ));
        }
        KeeperState::Stopping => return Ok(Readiness::NotReady("is stopping", false)),
        KeeperState::Stopped => return Ok(Readiness::NotReady("is stopped", false)),
        KeeperState::Failed => return Ok(Readiness::NotReady("has failed", false)),
        KeeperState::Lost => return Ok(Readiness::NotReady("has lost its keeper", false)),
    }
    let Some(plan) = place.plan().map_err(unreadable)? else {
        return Ok(Readiness::NotReady("is only just starting", true));
    };
    if !named && plan.control.ready_rung < Rung::Answering {
        return Ok(Readiness::NotReady("is not there to chat", false));
    }
    let user = place.user().map_err(unreadable)?;
    let target = Target::of_plan(&plan, &user);
    if tree::answers(&plan.host, plan.port, status.keeper_pid, &user).is_err() {
        return Ok(Readiness::NotReady("shares its port with another server", false));
    }
    if target.health(LIMIT).is_err() {
        return Ok(Readiness::NotReady("is loading or does not answer", true));
    }
    let (instance, served_name) = (instance.to_owned(), plan.served_name);
    Ok(Readiness::Ready(Running {
        engine,
        instance,
        place: place.clone(),
        target,
        served_name,
        others: Vec::new(),
    }))
}

fn full_name(place: &Directory) -> String {
    let engine = place.engine().map_or("?", Engine::id);
    format!("{engine}/{}", place.instance().unwrap_or_default())
}
