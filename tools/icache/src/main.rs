//! icache: verify a cache against `pixi.lock`, naming every gap.
//!
//! Reads `env`. Writes one `gap` per item that is missing or not what the lock file says, then `cache`; a gap that blocks
//! adds `failed` with code 1. Never writes into the cache, but for the manifest that `--record` asks for.
mod deep;
mod manifest;
mod pass;
mod quick;
mod survey;
mod tree;

use clap::Parser;
use record::{Env, Record, Road, Step};
use std::path::PathBuf;
use tool::{Code, Failure, Io, Outcome};

#[derive(Parser)]
#[command(version, about)]
struct Args {
    /// Hash every file of every package, not only look it up
    #[arg(long)]
    deep: bool,
    /// After a deep pass without gaps, write the cache's manifest
    #[arg(long)]
    record: bool,
    /// Deep, but hash only files that changed since the pass noted in FILE, and note this pass there
    #[arg(long, value_name = "FILE", conflicts_with = "record")]
    since: Option<PathBuf>,
    /// What cannot be proved blocks too
    #[arg(long)]
    strict: bool,
    /// Platform of the lock file, where it has several for this machine
    #[arg(long, value_name = "NAME")]
    platform: Option<String>,
    /// Threads that hash [default: one per processor]
    #[arg(short, long, value_name = "N")]
    jobs: Option<usize>,
}

fn main() -> std::process::ExitCode {
    tool::main(run)
}

#[expect(clippy::needless_pass_by_value, reason = "tool::main hands the arguments over")]
fn run(args: Args, io: &mut Io) -> Result<Outcome, Failure> {
    while let Some(record) = io.read()? {
        if let Record::Env(env) = record {
            consider(&args, io, &env)?;
        }
    }
    io.require("env", &["ienv"])?;
    Ok(Outcome::Done)
}

/// Verify, or say why not.
fn consider(args: &Args, io: &mut Io, env: &Env) -> Result<(), Failure> {
    if io.ended(env.engine) {
        return Ok(());
    }
    if !env.wants(Step::Install) {
        return io.skip(env.engine, "step install was not asked for");
    }
    if env.road != Some(Road::Cache) {
        let road = env.road.map_or("no", Road::id);
        return io.skip(env.engine, format!("{road} road: nothing is installed from a cache"));
    }
    match verify(args, io, env) {
        Ok(0) => Ok(()),
        Ok(gaps) => {
            let what = format!("cache {}", env.cache_root.clone().unwrap_or_default().display());
            let failure = Failure::new(Code::No, what, format!("{gaps} gaps block the install"));
            let hint = "fetch what the 'gap' records name on a connected machine, or warm the cache again with iwarm";
            io.fail(env.engine, failure.hint(hint))
        }
        Err(failure) => io.fail(env.engine, failure),
    }
}

/// Write the gaps and the `cache` record; how many block.
fn verify(args: &Args, io: &mut Io, env: &Env) -> Result<usize, Failure> {
    let survey = survey::Survey::of(args, env)?;
    let result = survey.run()?;
    let blocking = result.gaps.iter().filter(|gap| gap.blocks).count();
    for gap in result.gaps {
        io.write(gap)?;
    }
    io.write(result.cache)?;
    Ok(blocking)
}
