//! What all roads have in common: reuse what is there, else make it; then flip, link and prune.
mod archive;
mod bundle;
mod cache;
mod copy;
mod existing;
mod method;

pub(crate) use method::Options;

use self::archive::ArchiveRoad;
use self::bundle::BundleRoad;
use self::cache::CacheRoad;
use crate::args::Args;
use crate::inherited::Inherited;
use crate::source::{self, OpenSource};
use crate::switch::Switch;
use crate::{engine_caches, vocabulary};
use install::{Install, InstallRoot, RootLock, refused};
use method::Road;
use record::{Cache, Engine, Env, Installed, Step, Warning};
use std::io;
use tool::Failure;

/// What came of it.
pub(crate) type Report = (Installed, Vec<Warning>);

/// The road by which this run installs; `None` where it installs nothing.
pub(crate) fn chosen(args: &Args, env: &Env) -> Option<record::Road> {
    if !env.wants(Step::Install) || args.rollback {
        return None;
    }
    match env.road {
        _ if env.engine == Engine::LlamaCpp => env.archive.as_ref().map(|_| record::Road::Archive),
        Some(record::Road::Cache) => env.template_dir.as_ref().map(|_| record::Road::Cache),
        Some(record::Road::Bundle) => env.bundle.as_ref().map(|_| record::Road::Bundle),
        _ => None,
    }
}

/// The road with its source open, and refused where that is known already. What was inherited open is not opened again.
pub(crate) fn open<'a>(
    road: record::Road,
    options: Options<'a>,
    verified: Option<&'a Cache>,
    inherited: Inherited,
) -> Result<Box<dyn Road + 'a>, Failure> {
    let Inherited { source, manifest, lock } = inherited;
    let Some(path) = source::source_of(road, options.env) else {
        return Ok(Box::new(CacheRoad::new(options, verified)?));
    };
    let source = source
        .map_or_else(|| source::open(path), Ok)
        .and_then(|fd| OpenSource::new(path, fd))
        .map_err(|failure| source::named(options.env, failure))?;
    Ok(match road {
        record::Road::Bundle => Box::new(BundleRoad::new(options, source, manifest, lock)?),
        _ => Box::new(ArchiveRoad { options, source }),
    })
}

/// Make what `road` leads to the current install of `root`, whatever of that is still to be done.
pub(crate) fn install(
    road: &dyn Road,
    options: &Options<'_>,
    switch: &Switch<'_>,
    root: &InstallRoot,
    lock: &RootLock,
) -> Result<Report, Failure> {
    root.sweep(lock);
    let current = root.current().unwrap_or_else(|failure| {
        log::warn!("{}: {}", failure.what, failure.cause);
        None
    });
    let make_current = |install: &mut Install| switch.to(install, root, lock);
    let existing = if options.env.force { None } else { road.find_existing(root)? };
    let (install, mut warnings) = match existing {
        Some(install) => {
            log::info!("{} was made from this very source: it is used again", install.path.display());
            reuse(road, install, current.as_ref(), make_current)?
        }
        None => {
            let why =
                if options.env.force { "a fresh one is asked for" } else { "none was made from this source" };
            log::info!("makes an install in {}: {why}", root.path.display());
            let (mut install, mut warnings) = road.build(root, current.as_ref(), lock)?;
            warnings.extend(make_current(&mut install)?);
            (install, warnings)
        }
    };
    vocabulary::ask(&install);
    warnings.extend(root.link(&install, lock)?);
    warnings.extend(current.iter().filter_map(edited));
    // One that was made before, and edited, may have come back.
    let is_current = current.is_some_and(|current| current.name() == install.name());
    warnings.extend(Some(&install).filter(|_| !is_current).and_then(edited));
    let retired = root.prune(&install, options.keep, lock);
    engine_caches::sweep(options.env, root, &retired);
    let mut installed = install.record;
    installed.seconds = options.begun.elapsed().as_secs_f64();
    warnings.extend(road.keep_copy(&installed.id));
    Ok((installed, warnings))
}

/// Make an install that is there current, and record the fingerprint of its source and what verifies it.
fn reuse(
    road: &dyn Road,
    mut install: Install,
    current: Option<&Install>,
    make_current: impl FnOnce(&mut Install) -> Result<Option<Warning>, Failure>,
) -> Result<(Install, Vec<Warning>), Failure> {
    let (checks, fingerprint) = (install.record.checks.clone(), road.fingerprint());
    let mut warnings = road.reverify(&mut install)?;
    let reverified = install.record.checks != checks;
    let others = current.filter(|current| current.name() != install.name());
    let is_current = current.is_some() && others.is_none();
    if let Some(current) = others {
        install.record.previous = Some(current.path.clone());
    }
    if others.is_some()
        || reverified
        || fingerprint.is_some() && install.record.source.as_ref() != fingerprint
    {
        install.record.source = fingerprint.cloned();
        match install.write() {
            // What is on a read-only disk, or another user's, is as good as before, and only asked the same again.
            Err(error) if is_current && may_not_write(&error) => {
                log::info!("{}: {}", install.path.display(), tool::io_text(&error));
            }
            written => written.map_err(|error| refused(&install.path, &error))?,
        }
    }
    if !is_current {
        warnings.extend(make_current(&mut install)?);
    }
    install.record.reused = true;
    Ok((install, warnings))
}

fn may_not_write(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
}

/// A working project that somebody edited is not thrown away, and not used any more where another takes its place.
fn edited(current: &Install) -> Option<Warning> {
    let edited = current.edited();
    let first = edited.first()?;
    let more = if edited.len() > 1 { format!(" and {} more", edited.len() - 1) } else { String::new() };
    Some(Warning {
        engine: Some(current.record.engine),
        instance: None,
        rule: "project_edited".to_owned(),
        what: format!("{}{more} was edited after it was installed", first.display()),
        hint: "the folder is kept; what is to last belongs into the template".to_owned(),
    })
}
