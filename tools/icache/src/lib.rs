//! icache: verify a cache against `pixi.lock`, naming every gap.
//!
//! Reads `env`, and `warmed` for the manifest. Writes one `gap` per item that is missing or not what the lock file says, then `cache`; a gap that blocks
//! adds `failed` with code 1. Writes into the cache only the manifest that `--record` asks for, and what `--repair` and `--bring` move and take in.
mod args;
#[expect(clippy::disallowed_methods, reason = "runs with the rights of the user who installs")]
mod cache_entry;
mod cache_settings;
#[expect(clippy::disallowed_methods, reason = "runs with the rights of the user who installs")]
mod deep;
#[expect(clippy::disallowed_methods, reason = "acts with the rights of the user who installs")]
mod export;
mod gap;
#[expect(clippy::disallowed_methods, reason = "acts with the rights of the user who installs")]
mod import;
mod locked;
#[expect(clippy::disallowed_methods, reason = "runs with the rights of the user who installs")]
mod lookup;
mod place;
mod pool;
#[expect(clippy::disallowed_methods, reason = "runs with the rights of the user who installs")]
mod program;
mod reader;
#[expect(clippy::disallowed_methods, reason = "runs with the rights of the user who installs")]
mod sdist;
mod survey;
mod transfer;
mod unreadable;

use args::Args;
use record::{Env, Record, Road, Step, Warmed, Warning};
use state::audit::{self, Entry, Event};
use tool::{Code, Failure, Io, Outcome};
use transfer::Transfer;

/// Runs the tool with the arguments of this process.
pub fn main() -> std::process::ExitCode {
    tool::main(run)
}

#[expect(clippy::needless_pass_by_value, reason = "tool::main hands the arguments over")]
fn run(args: Args, io: &mut Io) -> Result<Outcome, Failure> {
    // What goes into a cache may be read by all, whatever umask we were started with.
    rustix::process::umask(rustix::fs::Mode::from(0o022));
    // iwarm passes `env` on and then fills the cache: nothing is looked at before the stream ends.
    let (mut envs, mut warmed) = (Vec::new(), Vec::new());
    while let Some(record) = io.read()? {
        match record {
            Record::Env(env) => envs.push(env),
            Record::Warmed(record) => warmed.push(record),
            _ => {}
        }
    }
    for env in envs {
        let warmed = warmed.iter().find(|warmed| warmed.engine == env.engine);
        consider(&args, io, &env, warmed)?;
    }
    io.require("env", &["ienv"])?;
    Ok(Outcome::Done)
}

/// Verify, or say why not.
fn consider(args: &Args, io: &mut Io, env: &Env, warmed: Option<&Warmed>) -> Result<(), Failure> {
    if io.ended(env.engine) {
        return Ok(());
    }
    // A cache that was filled just now is read and recorded, whatever is installed from it.
    if warmed.is_none() && !env.wants(Step::Install) {
        return io.skip(env.engine, "step install was not asked for");
    }
    if warmed.is_none() && env.road != Some(Road::Cache) {
        let road = env.road.map_or("no", Road::id);
        return io.skip(env.engine, format!("{road} road: nothing is installed from a cache"));
    }
    match verify(args, io, env, warmed) {
        Ok(None) => Ok(()),
        Ok(Some(failure)) | Err(failure) => {
            note_failure(args, env, &failure).map_or(Ok(()), |warning| io.warn(warning))?;
            io.fail(env.engine, failure)
        }
    }
}

/// What was to be changed and is not.
fn note_failure(args: &Args, env: &Env, failure: &Failure) -> Option<Warning> {
    let event = match args {
        Args { bring: Some(_), .. } => Event::Bring,
        Args { repair: true, .. } => Event::Repair,
        Args { record: true, .. } => Event::Record,
        _ => return None,
    };
    let reason = format!("{}: {}", failure.what, failure.cause);
    let entry = Entry::new("icache", event, env.engine).named().because(None, &reason);
    audit::note(&env.run_dir, &entry.not_done(failure.code))
}

