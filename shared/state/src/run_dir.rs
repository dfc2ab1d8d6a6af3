//! Where run directories are.
use crate::Directory;
use rustix::fs::{Access, access};
use std::env;
use std::io;
use std::path::{Path, PathBuf};
use tool::{Code, Failure};

/// The run directory that something started now uses: `/run/infer-dev` if it can be written (or made), else
/// `$XDG_RUNTIME_DIR/infer-dev`, else `/tmp/infer-dev-<uid>`. `AUTO_INFER_RUN_DIR` is the caller's business.
#[must_use]
pub fn preferred() -> PathBuf {
    let system = PathBuf::from("/run/infer-dev");
    let writable = |path: &Path| access(path, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    if writable(&system) || (!system.exists() && writable(Path::new("/run"))) {
        return system;
    }
    match env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) {
        Some(dir) if dir.is_absolute() && writable(&dir) => dir.join("infer-dev"),
        _ => of_user(),
    }
}

/// All run directories that exist, or of which that cannot be told.
pub(crate) fn existing() -> Vec<PathBuf> {
    let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let runtime = runtime.map(|dir| dir.join("infer-dev"));
    let mut found: Vec<PathBuf> = Vec::new();
    for dir in [Some("/run/infer-dev".into()), runtime, Some(of_user())].into_iter().flatten() {
        let missing = std::fs::metadata(&dir).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        if !missing && !found.contains(&dir) {
            found.push(dir);
        }
    }
    found
}

/// What was found in run directories.
#[derive(Debug, Default)]
pub struct Found {
    /// Every instance that was found.
    pub places: Vec<Directory>,
    /// Why there may be more: the first folder of each run directory that could not be read. Code 69.
    pub unread: Vec<Failure>,
}

/// Every instance below a run directory, by engine and name. A folder that is not there holds none; of one that cannot be
/// read nobody knows.
#[must_use]
pub fn instances(run_dir: &Path) -> Found {
    let mut found = Found::default();
    for engine in record::Engine::ENGINES.into_iter().chain([record::Engine::Bridge]) {
        let folder = run_dir.join(engine.id());
        match folders_in(&folder) {
            Ok(paths) => found.places.extend(paths.into_iter().map(Directory::at)),
            Err(error) if found.unread.is_empty() => found.unread.push(unread(&folder, &error)),
            Err(_) => {}
        }
    }
    found
}

fn folders_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let entries = match std::fs::read_dir(folder) {
        Err(error) if missing(&error) => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        match std::fs::metadata(&path) {
            Ok(found) if found.is_dir() => paths.push(path),
            Err(error) if !missing(&error) => return Err(error),
            _ => {}
        }
    }
    paths.sort();
    Ok(paths)
}

fn unread(folder: &Path, error: &io::Error) -> Failure {
    let failure = Failure::io(Code::Unmet, format!("cannot read {}", folder.display()), error);
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            failure.hint("run as root or as its owner, or name another run directory with --run-dir")
        }
        io::ErrorKind::NotADirectory => {
            failure.hint("a run directory is a folder: correct AUTO_INFER_RUN_DIR, or --run-dir")
        }
        _ => failure,
    }
}

fn of_user() -> PathBuf {
    PathBuf::from(format!("/tmp/infer-dev-{}", rustix::process::geteuid().as_raw()))
}
