//! Whether pixi would find each package, by the rules of its old and its new versions: nothing is hashed.
use crate::cache_entry::{CacheEntry, Lookup, is_folder, unchecked};
use crate::gap::Fault;
use crate::{program, sdist};
use lock::{Conda, Origin, Package, Pypi};
use std::io;
use std::path::{Path, PathBuf};
use store::{Entry, Pointer, Wheels};

/// Where the packages of a cache are.
#[derive(Debug)]
pub(crate) struct Stores {
    pub(crate) pkgs: PathBuf,
    pub(crate) wheels: Wheels,
    /// The template's folder, for what is a file of it.
    pub(crate) template: PathBuf,
}

/// Look a package up.
pub(crate) fn look_up(stores: &Stores, package: &Package) -> Lookup {
    let looked = match package {
        Package::Conda(conda) => look_up_conda(stores, conda).map(CacheEntry::Conda),
        Package::Pypi(pypi) => match &pypi.origin {
            Origin::Sdist { .. } | Origin::DirectSdist { .. } => return sdist::look_up(&stores.wheels, pypi),
            _ => look_up_pypi(stores, pypi),
        },
    };
    match looked {
        Ok(found) => Lookup { found: vec![found], fault: None },
        Err(fault) => Lookup { found: Vec::new(), fault: Some(fault) },
    }
}

/// Whether nothing is there, which is more than that it cannot be looked at.
fn is_missing(path: &Path) -> bool {
    let missing = |kind| matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
    path.metadata().is_err_and(|error| missing(error.kind()))
}

/// What keeps rattler from the file that it locks: it makes one where none is.
pub(crate) fn cache_lock(stores: &Stores) -> Option<Fault> {
    let path = stores.pkgs.join(".cache.lock");
    path.symlink_metadata().ok()?;
    let detail = match path.metadata() {
        Ok(stat) if stat.is_file() => return None,
        Ok(_) => "it is no regular file, and pixi locks one there".to_owned(),
        Err(error) => format!("pixi locks a file there: {}", tool::io_text(&error)),
    };
    Some(Fault::new("damaged", path, detail))
}

/// A file or folder of the template is taken as it is then, from where it is then; only that it is there can be checked.
fn in_template(stores: &Stores, location: &Path) -> Fault {
    let path = stores.template.join(location);
    // An index or a channel of files is locked by the path of each.
    let what = if location.is_absolute() {
        "a file or folder elsewhere"
    } else {
        "a file or folder of the template"
    };
    if path.exists() {
        return Fault::unprovable(format!("it is {what}, looked at only at install"));
    }
    Fault::new("missing", path, format!("it is {what}, and not there"))
}

fn look_up_conda(stores: &Stores, package: &Conda) -> Result<Entry, Fault> {
    if package.source {
        return Err(Fault::unprovable("it is built from source at install"));
    }
    let entry = Entry::of(&stores.pkgs, package);
    if !is_folder(&entry.folder)? {
        if !package.location.contains("://") {
            return Err(in_template(stores, Path::new(&package.location)));
        }
        // A sidecar without a folder is what a failed fetch leaves behind.
        return Err(Fault::new("missing", &entry.folder, "the package is not in the cache"));
    }
    let damaged = |file: &str, error: io::Error| {
        Fault::new("damaged", entry.folder.join(file), format!("cannot be used: {}", tool::io_text(&error)))
    };
    // pixi before rattler_cache 0.12 takes a folder without a recorded hash, later ones fetch it again.
    if let Some(wanted) = &package.sha256 {
        match entry.recorded_sha256() {
            Ok(Some(recorded)) if recorded == *wanted => {}
            Ok(Some(recorded)) => {
                let detail = format!("it was unpacked from an archive with sha256 {recorded}");
                return Err(Fault::new("wrong_hash", &entry.sidecar, detail));
            }
            Ok(None) => {
                let detail = "no archive hash is recorded, which newer pixi takes for a missing package";
                return Err(Fault::new("damaged", &entry.sidecar, detail));
            }
            Err(error) => return Err(Fault::new("damaged", &entry.sidecar, tool::io_text(&error))),
        }
    }
    let about = entry.package_index().map_err(|error| damaged("info/index.json", error))?;
    if let Some(detail) = disagreement(package, &about) {
        return Err(Fault::new("wrong_hash", entry.folder.join("info/index.json"), detail));
    }
    let listing = entry.paths_json().and_then(|listing| listing.map_or(Ok(()), |it| it.paths().map(drop)));
    listing.map_err(|error| damaged("info/paths.json", error))?;
    program::look_at(&entry.folder)?;
    Ok(entry)
}

