//! Who goes on running because a plan was refused, and which plans are refused for that in turn: all of it is settled
//! before anything is stopped.
use crate::replace;
use crate::replacements::Replacements;
use plan::{RunningInstances, UNPLANNED};
use record::{Engine, Plan, Warning};
use state::Directory;
use std::collections::BTreeSet;
use std::path::Path;
use stop::Request;
use tool::{Failure, Io};

/// Take back the requests that nothing is to come of, until none is left, and give back the plans that may start.
///
/// A plan that has failed spares what `--prune` would stop of its engine: that may be what it was to succeed. What goes on
/// running keeps its port, so whoever is to have that port is refused, and what runs in his place goes on too.
pub(crate) fn resolve_conflicts(
    plans: Vec<Plan>,
    requests: &mut Vec<Request>,
    replacements: &mut Replacements,
    io: &mut Io,
) -> Result<Vec<Plan>, Failure> {
    let places = places(&plans);
    let mut plans = plans;
    loop {
        plans.retain(|plan| !io.ended((plan.engine, plan.instance.as_str())));
        spare(requests, io)?;
        let goes = |place: &&Directory| requests.iter().any(|request| request.place == **place);
        let staying = RunningInstances::of(places.iter().filter(|place| !goes(place)).cloned());
        let count = plans.len();
        let mut may_start = Vec::new();
        for plan in plans {
            match staying.taken(&plan).filter(|_| !plan.reused) {
                Some(failure) => refuse(&plan, failure, (requests, replacements), io)?,
                None => may_start.push(plan),
            }
        }
        plans = may_start;
        if plans.len() == count {
            return Ok(plans);
        }
    }
}

/// `iplan` let it pass because we could have stopped who has its port.
fn refuse(
    plan: &Plan,
    failure: Failure,
    (requests, replacements): (&mut Vec<Request>, &mut Replacements),
    io: &mut Io,
) -> Result<(), Failure> {
    let Some(at) = requests.iter().position(|request| request.place.path() == plan.state_dir) else {
        return io.fail((plan.engine, plan.instance.as_str()), failure);
    };
    requests.remove(at);
    if let Some(launch) = replacements.take(&plan.state_dir) {
        launch.abandon();
    }
    replace::refuse(plan, failure, io)
}

/// Take back what `--prune` asks of engines of which a plan has failed.
fn spare(requests: &mut Vec<Request>, io: &mut Io) -> Result<(), Failure> {
    let spared = |request: &Request| {
        let engine = request.place.engine().filter(|_| request.forget)?;
        io.any_ended(engine).then_some(engine)
    };
    let engines: BTreeSet<Engine> = requests.iter().filter_map(spared).collect();
    let name = |request: &Request| request.place.instance().map(str::to_owned);
    let names: Vec<(Engine, String)> =
        requests.iter().filter_map(|request| Some((spared(request)?, name(request)?))).collect();
    requests.retain(|request| spared(request).is_none());
    for engine in engines {
        let of: Vec<&str> =
            names.iter().filter(|(other, _)| *other == engine).map(|(_, name)| name.as_str()).collect();
        io.warn(Warning {
            engine: Some(engine),
            instance: None,
            rule: UNPLANNED.to_owned(),
            what: format!("--prune leaves {engine} {} alone: a plan of {engine} failed", of.join(", ")),
            hint: "mend what failed, then run it again".to_owned(),
        })?;
    }
    Ok(())
}

/// Every instance in the run directories of the plans.
fn places(plans: &[Plan]) -> Vec<Directory> {
    let run_dirs: BTreeSet<&Path> =
        plans.iter().filter_map(|plan| plan.state_dir.parent().and_then(Path::parent)).collect();
    run_dirs.into_iter().flat_map(|run_dir| state::instances(run_dir).places).collect()
}
