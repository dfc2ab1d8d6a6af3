//! istat: tell what is running.
//!
//! Reads no records. Writes one `status` per instance that was ever kept; with `--table` a table, with `--log` a log.
#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "tests make their own files"))]
mod follow;
mod look;
mod since;
mod table;
mod unrecorded;
mod why;

use clap::Parser;
use look::Looked;
use since::Since;
use state::{Directory, Found};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;
use tool::{Code, Failure, Io, Outcome};

#[derive(Parser)]
#[command(version, about)]
struct Args {
    /// Only these: ENGINE, ENGINE/INSTANCE or INSTANCE [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Look into this run directory alone
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// Write a table instead of records
    #[arg(long)]
    table: bool,
    /// Write the table anew every two seconds
    #[arg(long)]
    watch: bool,
    /// Write the log of the one instance that NAME means, and follow it
    #[arg(long, conflicts_with_all = ["table", "watch"])]
    log: bool,
    /// With --log: begin there instead, 10m ago, or at 2026-11-29T10:00 UTC
    #[arg(long, value_name = "TIME", requires = "log", value_parser = Since::parse)]
    since: Option<Since>,
}

const REDRAW: Duration = Duration::from_secs(2);

fn main() -> std::process::ExitCode {
    tool::main(run)
}

fn run(args: Args, io: &mut Io) -> Result<Outcome, Failure> {
    let Args { names, run_dir, table, watch, log, since } = args;
    let run_dir = run_dir.as_deref();
    if log {
        follow::follow(&the_one(run_dir, &names)?, since, io)?;
        return Ok(Outcome::Done);
    }
    if table || watch {
        io.mute();
    }
    while watch && !io.gone() {
        let clear = if io::stdout().is_terminal() { "\x1b[H\x1b[2J" } else { "" };
        let Seen { looked, unread, .. } = look_at_all(run_dir, &names, io)?;
        io.print(&format!("{clear}{}\n", table::of(&looked)))?;
        if let Some(failure) = unread {
            return Err(failure);
        }
        thread::sleep(REDRAW);
    }
    let Seen { looked, unread, all_recorded } = look_at_all(run_dir, &names, io)?;
    let ready =
        all_recorded && looked.iter().all(|looked| looked.ready) && (names.is_empty() || !looked.is_empty());
    if table {
        io.print(&table::of(&looked))?;
    }
    for looked in looked {
        io.write(looked.status)?;
    }
    match unread {
        Some(failure) => Err(failure),
        None => Ok(if ready { Outcome::Done } else { Outcome::No }),
    }
}

/// What could be seen, and why there may be more.
struct Seen {
    looked: Vec<Looked>,
    unread: Option<Failure>,
    /// Nothing runs without a state directory.
    all_recorded: bool,
}

/// All at once: one that does not answer holds up no other.
fn look_at_all(run_dir: Option<&Path>, names: &[String], io: &mut Io) -> Result<Seen, Failure> {
    let (Found { places, unread }, unrecorded) = unrecorded::settled(run_dir, names)?;
    for place in &places {
        log::info!("looks at {}", place.path().display());
    }
    log::info!("{} instances have a state directory, {} run without one", places.len(), unrecorded.len());
    let holders = || if places.is_empty() { Vec::new() } else { gpu::holders().unwrap_or_default() };
    let (held, looks) = thread::scope(|scope| {
        let held = tool::thread::start_scoped(scope, "holders", holders);
        let looks = tool::thread::each("look", &places, look::look);
        // Without a thread one question comes after the other.
        (held.map_or_else(|_| holders(), |thread| thread.join().unwrap_or_default()), looks)
    });
    let mut looked = Vec::new();
    for (place, look) in places.iter().zip(looks) {
        match (look.and_then(|look| look), place.engine()) {
            (Ok(seen), _) => looked.extend(seen.map(|seen| seen.with_gpu(&held))),
            (Err(failure), Some(engine)) => {
                io.fail((engine, place.instance().unwrap_or_default()), failure)?;
            }
            (Err(failure), None) => return Err(failure),
        }
    }
    for found in &unrecorded {
        io.warn(unrecorded::warning(found))?;
    }
    Ok(Seen { looked, unread: unread.into_iter().next(), all_recorded: unrecorded.is_empty() })
}

/// The one instance that the names mean.
fn the_one(run_dir: Option<&Path>, names: &[String]) -> Result<Directory, Failure> {
    let Found { mut places, mut unread } = state::named(state::everywhere(run_dir)?, names)?;
    if places.len() == 1 {
        return Ok(places.remove(0));
    }
    if places.is_empty() && !unread.is_empty() {
        return Err(unread.remove(0));
    }
    let what = "cannot tell whose log is meant";
    let full = |place: &Directory| Some(format!("{}/{}", place.engine()?, place.instance()?));
    let known: Vec<String> = places.iter().filter_map(full).collect();
    let cause = if known.is_empty() { "nothing was kept".to_owned() } else { known.join(", ") };
    Err(Failure::new(Code::Usage, what, cause).hint("name one, as in: istat --log llama-cpp/NAME"))
}
