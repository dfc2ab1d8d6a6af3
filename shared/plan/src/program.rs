//! What is run, before any argument of the engine's own.
use crate::input::Input;
use crate::install::Install;
use config::Master;
use failure::{Code, Failure};
use record::{Engine, Env, Road};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A program, what stands before the engine's arguments, and what it needs in its environment.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) program: PathBuf,
    pub(crate) lead: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) install_path: Option<PathBuf>,
}

/// The caller's environment, as far as programs build on it.
pub(crate) struct Caller<'a>(pub(crate) &'a BTreeMap<String, String>);

impl Caller<'_> {
    /// Folders joined before those that a variable has already.
    fn before(&self, variable: &str, folders: &[PathBuf]) -> String {
        let mut parts: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
        parts.extend(self.0.get(variable).filter(|rest| !rest.is_empty()).cloned());
        parts.join(":")
    }

    fn which(&self, name: &str) -> Option<PathBuf> {
        let path = self.0.get("PATH")?;
        which::which_in(name, Some(path), "/").ok()
    }
}

/// The one program of an engine, however many instances it has.
pub(crate) fn find(input: &Input, master: &Master, caller: &Caller<'_>) -> Result<Install, Failure> {
    let install = match input.env.engine {
        Engine::LlamaCpp => find_llama(input, master, caller),
        _ => find_python(input, master),
    }?;
    for program in install.executable.iter().chain(&install.python) {
        let said =
            if input.installed.is_some() { "the stream says what is installed" } else { "it was looked for" };
        log::info!("{} is served by {}: {said}", input.env.engine, program.display());
    }
    Ok(install)
}

fn find_llama(input: &Input, master: &Master, caller: &Caller<'_>) -> Result<Install, Failure> {
    if let Some(path) = &master.llama_cpp_path {
        let hint = "correct it, or leave it out to run what is installed";
        executable(path, "master.llama_cpp_path").map_err(|failure| failure.hint(hint))?;
        return Ok(Install::of_executable(path));
    }
    if let Some(install) = installed(input, "default")?
        && let Some(path) = &install.executable
    {
        executable(path, "the install")?;
        return Ok(install);
    }
    let workspace = input.env.workspace.join("llama-cpp/build/bin/llama-server");
    let built = [PathBuf::from("/hard/volume/workspace/llama-cpp/build/bin/llama-server"), workspace];
    let found = built.into_iter().find(|path| owner::is_file(path)).or_else(|| caller.which("llama-server"));
    match found {
        Some(path) => {
            executable(&path, "llama-server")?;
            Ok(Install::of_executable(&path))
        }
        None => Err(not_installed(&input.env)),
    }
}

fn find_python(input: &Input, master: &Master) -> Result<Install, Failure> {
    let env = &input.env;
    let pixi_env = pixi_env(master, env);
    let install = match &master.project_dir {
        Some(dir) if env.project_dir.as_ref() != Some(dir) => Some(elsewhere(dir, env.engine, pixi_env)?),
        _ => installed(input, pixi_env)?,
    };
    let named = match (&master.python_path, &env.python) {
        (Some(python), _) => Some((python, "master.python_path".to_owned())),
        (None, Some(python)) => Some((python, variables::of(env.engine, "PYTHON"))),
        (None, None) => None,
    };
    if let Some((python, what)) = named {
        executable(python, &what)?;
        let mut own = Install::of_python(python);
        // The activation that was captured belongs to the interpreter that it was captured of.
        if let Some(install) =
            install.filter(|install| same_folder(install.python.as_deref(), own.python.as_deref()))
        {
            own = Install { python: own.python, ..install };
        }
        return Ok(own);
    }
    let Some(install) = install else { return Err(not_installed(env)) };
    let install = other_environment(install, master)?;
    match &install.python {
        Some(python) => executable(python, "the install's interpreter")?,
        None => return Err(not_installed(env)),
    }
    Ok(install)
}

