//! The two stores of the cache, and of what is in them, what is locked.
use lock::{LockFile, Package};
use record::Env;
use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use store::Wheels;
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
                let what = format!("invalid 'env' record of {}", env.engine);
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

    pub(crate) fn wheels(&self) -> Wheels {
        Wheels::at(&self.uv)
    }
}
