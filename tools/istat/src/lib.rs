//! istat: show what is running.
//!
//! Reads no records. Writes one `status` per instance that was ever kept, with `--follow` one more at each change; with
//! `--table` a table, with `--metrics` measures, with `--log` a log.
#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "tests make their own files"))]
mod changes;
mod follow_log;
mod inspect;
mod log;
mod metrics;
mod selection;
mod since;
mod stamp;
mod table;
mod timeline;
mod unrecorded;
mod why;

use clap::Parser;
use selection::Selection;
use since::Since;
use state::{Directory, Instances};
use std::path::{Path, PathBuf};
use table::{Colour, Style};
use tool::{Code, Failure, Io, Outcome};

#[derive(Parser)]
#[command(version, about)]
struct Args {
    /// Only these: ENGINE, ENGINE/INSTANCE or INSTANCE [default: all]
    #[arg(value_name = "NAME", add = tool::complete::of(state::names))]
    names: Vec<String>,
    /// Look into this run directory alone
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// Write a table instead of records
    #[arg(long)]
    table: bool,
    /// When the table is in colour
    #[arg(long, value_name = "WHEN", value_enum, default_value = "auto", hide_possible_values = true)]
    color: Colour,
    /// Write the table anew every two seconds
    #[arg(long)]
    watch: bool,
    /// Write a status record more whenever one changes
    #[arg(long, conflicts_with_all = ["table", "watch"])]
    follow: bool,
    /// Write OpenMetrics text for a monitor instead of records
    #[arg(long, conflicts_with_all = ["table", "watch", "follow"])]
    metrics: bool,
    /// Write where the seconds of each instance's last start went
    #[arg(long, conflicts_with_all = ["table", "watch", "follow", "metrics"])]
    timeline: bool,
    /// Write the log of the one instance that NAME means, and follow it
    #[arg(long, conflicts_with_all = ["table", "watch", "follow", "metrics", "timeline"])]
    log: bool,
    /// With --log: begin there instead, 10m ago, or at 2026-11-29T10:00 UTC
    #[arg(long, value_name = "TIME", requires = "log", value_parser = Since::parse)]
    since: Option<Since>,
}

/// Runs the tool with the arguments of this process.
pub fn main() -> std::process::ExitCode {
    tool::main(run)
}

fn run(args: Args, io: &mut Io) -> Result<Outcome, Failure> {
    let Args { names, run_dir, table, color, watch, follow, metrics, timeline, log, since } = args;
    let (run_dir, names) = (run_dir.as_deref(), names.as_slice());
    if log {
        follow_log::follow_log(&only_instance(run_dir, names)?, since, io)?;
        return Ok(Outcome::Done);
    }
    if timeline {
        return write_timelines(run_dir, names, io);
    }
    if follow {
        selection::write_changes(run_dir, names, io)?;
        return Ok(Outcome::Done);
    }
    let style = Style::of_stdout(color);
    if table || watch || metrics {
        io.mute();
    }
    if watch {
        selection::redraw(run_dir, names, style, io)?;
    }
    let mut seen = Selection::now(run_dir, names)?;
    let ready = seen.unrecorded.is_empty()
        && seen.inspected.iter().all(|inspected| inspected.ready)
        && (names.is_empty() || !seen.inspected.is_empty());
    seen.report(io, |_| true)?;
    let Selection { inspected, unread, .. } = seen;
    if table {
        io.print(&table::of(&inspected, style))?;
    }
    if metrics {
        io.print(&metrics::of(&inspected))?;
    }
    for inspected in inspected {
        io.write(inspected.status)?;
    }
    match unread {
        Some(failure) => Err(failure),
        // The measures say which are ready: what collects them does not branch on it.
        None => Ok(if ready || metrics { Outcome::Done } else { Outcome::No }),
    }
}

/// A text for each instance that was ever started.
fn write_timelines(run_dir: Option<&Path>, names: &[String], io: &mut Io) -> Result<Outcome, Failure> {
    io.mute();
    let Instances { places, unread } = state::filter(state::find_all(run_dir)?, names)?;
    for place in &places {
        match timeline::of(place) {
            Ok(text) => io.print(&text.unwrap_or_default())?,
            Err(failure) => match place.engine() {
                Some(engine) => io.fail((engine, place.instance().unwrap_or_default()), failure)?,
                None => return Err(failure),
            },
        }
    }
    unread.into_iter().next().map_or(Ok(Outcome::Done), Err)
}

/// The one instance that the names mean.
fn only_instance(run_dir: Option<&Path>, names: &[String]) -> Result<Directory, Failure> {
    let Instances { mut places, mut unread } = state::filter(state::find_all(run_dir)?, names)?;
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
