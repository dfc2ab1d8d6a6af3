//! ipack: build a bundle from a pixi project, on a connected machine.
//!
//! Reads no records. Writes one `packed` when the bundle and its manifest are in place.
#![expect(clippy::disallowed_methods, reason = "acts as its caller, on the caller's own files")]
mod args;
mod caches;
mod contents;
mod injected;
mod options;
mod project;
mod runner;
mod staging;
mod tasks;
mod thin;

use args::Args;
use bundle::{Manifest, Problem};
use caches::Caches;
use contents::Contents;
use options::PackOptions;
use project::Project;
use record::{Packed, Warning};
use runner::Runner;
use staging::Staging;
use std::collections::BTreeMap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tool::{Code, Failure, Io, Outcome};

/// Runs the tool with the arguments of this process.
pub fn main() -> std::process::ExitCode {
    tool::main(run)
}

fn run(args: Args, io: &mut Io) -> Result<Outcome, Failure> {
    let begun = Instant::now();
    let options = PackOptions::of(args)?;
    let caches = Caches::open(&options)?;
    log::info!(
        "packs environment {} of {} for {} into {}",
        options.environment,
        options.template.display(),
        options.platform,
        options.output.display()
    );
    let staging = Staging::open(&options.output)?;
    let runner = Runner::new(&options, &caches, &staging);
    let mut project = Project::copy(&options, &staging)?;
    project.update_lock(&runner)?;
    let held = caches.lock(&project.packages()?)?;
    project.run_tasks(&runner)?;
    project.write_lock_back()?;
    let staged = project.pack(&runner, &caches)?;
    let mut contents = contents::read(&staged, options.create_executable)?;
    let mut proved = check(&contents, &project, &held, io)?;
    held.mark_complete()?;
    let downloaded_bytes = held.downloaded(&contents.members) + project.fetched(&contents);
    let mut left_out = None;
    if let Some(have) = &options.have {
        let thin = thin::cut(&staged, &project.packages()?, have)?;
        contents.reread(&staged)?;
        (left_out, proved) = (Some(thin.left_out), thin.proved);
    }
    let manifest = Manifest { left_out, ..manifest(&options, &project, &contents, downloaded_bytes) };
    let manifest_path = staging.publish(&staged, &manifest)?;
    io.write(Packed {
        bundle: options.output.clone(),
        manifest: manifest_path,
        sha256: manifest.sha256,
        size_bytes: manifest.size_bytes,
        lock_sha256: manifest.lock_sha256,
        platform: manifest.platform,
        pixi_env: manifest.pixi_env,
        members: manifest.members.len() as u64,
        proved,
        left_out,
        tasks: options.tasks().into_iter().map(str::to_owned).collect(),
        downloaded_bytes,
        seconds: begun.elapsed().as_secs_f64(),
    })?;
    Ok(Outcome::Done)
}

/// What pixi-pack does not do: every member against the lock file. How many hashes were equal.
fn check(
    contents: &Contents,
    project: &Project<'_>,
    held: &caches::LockedCaches<'_>,
    io: &mut Io,
) -> Result<u64, Failure> {
    let options = project.options;
    let what = format!("the bundle of {} is not what its pixi.lock says", options.template.display());
    let found = contents.info.platform.as_str();
    if found != options.platform {
        let cause = format!("pixi-pack made it for {found}, not for {}", options.platform);
        return Err(Failure::new(Code::Input, what, cause));
    }
    let lock = project.lock()?;
    let members = injected::without(&options.injected, &contents.members)?;
    let compared = bundle::compare(&members, &lock, &options.environment, &options.platform);
    let comparison = compared.unwrap_or_default();
    if !comparison.problems.is_empty() {
        let failure = Failure::new(Code::Input, what, bundle::summary(&comparison.problems));
        let wrong = comparison.problems.iter().find_map(|problem| match problem {
            Problem::WrongHash { path, .. } => Some(path),
            _ => None,
        });
        return Err(match wrong {
            Some(path) => failure.hint(held.advice(path)),
            None => failure,
        });
    }
    let warning = |rule: &str, what: String, hint: &str| Warning {
        engine: None,
        instance: None,
        rule: rule.to_owned(),
        what,
        hint: hint.to_owned(),
    };
    let platforms =
        lock.environments.get(&options.environment).into_iter().flat_map(|e| e.platforms.values());
    let fitting = platforms.filter(|platform| platform.subdir == options.platform).count();
    if fitting > 1 {
        let what = format!("pixi.lock has {fitting} platforms for {}, and one was packed", options.platform);
        let hint = "pixi-pack takes the first and cannot be told otherwise; lock the one that is meant alone";
        io.warn(warning("several_platforms", what, hint))?;
    }
    if !comparison.unproved.is_empty() {
        let what = format!("pixi.lock has no hash of {}", comparison.unproved.join(", "));
        let hint = "the manifest has the hashes of what was packed, whatever that is";
        io.warn(warning("unproved_member", what, hint))?;
    }
    Ok(comparison.proved)
}

fn manifest(
    options: &PackOptions,
    project: &Project<'_>,
    contents: &Contents,
    downloaded_bytes: u64,
) -> Manifest {
    let mut versions = BTreeMap::from([
        ("ipack".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("pixi".to_owned(), project.pixi.version.to_string()),
    ]);
    if let Some(version) = &contents.info.pixi_pack_version {
        versions.insert("pixi-pack".to_owned(), version.clone());
    }
    Manifest {
        format: Manifest::FORMAT,
        bundle: options.name(),
        sha256: contents.sha256.clone(),
        size_bytes: contents.size_bytes,
        platform: options.platform.clone(),
        pixi_env: options.environment.clone(),
        lock_sha256: project.template.lock_sha256(),
        created_unix: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
        versions,
        downloaded_bytes: Some(downloaded_bytes),
        injected: injected::paths(&options.injected, &contents.members),
        left_out: None,
        members: contents.members.clone(),
    }
}
