//! ilaunch: start every planned instance under a keeper.
//!
//! Reads `plan` records, or `env` records where iplan left no trace: it then plans itself. Acts at the end of input. Writes
//! one `instance` record for each instance that is kept.
mod keeper;
mod places;

use clap::Parser;
use keeper::Starting;
use plan::{Gathered, Options};
use record::{Instance, Plan, Record, Step};
use state::{Directory, Order};
use std::path::Path;
use tool::{Code, Failure, Io, Outcome};

#[derive(Parser)]
#[command(version, about)]
struct Args {}

fn main() -> std::process::ExitCode {
    tool::main(run)
}

fn run(_: Args, io: &mut Io) -> Result<Outcome, Failure> {
    let options = Options::of_process(false)?;
    let plans = read(io, &options)?;
    if plans.is_empty() {
        return Ok(Outcome::Done);
    }
    let ikeep = keeper::program()?;
    // Every keeper is started before the first is waited for.
    let begun: Vec<_> = plans.into_iter().map(|plan| (begin(&ikeep, &plan, &options), plan)).collect();
    for (begun, plan) in begun {
        match begun.and_then(|begun| finish(begun, &plan)) {
            Ok(instance) => io.write(instance)?,
            Err(failure) => io.fail((plan.engine, plan.instance.as_str()), failure)?,
        }
    }
    Ok(Outcome::Done)
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
    iplan |= !plans.is_empty() || io.skipped_by("iplan");
    if contract && !iplan {
        return gathered.plan(io, options);
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

/// An instance on its way.
enum Begun {
    /// It runs already.
    Kept(u32),
    /// Its keeper was started.
    Starting(Starting),
}

fn begin(ikeep: &Path, plan: &Plan, options: &Options) -> Result<Begun, Failure> {
    let directory = Directory::at(&plan.state_dir);
    if let Some(pid) = keeper::living(&directory)? {
        return if plan.reused { Ok(Begun::Kept(pid)) } else { Err(keeper::busy(plan, pid)) };
    }
    let user = places::user_of(plan)?;
    places::make(plan, user.as_ref())?;
    let order = Order { plan: plan.clone(), secrets: plan::secrets(plan, options)? };
    Starting::start(ikeep, &order, user.as_ref()).map(Begun::Starting)
}

fn finish(begun: Begun, plan: &Plan) -> Result<Instance, Failure> {
    match begun {
        Begun::Starting(starting) => Ok(instance(starting.reported()?, plan.clone())),
        Begun::Kept(keeper_pid) => {
            let read = Directory::at(&plan.state_dir).plan();
            let what = || format!("cannot read {}", plan.state_dir.join("plan.json").display());
            let running = read
                .map_err(|error| Failure::io(Code::Unmet, what(), &error))?
                .ok_or_else(|| Failure::new(Code::Later, what(), "the instance is only just starting"))?;
            let stale = plan.stale || running.hash != plan.hash;
            Ok(Instance { reused: true, stale, ..instance(keeper_pid, running) })
        }
    }
}

fn instance(keeper_pid: u32, plan: Plan) -> Instance {
    let program = plan.program.to_string_lossy().into_owned();
    Instance {
        engine: plan.engine,
        instance: plan.instance,
        keeper_pid,
        state_dir: plan.state_dir,
        argv: std::iter::once(program).chain(plan.args).collect(),
        env_set: plan.env_set,
        gpu_ids: plan.gpu_ids,
        host: plan.host,
        port: plan.port,
        served_name: plan.served_name,
        log_file: plan.log_file,
        reused: false,
        stale: false,
    }
}
