//! The instances below a run directory.
use crate::directory::Directory;
use crate::run_dir::{open, trusted};
use failure::{Code, Failure};
use owner::Dir;
use std::ffi::OsString;
use std::io;
use std::path::Path;

/// What was found in run directories.
#[derive(Debug, Default)]
pub struct Instances {
    /// Every instance that was found.
    pub places: Vec<Directory>,
    /// Why there may be more: the first folder of each run directory that could not be read. Code 69.
    pub unread: Vec<Failure>,
}

/// Every instance below a run directory, by engine and name. A folder that is not there holds none; of one that cannot be
/// read nobody knows.
#[must_use]
pub fn instances(run_dir: &Path) -> Instances {
    let mut found = Instances::default();
    let open = match open(run_dir) {
        Ok(Some(open)) => open,
        Ok(None) => return found,
        Err(error) => {
            found.unread.push(unread(run_dir, &error));
            return found;
        }
    };
    for engine in record::Engine::ENGINES.into_iter().chain([record::Engine::Bridge]) {
        let folder = run_dir.join(engine.id());
        match folders_in(&open, engine.id()) {
            Ok(names) => found.places.extend(names.into_iter().map(|name| Directory::at(folder.join(name)))),
            Err(error) if found.unread.is_empty() => found.unread.push(unread(&folder, &error)),
            Err(_) => {}
        }
    }
    found
}

fn folders_in(run_dir: &Dir, engine: &str) -> io::Result<Vec<OsString>> {
    use io::ErrorKind::{InvalidData, NotADirectory, NotFound};
    let missing = |error: &io::Error| error.kind() == NotFound;
    let folder = match run_dir.below(engine) {
        Err(error) if missing(&error) => return Ok(Vec::new()),
        other => trusted(other?)?,
    };
    let mut names = Vec::new();
    for name in folder.names()? {
        match folder.below(&name).map_err(|error| (error.kind(), error)) {
            Ok(_) => names.push(name),
            Err((NotFound | NotADirectory | InvalidData, _)) => {}
            Err((_, error)) => return Err(error),
        }
    }
    Ok(names)
}

fn unread(folder: &Path, error: &io::Error) -> Failure {
    let failure = Failure::io(Code::Unmet, format!("cannot read {}", folder.display()), error);
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            failure.hint("run as root or as its owner, or name another run directory with --run-dir")
        }
        io::ErrorKind::NotADirectory => {
            failure.hint("a run directory holds folders and is one: remove what stands there, or correct AUTO_INFER_RUN_DIR or --run-dir")
        }
        _ => failure,
    }
}
