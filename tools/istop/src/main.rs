//! istop: stop instances.
//!
//! Reads no records. Writes one `stopped` per instance once its processes are gone and its port is free, else `failed`.
mod stop;

use clap::Parser;
use gpu::{Left, Meter};
use record::{Engine, How, Stopped, Warning};
use state::Directory;
use std::path::PathBuf;
use std::sync::Arc;
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
    let meter = Arc::new(Meter::default());
    for place in places {
        let Some((engine, instance)) = name(&place) else { continue };
        let (sender, meter) = (sender.clone(), Arc::clone(&meter));
        // Each mostly waits, and none for another.
        thread::spawn(move || drop(sender.send((engine, instance, stop::stop(&place, limit, &meter)))));
    }
    drop(sender);
    for (engine, instance, result) in results {
        match result {
            Ok(Some(gone)) => report(engine, &instance, &gone, io)?,
            // Who was asked for by its own name is answered for.
            Ok(None) if names.contains(&instance) || names.contains(&format!("{engine}/{instance}")) => {
                report(engine, &instance, &NOTHING, io)?;
            }
            Ok(None) => {}
            Err(failure) => io.fail((engine, instance.as_str()), failure)?,
        }
    }
    Ok(Outcome::Done)
}

const NOTHING: Gone = Gone { how: How::Gone, seconds: 0.0, orphans: 0, port_held: None, gpu_left: None };

fn report(engine: Engine, instance: &str, gone: &Gone, io: &mut Io) -> Result<(), Failure> {
    let Gone { how, seconds, orphans, port_held, gpu_left } = *gone;
    io.write(Stopped { engine, instance: instance.to_owned(), how, seconds, orphans })?;
    let warning = |rule: &str, but: String, hint: String| Warning {
        engine: Some(engine),
        instance: Some(instance.to_owned()),
        rule: rule.to_owned(),
        what: format!("{engine}/{instance} is gone, but {but}"),
        hint,
    };
    if let Some(port) = port_held {
        let hint = format!("ss -ltnp 'sport = :{port}' names it");
        io.warn(warning("port_held", format!("another process listens on port {port}"), hint))?;
    }
    if let Some(Left { bytes, named }) = gpu_left {
        let mib = bytes >> 20;
        let but = if named {
            format!("the driver still counts {mib} MiB of GPU memory as its own")
        } else {
            format!("the {mib} MiB in use on its GPUs are still becoming less")
        };
        let hint = "what starts there may not find enough; watch nvidia-smi, and see the kernel's log";
        io.warn(warning("gpu_held", but, hint.to_owned()))?;
    }
    Ok(())
}

fn name(place: &Directory) -> Option<(Engine, String)> {
    Some((place.engine()?, place.instance()?.to_owned()))
}
