//! What `iplan` says: `plan`.
use crate::{Engine, unset};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a keeper does when the engine exits although nobody asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Start it again, up to `max_restarts` times.
    OnFailure,
    /// Leave it.
    Never,
}

/// How a keeper finds out that an engine hangs that was healthy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Liveness {
    /// It does not.
    Off,
    /// The health path has to answer.
    #[default]
    Health,
    /// That, and while the engine is idle it has to generate a token.
    Answer,
}

/// How far up the ladder of readiness an instance is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// The process runs.
    Alive,
    /// `/health` answers 200.
    Healthy,
    /// `/v1/models` holds the served name.
    Listed,
    /// A real token was generated.
    Answering,
    /// It answers as it did where it was known to be whole.
    Correct,
}

impl Rung {
    /// All of them, lowest first.
    pub const ALL: [Self; 5] = [Self::Alive, Self::Healthy, Self::Listed, Self::Answering, Self::Correct];

    /// The id on the wire and in the TOML file.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Healthy => "healthy",
            Self::Listed => "listed",
            Self::Answering => "answering",
            Self::Correct => "correct",
        }
    }
}

/// The `control` table of one instance, resolved; `enabled`, `log_file` and `log_dir` show in other fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Control {
    /// false: in the foreground, its exit code ours.
    pub background: bool,
    /// Size at which the log is rotated, MiB.
    pub log_max_mib: u64,
    /// Rotated logs kept.
    pub log_keep: u32,
    /// `all`, `none`, or a comma-joined list of indices or GPU UUIDs.
    pub gpu_ids: String,
    /// Do not object to foreign memory on the GPU.
    pub share_gpu: bool,
    /// What to do when the engine exits unasked.
    pub restart: Restart,
    /// How often at most.
    pub max_restarts: u32,
    /// First delay before a restart; doubles with jitter to 60 s.
    pub backoff_ms: u64,
    /// The rung at which the instance counts as ready.
    pub ready_rung: Rung,
    /// The file with the answers that rung `correct` wants.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub known_answer: Option<PathBuf>,
    /// Longest wait for readiness.
    pub ready_timeout_s: u64,
    /// Longest wait without a sign of progress.
    pub stall_timeout_s: u64,
    /// Grace between TERM and KILL.
    pub stop_timeout_s: u64,
    /// How lists are written: `repeat`, or absent for the engine's own way.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub list_style: Option<String>,
    /// Whether the offline variables are set.
    pub offline: bool,
    /// Run through `pixi run` instead of the interpreter.
    pub via_pixi: bool,
    /// How it is found out that the engine hangs.
    #[serde(default)]
    pub liveness: Liveness,
    /// Pause between two looks.
    #[serde(default = "liveness_period_s")]
    pub liveness_period_s: u64,
    /// So many looks that fail, one after the other, and it hangs.
    #[serde(default = "liveness_failures")]
    pub liveness_failures: u32,
    /// So long without a request, and the engine is ended until one comes; absent: it is not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub idle_stop_s: Option<u32>,
    /// Count what the engine tries to reach beyond this machine.
    #[serde(skip_serializing_if = "unset", default)]
    pub watch_egress: bool,
    /// Ids of preflight rules to silence.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub allow: Vec<String>,
}

/// What plans of older versions do not say.
fn liveness_period_s() -> u64 {
    30
}

fn liveness_failures() -> u32 {
    5
}

/// One instance, planned and checked, nothing started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Plan {
    /// The engine.
    pub engine: Engine,
    /// Its name in the TOML file.
    pub instance: String,
    /// Root of everything persistent: two workspaces may not share an instance.
    pub workspace: PathBuf,
    /// The TOML file.
    pub config: PathBuf,
    /// Hash of the TOML file and, where set, of the overrides: what `ilaunch` compares before it reads secrets from them.
    pub config_sha256: String,
    /// What is run.
    pub program: PathBuf,
    /// Its arguments, secrets not among them.
    pub args: Vec<String>,
    /// Variables set over the caller's environment, secrets not among them.
    pub env_set: BTreeMap<String, String>,
    /// Names of the caller's variables that the server does not get.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub env_dropped: Vec<String>,
    /// Names of the secrets that `ilaunch` hands over, as `server.NAME`, `env.NAME` or `extra_args.--flag`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub secrets: Vec<String>,
    /// Who runs it; absent: whoever runs the tool.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user: Option<String>,
    /// What it listens on.
    pub host: String,
    /// What it listens on.
    pub port: u16,
    /// `https` where it speaks TLS; absent: `http`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scheme: Option<String>,
    /// What stands before each of its paths, as `/llm`: it begins with a slash and ends without one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path_prefix: Option<String>,
    /// With `https`: a PEM file with the certificate that the server shows. Whoever asks it trusts that very certificate,
    /// whatever name is in it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ca_file: Option<PathBuf>,
    /// Path or name of the model; absent where another argument names it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub model: Option<String>,
    /// The name it serves the model under, where the TOML says.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub served_name: Option<String>,
    /// The models that it is to serve, where a router's preset names several.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub models: Vec<String>,
    /// Where its output goes.
    pub log_file: PathBuf,
    /// Its folder in the run directory.
    pub state_dir: PathBuf,
    /// Where the engine writes while it runs, one folder for each install and user; absent where none can be written.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cache_dir: Option<PathBuf>,
    /// Which GPUs, as in `control`.
    pub gpu_ids: String,
    /// Launcher settings, every key resolved.
    pub control: Control,
    /// State directory of the instance that has to be healthy first, because they share a GPU.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<PathBuf>,
    /// The canonical install that it runs from; the keeper holds a lock on it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub install_path: Option<PathBuf>,
    /// The instance already runs.
    #[serde(skip_serializing_if = "unset", default)]
    pub reused: bool,
    /// It runs, but from another plan.
    #[serde(skip_serializing_if = "unset", default)]
    pub stale: bool,
    /// Four digits that change with the values of its secrets: enough to see a change, too few to guess one by.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub secrets_check: Option<String>,
    /// Hash of program, args, env_set, user, install_path, log_file, secrets_check and control.
    pub hash: String,
}
