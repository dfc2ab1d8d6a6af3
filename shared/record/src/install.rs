//! What the cache and install tools say: `warmed`, `gap`, `cache`, `installed`.
use crate::{Engine, unset};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A cache was filled through pixi.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Warmed {
    /// The engine.
    pub engine: Engine,
    /// sha256 of `pixi.lock`, hex.
    pub lock_sha256: String,
    /// The pixi that did it.
    pub pixi_version: String,
    /// How long it took.
    pub seconds: f64,
}

/// One item of the lock file that the cache lacks or that is not what the lock says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Gap {
    /// The engine.
    pub engine: Engine,
    /// Package name.
    pub package: String,
    /// Package version; absent for a folder, which has none in the lock.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<String>,
    /// `conda` or `pypi`.
    pub source: String,
    /// `missing`, `wrong_hash`, `damaged`, `collision` or `unprovable`.
    pub reason: String,
    /// Whether it stops the install.
    pub blocks: bool,
    /// Where the connected side can fetch it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub url: Option<String>,
    /// What it must hash to, hex.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sha256: Option<String>,
    /// Size of the download.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub size_bytes: Option<u64>,
    /// The file or folder in the cache that is at fault.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path: Option<PathBuf>,
    /// What exactly is wrong.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
}

/// A cache was verified.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Cache {
    /// The engine.
    pub engine: Engine,
    /// sha256 of `pixi.lock`, hex.
    pub lock_sha256: String,
    /// conda platform, as in the lock.
    pub platform: String,
    /// pixi environment name.
    pub pixi_env: String,
    /// Packages looked at.
    pub packages: u64,
    /// Bytes looked at.
    pub bytes: u64,
    /// Of these, bytes that were hashed now; the others look as they did when they were.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hashed_bytes: Option<u64>,
    /// `quick` or `deep`.
    pub depth: String,
    /// How many gaps were found.
    pub gaps: u64,
    /// The manifest that was used or written.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub manifest: Option<PathBuf>,
    /// How long it took.
    pub seconds: f64,
}

/// A bundle was made, and its manifest beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Packed {
    /// The bundle.
    pub bundle: PathBuf,
    /// Its manifest.
    pub manifest: PathBuf,
    /// sha256 of the bundle, hex.
    pub sha256: String,
    /// Its size.
    pub size_bytes: u64,
    /// sha256 of the `pixi.lock` that it was packed from, hex.
    pub lock_sha256: String,
    /// The conda platform that it is for.
    pub platform: String,
    /// pixi environment name.
    pub pixi_env: String,
    /// How many files it holds.
    pub members: u64,
    /// Of these, packages whose hash is that of the lock file.
    pub proved: u64,
    /// Packages that were left out, as another machine has them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub left_out: Option<u64>,
    /// The project's tasks that were performed before it was packed.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub tasks: Vec<String>,
    /// Bytes of packages that had to be downloaded for it.
    pub downloaded_bytes: u64,
    /// How long it took.
    pub seconds: f64,
}

/// The file that an install came from, and how it looked then: enough not to hash it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Source {
    /// Where it was.
    pub path: PathBuf,
    /// Inode number.
    pub inode: u64,
    /// Size.
    pub size_bytes: u64,
    /// Modification time, unix nanoseconds.
    pub mtime_ns: i64,
    /// Status change time, unix nanoseconds.
    pub ctime_ns: i64,
}

/// What kept an install from the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Seal {
    /// A network namespace with only loopback up.
    Namespace,
    /// A seccomp filter without network sockets.
    Seccomp,
    /// Nothing: no program but ours ran, or both were refused.
    None,
}

/// What activation of an environment changes in the caller's environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Activation {
    /// Folders put before PATH, first one first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub path: Vec<PathBuf>,
    /// Other variables that it sets.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub variables: BTreeMap<String, String>,
}

/// An engine is installed, complete and current.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Installed {
    /// The engine.
    pub engine: Engine,
    /// Hash of all that went in, hex.
    pub id: String,
    /// The canonical folder under `.installs/`.
    pub path: PathBuf,
    /// vLLM, SGLang: the interpreter.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub python: Option<PathBuf>,
    /// llama.cpp: `llama-server`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub executable: Option<PathBuf>,
    /// llama.cpp: where its libraries are.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub library_dir: Option<PathBuf>,
    /// vLLM, SGLang: the activation captured at install.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub activation: Option<Activation>,
    /// What was proved of it, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub checks: BTreeMap<String, serde_json::Value>,
    /// The install that was current before, kept for `--rollback`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub previous: Option<PathBuf>,
    /// What it was made from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<Source>,
    /// What kept it from the network.
    pub seal: Seal,
    /// How long it took.
    pub seconds: f64,
    /// It was there already, made from this very source.
    #[serde(skip_serializing_if = "unset", default)]
    pub reused: bool,
    /// Another install was current before, or none.
    #[serde(skip_serializing_if = "unset", default)]
    pub switched: bool,
}
