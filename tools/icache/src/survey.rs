//! One verification: which packages, where, how deep, and what came of it.
use crate::deep;
use crate::manifest::{self, Manifest};
use crate::pass::Pass;
use crate::quick::{Fault, Found, Stores, look_up};
use crate::tree::{Tree, hash_all};
use lock::{LockFile, Origin, Package};
use record::{Cache, Env, Gap};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;
use store::Wheels;
use tool::{Code, Failure};

/// What is verified, and how.
pub(crate) struct Survey<'a> {
    args: &'a crate::Args,
    env: &'a Env,
    stores: Stores,
    cache_root: PathBuf,
    lock: LockFile,
    pub(crate) platform: String,
    packages: Vec<Package>,
    find_links: bool,
    started: Instant,
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) gaps: Vec<Gap>,
    pub(crate) cache: Cache,
}

impl<'a> Survey<'a> {
    /// Read the lock file and choose what is installed from it on this machine.
    pub(crate) fn of(args: &'a crate::Args, env: &'a Env) -> Result<Self, Failure> {
        let started = Instant::now();
        let lock_path = required(env, env.template_dir.as_ref(), "TEMPLATE_DIR")?.join("pixi.lock");
        let cache_root = required(env, env.cache_root.as_ref(), "CACHE_ROOT")?;
        let pkgs = required(env, env.conda_pkgs_dir.as_ref(), "CACHE_ROOT")?;
        let wheels = Wheels::at(required(env, env.uv_cache_dir.as_ref(), "CACHE_ROOT")?);
        let lock = read_lock(env, &lock_path)?;
        let name = env.pixi_env.as_deref().unwrap_or("default");
        let environment =
            lock.environments.get(name).ok_or_else(|| no_environment(env, &lock, &lock_path, name))?;
        let (platform, packages) = choose(environment, args.platform.as_deref()).map_err(|cause| {
            Failure::new(Code::Input, format!("cannot use {}", lock_path.display()), cause)
        })?;
        let find_links = environment.find_links;
        let stores = Stores { pkgs, wheels };
        Ok(Self { args, env, stores, cache_root, lock, platform, packages, find_links, started })
    }

    /// Look every package up, then hash what was found where that was asked for.
    pub(crate) fn run(&self) -> Result<Outcome, Failure> {
        let mut faults: Vec<(usize, Fault)> = collisions(&self.packages);
        let mut found = Vec::new();
        for (index, package) in self.packages.iter().enumerate() {
            match look_up(&self.stores, package) {
                _ if faults.iter().any(|(faulty, _)| *faulty == index) => {}
                Ok(place) => found.push((index, place)),
                Err(fault) => faults.push((index, fault)),
            }
        }
        let path = Manifest::path(&self.cache_root, &self.lock.sha256);
        let manifest = Manifest::read(&path).map_err(|error| {
            let failure =
                Failure::io(Code::Input, format!("cannot use the manifest {}", path.display()), &error);
            failure.hint("write it again with icache --record after a deep pass")
        })?;
        let mut bytes = 0;
        let mut used = manifest.is_some();
        if self.hashes() {
            let trees = self.hash(&found)?;
            bytes = trees.iter().map(|tree| tree.extent().1).sum();
            faults.extend(self.compare(&found, &trees, manifest.as_ref()));
            let blocked = faults.iter().any(|(_, fault)| self.blocks(fault));
            if self.args.record && !blocked {
                self.write_manifest(&path, &found, &trees)?;
                used = true;
            }
        }
        faults.sort_by_key(|(index, _)| *index);
        let mut gaps: Vec<Gap> = faults.into_iter().map(|(index, fault)| self.gap(index, fault)).collect();
        gaps.extend(self.find_links.then(|| self.find_links_gap()));
        let cache = self.cache(bytes, gaps.len() as u64, used.then_some(path));
        Ok(Outcome { gaps, cache })
    }

    fn hashes(&self) -> bool {
        self.args.deep || self.args.record || self.args.since.is_some()
    }

