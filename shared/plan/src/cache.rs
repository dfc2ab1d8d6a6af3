//! A home for what an engine writes while it runs: compiled kernels, module caches.
//!
//! It lies below the workspace, one folder for each install and user, so that it outlives restarts and containers and any
//! uid has one. What the caller or the TOML file sets stays as it is.
use crate::install::Install;
use crate::program::Caller;
use base16ct::lower::encode_string as hex;
use child::{User, noexec, permitted};
use record::{Engine, Env};
use rustix::fs::Access;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where each library of a Python engine writes, and the folder that it gets.
const PYTHON: [(&str, &str); 10] = [
    ("FLASHINFER_WORKSPACE_BASE", "flashinfer"),
    ("HF_MODULES_CACHE", "hf-modules"),
    ("MPLCONFIGDIR", "matplotlib"),
    ("NUMBA_CACHE_DIR", "numba"),
    ("SGLANG_DG_CACHE_DIR", "deep-gemm"),
    ("TORCHINDUCTOR_CACHE_DIR", "inductor"),
    ("TRITON_CACHE_DIR", "triton"),
    ("TVM_FFI_CACHE_DIR", "tvm-ffi"),
    ("VLLM_CACHE_ROOT", "vllm"),
    (XDG, "xdg"),
];

/// Kernels that the driver compiles.
const DRIVER: (&str, &str) = ("CUDA_CACHE_PATH", "cuda");

const XDG: &str = "XDG_CACHE_HOME";
/// What says where the models that the Hub's library has fetched are.
const HUB: [&str; 4] = ["HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", XDG];

/// What an instance gets.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    /// The folder; `None` where it cannot be made or written.
    pub(crate) dir: Option<PathBuf>,
    /// Variables over the caller's.
    pub(crate) env: BTreeMap<String, String>,
    /// What an operator should know, and what to do.
    pub(crate) warning: Option<(String, String)>,
}

/// Who runs an instance, and what says so.
pub(crate) struct Runs<'a> {
    pub(crate) env: &'a Env,
    pub(crate) install: &'a Install,
    pub(crate) caller: &'a Caller<'a>,
    /// Set already, by the program's activation or the TOML file.
    pub(crate) set: &'a dyn Fn(&str) -> bool,
}

