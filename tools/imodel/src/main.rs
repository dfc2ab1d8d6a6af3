//! imodel: check model weights from their headers, before anything is loaded.
//!
//! Reads `plan` records, or the paths of its command line. Writes one `model` record for each model, draft, projector,
//! adapter and tokenizer that a plan names; an instance whose model is not whole has `failed`.
mod named;
mod reader;
mod table;
mod verdict;

use clap::Parser;
use named::Named;
use reader::Reader;
use record::{Model, Plan, Record, Step};
use std::path::{Path, PathBuf};
use std::time::Instant;
use tool::{Failure, Io, Outcome};
use weights::{Asked, Role};

#[derive(Parser)]
#[command(version, about)]
struct Args {
    /// Models, files or folders; without any, those of the plans on standard input
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Write a table for a person, in place of records
    #[arg(long)]
    table: bool,
}

fn main() -> std::process::ExitCode {
    tool::main(run)
}

#[expect(clippy::needless_pass_by_value, reason = "tool::main hands the arguments over")]
fn run(args: Args, io: &mut Io) -> Result<Outcome, Failure> {
    if args.table {
        io.mute();
    }
    let mut failures = Vec::new();
    let looks = match args.paths.is_empty() {
        true => filter(io)?,
        false => alone(&args.paths, io, &mut failures)?,
    };
    if args.table {
        io.print(&table::render(&looks))?;
    }
    verdict::end(failures)
}

/// One model that was looked at.
struct Look {
    model: Model,
    report: weights::Report,
}

/// The models of the plans that come by.
fn filter(io: &mut Io) -> Result<Vec<Look>, Failure> {
    let mut looks = Vec::new();
    while let Some(record) = io.read()? {
        if let Record::Plan(plan) = record {
            looks.extend(consider(&plan, io)?);
        }
    }
    io.require("plan", &["iplan", "ienv"])?;
    Ok(looks)
}

/// Check what a plan names, or say why not.
fn consider(plan: &Plan, io: &mut Io) -> Result<Vec<Look>, Failure> {
    let subject = (plan.engine, plan.instance.as_str());
    if io.ended(subject) {
        return Ok(Vec::new());
    }
    if !io.wants(plan.engine, Step::Serve) {
        return io.skip(subject, "step serve was not asked for").map(|()| Vec::new());
    }
    if plan.reused && !plan.stale {
        return io.skip(subject, "it runs already").map(|()| Vec::new());
    }
    let named = Named::by(plan);
    if named.models.is_empty() {
        return io.skip(subject, "the plan names no model by its path").map(|()| Vec::new());
    }
    let reader = match Reader::of_plan(plan) {
        Ok(reader) => reader,
        Err(failure) => return io.fail(subject, failure).map(|()| Vec::new()),
    };
    let mut looks = Vec::new();
    for (role, path) in &named.models {
        let (started, asked) = (Instant::now(), named.asked(*role));
        let report = match reader.act(|| weights::look(path, asked)) {
            Ok(report) => report,
            Err(failure) => return io.fail(subject, failure).map(|()| looks),
        };
        let model = verdict::record(&report, *role, started, Some((plan, named.gpus)));
        io.write(model.clone())?;
        verdict::say(plan, *role, &report, io)?;
        looks.push(Look { model, report });
    }
    Ok(looks)
}

/// The models of the command line, whoever is to load them. What is wrong with them is a failure of the run.
fn alone(paths: &[PathBuf], io: &mut Io, failures: &mut Vec<Failure>) -> Result<Vec<Look>, Failure> {
    let mut looks = Vec::new();
    for path in paths {
        let started = Instant::now();
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let asked =
            Asked { role: role_of(&path), reads_folder: true, own_tokenizer: false, runs_code: false };
        let report = Reader::of_path(&path)?.act(|| weights::look(&path, asked))?;
        let model = verdict::record(&report, asked.role, started, None);
        io.write(model.clone())?;
        failures.extend(verdict::say_alone(&report, io)?);
        looks.push(Look { model, report });
    }
    Ok(looks)
}

/// What a path is for, where only its name tells.
fn role_of(path: &Path) -> Role {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match () {
        () if path.join("adapter_config.json").is_file() => Role::Lora,
        () if name.starts_with("mmproj") => Role::Mmproj,
        () => Role::Model,
    }
}
