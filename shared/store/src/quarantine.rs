//! Moving what a gap named out of the way, so that pixi fetches it: it takes what lies there for whole.
use crate::{Entry, Wheels};
use lock::Package;
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, openat};
use rustix::io::Errno;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The folder in the cache's root that damaged packages are moved into; nothing reads it.
#[derive(Debug)]
pub struct Quarantine {
    root: PathBuf,
    folder: PathBuf,
    /// The folder is there, and only we move into it.
    made: bool,
    moved: usize,
}

impl Quarantine {
    /// In the root of a cache. Nothing is made before something is moved.
    #[must_use]
    pub fn of(cache_root: &Path) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let folder = cache_root.join(format!(".damaged-{now}"));
        Self { root: cache_root.to_owned(), folder, made: false, moved: 0 }
    }

    /// Where it is, if anything was moved there.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        (self.moved > 0).then_some(&self.folder)
    }

    /// Move all that a cache has of a package whose conda packages are in `pkgs`.
    ///
    /// # Errors
    /// What could not be moved, and why.
    pub fn package(
        &mut self,
        (pkgs, wheels): (&Path, &Wheels),
        package: &Package,
    ) -> Result<(), (PathBuf, io::Error)> {
        places(pkgs, wheels, package)
            .into_iter()
            .try_for_each(|path| self.move_in(&path).map_err(|error| (path, error)))
    }

    /// Move one path, what it was is kept in its name; what is not there is out of the way.
    ///
    /// # Errors
    /// The system's.
    pub fn move_in(&mut self, path: &Path) -> io::Result<()> {
        if path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return Ok(());
        }
        let below = path.strip_prefix(&self.root).unwrap_or(path);
        let name = below.to_string_lossy().trim_start_matches('/').replace('/', "+");
        self.make()?;
        let to = self.folder.join(name);
        match std::fs::rename(path, &to) {
            // A store may be on another disk, behind a link: there it goes beside what it was.
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                let mut beside = self.folder.file_name().unwrap_or_default().to_owned();
                beside.push("-");
                beside.push(path.file_name().unwrap_or_default());
                std::fs::rename(path, path.with_file_name(beside))?;
            }
            other => other?,
        }
        self.moved += 1;
        Ok(())
    }

    /// A folder of our own: another of this second has its.
    fn make(&mut self) -> io::Result<()> {
        let first = self.folder.clone();
        for number in 2.. {
            if self.made {
                break;
            }
            match std::fs::create_dir(&self.folder) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let mut name = first.as_os_str().to_owned();
                    name.push(format!("-{number}"));
                    self.folder = name.into();
                }
                other => {
                    other?;
                    self.made = true;
                }
            }
        }
        Ok(())
    }
}

/// What pixi looks at to find a package, what says what it is first: without that it is no package.
fn places(pkgs: &Path, wheels: &Wheels, package: &Package) -> Vec<PathBuf> {
    match package {
        Package::Conda(conda) if conda.source => Vec::new(),
        Package::Conda(conda) => {
            let entry = Entry::of(pkgs, conda);
            vec![entry.sidecar, entry.folder]
        }
        // What it points to may be another wheel's by mistake; without a pointer nobody looks there.
        Package::Pypi(pypi) => [wheels.pointers(pypi), wheels.sources(pypi)].concat(),
    }
}

/// The lock that pixi holds as long as it installs: nobody installs while files come in. Somebody who does is not waited for.
///
/// # Errors
/// Somebody has it, or it cannot be made.
pub fn lock_cache(pkgs: &Path) -> io::Result<OwnedFd> {
    std::fs::create_dir_all(pkgs)?;
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = openat(CWD, pkgs.join(".cache.lock"), flags, Mode::from(0o644))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, "somebody installs from it"));
        }
        other => other?,
    }
    Ok(file)
}

/// The same where there are packages. Where there are none nobody installs, and nothing is made.
///
/// # Errors
/// As [`lock_cache`].
pub fn lock_cache_if_present(pkgs: &Path) -> io::Result<Option<OwnedFd>> {
    owner::is_dir(pkgs).then(|| lock_cache(pkgs)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_of_one_second_have_folders_of_their_own() {
        let root = std::env::temp_dir().join(format!("store-aside-{}", std::process::id()));
        std::fs::create_dir_all(root.join("below")).unwrap();
        let moved = |mut aside: Quarantine| {
            std::fs::create_dir(root.join("below/x")).unwrap();
            aside.move_in(&root.join("below/x")).unwrap();
            aside.move_in(&root.join("gone")).unwrap();
            aside.folder().unwrap().to_owned()
        };
        let mut later = Quarantine::of(&root);
        let first = moved(Quarantine { folder: later.folder.clone(), ..Quarantine::of(&root) });
        later.folder.clone_from(&first);
        let second = moved(later);
        assert_eq!(second.to_str().unwrap(), format!("{}-2", first.display()));
        assert!(first.join("below+x").is_dir() && second.join("below+x").is_dir());
        std::fs::remove_dir_all(root).unwrap();
    }
}
