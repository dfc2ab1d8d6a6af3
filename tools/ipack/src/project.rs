//! The project: a private copy of the template, in which pixi works. The template is touched for a new lock file only.
use crate::caches::Caches;
use crate::contents::Contents;
use crate::options::PackOptions;
use crate::runner::Runner;
use crate::staging::Staging;
use crate::tasks;
use lock::{LockFile, Package};
use owner::Dir;
use pixi::{ErrorReport, Kind, Network, Pixi, Template, override_variable};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tool::{Code, Failure};

/// The copy, and what works on it.
pub(crate) struct Project<'o> {
    pub(crate) options: &'o PackOptions,
    pub(crate) pixi: Pixi,
    /// What is packed: with a new lock file once that is made.
    pub(crate) template: Template,
    /// As it was taken.
    taken: Template,
    packer: PathBuf,
    dir: PathBuf,
    out: PathBuf,
}

impl<'o> Project<'o> {
    pub(crate) fn copy(options: &'o PackOptions, staging: &Staging) -> Result<Self, Failure> {
        let taken = if options.update_lock {
            Template::open_to_lock(&options.template)?
        } else {
            Template::open(&options.template).map_err(|failure| {
                let unlocked = options.template.join(pixi::manifest_of(&options.template)).is_file()
                    && options.template.join("pixi.lock").symlink_metadata().is_err();
                if unlocked { failure.hint("--update-lock makes it") } else { failure }
            })?
        };
        for task in options.tasks() {
            tasks::require(&taken, task)?;
        }
        for name in taken.skipped() {
            log::info!("{}: not part of a template, not taken", options.template.join(name).display());
        }
        let pixi = Pixi::find()?;
        let packer =
            pixi::on_path("pixi-pack", "put pixi-pack, one file of about 20 MB, into a folder of PATH")?;
        let (dir, out) = (staging.folder("project")?, staging.folder("out")?);
        write_template(&taken, &dir).map_err(|(path, error)| {
            Failure::io(Code::Unmet, format!("cannot write {}", path.display()), &error)
        })?;
        Ok(Self { options, pixi, template: taken.clone(), taken, packer, dir, out })
    }

    /// See that the lock file satisfies the manifest, or make one that does.
    pub(crate) fn update_lock(&mut self, runner: &Runner) -> Result<(), Failure> {
        let shown = self.options.template.display();
        if self.options.update_lock {
            let mut lock = || self.pixi(&["lock"]);
            runner.download(&format!("cannot lock {shown}"), &mut lock)?;
            self.template = Template::open(&self.dir)?;
            return self.check_lock_writable();
        }
        // What it has no packages for is said in our words.
        self.packages()?;
        let PackOptions { environment, platform, .. } = self.options;
        // `pixi lock --check` would call every lock file of an older format outdated.
        let list = [
            "list",
            // None of them: it is the comparison that is wanted.
            "^$",
            "--locked",
            "--no-install",
            "--json",
            "--platform",
            platform,
            "--environment",
            environment,
        ];
        let checked =
            runner.download(&format!("cannot use the lock file of {shown}"), &mut || self.pixi(&list));
        checked.map_err(|mut failure| {
            if kind(&failure) == Kind::LockOutdated {
                failure.code = Code::Input;
                failure = failure.hint("--update-lock solves it again and writes it back");
            }
            failure
        })
    }

    /// The lock file, read.
    pub(crate) fn lock(&self) -> Result<LockFile, Failure> {
        let file = self.options.template.join("pixi.lock");
        LockFile::parse(self.template.lock()).map_err(|error| {
            Failure::new(Code::Input, format!("cannot read {}", file.display()), error.to_string())
                .hint(error.hint())
        })
    }

    /// The packages to be packed, of all that the lock file has for the platform.
    pub(crate) fn packages(&self) -> Result<Vec<Package>, Failure> {
        let lock = self.lock()?;
        self.pixi.version_limits(lock.version, Some("pixi"), Network::Connected)?;
        let PackOptions { environment: name, platform, template, .. } = self.options;
        let lacks = |what: &str, named: Vec<&str>| {
            let file = template.join("pixi.lock");
            let cause = format!("{} has no {what}", file.display());
            Failure::new(Code::Input, format!("cannot pack environment '{name}' for {platform}"), cause)
                .hint(format!("it has {}", named.join(", ")))
        };
        let environment = lock.environments.get(name).ok_or_else(|| {
            lacks(&format!("environment '{name}'"), lock.environments.keys().map(String::as_str).collect())
        })?;
        let platforms = || environment.platforms.values();
        let fitting: Vec<_> = platforms().filter(|found| found.subdir == *platform).collect();
        if fitting.is_empty() {
            let there = platforms().map(|found| found.subdir.as_str()).collect();
            return Err(lacks(&format!("platform {platform} for it"), there));
        }
        Ok(fitting.into_iter().flat_map(|found| found.packages.iter().cloned()).collect())
    }

