//! The cache road: take the template, let pixi install it sealed from the cache, prove that it imports, flip.
mod overlay;
mod run;
mod stores;
mod variables;

use crate::environment;
use crate::road::method::{Options, Road};
use crate::sealed::Sealed;
use base16ct::lower::encode_string as hex;
use install::{Attempt, Install, InstallRoot, RootLock, refused};
use lock::{LockFile, Origin, Package, Pypi};
use pixi::{Network, Pixi, Template};
use record::{Cache, Env, Installed, Warning};
use run::Run;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use stores::Stores;
use tool::{Code, Failure, vars};

const TMP: &str = ".tmp";

/// The cache road, its template read.
pub(crate) struct CacheRoad<'a> {
    options: Options<'a>,
    /// What icache found, if it looked.
    verified: Option<&'a Cache>,
    template: Template,
    lock: LockFile,
    pixi: Pixi,
    environment: &'a str,
    id: String,
}

impl<'a> CacheRoad<'a> {
    /// Read the template, ask pixi for its version, and know by that what the install will be.
    pub(crate) fn new(options: Options<'a>, verified: Option<&'a Cache>) -> Result<Self, Failure> {
        let env = options.env;
        let dir = env.template_dir.as_deref().ok_or_else(|| crate::prepare::unset(env, "install"))?;
        let template = Template::open(dir)?;
        if let Some(verified) = verified.filter(|verified| verified.lock_sha256 != template.lock_sha256()) {
            let what = format!("{} is not the lock file that was verified", dir.join("pixi.lock").display());
            let cause =
                format!("its sha256 was {}, now it is {}", verified.lock_sha256, template.lock_sha256());
            return Err(Failure::new(Code::Later, what, cause).hint("run the pipeline again"));
        }
        let lock = LockFile::parse(template.lock()).map_err(|error| {
            let what = format!("cannot read {}", dir.join("pixi.lock").display());
            Failure::new(Code::Input, what, error.to_string()).hint(error.hint())
        })?;
        let environment = env.pixi_env.as_deref().unwrap_or("default");
        let locked = lock.environment(environment).map_err(|cause| {
            let what = format!("cannot use {}", dir.join("pixi.lock").display());
            let hint = format!("set {} to one of them", vars::of(env.engine, "PIXI_ENV"));
            Failure::new(Code::Unmet, what, cause).hint(hint)
        })?;
        let verified = verified.filter(|verified| covers(verified, environment, locked));
        let pixi = Pixi::find()?;
        let id = id(&template, environment, &pixi, env);
        Ok(Self { options, verified, template, lock, pixi, environment, id })
    }

    fn env(&self) -> &'a Env {
        self.options.env
    }

    /// What an operator should know before it runs.
    fn warnings(&self) -> Result<Vec<Warning>, Failure> {
        let engine = self.env().engine;
        let warning = |rule: &str, what: String, hint: &str| Warning {
            engine: Some(engine),
            instance: None,
            rule: rule.to_owned(),
            what,
            hint: hint.to_owned(),
        };
        let layout = self.env().cache_layout.as_deref();
        let shortfalls = self.pixi.version_limits(self.lock.version, layout, Network::Offline)?;
        let mut warnings: Vec<Warning> =
            shortfalls.into_iter().map(|found| warning(found.rule, found.what, &found.hint)).collect();
        if self.verified.is_none() {
            let what = "the cache was not verified for this environment and machine".to_owned();
            let hint = "pixi hashes no file of it; put icache before iinstall in the pipeline";
            warnings.push(warning("cache_not_verified", what, hint));
        }
        if !self.template.skipped().is_empty() {
            let rest = self.template.skipped().join(", ");
            let what = format!("not taken from {}: {rest}", self.template.dir().display());
            let hint = "pixi.toml, pixi.lock and scripts are taken; a package of the lock that lies in the template is not";
            warnings.push(warning("template_rest", what, hint));
        }
        Ok(warnings)
    }

    /// Refuse a package that is a file or folder of the template which is not taken: pixi would not find it.
    fn takes_all(&self, packages: &[Package]) -> Result<(), Failure> {
        let path = |package: &Package| match package {
            Package::Conda(conda) if conda.source || conda.location.contains("://") => None,
            Package::Conda(conda) => Some(PathBuf::from(&conda.location)),
            Package::Pypi(Pypi { origin: Origin::Path { path }, .. }) => Some(path.clone()),
            Package::Pypi(_) => None,
        };
        let mut paths = packages.iter().filter_map(path).filter(|path| path.is_relative());
        let Some(path) = paths.find(|path| !self.template.takes(path)) else { return Ok(()) };
        let what = format!("cannot use {}", self.template.dir().join("pixi.lock").display());
        let cause = format!("it locks {}, which is not taken from the template", path.display());
        Err(Failure::new(Code::Unmet, what, cause)
            .hint("of a template only pixi.toml, pixi.lock and scripts are taken; lock it as a wheel, or put it below scripts"))
    }

    /// The same failure, with what icache could not prove, where nothing better is known.
    fn unverified_warning(&self, failure: Failure) -> Failure {
        let unproved = self.verified.is_some_and(|verified| verified.gaps > 0);
        if failure.hint.is_some() || !unproved {
            return failure;
        }
        failure.hint("icache named what it could not prove, as 'unprovable': that is built or read only now")
    }

    fn checks(&self, packages: usize) -> BTreeMap<String, Value> {
        let mut checks = BTreeMap::from([("packages".to_owned(), json!(packages))]);
        checks.extend(self.verified.map(|verified| ("cache".to_owned(), json!(verified.depth))));
        checks
    }
}