/// `master.pixi_environment` may name another environment of the install than the one that was recorded.
fn other_environment(install: Install, master: &Master) -> Result<Install, Failure> {
    let (Some(name), Some(path)) = (&master.pixi_environment, &install.path) else { return Ok(install) };
    let envs = path.join(".pixi/envs");
    let python = envs.join(name).join("bin/python");
    if !owner::is_dir(envs) || same_folder(install.python.as_deref(), Some(&python)) {
        return Ok(install);
    }
    executable(&python, &format!("environment '{name}' of the install"))?;
    Ok(Install { path: install.path, ..Install::of_python(&python) })
}

fn installed(input: &Input, pixi_env: &str) -> Result<Option<Install>, Failure> {
    match (&input.installed, input.env.home()) {
        (Some(installed), _) => Ok(Some(installed.into())),
        (None, Some(home)) => Install::at(home, input.env.engine, pixi_env),
        (None, None) => Ok(None),
    }
}

fn elsewhere(dir: &Path, engine: Engine, pixi_env: &str) -> Result<Install, Failure> {
    Install::at(dir, engine, pixi_env)?.ok_or_else(|| {
        let what = format!("master.project_dir {}", dir.display());
        let cause =
            if owner::is_dir(dir) { "nothing is installed there" } else { "No such file or directory" };
        Failure::new(Code::Unmet, what, cause)
    })
}

fn pixi_env<'a>(master: &'a Master, env: &'a Env) -> &'a str {
    master.pixi_environment.as_deref().or(env.pixi_env.as_deref()).unwrap_or("default")
}

fn same_folder(one: Option<&Path>, other: Option<&Path>) -> bool {
    let folder =
        |path: Option<&Path>| path.and_then(Path::parent).and_then(|dir| owner::canonicalize(dir).ok());
    folder(one).is_some_and(|one| folder(other) == Some(one))
}

fn not_installed(env: &Env) -> Failure {
    let engine = env.engine;
    let what = format!("cannot plan {engine}");
    let cause = match env.home() {
        Some(home) => format!("nothing is installed in {}", home.display()),
        None => "it is not installed".to_owned(),
    };
    Failure::new(Code::Unmet, what, cause).hint(install_hint(env))
}

/// How to install it: what says from where, where nothing does or where nothing is, and the command.
fn install_hint(env: &Env) -> String {
    let engine = env.engine;
    let sources = sources(env);
    let unset: Vec<_> = sources
        .iter()
        .filter(|(_, path, _)| path.is_none())
        .map(|(name, _, what)| format!("{name} to its {what}"))
        .collect();
    let check = if env.road == Some(Road::Cache) { "icache | " } else { "" };
    let install = format!("ienv {engine} | {check}iinstall");
    if unset.len() == sources.len() {
        return format!("set {}, then install it: {install}", unset.join(" or "));
    }
    let unreadable = sources.iter().find_map(|(name, path, _)| {
        let path = path.as_ref()?;
        let error = owner::metadata(path).err()?;
        Some(format!("{name} names {}: {}", path.display(), failure::io_text(&error)))
    });
    unreadable.unwrap_or_else(|| format!("install it: {install}"))
}

/// What an engine can be installed from: the variable that names it, its path, and what it is. Those of its road, or of
/// both roads where none was chosen.
fn sources(env: &Env) -> Vec<(String, Option<&PathBuf>, &'static str)> {
    let name = |suffix| variables::of(env.engine, suffix);
    let bundle = || (name("BUNDLE_PATH"), env.bundle.as_ref(), "bundle");
    let template = || (name("TEMPLATE_DIR"), env.template_dir.as_ref(), "template");
    match env.road {
        _ if env.engine == Engine::LlamaCpp => vec![(name("PKG_PATH"), env.archive.as_ref(), "archive")],
        Some(Road::Bundle) => vec![bundle()],
        Some(Road::Cache) => vec![template()],
        _ => vec![bundle(), template()],
    }
}

