//! What all roads have in common: reuse what is there, else make it; then flip, link and prune.
use crate::source::OpenSource;
use crate::{vocabulary, written};
use install::{Install, InstallRoot, RootLock, refused};
use record::{Env, Installed, Source, Warning};
use std::io;
use std::time::{Duration, Instant};
use tool::Failure;

/// What was asked for, whatever the road.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order<'a> {
    pub(crate) env: &'a Env,
    pub(crate) rehash: bool,
    pub(crate) keep: usize,
    pub(crate) begun: Instant,
    /// For whoever holds a lock.
    pub(crate) patience: Duration,
}

/// What came of it.
pub(crate) type Done = (Installed, Vec<Warning>);

/// A way to make an install.
pub(crate) trait Road {
    /// The install that this very source made before.
    fn existing(&self, root: &InstallRoot) -> Result<Option<Install>, Failure>;

    /// Make one: complete and not yet current. `previous` is what is current now.
    fn build(
        &self,
        root: &InstallRoot,
        previous: Option<&Install>,
        lock: &RootLock,
    ) -> Result<(Install, Vec<Warning>), Failure>;

    /// What vouches now for an install that is used again, said in its record.
    fn vouch(&self, _install: &mut Install) -> Result<Vec<Warning>, Failure> {
        Ok(Vec::new())
    }

    /// How the source looks now, where it is a file.
    fn looks(&self) -> Option<&Source>;
}

/// Make what `road` leads to the current install of `root`, whatever of that is still to be done.
pub(crate) fn install(
    road: &impl Road,
    order: &Order<'_>,
    root: &InstallRoot,
    lock: &RootLock,
) -> Result<Done, Failure> {
    root.sweep(lock);
    let current = root.current().unwrap_or_else(|failure| {
        log::warn!("{}: {}", failure.what, failure.cause);
        None
    });
    let existing = if order.env.force { None } else { road.existing(root)? };
    let (install, mut warnings) = match existing {
        Some(install) => {
            log::info!("{} was made from this very source: it is used again", install.path.display());
            reuse(road, install, root, current.as_ref(), lock)?
        }
        None => {
            let why =
                if order.env.force { "a fresh one is asked for" } else { "none was made from this source" };
            log::info!("makes an install in {}: {why}", root.path.display());
            let (install, warnings) = road.build(root, current.as_ref(), lock)?;
            root.activate(&install, lock)?;
            (install, warnings)
        }
    };
    vocabulary::ask(&install);
    warnings.extend(root.link(&install, lock)?);
    warnings.extend(current.iter().filter_map(edited));
    // One that was made before, and edited, may have come back.
    let is_current = current.is_some_and(|current| current.name() == install.name());
    warnings.extend(Some(&install).filter(|_| !is_current).and_then(edited));
    let retired = root.prune(&install, order.keep, lock);
    written::sweep(order.env, root, &retired);
    let mut installed = install.record;
    installed.seconds = order.begun.elapsed().as_secs_f64();
    Ok((installed, warnings))
}

/// Make an install that is there current, and remember how its source looks now and what vouches for it.
fn reuse(
    road: &impl Road,
    mut install: Install,
    root: &InstallRoot,
    current: Option<&Install>,
    lock: &RootLock,
) -> Result<(Install, Vec<Warning>), Failure> {
    let (checks, looks) = (install.record.checks.clone(), road.looks());
    let warnings = road.vouch(&mut install)?;
    let vouched = install.record.checks != checks;
    let others = current.filter(|current| current.name() != install.name());
    let is_current = current.is_some() && others.is_none();
    if let Some(current) = others {
        install.record.previous = Some(current.path.clone());
    }
    if others.is_some() || vouched || looks.is_some() && install.record.source.as_ref() != looks {
        install.record.source = looks.cloned();
        match install.write() {
            // What is on a read-only disk, or another user's, is as good as before, and only asked the same again.
            Err(error) if is_current && may_not_write(&error) => {
                log::info!("{}: {}", install.path.display(), tool::io_text(&error));
            }
            written => written.map_err(|error| refused(&install.path, &error))?,
        }
    }
    if !is_current {
        root.activate(&install, lock)?;
    }
    install.record.reused = true;
    Ok((install, warnings))
}

fn may_not_write(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
}

/// The install that a source of this file made before: known by the file's looks, or, where one of that size is installed,
/// by its hash. `demand` refuses a hash that is not the one asked for.
pub(crate) fn made_from(
    source: &OpenSource,
    order: &Order<'_>,
    root: &InstallRoot,
    demand: impl Fn(&str) -> Result<(), Failure>,
) -> Result<Option<Install>, Failure> {
    let looks = &source.looks;
    let mut complete = root.complete();
    complete.retain(|install| install.record.engine == order.env.engine && install.is_complete());
    let same = |install: &&Install| install.record.source.as_ref() == Some(looks);
    if let Some(install) = complete.iter().find(same).filter(|_| !order.rehash) {
        demand(&install.record.id)?;
        return Ok(Some(install.clone()));
    }
    let size = |install: &Install| install.record.source.as_ref().map(|source| source.size_bytes);
    if !complete.iter().any(|install| size(install) == Some(looks.size_bytes)) {
        return Ok(None);
    }
    let hashed = source.hash()?;
    demand(&hashed)?;
    Ok(complete.into_iter().find(|install| install.record.id == hashed))
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
