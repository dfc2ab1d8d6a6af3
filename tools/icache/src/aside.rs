//! Moving what a gap named out of the way, so that pixi fetches it: it takes what lies there for whole.
use crate::quick::Stores;
use lock::Package;
use std::io;
use std::path::{Path, PathBuf};
use store::Entry;

/// The folder in the cache's root that damaged packages are moved into; nothing reads it.
pub(crate) struct Aside {
    root: PathBuf,
    folder: PathBuf,
    moved: usize,
}

impl Aside {
    /// In the root of a cache; `now` in unix seconds tells it from others. Nothing is made before something is moved.
    pub(crate) fn of(cache_root: &Path, now: u64) -> Self {
        Self { root: cache_root.to_owned(), folder: cache_root.join(format!(".damaged-{now}")), moved: 0 }
    }

    /// Where it is, if anything was moved there.
    pub(crate) fn folder(&self) -> Option<&Path> {
        (self.moved > 0).then_some(&self.folder)
    }

    /// Move all that the cache has of a package.
    pub(crate) fn package(&mut self, stores: &Stores, package: &Package) -> Result<(), (PathBuf, io::Error)> {
        places(stores, package)
            .into_iter()
            .try_for_each(|path| self.put(&path).map_err(|error| (path, error)))
    }

    /// Move one path, what it was is kept in its name; what is not there is out of the way.
    pub(crate) fn put(&mut self, path: &Path) -> io::Result<()> {
        if path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return Ok(());
        }
        let below = path.strip_prefix(&self.root).unwrap_or(path);
        let name = below.to_string_lossy().trim_start_matches('/').replace('/', "+");
        std::fs::create_dir_all(&self.folder)?;
        let to = self.folder.join(name);
        match std::fs::rename(path, &to) {
            // A store may be on another disk, behind a link: there it goes beside what it was.
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                let mut beside = path.as_os_str().to_owned();
                beside.push(".damaged");
                std::fs::rename(path, PathBuf::from(beside))?;
            }
            other => other?,
        }
        self.moved += 1;
        Ok(())
    }
}

/// What pixi looks at to find a package, what says what it is first: without that it is no package.
fn places(stores: &Stores, package: &Package) -> Vec<PathBuf> {
    match package {
        Package::Conda(conda) if conda.source => Vec::new(),
        Package::Conda(conda) => {
            let entry = Entry::of(&stores.pkgs, conda);
            vec![entry.sidecar, entry.folder]
        }
        // What it points to may be another wheel's by mistake; without a pointer nobody looks there.
        Package::Pypi(pypi) => [stores.wheels.pointers(pypi), stores.wheels.sources(pypi)].concat(),
    }
}
