//! ireport: make a report of a saved stream: the evidence of a run.
//!
//! Reads the stream of a run, from files or standard input. Writes no records: standard output gets a Markdown text, or with
//! `--html` one page that needs nothing else. With `--diff` it compares two runs. With `--keep` it hands the stream on as it
//! comes, and keeps it.
mod changes;
mod diff;
mod html;
mod keep;
mod markdown;
mod markup;
mod moment;
mod page;
mod redact;
mod run;
mod sections;
mod svg;
mod table;

use clap::Parser;
use page::Page;
use run::Run;
use std::path::PathBuf;
use tool::{Code, Failure, Io, Outcome};

#[derive(Parser)]
#[command(version, about)]
struct Args {
    /// Files with the stream, in order [default: standard input]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Write one HTML page instead of Markdown
    #[arg(long)]
    html: bool,
    /// Write a table for a person at a terminal instead: what, how it stands, what to do
    #[arg(long, conflicts_with_all = ["html", "diff"])]
    table: bool,
    /// Compare two runs, OLD and NEW; exit code 1 where more than times has changed
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"], conflicts_with = "files")]
    diff: Option<Vec<PathBuf>>,
    /// Make no report: keep standard input in INFER_DEV_KEEP, as NAME-TIME-PID.jsonl, and hand it on
    #[arg(long, value_name = "NAME", conflicts_with_all = ["html", "table", "diff", "files"])]
    keep: Option<String>,
}

/// Runs the tool with the arguments of this process.
pub fn main() -> std::process::ExitCode {
    tool::main(run)
}

fn run(args: Args, io: &mut Io) -> Result<Outcome, Failure> {
    let Args { files, html, table, diff, keep } = args;
    io.mute();
    if let Some(name) = keep {
        return keep::keep(&name);
    }
    if let Some([old, new]) = diff.as_deref() {
        let [old, new] = [Run::of_file(old)?, Run::of_file(new)?];
        let (page, changed) = diff::page(&old, &new);
        write(&page, html, io)?;
        check_complete(&old)?;
        check_complete(&new)?;
        return Ok(if changed { Outcome::No } else { Outcome::Done });
    }
    let mut all = Run::default();
    for file in &files {
        all.add(Run::of_file(file)?);
    }
    if files.is_empty() {
        all.add(Run::of_stdin()?);
    }
    if all.entries.is_empty() && all.damage.is_none() {
        let cause = "there is no record in it";
        let hint = "give a file that INFER_DEV_KEEP made, or pipe a stream in: … | ichat | ireport";
        return Err(Failure::new(Code::Input, "nothing to report on", cause).hint(hint));
    }
    log::info!("writes a report of {} records", all.entries.len());
    if table {
        io.print(&table::render(&all))?;
    } else {
        write(&sections::page(&all), html, io)?;
    }
    check_complete(&all)?;
    if files.is_empty() { Ok(all.outcome()) } else { Ok(Outcome::Done) }
}

fn write(page: &Page, html: bool, io: &mut Io) -> Result<(), Failure> {
    io.print(&if html { html::render(page) } else { markdown::render(page) })
}

/// A report is made of what could be read; that it is not all has to be said.
fn check_complete(run: &Run) -> Result<(), Failure> {
    match &run.damage {
        None => Ok(()),
        Some(cause) => Err(Failure::new(Code::Input, "the report is not of the whole stream", cause)),
    }
}
