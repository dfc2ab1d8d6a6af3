//! Whose the cache is and whether it may be filled where it is.
use record::Env;
use rustix::fs::Access;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tool::{Code, Failure, vars};

/// Where a cache is.
#[derive(Clone, Debug)]
pub(crate) struct CacheFolders {
    pub(crate) root: PathBuf,
    pkgs: PathBuf,
    wheels: PathBuf,
}

impl CacheFolders {
    /// As `env` says it.
    pub(crate) fn of(env: &Env) -> Result<Self, Failure> {
        Ok(Self {
            root: required(env, env.cache_root.as_ref(), "CACHE_ROOT")?,
            pkgs: required(env, env.conda_pkgs_dir.as_ref(), "CACHE_ROOT")?,
            wheels: required(env, env.uv_cache_dir.as_ref(), "CACHE_ROOT")?,
        })
    }

    /// Where the conda packages are.
    pub(crate) fn pkgs(&self) -> &Path {
        &self.pkgs
    }

    /// Where the wheels are.
    pub(crate) fn wheels(&self) -> &Path {
        &self.wheels
    }

    fn folders(&self) -> [&Path; 3] {
        [&self.root, &self.pkgs, &self.wheels]
    }

    /// Refuse what goes away with the container.
    pub(crate) fn must_outlive_container(&self, env: &Env) -> Result<(), Failure> {
        let Some(folder) = self.folders().into_iter().find(|folder| store::on_container_layer(folder)) else {
            return Ok(());
        };
        let what = format!("cannot warm the cache {}", self.root.display());
        let layer = "on the container's own layer, and would go away with the container";
        let cause = match folder == self.root {
            true => format!("it is {layer}"),
            false => format!("{} is {layer}", folder.display()),
        };
        let variable = vars::of(env.engine, "CACHE_ROOT");
        let hint = format!("mount a volume, and set {variable} to a folder on it");
        Err(Failure::new(Code::Unmet, what, cause).hint(hint))
    }

    /// Make the root where it is missing.
    pub(crate) fn make(&self) -> Result<(), Failure> {
        std::fs::create_dir_all(&self.root).map_err(|error| refused(&self.root, &error))
    }

    /// Whether we may write what pixi will write: it finds out when most is downloaded.
    pub(crate) fn must_be_writable(&self) -> Result<(), Failure> {
        let lock = self.pkgs.join(".cache.lock");
        for path in self.folders().into_iter().chain([lock.as_path()]) {
            let Some(there) = path.ancestors().find(|path| path.exists()) else { continue };
            let wanted = if there.is_dir() { Access::WRITE_OK | Access::EXEC_OK } else { Access::WRITE_OK };
            child::permitted(there, wanted).map_err(|error| {
                if there.is_dir() && there != path {
                    not_made(path, there, &error.into())
                } else {
                    refused(there, &error.into())
                }
            })?;
        }
        Ok(())
    }
}

/// A value of `env` that a cache cannot be filled without.
pub(crate) fn required(env: &Env, value: Option<&PathBuf>, suffix: &str) -> Result<PathBuf, Failure> {
    value.cloned().ok_or_else(|| {
        let variable = vars::of(env.engine, suffix);
        let what = format!("cannot warm the cache of {}", env.engine);
        Failure::new(Code::Unmet, what, format!("{variable} is not set"))
            .hint(format!("set {variable}; infer-dev(7) says what to"))
    })
}

/// The failure to make a folder of the cache in `above`: that one is nothing of ours, and not to be given away.
fn not_made(path: &Path, above: &Path, error: &io::Error) -> Failure {
    let we = rustix::process::geteuid().as_raw();
    Failure::io(Code::Unmet, format!("cannot make {}", path.display()), error).hint(format!(
        "uid {we} makes nothing in {}; set AUTO_INFER_WORKSPACE_DIR, or the variable for the cache alone, to a folder that it may write to",
        above.display()
    ))
}

/// The failure to write in the cache; where permission lacks it names whose the folder is.
pub(crate) fn refused(path: &Path, error: &io::Error) -> Failure {
    let failure = Failure::io(Code::Unmet, format!("cannot write {}", path.display()), error);
    let stat = path.ancestors().find_map(|folder| Some((folder, std::fs::metadata(folder).ok()?)));
    match (error.kind(), stat) {
        (io::ErrorKind::PermissionDenied, Some((folder, stat))) => {
            let (uid, mode, we) = (stat.uid(), stat.mode() & 0o7777, rustix::process::geteuid().as_raw());
            let folder = folder.display();
            failure.hint(format!(
                "{folder} belongs to uid {uid} with mode {mode:04o}, and this runs as uid {we}; give it with chown -R"
            ))
        }
        (io::ErrorKind::ReadOnlyFilesystem, _) => {
            failure.hint("a cache is filled where it can be written, and then copied or mounted read-only")
        }
        _ => failure,
    }
}