    fn hash(&self, found: &[(usize, Found)]) -> Result<Vec<Tree>, Failure> {
        let mut trees: Vec<Tree> = found.iter().map(|(_, place)| Tree::walk(place.root())).collect();
        let note = self.args.since.as_deref();
        // --deep always hashes all, and leaves a new note where one was asked for.
        let known = match note.filter(|_| !self.args.deep) {
            Some(note) => Pass::read(note).map_err(|e| note_failure("read", note, &e))?,
            None => Pass::default(),
        };
        let bar = tool::bytes_bar("hashing", trees.iter().map(|tree| tree.extent().1).sum());
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        hash_all(&mut trees, &known, self.args.jobs.unwrap_or_else(cores), &|bytes| bar.inc(bytes));
        bar.finish_and_clear();
        if let Some(note) = note {
            Pass::write(note, &trees).map_err(|e| note_failure("write", note, &e))?;
        }
        Ok(trees)
    }

    fn compare(
        &self,
        found: &[(usize, Found)],
        trees: &[Tree],
        manifest: Option<&Manifest>,
    ) -> Vec<(usize, Fault)> {
        let mut faults = Vec::new();
        for ((index, place), tree) in found.iter().zip(trees) {
            let proved = manifest.and_then(|manifest| {
                let (name, version, sha256) = identity(&self.packages[*index]);
                manifest.package(name, version, sha256)
            });
            let as_recorded = || match proved {
                Some(package) if package.tree_sha256 != tree.sha256() => {
                    Err(Fault::new("damaged", &tree.root, "it is not the tree that the manifest recorded"))
                }
                _ => Ok(()),
            };
            if let Err(fault) = deep::compare(place, tree).and_then(|()| as_recorded()) {
                faults.push((*index, fault));
            }
        }
        faults
    }

    fn write_manifest(&self, path: &Path, found: &[(usize, Found)], trees: &[Tree]) -> Result<(), Failure> {
        let packages = found.iter().zip(trees).map(|((index, _), tree)| {
            let (name, version, sha256) = identity(&self.packages[*index]);
            manifest::Package::of(name, version, sha256, tree)
        });
        let manifest = Manifest {
            format: 1,
            lock_sha256: self.lock.sha256.clone(),
            pixi_version: None,
            created_unix: manifest::now(),
            platform: self.platform.clone(),
            environment: self.env.pixi_env.clone().unwrap_or_else(|| "default".to_owned()),
            packages: packages.collect(),
        };
        let written = manifest.write(path);
        written.map_err(|e| {
            Failure::io(Code::Unmet, format!("cannot write the manifest {}", path.display()), &e)
        })
    }

    fn blocks(&self, fault: &Fault) -> bool {
        self.args.strict || fault.reason != "unprovable"
    }

    fn gap(&self, index: usize, fault: Fault) -> Gap {
        let package = &self.packages[index];
        let (name, version, sha256) = identity(package);
        let (source, url, size_bytes) = match package {
            Package::Conda(conda) => ("conda", Some(conda.location.clone()), conda.size_bytes),
            Package::Pypi(pypi) => ("pypi", url_of(&pypi.origin), None),
        };
        Gap {
            engine: self.env.engine,
            package: name.to_owned(),
            version: version.to_owned(),
            source: source.to_owned(),
            reason: fault.reason.to_owned(),
            blocks: self.blocks(&fault),
            url,
            sha256: sha256.map(str::to_owned),
            size_bytes,
            path: fault.path,
            detail: Some(fault.detail),
        }
    }

    /// pixi reads find-links pages before it installs anything; what they would say cannot be known here.
    fn find_links_gap(&self) -> Gap {
        Gap {
            engine: self.env.engine,
            package: "find-links".to_owned(),
            version: String::new(),
            source: "pypi".to_owned(),
            reason: "unprovable".to_owned(),
            blocks: self.args.strict,
            url: None,
            sha256: None,
            size_bytes: None,
            path: None,
            detail: Some("the environment has find-links, which pixi reads before it installs".to_owned()),
        }
    }

    fn cache(&self, bytes: u64, gaps: u64, manifest: Option<PathBuf>) -> Cache {
        Cache {
            engine: self.env.engine,
            lock_sha256: self.lock.sha256.clone(),
            platform: self.platform.clone(),
            pixi_env: self.env.pixi_env.clone().unwrap_or_else(|| "default".to_owned()),
            packages: self.packages.len() as u64,
            bytes,
            depth: if self.hashes() { "deep" } else { "quick" }.to_owned(),
            gaps,
            manifest,
            seconds: self.started.elapsed().as_secs_f64(),
        }
    }
}

