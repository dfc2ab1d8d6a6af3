//! Where run directories are.
use owner::{Dir, Owner};
use rustix::fs::{Access, access};
use std::env;
use std::io;
use std::path::{Path, PathBuf};

const VOCABULARY: &str = "vocabulary";

/// The run directory that something started now uses: `/run/infer-dev` if it can be written (or made), else
/// `$XDG_RUNTIME_DIR/infer-dev`, else `/tmp/infer-dev-<uid>`. `AUTO_INFER_RUN_DIR` is the caller's business.
#[must_use]
pub fn preferred() -> PathBuf {
    let system = PathBuf::from("/run/infer-dev");
    let writable = |path: &Path| access(path, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    if writable(&system) || (!owner::exists(&system) && writable(Path::new("/run"))) {
        return system;
    }
    match env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) {
        Some(dir) if dir.is_absolute() && writable(&dir) => dir.join("infer-dev"),
        _ => of_user(),
    }
}

/// All usual run directories that exist and are ours or root's, or whose owner is not known. Anybody can have made one of
/// these names below /tmp: nothing that we started is in it.
pub(crate) fn existing_run_dirs() -> Vec<PathBuf> {
    let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let runtime = runtime.map(|dir| dir.join("infer-dev"));
    let mut found: Vec<PathBuf> = Vec::new();
    for dir in [Some("/run/infer-dev".into()), runtime, Some(of_user())].into_iter().flatten() {
        let is_ours = match Dir::open(&dir) {
            // One of ours that others may write holds what we have started, and is not read: that is reported as a failure.
            Ok(open) if open.owner().is_trusted() => true,
            Ok(open) => trusted(open).inspect_err(|error| log::warn!("{}: {error}", dir.display())).is_ok(),
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        };
        if is_ours && !found.contains(&dir) {
            found.push(dir);
        }
    }
    found
}

/// A run directory, if there is one.
pub(crate) fn open(run_dir: &Path) -> io::Result<Option<Dir>> {
    match Dir::open(run_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => trusted(other?).map(Some),
    }
}

/// Whoever can write a run directory can have us believe in any instance.
pub(crate) fn trusted(dir: Dir) -> io::Result<Dir> {
    if dir.is_private() {
        return Ok(dir);
    }
    let owner = dir.owner();
    let why = if owner.is_trusted() {
        format!(
            "others may write {}, and so make up instances: chmod go-w takes that away",
            dir.path().display()
        )
    } else {
        let us = Owner::current().uid();
        format!("{} belongs to uid {}, not to root or uid {us}", dir.path().display(), owner.uid())
    };
    Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
}

/// Open a run directory, and make it where it is missing, with these permissions.
///
/// # Errors
/// What the system says; that it is somebody else's.
pub fn make(run_dir: &Path, mode: u32) -> io::Result<Dir> {
    if let Some(there) = open(run_dir)? {
        return Ok(there);
    }
    let us = Owner::current();
    if let (Some(parent), Some(name)) = (run_dir.parent(), run_dir.file_name()) {
        owner::make_folder(parent, &us)?.make(name, mode, &us)?;
    }
    open(run_dir)?.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// The same as ilaunch makes it where nobody else's keeper has to reach into it; it opens it to all where one has to.
pub(crate) fn make_as_usual(run_dir: &Path) -> io::Result<Dir> {
    make(run_dir, if run_dir == of_user() { 0o700 } else { 0o755 })
}

/// Where what programs say of their options is kept, if anything is.
///
/// # Errors
/// What the system says; that the run directory is somebody else's.
pub fn vocabulary_dir(run_dir: &Path) -> io::Result<Option<Dir>> {
    let Some(run_dir) = open(run_dir)? else { return Ok(None) };
    match run_dir.below(VOCABULARY) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => trusted(other?).map(Some),
    }
}

/// The same, made where it is missing.
///
/// # Errors
/// As [`vocabulary_dir`].
pub fn make_vocabulary_dir(run_dir: &Path) -> io::Result<Dir> {
    make_as_usual(run_dir)?.make(VOCABULARY, 0o755, &Owner::current())?;
    vocabulary_dir(run_dir)?.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Where the run directory of whoever has no other is: anybody can make one of this name.
#[must_use]
pub fn of_user() -> PathBuf {
    PathBuf::from(format!("/tmp/infer-dev-{}", rustix::process::geteuid().as_raw()))
}
