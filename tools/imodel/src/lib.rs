//! imodel: check model weights from their headers, before anything is loaded.
//!
//! Reads `plan` records, or the paths of its command line. Writes one `model` record for each model, draft, projector,
//! adapter and tokenizer that a plan names; an instance whose model is not whole has `failed`.
mod existing;
mod expectation;
mod hashes;
mod inspection;
mod key;
mod manifest;
mod memory;
mod model_paths;
mod reader;
mod signature;
mod signed;
mod suggest;
mod table;
mod verdict;
mod verification;

use clap::Parser;
use inspection::Inspection;
use key::Key;
use memory::Gpus;
use model_paths::ModelPaths;
use reader::Reader;
use record::{Engine, Plan, Record, Step};
use std::path::{Path, PathBuf};
use tool::{Code, Failure, Io, Outcome};
use verification::Verifier;
use weights::{Loader, Role, rules};

#[derive(Parser)]
#[command(version, about)]
struct Args {
    /// Models, files or folders; without any, those of the plans on standard input
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Write a table for a person, in place of records
    #[arg(long)]
    table: bool,
    /// Hash all files too, and where nothing is wrong write the manifest
    #[arg(long, requires = "paths", conflicts_with = "verify")]
    record: bool,
    /// Hash all files too, and compare them with the manifest
    #[arg(long)]
    verify: bool,
    /// Hash all files too, and compare them with the signature, which has to be one of this public key
    #[arg(long, value_name = "PUB")]
    key: Vec<PathBuf>,
    /// Hash only files that changed since the pass noted in FILE, and note this pass there
    #[arg(long, value_name = "FILE")]
    since: Option<PathBuf>,
    /// Threads that hash [default: one per processor]
    #[arg(short, long, value_name = "N")]
    jobs: Option<usize>,
    /// Write a configuration to start from, for this engine, in place of records
    #[arg(long, value_name = "ENGINE", requires = "paths", conflicts_with_all = ["table", "record", "verify", "key"], add = tool::complete::engines())]
    suggest: Option<Engine>,
    /// Write the configuration to FILE; one that is there is left alone, and has to be of this model
    #[arg(long, value_name = "FILE", requires = "suggest")]
    output: Option<PathBuf>,
}

/// Runs the tool with the arguments of this process.
pub fn main() -> std::process::ExitCode {
    tool::main(run)
}

fn run(args: Args, io: &mut Io) -> Result<Outcome, Failure> {
    if args.table || args.suggest.is_some() {
        io.mute();
    }
    let hashes = args.record || args.verify || !args.key.is_empty();
    if args.since.is_some() && !hashes {
        let failure = Failure::new(Code::Usage, "--since alone does nothing", "nothing is hashed");
        return Err(failure.hint("add --verify, --record or --key"));
    }
    let jobs = args.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let keys = args.key.iter().map(|path| Key::read(path)).collect::<Result<Vec<_>, _>>()?;
    let Args { record, verify, since, .. } = args;
    let verifier = hashes.then_some(Verifier { record, verify, keys, since, jobs });
    let mut failures = Vec::new();
    let inspections = match args.paths.is_empty() {
        true => filter(verifier.as_ref(), io)?,
        false => inspect_path(&args.paths, verifier.as_ref(), io, &mut failures)?,
    };
    if args.table {
        io.print(&table::render(&inspections))?;
    }
    if let Some(engine) = args.suggest {
        suggest_all(engine, args.output.as_deref(), &inspections, &mut failures, io)?;
    }
    verdict::end(failures)
}

/// A configuration for these models. One that is there already is left alone, and has to be of them.
fn suggest_all(
    engine: Engine,
    output: Option<&Path>,
    inspections: &[Inspection],
    failures: &mut Vec<Failure>,
    io: &mut Io,
) -> Result<(), Failure> {
    let render = || {
        let devices = gpu::devices();
        let of = |inspection: &Inspection| suggest::render(engine, &inspection.report, devices.as_deref());
        inspections.iter().map(of).collect::<Vec<_>>().join("\n")
    };
    match output {
        None => io.print(&render()),
        Some(_) if !failures.is_empty() => Ok(()),
        Some(file) if owner::metadata(file).is_ok() => {
            let models: Vec<&Path> = inspections.iter().map(|inspection| &*inspection.report.path).collect();
            failures.extend(existing::check(file, engine, &models).err().unwrap_or_default());
            Ok(())
        }
        Some(file) => suggest::write(file, &render()),
    }
}

