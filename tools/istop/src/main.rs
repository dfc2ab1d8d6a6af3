//! istop: stop instances.
//!
//! Reads no records. Writes one `stopped` per instance once its processes are gone and its port is free, else `failed`.
mod stop;

use clap::Parser;
use record::{Engine, How, Stopped, Warning};
use state::Directory;
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::thread;
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
    let (sender, results) = channel();
    for place in places {
        let Some((engine, instance)) = name(&place) else { continue };
        let sender = sender.clone();
        // Each mostly waits, and none for another.
        thread::spawn(move || drop(sender.send((engine, instance, stop::stop(&place, limit)))));
    }
    drop(sender);
    for (engine, instance, result) in results {
        match result {
            Ok(Some(gone)) => report(engine, instance, &gone, io)?,
            // Who was asked for by its own name is answered for.
            Ok(None) if names.contains(&instance) || names.contains(&format!("{engine}/{instance}")) => {
                report(engine, instance, &NOTHING, io)?;
            }
            Ok(None) => {}
            Err(failure) => io.fail((engine, instance.as_str()), failure)?,
        }
    }
    Ok(Outcome::Done)
}

const NOTHING: Gone = Gone { how: How::Gone, seconds: 0.0, orphans: 0, port_held: None };

fn report(engine: Engine, instance: String, gone: &Gone, io: &mut Io) -> Result<(), Failure> {
    let Gone { how, seconds, orphans, port_held } = *gone;
    io.write(Stopped { engine, instance: instance.clone(), how, seconds, orphans })?;
    let Some(port) = port_held else { return Ok(()) };
    io.warn(Warning {
        engine: Some(engine),
        what: format!("{engine}/{instance} is gone, but another process listens on port {port}"),
        instance: Some(instance),
        rule: "port_held".to_owned(),
        hint: format!("ss -ltnp 'sport = :{port}' names it"),
    })
}

fn name(place: &Directory) -> Option<(Engine, String)> {
    Some((place.engine()?, place.instance()?.to_owned()))
}
