//! The two stores of the cache, as pixi will find them: the real ones, or where it could not write to those, a shadow.
use crate::cache::shadow;
use crate::home::NO_LOCKS;
use lock::{LockFile, Package};
use record::{Env, Warning};
use rustix::fs::{Access, FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use store::{Entry, Wheels};
use tool::{Code, Failure, vars};

/// What is cached, and of it what is locked.
pub(crate) struct Stores {
    pub(crate) pkgs: PathBuf,
    pub(crate) uv: PathBuf,
    pub(crate) packages: Vec<Package>,
    /// The Python packages that are installed whichever of the platforms this machine is.
    pub(crate) distributions: Vec<String>,
}

/// The Python packages among these.
fn names(packages: &[Package]) -> BTreeSet<String> {
    let name = |package: &Package| match package {
        Package::Pypi(pypi) => Some(pypi.name.clone()),
        Package::Conda(_) => None,
    };
    packages.iter().filter_map(name).collect()
}

impl Stores {
    /// The stores that `env` names, for an environment of the lock file: all that is locked for machines like this one.
    pub(crate) fn of(env: &Env, lock: &LockFile, environment: &str) -> Result<Self, Failure> {
        let store = |store: &Option<PathBuf>| {
            store.clone().ok_or_else(|| {
                let what = format!("the 'env' record of {} is of no use", env.engine);
                Failure::new(Code::Input, what, "it does not say where the cache is")
            })
        };
        let (pkgs, uv) = (store(&env.conda_pkgs_dir)?, store(&env.uv_cache_dir)?);
        let here = lock::host_platform();
        let locked =
            lock.environments.get(environment).into_iter().flat_map(|found| found.platforms.values());
        let platforms: Vec<_> = locked.filter(|platform| platform.subdir == here).collect();
        // Platforms of one subdir have most packages in common.
        let mut packages: Vec<Package> = Vec::new();
        let mut seen = HashSet::new();
        for package in platforms.iter().flat_map(|platform| &platform.packages) {
            if seen.insert(format!("{package:?}")) {
                packages.push(package.clone());
            }
        }
        let names = platforms.iter().map(|platform| names(&platform.packages));
        let distributions =
            names.reduce(|one, other| &one & &other).unwrap_or_default().into_iter().collect();
        let stores = Self { pkgs, uv, packages, distributions };
        stores.must_be_there(env)?;
        Ok(stores)
    }

    /// Refuse a store that cannot be read and of which something is locked: pixi makes none for packages that there are
    /// not.
    fn must_be_there(&self, env: &Env) -> Result<(), Failure> {
        let wheels = |package: &Package| matches!(package, Package::Pypi(_));
        for (folder, of_wheels) in [(&self.pkgs, false), (&self.uv, true)] {
            if !self.packages.iter().any(|package| wheels(package) == of_wheels) {
                continue;
            }
            if let Err(error) = std::fs::read_dir(folder) {
                let root = vars::of(env.engine, "CACHE_ROOT");
                return Err(Failure::io(Code::Unmet, format!("cannot read {}", folder.display()), &error)
                    .hint(format!("{root} must name a warmed cache; icache says what it lacks")));
            }
        }
        Ok(())
    }

    /// Where pixi is to look, in variables. A shadow is made in `attempt`, which is on the disk of `home`.
    pub(crate) fn variables(
        &self,
        env: &Env,
        attempt: &Path,
        home: &Path,
    ) -> Result<(BTreeMap<String, String>, Vec<Warning>), Failure> {
        let mut variables = env.environment.clone();
        let Some((path, error)) = self.refused() else {
            self.can_lock()?;
            return Ok((variables, Vec::new()));
        };
        let folder = attempt.join(shadow::FOLDER);
        log::info!("{}: {error}; a shadow of the cache is made in {}", path.display(), folder.display());
        let copied = shadow::make(self, &folder, home)?;
        for (name, below) in shadow::VARIABLES {
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
    fn refused(&self) -> Option<(PathBuf, Errno)> {
        // rattler goes by the mode of its folder, whoever it is that asks.
        if std::fs::metadata(&self.pkgs).is_ok_and(|stat| stat.permissions().readonly()) {
            return Some((self.pkgs.clone(), Errno::ACCESS));
        }
        let mut written = vec![self.pkgs.clone(), self.uv.clone(), self.pkgs.join(".cache.lock")];
        written.extend(self.packages.iter().filter_map(|package| match package {
            Package::Conda(conda) => Some(Entry::of(&self.pkgs, conda).sidecar),
            Package::Pypi(_) => None,
        }));
        written.extend(["archive-v0", "wheels-v6", "interpreter-v4"].map(|bucket| self.uv.join(bucket)));
        written.into_iter().find_map(|path| match child::permitted(&path, Access::WRITE_OK) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTDIR) => None,
            Err(error) => Some((path, error)),
        })
    }

    /// pixi takes a lock in the cache for as long as it installs, and has no way without one.
    fn can_lock(&self) -> Result<(), Failure> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let locked = rustix::fs::open(&self.pkgs, flags, Mode::empty())
            .and_then(|folder| flock(&folder, FlockOperation::NonBlockingLockShared));
        match locked {
            Err(error @ (Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS)) => {
                let what = format!("cannot lock anything in {}", self.pkgs.display());
                Err(Failure::io(Code::Unmet, what, &error.into()).hint(NO_LOCKS))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn wheels(&self) -> Wheels {
        Wheels::at(&self.uv)
    }
}
