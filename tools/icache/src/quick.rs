//! Whether pixi would find each package, by the rules of its old and its new versions: nothing is hashed.
use lock::{Conda, Origin, Package, Pypi};
use std::io;
use std::path::PathBuf;
use store::{Entry, Pointer, Wheels};

/// Where the packages of a cache are.
#[derive(Debug)]
pub(crate) struct Stores {
    pub(crate) pkgs: PathBuf,
    pub(crate) wheels: Wheels,
}

/// What is wrong with a package, in the words of the `gap` record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) reason: &'static str,
    pub(crate) path: Option<PathBuf>,
    pub(crate) detail: String,
}

impl Fault {
    pub(crate) fn new(reason: &'static str, path: impl Into<PathBuf>, detail: impl Into<String>) -> Self {
        Self { reason, path: Some(path.into()), detail: detail.into() }
    }

    fn unprovable(detail: &str) -> Self {
        Self { reason: "unprovable", path: None, detail: detail.to_owned() }
    }
}

/// A package that pixi would use.
#[derive(Debug)]
pub(crate) enum Found {
    /// A conda package's folder.
    Conda(Entry),
    /// An unpacked wheel.
    Wheel(PathBuf),
}

impl Found {
    /// The folder that holds it.
    pub(crate) fn root(&self) -> &std::path::Path {
        match self {
            Self::Conda(entry) => &entry.folder,
            Self::Wheel(archive) => archive,
        }
    }
}

/// Look a package up.
pub(crate) fn look_up(stores: &Stores, package: &Package) -> Result<Found, Fault> {
    match package {
        Package::Conda(conda) => look_up_conda(stores, conda).map(Found::Conda),
        Package::Pypi(pypi) => look_up_pypi(stores, pypi).map(Found::Wheel),
    }
}

fn look_up_conda(stores: &Stores, package: &Conda) -> Result<Entry, Fault> {
    if package.source {
        return Err(Fault::unprovable("it is built from source at install"));
    }
    let entry = Entry::of(&stores.pkgs, package);
    if !entry.folder.is_dir() {
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
    let about = entry.about().map_err(|error| damaged("info/index.json", error))?;
    if let Some(detail) = disagreement(package, &about) {
        return Err(Fault::new("wrong_hash", entry.folder.join("info/index.json"), detail));
    }
    entry.paths().map_err(|error| damaged("info/paths.json", error))?;
    Ok(entry)
}

/// pixi up to 0.77 writes the wanted hash beside a folder before it fetches; a failed fetch then leaves another package
/// under that hash. What the package says of itself tells.
fn disagreement(package: &Conda, about: &store::About) -> Option<String> {
    let differs = |field: &str, has: &str, wanted: &str| {
        (has != wanted).then(|| format!("the package says {field} {has}, the lock file {wanted}"))
    };
    differs("name", &about.name.to_lowercase(), &package.name)
        .or_else(|| differs("version", &about.version, &package.version))
        .or_else(|| differs("build", &about.build, &package.build))
        .or_else(|| differs("subdir", about.subdir.as_deref()?, &package.subdir))
        .or_else(|| number_differs("build number", about.build_number?, package.build_number?))
        .or_else(|| number_differs("timestamp", milliseconds(about.timestamp?), package.timestamp_ms?))
}

fn number_differs(field: &str, has: u64, wanted: u64) -> Option<String> {
    (has != wanted).then(|| format!("the package says {field} {has}, the lock file {wanted}"))
}

/// conda wrote seconds before it wrote milliseconds; the border is the one that rattler draws, the year 9999.
fn milliseconds(timestamp: u64) -> u64 {
    if timestamp > 253_402_300_799 { timestamp } else { timestamp * 1000 }
}

fn look_up_pypi(stores: &Stores, package: &Pypi) -> Result<PathBuf, Fault> {
    match &package.origin {
        Origin::Wheel { .. } | Origin::DirectWheel { .. } => look_up_wheel(&stores.wheels, package),
        Origin::Sdist { .. } => Err(Fault::unprovable("it is a source distribution, built at install")),
        Origin::Git { .. } => Err(Fault::unprovable("it is a git checkout, built at install")),
        Origin::Path { .. } => Err(Fault::unprovable("it is a file or folder of the template")),
    }
}

fn look_up_wheel(wheels: &Wheels, package: &Pypi) -> Result<PathBuf, Fault> {
    let candidates = wheels.pointers(package);
    let Some(path) = candidates.iter().find(|path| path.exists()).or(candidates.first()) else {
        return Err(Fault::unprovable("its file name is not a wheel's"));
    };
    let pointer = Pointer::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => missing_wheel(wheels, package, path),
        _ => Fault::new("damaged", path, tool::io_text(&error)),
    })?;
    let wanted_name = package.wheel_name().unwrap_or_default();
    if pointer.wheel != wanted_name {
        return Err(Fault::new("wrong_hash", path, format!("it stands for {}", pointer.wheel)));
    }
    if let Some(wanted) = &package.sha256
        && !pointer.sha256.contains(wanted)
    {
        let detail = match pointer.sha256.first() {
            Some(other) => format!("it was fetched with sha256 {other}"),
            None => {
                "no hash was checked when it was fetched, as with pixi before 0.71 or plain uv".to_owned()
            }
        };
        return Err(Fault::new("wrong_hash", path, detail));
    }
    let archive = wheels.archive(&pointer);
    if !archive.is_dir() {
        return Err(Fault::new("missing", archive, "the pointer is there, the unpacked wheel is not"));
    }
    holds_the_wheel(&archive, &wanted_name).map(|()| archive)
}

fn missing_wheel(wheels: &Wheels, package: &Pypi, path: &std::path::Path) -> Fault {
    let older = wheels.older_pointer(package).is_some_and(|path| path.exists());
    let detail = if older {
        "the cache was warmed by a pixi before 0.70, whose wheels newer ones do not look at"
    } else {
        "the wheel is not in the cache"
    };
    Fault::new("missing", path, detail)
}

/// Archives have random names: what is inside must say which wheel it is.
fn holds_the_wheel(archive: &std::path::Path, wheel: &str) -> Result<(), Fault> {
    let mut parts = wheel.splitn(3, '-');
    let (name, version) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let folder = format!("{name}-{version}.dist-info");
    if archive.join(&folder).is_dir() {
        return Ok(());
    }
    let same =
        |other: &str| other.replace(['_', '.'], "-").eq_ignore_ascii_case(&folder.replace(['_', '.'], "-"));
    let entries =
        std::fs::read_dir(archive).map_err(|e| Fault::new("damaged", archive, tool::io_text(&e)))?;
    let mut names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let held = names.find(|name| name.ends_with(".dist-info"));
    match held {
        Some(held) if same(&held) => Ok(()),
        Some(held) => Err(Fault::new("wrong_hash", archive, format!("it holds {held}, not {folder}"))),
        None => Err(Fault::new("damaged", archive, format!("it holds no {folder}"))),
    }
}
