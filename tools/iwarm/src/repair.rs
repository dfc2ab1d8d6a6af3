//! What `icache` named, moved out of the way: pixi takes a damaged package for a whole one, and fetches what is not there.
use crate::cache_folders::CacheFolders;
use crate::task::Task;
use lock::{Environment, Package};
use record::{Gap, Warning};
use std::io;
use store::{Quarantine, Wheels, lock_cache_if_present};
use tool::{Code, Failure, Io};

/// Move what these gaps name, and say where to, if anything was there.
///
/// # Errors
/// Somebody installs from the cache, or it cannot be moved: 75 or 69.
pub(crate) fn set_aside(
    task: &Task<'_>,
    place: &CacheFolders,
    locked: Option<&Environment>,
    io: &mut Io,
) -> Result<(), Failure> {
    let Some(locked) = locked.filter(|_| !task.gaps.is_empty()) else { return Ok(()) };
    let here = locked.platforms.values().filter(|platform| platform.subdir == lock::host_platform());
    let named = here
        .flat_map(|platform| &platform.packages)
        .filter(|package| task.gaps.iter().any(|gap| is_of(gap, package)));
    let mut aside = Quarantine::of(&place.root);
    let moved = all(named, place, &mut aside, &task.gaps);
    if let Some(folder) = aside.folder() {
        io.warn(Warning {
            engine: Some(task.env.engine),
            instance: None,
            rule: "set_aside".to_owned(),
            what: format!("what is damaged was moved to {}", folder.display()),
            hint: "it is fetched again; the folder can be removed".to_owned(),
        })?;
    }
    moved.map_err(|(path, error)| match error.kind() {
        io::ErrorKind::WouldBlock => {
            Failure::io(Code::Later, format!("cannot lock {}", path.display()), &error)
                .hint("run again when it is done")
        }
        _ => Failure::io(Code::Unmet, format!("cannot move {}", path.display()), &error),
    })
}

type Unmoved = (std::path::PathBuf, io::Error);

fn all<'p>(
    packages: impl Iterator<Item = &'p Package>,
    place: &CacheFolders,
    aside: &mut Quarantine,
    gaps: &[Gap],
) -> Result<(), Unmoved> {
    let (pkgs, lock) = (place.pkgs(), place.pkgs().join(".cache.lock"));
    if gaps.iter().any(|gap| gap.path.as_deref() == Some(&*lock)) && !owner::is_file(&lock) {
        aside.move_in(&lock).map_err(|error| (lock.clone(), error))?;
    }
    let _lock = lock_cache_if_present(pkgs).map_err(|error| (lock, error))?;
    let wheels = Wheels::at(place.wheels().to_owned());
    let mut packages = packages;
    packages.try_for_each(|package| aside.package((pkgs, &wheels), package))
}

/// Whether a gap is of this package, and one that fetching it again closes. Two archives for one place stay two.
fn is_of(gap: &Gap, package: &Package) -> bool {
    let source = match package {
        Package::Conda(_) => "conda",
        Package::Pypi(_) => "pypi",
    };
    gap.reason != "collision"
        && gap.source == source
        && gap.package == package.name()
        && gap.version.as_deref() == package.version()
}
