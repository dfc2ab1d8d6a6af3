//! iwarm: fill a cache through pixi, on a connected machine.
//!
//! Reads `env`, and `gap` and `failed` of `icache`, whose gaps it mends. Writes one `warmed` record per engine whose cache was
//! filled, `skipped` where that was not asked for or nothing is installed from a cache, `warning` records, and `failed`.
mod audit;
#[expect(clippy::disallowed_methods, reason = "runs as the user whose cache it is")]
mod cache_folders;
mod other_user;
mod pixi_failure;
mod repair;
#[expect(clippy::disallowed_methods, reason = "runs as the user whose cache it is")]
mod scratch;
mod task;
#[expect(clippy::disallowed_methods, reason = "runs as the user whose cache it is")]
mod warm;

use child::User;
use record::{Engine, Failed, Gap, Record, Road, Step};
use std::time::Duration;
use task::Task;
use tool::{Failure, Io, Outcome, vars};

#[derive(clap::Parser)]
#[command(version, about)]
struct Args {
    /// How long to wait for another iwarm on the same cache
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    wait: u64,
}

/// Runs the tool with the arguments of this process.
pub fn main() -> std::process::ExitCode {
    tool::main(run)
}

#[expect(clippy::needless_pass_by_value, reason = "tool::main hands the arguments over")]
fn run(args: Args, io: &mut Io) -> Result<Outcome, Failure> {
    // What goes into a cache may be read by all, whatever umask we were started with.
    rustix::process::umask(rustix::fs::Mode::from(0o022));
    io.hold_back("icache");
    // A cache takes its time; whoever needs only the other engines' records has them by then.
    let (mut envs, mut gaps, mut held) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(record) = io.read()? {
        match record {
            Record::Env(env) => envs.push(env),
            Record::Gap(gap) if gap.blocks => gaps.push(gap),
            Record::Failed(failed) if !io.ended(failed.engine) => held.push(failed),
            _ => {}
        }
    }
    for env in envs {
        if io.ended(env.engine) || io.gone() {
            continue;
        }
        let is_ours = |gap: &&Gap| gap.engine == env.engine;
        let ours = gaps.iter().filter(is_ours).cloned().collect();
        let task = Task { patience: Duration::from_secs(args.wait), env: &env, gaps: ours };
        let failed = held.iter().find(|failed| failed.engine == env.engine);
        // Of a failure that is not known from its gaps nothing is mended.
        if !task.gaps.is_empty() || failed.is_none() {
            warm_or_skip(&task, io, failed)?;
        } else if let Some(failed) = failed {
            io.write(failed.clone())?;
        }
    }
    io.require("env", &["ienv"])?;
    Ok(Outcome::Done)
}

/// Fill the engine's cache, or say why not; then what `icache` said of it holds.
fn warm_or_skip(task: &Task<'_>, io: &mut Io, failed: Option<&Failed>) -> Result<(), Failure> {
    let env = task.env;
    // Boot asks for a cache by name; by hand it is for the engines that are installed from one.
    let asked = env.steps.is_some() && env.engine != Engine::LlamaCpp;
    let why = if !env.wants(Step::Warm) {
        Some("step warm was not asked for".to_owned())
    } else if env.road != Some(Road::Cache) && !asked {
        let road = env.road.map_or("no", Road::id);
        Some(format!("{road} road: nothing is installed from a cache"))
    } else {
        None
    };
    if let Some(why) = why {
        return match failed {
            Some(failed) => io.write(failed.clone()),
            None => io.skip(env.engine, why),
        };
    }
    audit::begin(env, io);
    match User::other(env.user.as_deref(), &vars::user(env.engine)) {
        Ok(Some(user)) => return other_user::act(task, user, io),
        Ok(None) => {}
        Err(failure) => return io.fail(env.engine, failure),
    }
    match warm::warm(task, io) {
        Ok(warmed) => io.write(warmed),
        Err(failure) => io.fail(env.engine, failure),
    }
}