/// pixi up to 0.77 writes the wanted hash beside a folder before it fetches; a failed fetch then leaves another package
/// under that hash. The package's own metadata decides.
fn disagreement(package: &Conda, about: &store::PackageIndex) -> Option<String> {
    let differs = |field: &str, has: &str, wanted: &str| {
        (has != wanted).then(|| format!("the package says {field} {has}, the lock file {wanted}"))
    };
    differs("name", &about.name.to_lowercase(), &package.name.to_lowercase())
        .or_else(|| differs("version", &about.version, &package.version))
        .or_else(|| differs("build", &about.build, &package.build))
        .or_else(|| differs("subdir", about.subdir.as_deref()?, package.subdir.as_deref()?))
        .or_else(|| number_differs("build number", about.build_number, package.build_number))
        .or_else(|| number_differs("timestamp", seconds(built(about)?), seconds(package.timestamp?)))
}

/// When the package was built, if it knows. rattler takes times before 1970, too.
fn built(about: &store::PackageIndex) -> Option<u64> {
    about.timestamp.and_then(|timestamp| timestamp.try_into().ok())
}

fn number_differs(field: &str, has: u64, wanted: u64) -> Option<String> {
    (has != wanted).then(|| format!("the package says {field} {has}, the lock file {wanted}"))
}

/// conda wrote seconds before it wrote milliseconds, and some lock files have the milliseconds cut off; the border is the
/// one that rattler draws, the year 9999.
fn seconds(timestamp: u64) -> u64 {
    if timestamp > 253_402_300_799 { timestamp / 1000 } else { timestamp }
}

fn look_up_pypi(stores: &Stores, package: &Pypi) -> Result<CacheEntry, Fault> {
    match &package.origin {
        Origin::Wheel { .. } | Origin::DirectWheel { .. } => look_up_wheel(&stores.wheels, package),
        Origin::Sdist { .. } | Origin::DirectSdist { .. } | Origin::Git { .. } => {
            Err(Fault::unprovable("it is a git checkout, built at install"))
        }
        Origin::Path { path } => Err(in_template(stores, path)),
    }
}

fn look_up_wheel(wheels: &Wheels, package: &Pypi) -> Result<CacheEntry, Fault> {
    let candidates = wheels.pointers(package);
    let Some(path) = candidates.iter().find(|path| !is_missing(path)).or(candidates.first()) else {
        return Err(Fault::unprovable("its file name is not a wheel's"));
    };
    let pointer = Pointer::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => missing_wheel(wheels, package, path),
        _ => Fault::new("damaged", path, tool::io_text(&error)),
    })?;
    let file = package.wheel_name().unwrap_or_default();
    if !pointer.is_for(&file, package) {
        return Err(Fault::new("wrong_hash", path, format!("it stands for {}", pointer.wheel)));
    }
    if let Some(detail) = unchecked(&pointer.hashes, package) {
        return Err(Fault::new("wrong_hash", path, detail));
    }
    let archive = wheels.archive(&pointer);
    if !is_folder(&archive)? {
        return Err(Fault::new("missing", archive, "the pointer is there, the unpacked wheel is not"));
    }
    // uv would copy the link itself, as if it were a file.
    if archive.is_symlink() {
        return Err(Fault::new("damaged", archive, "it is a symbolic link, from which uv does not install"));
    }
    holds_the_wheel(&archive, &file, package)?;
    Ok(CacheEntry::Wheel { archive, pointer: path.clone() })
}

fn missing_wheel(wheels: &Wheels, package: &Pypi, path: &Path) -> Fault {
    let older = wheels.older_pointer(package).is_some_and(|path| path.exists());
    let detail = if older {
        "the cache was warmed by a pixi before 0.70, whose wheels newer ones do not look at"
    } else {
        "the wheel is not in the cache"
    };
    Fault::new("missing", path, detail)
}

/// Archives have random names: what is inside must say which wheel it is.
fn holds_the_wheel(archive: &Path, file: &str, package: &Pypi) -> Result<(), Fault> {
    let held = dist_info(archive)?;
    let (name, version) = held.trim_end_matches(".dist-info").split_once('-').unwrap_or_default();
    let known = [file.split('-').nth(1), package.version.as_deref()];
    let same_version = known.into_iter().flatten().any(|known| plain(known) == plain(version));
    if store::normalised(name) == store::normalised(&package.name) && same_version {
        return Ok(());
    }
    Err(Fault::new("wrong_hash", archive, format!("it holds {held}, not {file}")))
}

/// A version without what people write differently: letters' case, separators, zeros before a number.
fn plain(version: &str) -> String {
    let parts = version.split(['.', '-', '_']).map(|part| {
        let digits = part.trim_start_matches('0');
        if digits.starts_with(|letter: char| letter.is_ascii_digit()) { digits } else { part }
    });
    parts.collect::<Vec<_>>().join(".").to_lowercase()
}

/// The name of the folder in which an unpacked wheel describes itself.
pub(crate) fn dist_info(archive: &Path) -> Result<String, Fault> {
    let entries =
        std::fs::read_dir(archive).map_err(|e| Fault::new("damaged", archive, tool::io_text(&e)))?;
    let mut names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let held = names.find(|name| name.ends_with(".dist-info"));
    held.ok_or_else(|| Fault::new("damaged", archive, "it holds no dist-info folder"))
}