impl Runs<'_> {
    /// The folder of an instance, and the variables that lead there.
    pub(crate) fn cache(&self) -> Cache {
        let engine = self.env.engine;
        // A user that is not there is named by another check.
        let user = User::other(self.env.user.as_deref(), &variables::user(engine)).ok().flatten();
        let mut env = self.who(user.as_ref());
        let home = self.home(user.as_ref());
        let homeless = home.as_deref().is_none_or(|home| may_write(home, user.as_ref()).is_err());
        let Some(dir) = self.dir(user.as_ref()) else {
            return Cache { env, ..Cache::default() };
        };
        if let Err(why) = usable(&dir, user.as_ref()) {
            // Without a home of its own llama.cpp has nothing to write.
            let needed = homeless || engine != Engine::LlamaCpp;
            return Cache { env, dir: None, warning: needed.then(|| unusable(&dir, &why)) };
        }
        let mut put = |name: &str, value: PathBuf| {
            env.insert(name.to_owned(), value.to_string_lossy().into_owned());
        };
        let python = if engine == Engine::LlamaCpp { &[][..] } else { &PYTHON[..] };
        for (name, folder) in
            python.iter().chain([&DRIVER]).filter(|(name, _)| !self.has(name, user.as_ref()))
        {
            put(name, dir.join(folder));
        }
        if homeless && !(self.set)("HOME") {
            put("HOME", dir.join("home"));
        } else if let Some(hub) = home.map(|home| home.join(".cache/huggingface"))
            && engine != Engine::LlamaCpp
            && owner::is_dir(&hub)
            && !HUB.iter().any(|name| self.has(name, user.as_ref()))
        {
            // Models that are named as on the Hub are where they were.
            put("HF_HOME", hub);
        }
        let warning = noexec(&dir).filter(|_| engine != Engine::LlamaCpp).map(|mount| {
            let what = format!(
                "engines cannot load what they compile into {}: {} is mounted noexec",
                dir.display(),
                mount.display()
            );
            (what, format!("mount it with exec, or set {} to another folder", variables::ENGINE_CACHE_DIR))
        });
        Cache { dir: Some(dir), env, warning }
    }

    /// Whether something says already what a variable is to be, that holds for the user who runs it.
    fn has(&self, name: &str, user: Option<&User>) -> bool {
        let theirs = user.is_some() && User::RESET.contains(&name);
        (self.set)(name) || (!theirs && self.caller.0.contains_key(name))
    }

    /// A uid that no user has is asked for its name by libraries, and ends them where nothing says it.
    fn who(&self, user: Option<&User>) -> BTreeMap<String, String> {
        let missing: Vec<&str> =
            ["USER", "LOGNAME"].into_iter().filter(|name| !self.has(name, user)).collect();
        if missing.is_empty() || user.is_some() {
            return BTreeMap::new();
        }
        let Some(stand_in) = User::substitute_user() else { return BTreeMap::new() };
        missing.into_iter().map(|name| (name.to_owned(), stand_in.clone())).collect()
    }

    /// As its keeper has it.
    fn home(&self, user: Option<&User>) -> Option<PathBuf> {
        let callers = || self.caller.0.get("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        user.map_or_else(callers, |user| Some(user.home.clone()))
    }

    fn dir(&self, user: Option<&User>) -> Option<PathBuf> {
        let program = self.install.python.as_ref().or(self.install.executable.as_ref())?;
        let by_path = || hex(&Sha256::digest(program.as_os_str().as_encoded_bytes()));
        let id = self.install.id.clone().unwrap_or_else(by_path);
        let uid = user.map_or_else(|| rustix::process::geteuid().as_raw(), |user| user.owner().uid());
        let mut dir = self.env.engine_cache(&id).into_os_string();
        dir.push(format!(".{uid}"));
        Some(PathBuf::from(dir))
    }
}

/// Whether the user may write in a folder that is there; else whether we can make it.
fn usable(dir: &Path, user: Option<&User>) -> io::Result<()> {
    let us = rustix::process::geteuid();
    let uid = user.map_or(us.as_raw(), |user| user.owner().uid());
    if let (true, Some(caches)) = (us.is_root(), dir.parent())
        && let Ok(keeper) = owner::metadata(caches).map(|meta| meta.uid())
        && ![0, uid].contains(&keeper)
    {
        let path = caches.display();
        return Err(io::Error::other(format!(
            "{path} belongs to uid {keeper}, who could put another in its place"
        )));
    }
    match owner::metadata(dir) {
        Ok(meta) => {
            if meta.uid() != uid {
                // What another user put there would run as this one.
                return Err(io::Error::other(format!("it belongs to uid {}", meta.uid())));
            }
            may_write(dir, user)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let above = dir.ancestors().find(|path| owner::exists(path)).unwrap_or(Path::new("/"));
            may_write(above, None)
        }
        Err(error) => Err(error),
    }
}

fn may_write(folder: &Path, user: Option<&User>) -> io::Result<()> {
    let ask = || -> io::Result<()> {
        if !owner::metadata(folder)?.is_dir() {
            return Err(rustix::io::Errno::NOTDIR.into());
        }
        Ok(permitted(folder, Access::WRITE_OK | Access::EXEC_OK)?)
    };
    match user {
        Some(user) => user.act(ask)?,
        None => ask(),
    }
}

fn unusable(dir: &Path, why: &io::Error) -> (String, String) {
    let what = format!(
        "nothing that the engine compiles can be kept in {}: {}",
        dir.display(),
        failure::io_text(why)
    );
    (what, format!("set {} to a folder that can be made and written", variables::ENGINE_CACHE_DIR))
}