/// What a package is known by.
fn identity(package: &Package) -> (&str, &str, Option<&str>) {
    match package {
        Package::Conda(conda) => (&conda.name, &conda.version, conda.sha256.as_deref()),
        Package::Pypi(pypi) => (&pypi.name, &pypi.version, pypi.sha256.as_deref()),
    }
}

fn url_of(origin: &Origin) -> Option<String> {
    match origin {
        Origin::Wheel { url, .. }
        | Origin::DirectWheel { url }
        | Origin::Sdist { url }
        | Origin::Git { url } => Some(url.clone()),
        Origin::Path { .. } => None,
    }
}

/// Two archives of one name, version and build share one folder in the cache and push each other out.
fn collisions(packages: &[Package]) -> Vec<(usize, Fault)> {
    let mut first: HashMap<String, (usize, &str)> = HashMap::new();
    let mut faults = Vec::new();
    for (index, package) in packages.iter().enumerate() {
        let Package::Conda(conda) = package else { continue };
        let Some(sha256) = conda.sha256.as_deref() else { continue };
        match first.get(&conda.entry()) {
            Some((other, hash)) if *hash != sha256 => {
                let Package::Conda(other) = &packages[*other] else { continue };
                let detail =
                    format!("{} and {} share one place in the cache", conda.location, other.location);
                faults.push((index, Fault { reason: "collision", path: None, detail }));
            }
            Some(_) => {}
            None => drop(first.insert(conda.entry(), (index, sha256))),
        }
    }
    faults
}

/// The packages of the platform that was named, or of all platforms of this machine's subdir: which of those pixi takes,
/// only its look at the machine decides.
fn choose(environment: &lock::Environment, named: Option<&str>) -> Result<(String, Vec<Package>), String> {
    let subdir =
        format!("linux-{}", if cfg!(target_arch = "x86_64") { "64" } else { std::env::consts::ARCH });
    let known = || environment.platforms.keys().cloned().collect::<Vec<_>>().join(", ");
    let chosen: Vec<(&String, &lock::Platform)> = match named {
        Some(name) => environment.platforms.get_key_value(name).into_iter().collect(),
        None => environment.platforms.iter().filter(|(_, platform)| platform.subdir == subdir).collect(),
    };
    let wanted = named.unwrap_or(&subdir);
    if chosen.is_empty() {
        return Err(format!("the environment is locked for {}, not for {wanted}", known()));
    }
    let mut packages: Vec<Package> = Vec::new();
    for package in chosen.iter().flat_map(|(_, platform)| &platform.packages) {
        if !packages.contains(package) {
            packages.push(package.clone());
        }
    }
    let names: Vec<&str> = chosen.iter().map(|(name, _)| name.as_str()).collect();
    Ok((names.join(","), packages))
}

fn required(env: &Env, value: Option<&PathBuf>, suffix: &str) -> Result<PathBuf, Failure> {
    let variable = tool::vars::of(env.engine, suffix);
    value.cloned().ok_or_else(|| Failure::new(Code::Unmet, variable, "it is not set"))
}

fn read_lock(env: &Env, path: &Path) -> Result<LockFile, Failure> {
    let what = || format!("cannot read {}", path.display());
    let bytes = std::fs::read(path).map_err(|error| {
        let variable = tool::vars::of(env.engine, "TEMPLATE_DIR");
        let hint = format!("set {variable} to the folder that holds pixi.toml and pixi.lock");
        Failure::io(Code::Unmet, what(), &error).hint(hint)
    })?;
    LockFile::parse(&bytes).map_err(|error| Failure::new(Code::Input, what(), error.to_string()))
}

fn no_environment(env: &Env, lock: &LockFile, path: &Path, name: &str) -> Failure {
    let known: Vec<&str> = lock.environments.keys().map(String::as_str).collect();
    let cause = format!("it has no environment '{name}', only {}", known.join(", "));
    let hint = format!("set {} to one of them", tool::vars::of(env.engine, "PIXI_ENV"));
    Failure::new(Code::Unmet, format!("cannot use {}", path.display()), cause).hint(hint)
}

fn note_failure(verb: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::io(Code::Unmet, format!("cannot {verb} the note {}", path.display()), error)
}
