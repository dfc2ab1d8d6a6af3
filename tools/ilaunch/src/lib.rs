//! ilaunch: start every planned instance under a keeper.
//!
//! Reads `plan` records, or `env` records where iplan left no trace: it then plans itself. Acts at the end of input. Writes
//! one `instance` record for each instance that is kept, and with `--prune` and `--replace` one `stopped` for each that had
//! to go.
mod audit;
mod folders;
mod gpu;
mod input;
mod keeper;
mod launch;
mod orphans;
mod pipe;
mod prune;
mod replace;
mod replacement_check;
mod replacements;

use clap::Parser;
use launch::Launch;
use plan::Options;
use record::Plan;
use tool::{Failure, Io, Outcome};

#[derive(Clone, Copy, Parser)]
#[command(version, about)]
struct Args {
    /// Stop and forget what the configuration no longer names, or disables
    #[arg(long)]
    prune: bool,
    /// Restart what runs from another plan, once the new plan is checked
    #[arg(long)]
    replace: bool,
}

/// Runs the tool with the arguments of this process.
pub fn main() -> std::process::ExitCode {
    tool::main(run)
}

fn run(args: Args, io: &mut Io) -> Result<Outcome, Failure> {
    let options = Options { replace: args.replace, ..Options::of_process(false)? };
    let mut input = input::read(io, &options)?;
    let mut requests = if args.prune && !io.gone() { prune::find(&input, io)? } else { Vec::new() };
    let mut plans = input::only_one_in_front(std::mem::take(&mut input.plans), io)?;
    if plans.is_empty() && requests.is_empty() {
        return Ok(Outcome::Done);
    }
    let ikeep = child::sibling("ikeep")?;
    audit::begin(&plans, io);
    if args.replace {
        requests.extend(replace::find(&mut plans));
    }
    let mut replacements = replace::prepare(&plans, &mut requests, (&ikeep, &options), io)?;
    let plans = replacement_check::resolve_conflicts(plans, &mut requests, &mut replacements, io)?;
    replace::stop(requests, &mut replacements, io)?;
    let plans = orphans::end(alive(plans, io), io)?;
    let plans = gpu::check(plans, gpu::CheckTime::BeforeStart(&replacements), &options, io)?;
    // Every keeper is started before the first is waited for, but for those that are waited for by another.
    let mut launches: Vec<Launch> = Vec::new();
    for plan in plans {
        if let Some(other) = &plan.after {
            launches.iter_mut().filter(|before| before.state_dir() == other).for_each(Launch::settle);
        }
        launches.push(match replacements.take(&plan.state_dir) {
            Some(launch) => launch.commit(),
            None => Launch::begin(&ikeep, plan, &options),
        });
    }
    finish(launches, io)
}

/// Those that have not failed by now.
fn alive(plans: Vec<Plan>, io: &Io) -> Vec<Plan> {
    plans.into_iter().filter(|plan| !io.ended((plan.engine, plan.instance.as_str()))).collect()
}

/// Say what came of each; the exit code of one in the foreground is ours.
fn finish(launches: Vec<Launch>, io: &mut Io) -> Result<Outcome, Failure> {
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
