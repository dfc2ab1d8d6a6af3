//! Where run directories are.
use crate::Directory;
use rustix::fs::{Access, access};
use std::env;
use std::path::{Path, PathBuf};

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

/// All run directories that exist, `named` (from `AUTO_INFER_RUN_DIR` or an option) first.
#[must_use]
pub fn existing(named: Option<&Path>) -> Vec<PathBuf> {
    let runtime = env::var_os("XDG_RUNTIME_DIR").map(|dir| PathBuf::from(dir).join("infer-dev"));
    let candidates = [named.map(Path::to_owned), Some("/run/infer-dev".into()), runtime, Some(of_user())];
    let mut found: Vec<PathBuf> = Vec::new();
    for dir in candidates.into_iter().flatten() {
        if dir.is_dir() && !found.contains(&dir) {
            found.push(dir);
        }
    }
    found
}

/// Every instance below a run directory, by engine and name.
#[must_use]
pub fn instances(run_dir: &Path) -> Vec<Directory> {
    let mut found = Vec::new();
    for engine in record::Engine::ENGINES.into_iter().chain([record::Engine::Bridge]) {
        let Ok(entries) = std::fs::read_dir(run_dir.join(engine.id())) else { continue };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| path.is_dir());
        paths.sort();
        found.extend(paths.into_iter().map(Directory::at));
    }
    found
}

fn of_user() -> PathBuf {
    PathBuf::from(format!("/tmp/infer-dev-{}", rustix::process::geteuid().as_raw()))
}
