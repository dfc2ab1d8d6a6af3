//! iplan: plan every instance of a TOML file, checked, nothing started.
//!
//! Reads `env` and `installed` records and acts at the end of input, because ports and GPUs are checked across all engines.
//! Writes one `plan`, `skipped` or `failed` record for each instance: the dry run of `ilaunch`.
mod check;
mod emit;
mod flags;
mod table;

use ::emit::Keeper;
use clap::Parser;
use plan::{Options, Planner};
use record::Engine;
use std::path::PathBuf;
use tool::{Failure, Io, Outcome};

#[derive(Parser)]
#[command(version, about)]
struct Args {
    /// List the options that this engine has, and plan nothing
    #[arg(long, value_name = "ENGINE", conflicts_with_all = ["lenient", "table"], add = tool::complete::engines())]
    flags: Option<Engine>,
    /// Let unknown keys pass with a warning
    #[arg(long)]
    lenient: bool,
    /// Write a table and the command lines for a person, in place of records
    #[arg(long)]
    table: bool,
    /// Check TOML files by themselves, and plan nothing
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["flags", "table", "emit"])]
    check: Vec<PathBuf>,
    /// With --check: how what is wrong is written
    #[arg(long, requires = "check", default_value = "text")]
    format: check::Format,
    /// Write files of another keeper instead: systemd, quadlet, compose or kube
    #[arg(long, value_name = "KEEPER", conflicts_with_all = ["flags", "table"], value_parser = emit::keeper, add = tool::complete::of(emit::keepers))]
    emit: Option<Keeper>,
    /// With --emit: put the files into DIR
    #[arg(long, value_name = "DIR", requires = "emit")]
    into: Option<PathBuf>,
    /// With --emit: the image of the containers
    #[arg(long, value_name = "NAME", requires = "emit", default_value = "localhost/infer-dev:stage-2")]
    image: String,
}

/// Runs the tool with the arguments of this process.
pub fn main() -> std::process::ExitCode {
    tool::main(run)
}

fn run(args: Args, io: &mut Io) -> Result<Outcome, Failure> {
    let Args { flags, lenient, table, check, format, emit, into, image } = args;
    if !check.is_empty() {
        io.mute();
        return check::check(&check, format, lenient, io);
    }
    let options = Options::of_process(lenient)?;
    if table || flags.is_some() || emit.is_some() {
        io.mute();
    }
    let mut gathered = Planner::default();
    while let Some(record) = io.read()? {
        gathered.note(&record);
    }
    if gathered.is_empty() {
        io.require("env", &["ienv"])?;
    }
    if let Some(engine) = flags {
        io.print(&flags::render(&gathered.vocabulary(engine, &options)?))?;
        return Ok(Outcome::Done);
    }
    gathered.refuse_other_users(io)?;
    let planned = gathered.plan(io, &options)?;
    if let Some(keeper) = emit {
        emit::write(keeper, &planned.plans, (&image, into.as_deref()), io)?;
    }
    if table {
        io.print(&table::render(&planned.plans))?;
    }
    Ok(Outcome::Done)
}