/// Write the gaps and the `cache` record; the failure, where a gap blocks.
fn verify(args: &Args, io: &mut Io, env: &Env, warmed: Option<&Warmed>) -> Result<Option<Failure>, Failure> {
    let survey = survey::Survey::of(args, env, warmed)?;
    let mut result = survey.run()?;
    unreadable::refuse(&result, &survey, args.repair || args.bring.is_some())?;
    let transfer = Transfer { args, survey: &survey };
    let changed = |event| {
        let entry = Entry::new("icache", event, env.engine).named().at(&survey.cache_root);
        audit::note(&env.run_dir, &entry)
    };
    if transfer.import(&mut result)? {
        changed(Event::Bring).map_or(Ok(()), |warning| io.warn(warning))?;
        // The first findings say nothing about what is there now.
        let warnings = std::mem::take(&mut result.warnings);
        result = survey.run()?;
        unreadable::refuse(&result, &survey, false)?;
        let still = [transfer::NOT_IMPORTED, transfer::SET_ASIDE];
        result.warnings.extend(warnings.into_iter().filter(|warning| still.contains(&&*warning.rule)));
    }
    let repaired = transfer.repair(&mut result);
    let (aside, others) =
        result.warnings.into_iter().partition(|warning: &Warning| warning.rule == transfer::SET_ASIDE);
    result.warnings = others;
    if !aside.is_empty() {
        changed(Event::Repair).map_or(Ok(()), |warning| io.warn(warning))?;
    }
    // Where the rest of it failed, too, somebody has to know where the folder is.
    aside.into_iter().try_for_each(|warning| io.warn(warning))?;
    let repaired = repaired?;
    if survey.records() && result.cache.manifest.is_some() {
        changed(Event::Record).map_or(Ok(()), |warning| io.warn(warning))?;
    }
    transfer.write_lists(&result)?;
    if let Err(failure) = transfer.export(&mut result) {
        result.failure.get_or_insert(failure);
    }
    result.warnings.into_iter().try_for_each(|warning| io.warn(warning))?;
    let blocking = result.gaps.iter().filter(|gap| gap.blocks).count();
    // What was fetched just now and is not there was not to be kept.
    let unkept = warmed.is_some()
        && result.gaps.iter().any(|gap| gap.source == "pypi" && gap.reason == "missing" && gap.blocks);
    let closed = unreadable::first(&result.gaps, unreadable::CLOSED).is_some();
    result.gaps.into_iter().try_for_each(|gap| io.write(gap))?;
    io.write(result.cache)?;
    if let Some(failure) = result.failure {
        return Err(failure);
    }
    if blocking == 0 || repaired {
        return Ok(None);
    }
    let what = format!("the cache {} is not whole", survey.cache_root.display());
    let cause = match blocking {
        1 => "one gap blocks the install".to_owned(),
        _ => format!("{blocking} gaps block the install"),
    };
    let hint = match unkept {
        true => NO_STORE.to_owned(),
        false => hint(closed.then(|| survey.installer()), args.deep, &survey.locked.platforms),
    };
    Ok(Some(Failure::new(Code::No, what, cause).hint(hint)))
}

/// pixi had it a moment ago.
const NO_STORE: &str = "pixi fetched it and kept nothing: its index says 'Cache-Control: no-store'; use a mirror that lets it be \
                        kept, or --missing and --bring";

fn hint(closed_to: Option<String>, deep: bool, platforms: &[String]) -> String {
    let open = closed_to.map(|user| format!("let {user} read the cache, with chmod -R a+rX; "));
    let open = open.unwrap_or_default();
    let several = match platforms.len() {
        1 => String::new(),
        _ => format!(
            "; of the platforms {}, name the one that is installed with --platform",
            platforms.join(", ")
        ),
    };
    let deep = if deep { " --deep" } else { "" };
    format!(
        "{open}on a connected machine: icache{deep} | iwarm; offline: --missing says what to fetch, and --bring takes it \
         in{several}"
    )
}
