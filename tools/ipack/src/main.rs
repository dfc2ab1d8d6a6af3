//! ipack: build a bundle from a pixi project, on a connected machine.
//!
//! Reads no records. Writes one `packed` when the bundle and its manifest are in place.
#![expect(clippy::disallowed_methods, reason = "acts as its caller, on the caller's own files")]
mod args;
mod caches;
mod contents;
mod injected;
mod order;
mod project;
mod runner;
mod staging;
mod tasks;
mod thin;

use args::Args;
use bundle::{Manifest, Problem};
use caches::Caches;
use contents::Contents;
use order::Order;
use project::Project;
use record::{Packed, Warning};
use runner::Runner;
use staging::Staging;
use std::collections::BTreeMap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tool::{Code, Failure, Io, Outcome};

fn main() -> std::process::ExitCode {
    tool::main(run)
}

fn run(args: Args, io: &mut Io) -> Result<Outcome, Failure> {
    let begun = Instant::now();
    let order = Order::of(args)?;
    let caches = Caches::open(&order)?;
    log::info!(
        "packs environment {} of {} for {} into {}",
        order.environment,
        order.template.display(),
        order.platform,
        order.output.display()
    );
    let staging = Staging::open(&order.output)?;
    let runner = Runner::new(&order, &caches, &staging);
    let mut project = Project::copy(&order, &staging)?;
    project.settle_lock(&runner)?;
    let held = caches.hold(&project.packages()?)?;
    project.perform(&runner)?;
    project.give_lock_back()?;
    let staged = project.pack(&runner, &caches)?;
    let mut contents = contents::read(&staged, order.create_executable)?;
    let mut proved = check(&contents, &project, &held, io)?;
    held.settle()?;
    let downloaded_bytes = held.downloaded(&contents.members) + project.fetched(&contents);
    let mut left_out = None;
    if let Some(have) = &order.have {
        let thin = thin::cut(&staged, &project.packages()?, have)?;
        contents.reread(&staged)?;
        (left_out, proved) = (Some(thin.left_out), thin.proved);
    }
    let manifest = Manifest { left_out, ..manifest(&order, &project, &contents, downloaded_bytes) };
    let manifest_path = staging.publish(&staged, &manifest)?;
    io.write(Packed {
        bundle: order.output.clone(),
        manifest: manifest_path,
        sha256: manifest.sha256,
        size_bytes: manifest.size_bytes,
        lock_sha256: manifest.lock_sha256,
        platform: manifest.platform,
        pixi_env: manifest.pixi_env,
        members: manifest.members.len() as u64,
        proved,
        left_out,
        tasks: order.tasks().into_iter().map(str::to_owned).collect(),
        downloaded_bytes,
        seconds: begun.elapsed().as_secs_f64(),
    })?;
    Ok(Outcome::Done)
}

/// What pixi-pack does not do: every member against the lock file. How many hashes were equal.
fn check(
    contents: &Contents,
    project: &Project<'_>,
    held: &caches::Held<'_>,
    io: &mut Io,
) -> Result<u64, Failure> {
    let order = project.order;
    let what = format!("the bundle of {} is not what its pixi.lock says", order.template.display());
    let found = contents.info.platform.as_str();
    if found != order.platform {
        let cause = format!("pixi-pack made it for {found}, not for {}", order.platform);
        return Err(Failure::new(Code::Input, what, cause));
    }
    let lock = project.lock()?;
    let members = injected::without(&order.injected, &contents.members)?;
    let compared = bundle::compare(&members, &lock, &order.environment, &order.platform);
    let comparison = compared.unwrap_or_default();
    if !comparison.problems.is_empty() {
        let failure = Failure::new(Code::Input, what, bundle::shown(&comparison.problems));
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
    let platforms = lock.environments.get(&order.environment).into_iter().flat_map(|e| e.platforms.values());
    let fitting = platforms.filter(|platform| platform.subdir == order.platform).count();
    if fitting > 1 {
        let what = format!("pixi.lock has {fitting} platforms for {}, and one was packed", order.platform);
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

fn manifest(order: &Order, project: &Project<'_>, contents: &Contents, downloaded_bytes: u64) -> Manifest {
    let mut versions = BTreeMap::from([
        ("ipack".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("pixi".to_owned(), project.pixi.version.to_string()),
    ]);
    if let Some(version) = &contents.info.pixi_pack_version {
        versions.insert("pixi-pack".to_owned(), version.clone());
    }
    Manifest {
        format: Manifest::FORMAT,
        bundle: order.name(),
        sha256: contents.sha256.clone(),
        size_bytes: contents.size_bytes,
        platform: order.platform.clone(),
        pixi_env: order.environment.clone(),
        lock_sha256: project.template.lock_sha256(),
        created_unix: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
        versions,
        downloaded_bytes: Some(downloaded_bytes),
        injected: injected::paths(&order.injected, &contents.members),
        left_out: None,
        members: contents.members.clone(),
    }
}