impl Road for CacheRoad<'_> {
    fn find_existing(&self, root: &InstallRoot) -> Result<Option<Install>, Failure> {
        let mut complete = root.complete().into_iter();
        let engine = self.env().engine;
        Ok(complete.find(|install| {
            install.record.id == self.id && install.record.engine == engine && install.is_complete()
        }))
    }

    fn build(
        &self,
        root: &InstallRoot,
        previous: Option<&Install>,
        lock: &RootLock,
    ) -> Result<(Install, Vec<Warning>), Failure> {
        let mut warnings = self.warnings()?;
        let stores = Stores::of(self.env(), &self.lock, self.environment)?;
        self.takes_all(&stores.packages)?;
        let sealed = Sealed::new(lock)?;
        let mut attempt = Attempt::begin(root, lock)?;
        attempt.move_into_place(&self.id)?;
        let folder = attempt.folder().to_owned();
        self.template.copy_to(&folder).map_err(|(path, error)| refused(&path, &error))?;
        let tmp = folder.join(TMP);
        std::fs::create_dir(&tmp).map_err(|error| refused(&tmp, &error))?;
        let (variables, shadowed) = variables::variables(&stores, self.env(), &folder, &root.path)?;
        let run = Run {
            program: &self.pixi.program,
            environment: self.environment,
            sealed: &sealed,
            attempt: &folder,
            variables: &variables,
            tmp: &tmp,
        };
        if shadowed.is_empty() {
            pixi::wait_for_cache(&stores.pkgs, self.options.timeout)?;
        }
        let prefix = run.install().map_err(|failure| self.unverified_warning(failure))?;
        warnings.extend(shadowed);
        let activation = run.activation()?;
        let python = prefix.join("bin/python");
        let mut checks = self.checks(stores.packages.len());
        let locked = (&activation, stores.distributions.as_slice());
        warnings.extend(environment::check(&sealed, self.env().engine, &python, locked, &mut checks)?);
        warnings.extend(sealed.warning(self.env().engine));
        for temporary in [TMP, overlay::FOLDER] {
            remove(&folder.join(temporary))?;
        }
        let installed = Installed {
            engine: self.env().engine,
            id: self.id.clone(),
            path: folder,
            python: Some(python),
            executable: None,
            library_dir: None,
            activation: Some(activation),
            checks,
            previous: previous.map(|previous| previous.path.clone()),
            source: None,
            seal: sealed.seal(),
            seconds: self.options.begun.elapsed().as_secs_f64(),
            reused: false,
            switched: false,
        };
        let install = Install::new(installed, record::Road::Cache)
            .made_by("pixi", &self.pixi.version.to_string())
            .of_files(self.template.hashes());
        attempt.finish(&install)?;
        Ok((install, warnings))
    }
}

/// Whether what icache looked at is what this machine installs: it may be asked for another platform.
fn covers(verified: &Cache, environment: &str, locked: &lock::Environment) -> bool {
    let here = |name: &str| {
        locked.platforms.get(name).is_some_and(|platform| platform.subdir == lock::host_platform())
    };
    verified.pixi_env == environment && verified.platform.split(',').any(here)
}

/// Hash of all that goes in: every file taken, the environment, the platform, pixi's version, and what overrides its look
/// at this machine.
fn id(template: &Template, environment: &str, pixi: &Pixi, env: &Env) -> String {
    let overrides = env.environment.iter().filter(|(name, _)| name.starts_with("CONDA_OVERRIDE_"));
    let overrides = overrides.map(|(name, value)| format!("{name}={value}"));
    let parts = [
        "cache".to_owned(),
        template.hash(),
        environment.to_owned(),
        std::env::consts::ARCH.to_owned(),
        pixi.version.to_string(),
    ];
    let mut hash = Sha256::new();
    for part in parts.into_iter().chain(overrides) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hex(&hash.finalize())
}

fn remove(folder: &Path) -> Result<(), Failure> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(refused(folder, &error)),
        _ => Ok(()),
    }
}
