//! imodel: check model weights from their headers, before anything is loaded.
//!
//! Reads `plan` records, or the paths of its command line. Writes one `model` record for each model, draft, projector,
//! adapter and tokenizer that a plan names; an instance whose model is not whole has `failed`.
mod expected;
mod hashes;
mod key;
mod look;
mod manifest;
mod memory;
mod named;
mod proof;
mod reader;
mod signature;
mod signed;
mod suggest;
mod table;
mod verdict;

use clap::Parser;
use key::Key;
use look::Look;
use memory::Gpus;
use named::Named;
use proof::Proof;
use reader::Reader;
use record::{Engine, Plan, Record, Step};
use std::path::{Path, PathBuf};
use tool::{Code, Failure, Io, Outcome};
use weights::{Asked, Role, rules};

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
    /// Write the configuration to FILE, which must not be there
    #[arg(long, value_name = "FILE", requires = "suggest")]
    output: Option<PathBuf>,
}

fn main() -> std::process::ExitCode {
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
    let proof = hashes.then_some(Proof { record, verify, keys, since, jobs });
    let mut failures = Vec::new();
    let looks = match args.paths.is_empty() {
        true => filter(proof.as_ref(), io)?,
        false => alone(&args.paths, proof.as_ref(), io, &mut failures)?,
    };
    if args.table {
        io.print(&table::render(&looks))?;
    }
    if let Some(engine) = args.suggest {
        let devices = gpu::devices();
        let texts = looks.iter().map(|look| suggest::render(engine, &look.report, devices.as_deref()));
        let text = texts.collect::<Vec<_>>().join("\n");
        match args.output {
            Some(file) if failures.is_empty() => suggest::write(&file, &text)?,
            Some(_) => {}
            None => io.print(&text)?,
        }
    }
    verdict::end(failures)
}

/// The models of the plans that come by.
fn filter(proof: Option<&Proof>, io: &mut Io) -> Result<Vec<Look>, Failure> {
    let (mut looks, gpus) = (Vec::new(), Gpus::default());
    while let Some(record) = io.read()? {
        if let Record::Plan(plan) = record {
            looks.extend(consider(&plan, proof, &gpus, io)?);
        }
    }
    io.require("plan", &["iplan", "ienv"])?;
    Ok(looks)
}

/// Check what a plan names, or say why not.
fn consider(plan: &Plan, proof: Option<&Proof>, gpus: &Gpus, io: &mut Io) -> Result<Vec<Look>, Failure> {
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
        let look = match Look::at(path, named.asked(*role), &reader, proof) {
            Ok(look) => look.of(plan, named.gpus),
            Err(failure) => return io.fail(subject, failure).map(|()| looks),
        };
        io.write(look.model.clone())?;
        verdict::say(plan, *role, &look.report, io)?;
        let refused = (*role == Role::Model).then(|| gpus.refuse(plan, &named, &look.report)).flatten();
        if let Some(failure) = refused.filter(|_| !verdict::is_allowed(plan, rules::WEIGHTS_MEMORY)) {
            io.fail(subject, failure)?;
        }
        looks.push(look);
    }
    Ok(looks)
}

/// The models of the command line, whoever is to load them. What is wrong with them is a failure of the run.
fn alone(
    paths: &[PathBuf],
    proof: Option<&Proof>,
    io: &mut Io,
    failures: &mut Vec<Failure>,
) -> Result<Vec<Look>, Failure> {
    let mut looks = Vec::new();
    for path in paths {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let role = role_of(&path);
        let asked = Asked { role, reads_folder: true, own_tokenizer: false, runs_code: false };
        let look = Reader::of_path(&path).and_then(|reader| Look::at(&path, asked, &reader, proof));
        match look {
            Ok(look) => {
                io.write(look.model.clone())?;
                failures.extend(verdict::say_alone(&look.report, io)?);
                looks.push(look);
            }
            Err(failure) => failures.push(failure),
        }
    }
    Ok(looks)
}

/// What a path is for, where only its name tells.
fn role_of(path: &Path) -> Role {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match () {
        () if owner::is_file(path.join("adapter_config.json")) => Role::Lora,
        () if name.starts_with("mmproj") => Role::Mmproj,
        () => Role::Model,
    }
}