fn executable(path: &Path, what: &str) -> Result<(), Failure> {
    use rustix::fs::{Access, access};
    let what = format!("{what}: cannot run {}", path.display());
    match owner::metadata(path) {
        Ok(meta) if meta.is_dir() => Err(Failure::new(Code::Unmet, what, "Is a directory")),
        Ok(_) => access(path, Access::EXEC_OK).map_err(|error| match child::noexec(path) {
            // The permission is there, and of no use.
            Some(_) if error == rustix::io::Errno::ACCESS => {
                let hint = "mount it with exec, or install to another folder";
                Failure::new(Code::Unmet, what, "its file system is mounted noexec").hint(hint)
            }
            _ => Failure::io(Code::Unmet, what, &error.into()),
        }),
        Err(error) => Err(Failure::io(Code::Unmet, what, &error)),
    }
}

impl Program {
    /// The program as one instance runs it.
    pub(crate) fn of(
        install: &Install,
        master: &Master,
        env: &Env,
        via_pixi: bool,
        caller: &Caller<'_>,
    ) -> Result<Self, Failure> {
        let module = engine::of(env.engine).module.map(|(_, module)| module.to_owned());
        let module = master.module.clone().or(module);
        match (module, via_pixi) {
            (Some(module), true) => Self::via_pixi(install, &module, pixi_env(master, env), env, caller),
            (None, true) => {
                let what = "control.via_pixi is set";
                Err(Failure::new(
                    Code::Input,
                    what,
                    format!("{} does not run in a pixi environment", env.engine),
                ))
            }
            (Some(module), false) => Ok(Self::python(install, &module, caller)),
            (None, false) => Ok(Self::llama(install, caller)),
        }
    }

    fn llama(install: &Install, caller: &Caller<'_>) -> Self {
        let libraries = install.library_dir.iter().map(|dir| {
            ("LD_LIBRARY_PATH".to_owned(), caller.before("LD_LIBRARY_PATH", std::slice::from_ref(dir)))
        });
        Self {
            program: install.executable.clone().unwrap_or_default(),
            lead: Vec::new(),
            env: libraries.collect(),
            install_path: install.path.clone(),
        }
    }

    fn python(install: &Install, module: &str, caller: &Caller<'_>) -> Self {
        let activation = install.activation.clone().unwrap_or_default();
        let mut env = activation.variables;
        if !activation.path.is_empty() {
            env.insert("PATH".to_owned(), caller.before("PATH", &activation.path));
        }
        Self {
            program: install.python.clone().unwrap_or_default(),
            lead: vec!["-m".to_owned(), module.to_owned()],
            env,
            install_path: install.path.clone(),
        }
    }

    fn via_pixi(
        install: &Install,
        module: &str,
        pixi_env: &str,
        env: &Env,
        caller: &Caller<'_>,
    ) -> Result<Self, Failure> {
        let what = "control.via_pixi is set";
        let manifests = ["pixi.toml", "pyproject.toml"];
        let manifest = install.path.iter().flat_map(|path| manifests.map(|name| path.join(name)));
        let manifest = manifest.into_iter().find(|path| owner::is_file(path));
        let Some(manifest) = manifest else {
            let cause = "the install has no pixi.toml";
            let hint = "only an install from the cache has one; leave via_pixi out";
            return Err(Failure::new(Code::Unmet, what, cause).hint(hint));
        };
        let Some(program) = caller.which("pixi") else {
            return Err(Failure::new(Code::Unmet, what, "there is no pixi on PATH"));
        };
        let mut lead: Vec<String> = ["run", "--frozen", "--manifest-path"].map(str::to_owned).into();
        lead.push(manifest.display().to_string());
        if pixi_env != "default" {
            lead.extend(["--environment".to_owned(), pixi_env.to_owned()]);
        }
        lead.extend(["python", "-m", module].map(str::to_owned));
        let mut variables = env.environment.clone();
        // What the user's own configuration says of environments would have pixi make a second one, unverified, where it says.
        variables.extend(["PIXI_NO_CONFIG", "PIXI_OFFLINE"].map(|name| (name.to_owned(), "1".to_owned())));
        Ok(Self { program, lead, env: variables, install_path: install.path.clone() })
    }
}