/// The models of the plans that come by.
fn filter(verifier: Option<&Verifier>, io: &mut Io) -> Result<Vec<Inspection>, Failure> {
    let (mut inspections, gpus) = (Vec::new(), Gpus::default());
    while let Some(record) = io.read()? {
        if let Record::Plan(plan) = record {
            inspections.extend(inspect_plan(&plan, verifier, &gpus, io)?);
        }
    }
    io.require("plan", &["iplan", "ienv"])?;
    Ok(inspections)
}

/// Check what a plan names, or say why not.
fn inspect_plan(
    plan: &Plan,
    verifier: Option<&Verifier>,
    gpus: &Gpus,
    io: &mut Io,
) -> Result<Vec<Inspection>, Failure> {
    let subject = (plan.engine, plan.instance.as_str());
    if io.ended(subject) {
        return Ok(Vec::new());
    }
    if !io.wants(plan.engine, Step::Serve) {
        return io.skip(subject, "step serve was not asked for").map(|()| Vec::new());
    }
    let runs = plan.reused && !plan.stale;
    // What was loaded once may have changed on its disk since: who asks for hashes asks of that, too.
    if runs && verifier.is_none() {
        return io.skip(subject, "it runs already").map(|()| Vec::new());
    }
    let named = ModelPaths::by(plan);
    if named.models.is_empty() {
        return io.skip(subject, "the plan names no model by its path").map(|()| Vec::new());
    }
    let reader = match Reader::of_plan(plan) {
        Ok(reader) => reader,
        Err(failure) => return io.fail(subject, failure).map(|()| Vec::new()),
    };
    let mut inspections = Vec::new();
    for (role, path) in &named.models {
        let inspection = match Inspection::at(path, named.loader(*role), &reader, verifier) {
            Ok(inspection) => inspection.of(plan, named.gpus),
            Err(failure) => return io.fail(subject, failure).map(|()| inspections),
        };
        io.write(inspection.model.clone())?;
        verdict::report_plan(plan, *role, &inspection.report, io)?;
        let refused =
            (*role == Role::Model && !runs).then(|| gpus.refuse(plan, &named, &inspection.report)).flatten();
        if let Some(failure) = refused.filter(|_| !verdict::is_allowed(plan, rules::WEIGHTS_MEMORY)) {
            io.fail(subject, failure)?;
        }
        inspections.push(inspection);
    }
    Ok(inspections)
}

/// The models of the command line, whoever is to load them. What is wrong with them is a failure of the run.
fn inspect_path(
    paths: &[PathBuf],
    verifier: Option<&Verifier>,
    io: &mut Io,
    failures: &mut Vec<Failure>,
) -> Result<Vec<Inspection>, Failure> {
    let mut inspections = Vec::new();
    for path in paths {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let role = role_of(&path);
        let loader = Loader { role, reads_folder: true, own_tokenizer: false, runs_code: false };
        let inspection =
            Reader::of_path(&path).and_then(|reader| Inspection::at(&path, loader, &reader, verifier));
        match inspection {
            Ok(inspection) => {
                io.write(inspection.model.clone())?;
                failures.extend(verdict::report_path(&inspection.report, io)?);
                inspections.push(inspection);
            }
            Err(failure) => failures.push(failure),
        }
    }
    Ok(inspections)
}

/// The role of a path, where only its name shows it.
fn role_of(path: &Path) -> Role {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match () {
        () if owner::is_file(path.join("adapter_config.json")) => Role::Lora,
        () if name.starts_with("mmproj") => Role::Mmproj,
        () => Role::Model,
    }
}
