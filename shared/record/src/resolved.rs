//! What `ienv` resolves: the records at the head of every stream.
use crate::{Engine, unset};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A step of a boot. A tool whose step is not among those listed in `env` writes `skipped`; with no list it acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// `iwarm`: fill the cache on a connected machine.
    Warm,
    /// `icache` and `iinstall`.
    Install,
    /// `iplan` to `ichat`.
    Serve,
}

impl Step {
    /// All of them, in the order in which they are taken.
    pub const ALL: [Self; 3] = [Self::Warm, Self::Install, Self::Serve];

    /// The id on the wire and on command lines.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Warm => "warm",
            Self::Install => "install",
            Self::Serve => "serve",
        }
    }
}

impl std::str::FromStr for Step {
    type Err = String;

    fn from_str(id: &str) -> Result<Self, String> {
        let step = Self::ALL.into_iter().find(|step| step.id() == id);
        step.ok_or_else(|| format!("no step '{id}'; the steps are warm, install, serve"))
    }
}

/// How an engine gets onto the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Road {
    /// A llama.cpp archive.
    Archive,
    /// A pixi-pack bundle.
    Bundle,
    /// A template and a pre-warmed cache, through pixi.
    Cache,
}

impl Road {
    /// The id on the wire and on command lines.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::Bundle => "bundle",
            Self::Cache => "cache",
        }
    }
}

/// Where a resolved value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Nothing said otherwise.
    Default,
    /// An environment variable.
    Variable,
    /// What is on this machine's disk.
    Disk,
    /// An option of the command line.
    Option,
}

/// One engine's environment contract, resolved. Paths are absolute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Env {
    /// The engine.
    pub engine: Engine,
    /// What boot asked for; absent when nothing is gated.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub steps: Option<Vec<Step>>,
    /// How the engine is installed; absent where nothing says.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub road: Option<Road>,
    /// Root of everything persistent.
    pub workspace: PathBuf,
    /// Where keepers keep the state of running instances.
    pub run_dir: PathBuf,
    /// Where logs go unless the TOML says otherwise.
    pub log_dir: PathBuf,
    /// Where engines keep what they write while they run: compiled kernels, module caches. Absent: below the workspace.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub engine_cache_dir: Option<PathBuf>,
    /// vLLM, SGLang: where the environment is installed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub project_dir: Option<PathBuf>,
    /// llama.cpp: where the archive is installed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub install_dir: Option<PathBuf>,
    /// Folder with `pixi.toml` and `pixi.lock`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub template_dir: Option<PathBuf>,
    /// Root of the pre-warmed cache.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cache_root: Option<PathBuf>,
    /// Which layout the cache has: `split`, `pixi` or `rattler`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cache_layout: Option<String>,
    /// Where the conda packages really are.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub conda_pkgs_dir: Option<PathBuf>,
    /// Where the wheels really are.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub uv_cache_dir: Option<PathBuf>,
    /// pixi environment name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pixi_env: Option<String>,
    /// pixi-pack bundle.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bundle: Option<PathBuf>,
    /// llama.cpp archive.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub archive: Option<PathBuf>,
    /// Where a copy of the archive is kept.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub archive_cache_dir: Option<PathBuf>,
    /// The one sha256 (lower-case hex) that the archive or bundle may have.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sha256: Option<String>,
    /// pixi-unpack program.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pixi_unpack: Option<PathBuf>,
    /// Interpreter for the server, instead of the install's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub python: Option<PathBuf>,
    /// The TOML file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub config: Option<PathBuf>,
    /// Name of the variable that holds the overrides (JSON), present when it is set. Its value may hold secrets.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub overrides_variable: Option<String>,
    /// Who installs and serves; absent: whoever runs the tool.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user: Option<String>,
    /// Take the template again and install afresh.
    #[serde(skip_serializing_if = "unset", default)]
    pub force: bool,
    /// What pixi's children get.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub environment: BTreeMap<String, String>,
    /// Where each value came from, by field name.
    pub origin: BTreeMap<String, Origin>,
}

impl Env {
    /// The folder below the workspace where engines write while they run, unless something says otherwise.
    pub const ENGINE_CACHE: &str = "engine-cache";

    /// The folder in which what runs from the install of this id writes, without the user that it ends in: each has an
    /// own one, because what is compiled in it is run.
    #[must_use]
    pub fn engine_cache(&self, id: &str) -> PathBuf {
        let short: String = id.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
        let default = || self.workspace.join(Self::ENGINE_CACHE);
        self.engine_cache_dir.clone().unwrap_or_else(default).join(format!("{}-{short}", self.engine))
    }

    /// The engine's folder: `install_dir` for llama.cpp, else `project_dir`.
    #[must_use]
    pub fn home(&self) -> Option<&PathBuf> {
        self.install_dir.as_ref().or(self.project_dir.as_ref())
    }

    /// Whether a tool of this step has to act: it is listed, or nothing is gated.
    #[must_use]
    pub fn wants(&self, step: Step) -> bool {
        self.steps.as_ref().is_none_or(|steps| steps.contains(&step))
    }
}

/// The Claude Code bridge's variables, resolved. Never holds a key, only the file it is in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Bridge {
    /// `HOST:PORT` to listen on.
    pub listen: String,
    /// Base URL of the engine; absent: the first ready instance.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub upstream: Option<String>,
    /// The model that every requested name maps to; absent: the served one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub model: Option<String>,
    /// File with the key that clients present.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key_file: Option<PathBuf>,
    /// `auto`, `native`, `translate` or `litellm`.
    pub mode: String,
    /// Whether boot starts it; absent where boot was not asked about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub steps: Option<Vec<Step>>,
    /// Root of everything persistent.
    pub workspace: PathBuf,
    /// Where keepers keep the state of running instances.
    pub run_dir: PathBuf,
    /// Where logs go.
    pub log_dir: PathBuf,
    /// Mode `litellm`: its config file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub litellm_config: Option<PathBuf>,
    /// Mode `litellm`: `HOST:PORT` of LiteLLM itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub litellm_listen: Option<String>,
    /// Mode `litellm`: base URL of its backend.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub litellm_backend_base: Option<String>,
    /// Mode `litellm`: the backend's model.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub litellm_backend_model: Option<String>,
    /// Name of the variable that holds the client key, present when it is set.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key_variable: Option<String>,
    /// Mode `litellm`: LiteLLM's own log.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub litellm_log: Option<PathBuf>,
    /// The bridge's log; absent: below `log_dir`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub log_file: Option<PathBuf>,
    /// Who runs it; absent: whoever runs the tool.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user: Option<String>,
    /// Where each value came from, by field name.
    pub origin: BTreeMap<String, Origin>,
}
