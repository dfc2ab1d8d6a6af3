//! ilaunch: start every planned instance under a keeper.
//!
//! Reads `plan` records, or `env` records where iplan left no trace: it then plans itself. Acts at the end of input. Writes
//! one `instance` record for each instance that is kept.
mod gpu;
mod keeper;
mod launch;
mod orphans;
mod places;

use clap::Parser;
use launch::Launch;
use plan::{Gathered, Options};
use record::{Plan, Record, Step};
use tool::{Code, Failure, Io, Outcome};

#[derive(Parser)]
#[command(version, about)]
struct Args {}

fn main() -> std::process::ExitCode {
    tool::main(run)
}

fn run(_: Args, io: &mut Io) -> Result<Outcome, Failure> {
    let options = Options::of_process(false)?;
    let plans = only_one_in_front(read(io, &options)?, io)?;
    if plans.is_empty() {
        return Ok(Outcome::Done);
    }
    let ikeep = keeper::program()?;
    let plans = orphans::end(plans, io)?;
    let plans = gpu::check(plans, &options, io)?;
    // Every keeper is started before the first is waited for, but for those that are waited for by another.
    let mut launches: Vec<Launch> = Vec::new();
    for plan in plans {
        if let Some(other) = &plan.after {
            launches.iter_mut().filter(|before| before.state_dir() == other).for_each(Launch::settle);
        }
        launches.push(Launch::begin(&ikeep, plan, &options));
    }
    let mut outcome = Outcome::Done;
    for launch in launches {
        let plan = launch.plan.clone();
        match launch.finish() {
            Ok((instance, foreground)) => {
                io.write(instance)?;
                if let Some(foreground) = foreground {
                    outcome = Outcome::Child(foreground.wait()?);
                }
            }
            Err(failure) => io.fail((plan.engine, plan.instance.as_str()), failure)?,
        }
    }
    Ok(outcome)
}

/// Every plan that nothing ended before its turn; ours where iplan left no trace.
fn read(io: &mut Io, options: &Options) -> Result<Vec<Plan>, Failure> {
    let mut plans: Vec<Plan> = Vec::new();
    let mut gathered = Gathered::default();
    let (mut contract, mut iplan) = (false, false);
    while let Some(record) = io.read()? {
        gathered.note(&record);
        match record {
            Record::Env(_) => contract = true,
            Record::Plan(plan) => plans.push(plan),
            Record::Failed(failed) => iplan |= failed.by == "iplan",
            _ => {}
        }
    }
    if io.gone() {
        // The stream was not read to its end: what stood there is not known, nor who would hear of a start.
        return Ok(Vec::new());
    }
    gathered.refuse_other_users(io)?;
    iplan |= !plans.is_empty() || io.skipped_by("iplan");
    if contract && !iplan {
        return Ok(gathered.plan(io, options)?.plans);
    }
    io.require("plan", &["iplan", "ienv"])?;
    plans.retain(|plan| !io.ended((plan.engine, plan.instance.as_str())));
    let (wanted, others): (Vec<_>, Vec<_>) =
        plans.into_iter().partition(|plan| io.wants(plan.engine, Step::Serve));
    for plan in others {
        io.skip((plan.engine, plan.instance.as_str()), "step serve was not asked for")?;
    }
    Ok(wanted)
}

/// An instance in the foreground is the only one, over all engines: its exit code is ours.
fn only_one_in_front(plans: Vec<Plan>, io: &mut Io) -> Result<Vec<Plan>, Failure> {
    if plans.len() < 2 {
        return Ok(plans);
    }
    let (behind, front): (Vec<_>, Vec<_>) = plans.into_iter().partition(|plan| plan.control.background);
    for plan in front {
        let what = format!("cannot start {} {} in the foreground", plan.engine, plan.instance);
        let failure = Failure::new(Code::Input, what, "it is not the only instance")
            .hint("set control.background = true, or pipe one engine with one enabled instance");
        io.fail((plan.engine, plan.instance.as_str()), failure)?;
    }
    Ok(behind)
}