    /// Install it, and run the project's tasks that were asked for.
    pub(crate) fn run_tasks(&self, runner: &Runner) -> Result<(), Failure> {
        let (tasks, shown) = (self.options.tasks(), self.options.template.display());
        if tasks.is_empty() {
            return Ok(());
        }
        let environment = &self.options.environment;
        let what = format!("cannot install environment '{environment}' of {shown}");
        let install = ["install", "--frozen", "--environment", environment];
        runner.download(&what, &mut || self.pixi(&install)).map_err(|failure| {
            let Kind::Virtual(package) = kind(&failure) else { return failure };
            let variable = override_variable(&package);
            failure.hint(format!("set {variable} to the version that it is for, or give --skip-verify"))
        })?;
        for task in tasks {
            let what = format!("cannot perform task '{task}' of {shown}");
            runner.run(&what, &mut || self.pixi(&["run", "--frozen", "--environment", environment, task]))?;
        }
        Ok(())
    }

    /// That a new lock file can be written is asked before anything is downloaded for it.
    fn check_lock_writable(&self) -> Result<(), Failure> {
        let lock = self.lock_file();
        if self.template.lock() == self.taken.lock() {
            return Ok(());
        }
        let folder = lock.parent().unwrap_or(&self.options.template);
        rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).map_err(|error| {
            Failure::io(Code::Unmet, format!("cannot write {}", lock.display()), &error.into())
                .hint("the template has to be one that can be written, or leave out --update-lock")
        })
    }

    /// Where it is: a link stays one.
    fn lock_file(&self) -> PathBuf {
        let lock = self.options.template.join("pixi.lock");
        std::fs::canonicalize(&lock).unwrap_or(lock)
    }

    /// A new lock file goes into the template, in one step. It was made of files that must still be there as they were.
    pub(crate) fn write_lock_back(&self) -> Result<(), Failure> {
        let template = &self.options.template;
        if self.template.lock() == self.taken.lock() {
            return Ok(());
        }
        let lock = self.lock_file();
        if Template::open_to_lock(template)?.hash() != self.taken.hash() {
            let cause = "the template has changed since it was taken";
            return Err(Failure::new(Code::Later, format!("cannot write {}", lock.display()), cause));
        }
        replace(&lock, self.template.lock())
            .map_err(|error| Failure::io(Code::Unmet, format!("cannot write {}", lock.display()), &error))
    }

    /// Let pixi-pack make the bundle, and say where.
    pub(crate) fn pack(&self, runner: &Runner, caches: &Caches) -> Result<PathBuf, Failure> {
        let options = self.options;
        let staged = self.out.join(options.name());
        let mut pack = || {
            let mut command = Command::new(&self.packer);
            command.args([
                "--environment",
                &options.environment,
                "--platform",
                &options.platform,
                "--output-file",
            ]);
            command.arg(&staged).arg("--use-cache").arg(&caches.pack);
            if options.ignore_pypi_non_wheel {
                command.arg("--ignore-pypi-non-wheel");
            }
            if options.create_executable {
                command.arg("--create-executable");
            }
            if let Some(source) = &options.unpack {
                command.args(["--pixi-unpack-source", source]);
            }
            if let Some(config) = &options.rattler_config {
                command.arg("--config").arg(config);
            }
            for package in &options.injected {
                command.arg("--inject").arg(package.path());
            }
            command.arg(&self.dir).current_dir(&self.dir);
            command
        };
        let packed = runner.download(&format!("cannot pack {}", options.template.display()), &mut pack);
        packed.map_err(|failure| self.explained(failure))?;
        Ok(staged)
    }

    /// Bytes of the program that pixi-pack downloaded for the script.
    pub(crate) fn fetched(&self, contents: &Contents) -> u64 {
        if self.options.fetches_program() { contents.program_bytes } else { 0 }
    }

    fn explained(&self, failure: Failure) -> Failure {
        let why = ErrorReport::of(&failure.log_tail);
        if why.sentence.contains("pixi-unpack executable") && self.options.unpack.is_none() {
            return failure
                .hint("bring pixi-unpack, and name it with --pixi-unpack-source or put it on PATH");
        }
        if !self.options.ignore_pypi_non_wheel && why.kind == Kind::NoWheel {
            return failure.hint("--ignore-pypi-non-wheel leaves out what has no wheel");
        }
        failure
    }

    fn pixi(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.pixi.program);
        let (subcommand, rest) = arguments.split_at(1);
        command
            .args(subcommand)
            .arg("--manifest-path")
            .arg(self.dir.join(self.template.manifest_name()))
            .args(rest);
        command.current_dir(&self.dir);
        command
    }
}

/// Why the program failed that this is about.
fn kind(failure: &Failure) -> Kind {
    ErrorReport::of(&failure.log_tail).kind
}

/// The copy. The operator's pixi configuration counts, but for where environments are put: that would outlive us.
fn write_template(template: &Template, dir: &Path) -> Result<(), (PathBuf, io::Error)> {
    template.copy_to(dir)?;
    let config = dir.join(".pixi/config.toml");
    let written = std::fs::create_dir(dir.join(".pixi"))
        .and_then(|()| std::fs::write(&config, "detached-environments = false\n"));
    written.map_err(|error| (config, error))
}

fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mode = std::fs::metadata(path).map_or(0o644, |stat| stat.permissions().mode() & 0o777);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    Dir::open(folder.unwrap_or(Path::new(".")))?.replace_for_good(name, mode, content)
}
