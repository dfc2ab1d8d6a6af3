//! Where pixi finds the stores of the cache: the real ones, or where it could not write to those, a shadow.
use crate::road::cache::overlay;
use crate::road::cache::stores::Stores;
use install::NO_LOCKS;
use lock::Package;
use record::{Env, Warning};
use rustix::fs::{Access, FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use store::Entry;
use tool::{Code, Failure};

/// Where pixi is to look, in variables. A shadow is made in `attempt`, which is on the disk of `install_root`.
pub(crate) fn variables(
    stores: &Stores,
    env: &Env,
    attempt: &Path,
    install_root: &Path,
) -> Result<(BTreeMap<String, String>, Vec<Warning>), Failure> {
    let mut variables = env.environment.clone();
    let Some((path, error)) = refused(stores) else {
        can_lock(stores)?;
        return Ok((variables, Vec::new()));
    };
    let folder = attempt.join(overlay::FOLDER);
    log::info!("{}: {error}; a shadow of the cache is made in {}", path.display(), folder.display());
    let copied = overlay::make(stores, &folder, install_root)?;
    for (name, below) in overlay::VARIABLES {
        variables.insert(name.to_owned(), folder.join(below).display().to_string());
    }
    let warning = Warning {
        engine: Some(env.engine),
        instance: None,
        rule: "shadow_cache".to_owned(),
        what: format!(
            "cannot write {}: {}; {} MiB of wheels were copied to be installed from",
            path.display(),
            tool::io_text(&error.into()),
            copied.div_ceil(1 << 20)
        ),
        hint: "a cache that this user can write to needs no copy".to_owned(),
    };
    Ok((variables, vec![warning]))
}

/// The first path that pixi would write to and may not. Up to rattler_cache 0.10 it opens the file beside every
/// package to write, even to read it; uv makes folders.
fn refused(stores: &Stores) -> Option<(PathBuf, Errno)> {
    // rattler goes by the mode of its folder, whoever it is that asks.
    if std::fs::metadata(&stores.pkgs).is_ok_and(|stat| stat.permissions().readonly()) {
        return Some((stores.pkgs.clone(), Errno::ACCESS));
    }
    let mut written = vec![stores.pkgs.clone(), stores.uv.clone(), stores.pkgs.join(".cache.lock")];
    written.extend(stores.packages.iter().filter_map(|package| match package {
        Package::Conda(conda) => Some(Entry::of(&stores.pkgs, conda).sidecar),
        Package::Pypi(_) => None,
    }));
    written.extend(["archive-v0", "wheels-v6", "interpreter-v4"].map(|bucket| stores.uv.join(bucket)));
    written.into_iter().find_map(|path| match child::permitted(&path, Access::WRITE_OK) {
        Ok(()) | Err(Errno::NOENT | Errno::NOTDIR) => None,
        Err(error) => Some((path, error)),
    })
}

/// pixi takes a lock in the cache for as long as it installs, and has no way without one.
fn can_lock(stores: &Stores) -> Result<(), Failure> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let locked = rustix::fs::open(&stores.pkgs, flags, Mode::empty())
        .and_then(|folder| flock(&folder, FlockOperation::NonBlockingLockShared));
    match locked {
        Err(error @ (Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS)) => {
            let what = format!("cannot lock anything in {}", stores.pkgs.display());
            Err(Failure::io(Code::Unmet, what, &error.into()).hint(NO_LOCKS))
        }
        _ => Ok(()),
    }
}
