//! istop: stop instances.
//!
//! Reads no records. Writes one `stopped` per instance once its processes are gone and its port is free, else `failed`.
use clap::Parser;
use record::{Engine, How};
use state::Directory;
use std::path::PathBuf;
use std::time::Duration;
use stop::Gone;
use tool::{Failure, Io, Outcome};

#[derive(Parser)]
#[command(version, about)]
struct Args {
    /// Only these: ENGINE, ENGINE/INSTANCE or INSTANCE [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Look into this run directory alone
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// When to kill a keeper that does not go [default: stop_timeout_s and 10 more]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
}

fn main() -> std::process::ExitCode {
    tool::main(run)
}

fn run(args: Args, io: &mut Io) -> Result<Outcome, Failure> {
    let Args { names, run_dir, timeout } = args;
    let places = state::named(state::everywhere(run_dir.as_deref())?, &names)?;
    let limit = timeout.map(Duration::from_secs);
    let places = places.into_iter().filter(|place| name(place).is_some()).collect();
    for (place, result) in stop::all(places, limit) {
        let Some((engine, instance)) = name(&place) else { continue };
        match result {
            Ok(Some(gone)) => stop::report((engine, &instance), &gone, io)?,
            // Who was asked for by its own name is answered for.
            Ok(None) if names.contains(&instance) || names.contains(&format!("{engine}/{instance}")) => {
                stop::report((engine, &instance), &NOTHING, io)?;
            }
            Ok(None) => {}
            Err(failure) => io.fail((engine, instance.as_str()), failure)?,
        }
    }
    Ok(Outcome::Done)
}

const NOTHING: Gone = Gone { how: How::Gone, seconds: 0.0, orphans: 0, port_held: None, gpu_left: None };

fn name(place: &Directory) -> Option<(Engine, String)> {
    Some((place.engine()?, place.instance()?.to_owned()))
}
