//! istop: stop instances.
//!
//! Reads no records. Writes one `stopped` per instance once its processes are gone and its port is free, else `failed`.
use clap::Parser;
use record::{Engine, StopMethod};
use state::{Directory, Instances};
use std::path::PathBuf;
use std::time::Duration;
use stop::{Request, StopOutcome};
use tool::{Failure, Io, Outcome};

#[derive(Parser)]
#[command(version, about)]
struct Args {
    /// Only these: ENGINE, ENGINE/INSTANCE or INSTANCE [default: all]
    #[arg(value_name = "NAME", add = tool::complete::of(state::names))]
    names: Vec<String>,
    /// Look into this run directory alone
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// When to kill a keeper that does not go [default: stop_timeout_s and 10 more]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Write a line for a person for each, in place of records
    #[arg(long)]
    table: bool,
    /// Forget them too: remove their state, so that no tool lists them any more
    #[arg(long)]
    forget: bool,
}

/// Runs the tool with the arguments of this process.
pub fn main() -> std::process::ExitCode {
    tool::main(run)
}

fn run(args: Args, io: &mut Io) -> Result<Outcome, Failure> {
    let Args { names, run_dir, timeout, table, forget } = args;
    if table {
        io.mute();
    }
    let (Instances { places, unread }, unrecorded) = state::find_named(run_dir.as_deref(), &names)?;
    let mut rows = Vec::new();
    let mut report =
        |(engine, instance): (Engine, &str), place: &Directory, gone: &StopOutcome, io: &mut Io| {
            let how = match gone.how {
                StopMethod::Term => "term",
                StopMethod::Kill => "kill",
                StopMethod::Gone => "gone",
            };
            rows.push(format!("{engine}/{instance}  stopped ({how})\n"));
            stop::report((engine, instance), place, gone, io)
        };
    let limit = timeout.map(Duration::from_secs);
    let known = places.into_iter().filter(|place| name(place).is_some());
    let requests = known.map(|place| Request { forget, ..Request::of(place) }).collect();
    for (request, result) in stop::stop_all(requests, limit) {
        let Some((engine, instance)) = name(&request.place) else { continue };
        match result {
            Ok(Some(gone)) => report((engine, &instance), &request.place, &gone, io)?,
            // Who was asked for by its own name is answered for.
            Ok(None) if names.contains(&instance) || names.contains(&format!("{engine}/{instance}")) => {
                report((engine, &instance), &request.place, &StopOutcome::ALREADY, io)?;
            }
            Ok(None) => {}
            Err(failure) => stop::report_failure((engine, &instance), &request.place, failure, io)?,
        }
    }
    for (found, result) in unrecorded.iter().zip(stop::stop_all_unrecorded(&unrecorded, limit)) {
        let (name, place) = ((found.engine, found.instance.as_str()), Directory::at(&found.state_dir));
        match result {
            Ok(gone) => report(name, &place, &gone, io)?,
            Err(failure) => stop::report_failure(name, &place, failure, io)?,
        }
    }
    if table && unread.is_empty() && rows.is_empty() && !io.failed() {
        rows.push("nothing runs\n".to_owned());
    }
    if table {
        io.print(&rows.concat())?;
    }
    unread.into_iter().next().map_or(Ok(Outcome::Done), Err)
}

fn name(place: &Directory) -> Option<(Engine, String)> {
    Some((place.engine()?, place.instance()?.to_owned()))
}
