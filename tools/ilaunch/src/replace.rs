//! Instances that run from another plan than the one that came: checked while they run, then stopped and started anew.
//!
//! The new keeper is started first and waits for the end of its input, which we hold open until the old one is gone. So
//! it goes on by itself, should we be killed in between, and what runs is the old instance or the new one.
use crate::gpu;
use crate::launch::Launch;
use crate::replacements::Replacements;
use plan::Options;
use record::Plan;
use state::Directory;
use std::path::Path;
use stop::{Expected, Request};
use tool::{Failure, Io};

/// Who is to go because the plan of the same state directory is another one. The plan is to start then, and says so.
pub(crate) fn find(plans: &mut [Plan]) -> Vec<Request> {
    let mut requests = Vec::new();
    for plan in plans.iter_mut().filter(|plan| plan.reused) {
        let place = Directory::at(&plan.state_dir);
        let Ok(Some(keeper)) = place.keeper() else { continue };
        let Ok(Some(status)) = place.status() else { continue };
        if status.workspace == plan.workspace && status.plan_hash != plan.hash {
            (plan.reused, plan.stale) = (false, false);
            requests.push(Request { place, expected: Expected::Keeper(keeper), forget: false });
        }
    }
    requests
}

/// Check the plans whose instances are to go, and start their new keepers, which wait. What is refused is failed, and its
/// request taken back: it goes on as it is.
pub(crate) fn prepare(
    plans: &[Plan],
    requests: &mut Vec<Request>,
    (ikeep, options): (&Path, &Options),
    io: &mut Io,
) -> Result<Replacements, Failure> {
    let leaving: Vec<Directory> = requests.iter().map(|request| request.place.clone()).collect();
    let goes = |plan: &&Plan| leaving.iter().any(|place| place.path() == plan.state_dir);
    let mut checked = Vec::new();
    for plan in plans.iter().filter(goes) {
        let failures = plan::recheck(plan, options, &leaving);
        if failures.is_empty() {
            checked.push(plan.clone());
        }
        for failure in failures {
            refuse(plan, failure, io)?;
        }
    }
    let mut replacements = Replacements::default();
    for plan in gpu::check(checked, gpu::CheckTime::BeforeStop, options, io)? {
        match Launch::prepare(ikeep, plan.clone(), options) {
            Ok(launch) => replacements.add(plan.state_dir, launch),
            Err(failure) => refuse(&plan, failure, io)?,
        }
    }
    let refused: Vec<&Plan> =
        plans.iter().filter(goes).filter(|plan| !replacements.has(&plan.state_dir)).collect();
    requests.retain(|request| refused.iter().all(|plan| plan.state_dir != request.place.path()));
    Ok(replacements)
}

/// Say that a new plan is refused, and that what runs goes on.
pub(crate) fn refuse(plan: &Plan, mut failure: Failure, io: &mut Io) -> Result<(), Failure> {
    let Plan { engine, instance, .. } = plan;
    failure.what = format!("did not replace {engine} {instance}, which goes on as it is: {}", failure.what);
    io.fail((*engine, instance.as_str()), failure)
}

/// Stop all these, each with its own record. Who does not go is failed, and keeps its place.
pub(crate) fn stop(
    requests: Vec<Request>,
    replacements: &mut Replacements,
    io: &mut Io,
) -> Result<(), Failure> {
    for request in &requests {
        if let (Expected::Keeper(keeper), Some(launch)) =
            (request.expected, replacements.waiting(request.place.path()))
        {
            launch.announce_stop(keeper);
        }
    }
    for (request, stopped) in stop::stop_all(requests, None) {
        let place = &request.place;
        let (Some(engine), Some(instance)) = (place.engine(), place.instance()) else { continue };
        match stopped {
            Ok(Some(gone)) => stop::report((engine, instance), place, &gone, io)?,
            // It went by itself in the meantime.
            Ok(None) => {}
            Err(failure) => {
                if let Some(launch) = replacements.take(place.path()) {
                    let is_kept = launch.is_kept();
                    launch.abandon();
                    if is_kept {
                        continue;
                    }
                }
                io.fail((engine, instance), failure)?;
            }
        }
    }
    Ok(())
}
