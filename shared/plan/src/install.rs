//! What is installed where, for places that no record described.
use failure::{Code, Failure};
use install::{InstallLink, LINK};
use owner::Dir;
use record::{Activation, Engine, Installed};
use std::path::{Path, PathBuf};

/// What a server is started from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Install {
    /// The canonical install, on which the keeper holds a lock; absent for what iinstall did not make.
    pub(crate) path: Option<PathBuf>,
    /// What it was made from; absent for what iinstall did not make.
    pub(crate) id: Option<String>,
    /// vLLM, SGLang: the interpreter.
    pub(crate) python: Option<PathBuf>,
    /// llama.cpp: `llama-server`.
    pub(crate) executable: Option<PathBuf>,
    /// llama.cpp: where its libraries are.
    pub(crate) library_dir: Option<PathBuf>,
    /// vLLM, SGLang: what activation changes.
    pub(crate) activation: Option<Activation>,
}

impl From<&Installed> for Install {
    fn from(installed: &Installed) -> Self {
        Self {
            path: held_install(&installed.path),
            id: Some(installed.id.clone()),
            python: installed.python.clone(),
            executable: installed.executable.clone(),
            library_dir: installed.library_dir.clone(),
            activation: installed.activation.clone(),
        }
    }
}

impl Install {
    /// What is installed in an engine's folder; `None` where nothing is.
    pub(crate) fn at(home: &Path, engine: Engine, pixi_env: &str) -> Result<Option<Self>, Failure> {
        let file = home.join(LINK);
        let unusable = |cause: String| {
            let what = format!("{} is not the mark of an install", file.display());
            Failure::new(Code::Unmet, what, cause)
                .hint(format!("install {engine} again: ienv {engine} | iinstall"))
        };
        let linked = match InstallLink::read(home) {
            Ok(Some(linked)) => linked,
            Ok(None) => return Ok(Self::by_layout(home, engine, pixi_env)),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                return Err(unusable(error.to_string()));
            }
            Err(error) => {
                return Err(Failure::io(Code::Unmet, format!("cannot read {}", file.display()), &error));
            }
        };
        if let Some(other) = linked.engine.filter(|other| *other != engine) {
            return Err(unusable(format!("it says that {other} is installed there")));
        }
        if linked.path.is_none() {
            if !linked.names_a_source() {
                return Err(unusable("it names neither a path nor what was unpacked".to_owned()));
            }
            return Ok(Self::by_layout(home, engine, pixi_env));
        }
        let InstallLink { path, id, python, executable, library_dir, activation, .. } = linked;
        let path = path.as_deref().and_then(held_install);
        Ok(Some(Self { path, id, python, executable, library_dir, activation }))
    }

    /// An install that nobody recorded, by where its programs are.
    fn by_layout(home: &Path, engine: Engine, pixi_env: &str) -> Option<Self> {
        if engine == Engine::LlamaCpp {
            let executable = home.join("bin/llama-server");
            return owner::is_file(&executable).then(|| Self::of_executable(&executable));
        }
        let prefixes = [home.join("env"), home.join(".pixi/envs").join(pixi_env)];
        let python =
            prefixes.iter().map(|prefix| prefix.join("bin/python")).find(|python| owner::is_file(python));
        python.map(|python| Self::of_python(&python))
    }

    /// An interpreter by itself: its folder goes before PATH, which is most of what activation does.
    pub(crate) fn of_python(python: &Path) -> Self {
        let python = settled(python);
        let mut activation = Activation::default();
        if let Some(bin) = python.parent() {
            activation.path.push(bin.to_owned());
            if let Some(prefix) = bin.parent().filter(|prefix| owner::is_dir(prefix.join("conda-meta"))) {
                activation.variables.insert("CONDA_PREFIX".to_owned(), prefix.display().to_string());
            }
        }
        Self { python: Some(python), activation: Some(activation), ..Self::default() }
    }

    /// A `llama-server` by itself: its libraries are beside it or in the `lib` folder next door.
    pub(crate) fn of_executable(executable: &Path) -> Self {
        let real = owner::canonicalize(executable).unwrap_or_else(|_| executable.to_owned());
        let bin = real.parent().map(Path::to_owned);
        let lib = bin.as_ref().and_then(|bin| bin.parent()).map(|root| root.join("lib"));
        let library_dir = [bin, lib].into_iter().flatten().find(|dir| holds_libraries(dir));
        Self { executable: Some(executable.to_owned()), library_dir, ..Self::default() }
    }
}

/// The install that a keeper can hold.
fn held_install(path: &Path) -> Option<PathBuf> {
    install::is_install(path).then(|| path.to_owned())
}

fn holds_libraries(dir: &Path) -> bool {
    let names = Dir::open(dir).and_then(|dir| dir.names()).unwrap_or_default();
    let mut names = names.into_iter().filter_map(|name| name.into_string().ok());
    names.any(|name| name.starts_with("libllama") || name.starts_with("libggml"))
}

/// The path with every link in its folders resolved, the last name left as it is: an interpreter that is itself a link
/// finds its environment by the name it was called by.
fn settled(path: &Path) -> PathBuf {
    let folder = path.parent().and_then(|folder| owner::canonicalize(folder).ok());
    match (folder, path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}
