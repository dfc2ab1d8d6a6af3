//! Filling one cache: what has to be so before pixi starts, pixi, and what has to be so afterwards.
use crate::cache_folders::{self, CacheFolders, required};
use crate::pixi_failure;
use crate::repair;
use crate::scratch::{ScratchDir, WarmLock, sweep};
use crate::task::Task;
use lock::{LockFile, Origin, Package, Pypi};
use pixi::{Job, Network, Pixi, Template, set_environment};
use record::{Env, Warmed, Warning};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use tool::{Code, Failure, Io, vars};

/// Fill the cache that `env` names with what its template locks.
pub(crate) fn warm(task: &Task<'_>, io: &mut Io) -> Result<Warmed, Failure> {
    let (begun, env) = (Instant::now(), task.env);
    let template = required(env, env.template_dir.as_ref(), "TEMPLATE_DIR")?;
    let place = CacheFolders::of(env)?;
    place.must_outlive_container(env)?;
    let template = Template::open(&template)?;
    let lock = readable_lock(env, &template)?;
    log::info!("read the template {}: pixi.lock of version {}", template.dir().display(), lock.version);
    let pixi = Pixi::find()?;
    for short in pixi.version_limits(lock.version, env.cache_layout.as_deref(), Network::Connected)? {
        let engine = Some(env.engine);
        io.warn(Warning {
            engine,
            instance: None,
            rule: short.rule.to_owned(),
            what: short.what,
            hint: short.hint,
        })?;
    }
    log::info!("{} {} fills {}", pixi.program.display(), pixi.version, place.root.display());
    place.make()?;
    Run { task, place: &place, template: &template, lock: &lock, pixi: &pixi }.fill(io)?;
    Ok(Warmed {
        engine: env.engine,
        lock_sha256: template.lock_sha256(),
        pixi_version: pixi.version.to_string(),
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// The lock file, which can be read and has the environment.
fn readable_lock(env: &Env, template: &Template) -> Result<LockFile, Failure> {
    let path = template.dir().join("pixi.lock");
    let lock = LockFile::parse(template.lock()).map_err(|error| {
        Failure::new(Code::Input, format!("cannot read {}", path.display()), error.to_string())
            .hint(error.hint())
    })?;
    match lock.environment(environment(env)) {
        Ok(locked) => match missing(locked, template.dir()) {
            None => Ok(lock),
            Some(file) => {
                let cause = format!("it locks {}, which is not there", file.display());
                Err(Failure::new(Code::Unmet, format!("cannot use {}", path.display()), cause)
                    .hint("put it there, or lock the template again without it"))
            }
        },
        Err(cause) => {
            let hint = format!("set {} to one of them", vars::of(env.engine, "PIXI_ENV"));
            Err(Failure::new(Code::Unmet, format!("cannot use {}", path.display()), cause).hint(hint))
        }
    }
}

/// The first file or folder that is locked for machines like this one, and that pixi would not find.
fn missing(environment: &lock::Environment, template: &Path) -> Option<PathBuf> {
    let here = environment.platforms.values().filter(|platform| platform.subdir == lock::host_platform());
    let path = |package: &Package| match package {
        Package::Conda(conda) if conda.source || conda.location.contains("://") => None,
        Package::Conda(conda) => Some(template.join(&conda.location)),
        Package::Pypi(Pypi { origin: Origin::Path { path }, .. }) => Some(template.join(path)),
        Package::Pypi(_) => None,
    };
    here.flat_map(|platform| &platform.packages).filter_map(path).find(|path| !path.exists())
}

fn environment(env: &Env) -> &str {
    env.pixi_env.as_deref().unwrap_or("default")
}

/// All that pixi's run takes.
struct Run<'a> {
    task: &'a Task<'a>,
    place: &'a CacheFolders,
    template: &'a Template,
    lock: &'a LockFile,
    pixi: &'a Pixi,
}

impl Run<'_> {
    fn fill(&self, io: &mut Io) -> Result<(), Failure> {
        let (root, patience) = (&self.place.root, self.task.patience);
        let lock = WarmLock::take(root, patience)?;
        sweep(root, &lock);
        self.place.must_be_writable()?;
        let scratch = ScratchDir::make(root, &lock)?;
        let folder = scratch.folder();
        self.write_project(folder)?;
        pixi::wait_for_cache(self.place.pkgs(), patience)?;
        let environment = self.lock.environment(environment(self.task.env)).ok();
        repair::set_aside(self.task, self.place, environment, io)?;
        let label = format!("warming the cache of {}", self.task.env.engine);
        let ended = Job::new(self.command(folder)).keep(lock.fd()).run(&label)?;
        if !ended.status.success() {
            return Err(pixi_failure::failure(&ended, root));
        }
        self.must_be_there(folder)
    }

    fn write_project(&self, folder: &Path) -> Result<(), Failure> {
        self.template.copy_to(folder).map_err(|(path, error)| cache_folders::refused(&path, &error))?;
        let lay = |path: &Path| std::fs::create_dir(folder.join(path));
        let config = folder.join(".pixi/config.toml");
        // The operator's configuration counts, but for where environments are put: that would outlive us.
        let made = lay("tmp".as_ref()).and_then(|()| lay(".pixi".as_ref()));
        made.and_then(|()| std::fs::write(&config, "detached-environments = false\n"))
            .map_err(|error| cache_folders::refused(&config, &error))
    }

    fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.pixi.program);
        command
            .args(["install", "--frozen", "--environment", environment(self.task.env)])
            .current_dir(folder);
        command.arg("--manifest-path").arg(folder.join(self.template.manifest_name()));
        set_environment(&mut command, &self.task.env.environment, &folder.join("tmp"), Network::Connected);
        command
    }

    /// pixi says that it has installed it: the environment must be where it was to be.
    fn must_be_there(&self, folder: &Path) -> Result<(), Failure> {
        let prefix = folder.join(".pixi/envs").join(environment(self.task.env));
        let inside = |path: PathBuf| Some(path.starts_with(folder.canonicalize().ok()?));
        if prefix.join("conda-meta").canonicalize().ok().and_then(inside) == Some(true) {
            return Ok(());
        }
        let what = format!("cannot tell that the cache {} is warm", self.place.root.display());
        let cause = format!("{} ended well and installed nothing there", self.pixi.program.display());
        Err(Failure::new(Code::Unmet, what, cause).hint("see what pixi says with iwarm -v"))
    }
}
