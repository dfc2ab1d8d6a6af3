//! iwarm: fill a cache through pixi, on a connected machine.
//!
//! Reads `env` records. Writes one `warmed` record per engine whose cache was filled, `skipped` where that was not asked
//! for or nothing is installed from a cache, `warning` records, and `failed`.
mod other_user;
#[expect(clippy::disallowed_methods, reason = "runs as the user whose cache it is")]
mod place;
#[expect(clippy::disallowed_methods, reason = "runs as the user whose cache it is")]
mod warm;
mod why;
#[expect(clippy::disallowed_methods, reason = "runs as the user whose cache it is")]
mod workshop;

use child::User;
use record::{Engine, Env, Record, Road, Step};
use std::time::Duration;
use tool::{Failure, Io, Outcome, vars};

#[derive(clap::Parser)]
#[command(version, about)]
struct Args {
    /// How long to wait for another iwarm on the same cache
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    wait: u64,
}

fn main() -> std::process::ExitCode {
    tool::main(run)
}

#[expect(clippy::needless_pass_by_value, reason = "tool::main hands the arguments over")]
fn run(args: Args, io: &mut Io) -> Result<Outcome, Failure> {
    // What goes into a cache may be read by all, whatever umask we were started with.
    rustix::process::umask(rustix::fs::Mode::from(0o022));
    // A cache takes its time; whoever needs only the other engines' records has them by then.
    let mut envs = Vec::new();
    while let Some(record) = io.read()? {
        if let Record::Env(env) = record {
            envs.push(env);
        }
    }
    for env in envs {
        if !io.ended(env.engine) && !io.gone() {
            consider(Duration::from_secs(args.wait), &env, io)?;
        }
    }
    io.require("env", &["ienv"])?;
    Ok(Outcome::Done)
}

/// Fill the engine's cache, or say why not.
fn consider(patience: Duration, env: &Env, io: &mut Io) -> Result<(), Failure> {
    if !env.wants(Step::Warm) {
        return io.skip(env.engine, "step warm was not asked for");
    }
    // Boot asks for a cache by name; by hand it is for the engines that are installed from one.
    let asked = env.steps.is_some() && env.engine != Engine::LlamaCpp;
    if env.road != Some(Road::Cache) && !asked {
        let road = env.road.map_or("no", Road::id);
        return io.skip(env.engine, format!("{road} road: nothing is installed from a cache"));
    }
    match User::other(env.user.as_deref(), &vars::user(env.engine)) {
        Ok(Some(user)) => return other_user::act(patience, env, user, io),
        Ok(None) => {}
        Err(failure) => return io.fail(env.engine, failure),
    }
    match warm::warm(patience, env, io) {
        Ok(warmed) => io.write(warmed),
        Err(failure) => io.fail(env.engine, failure),
    }
}
