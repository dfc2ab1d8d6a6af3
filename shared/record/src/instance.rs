//! What the launching and probing tools say: `instance`, `ready`, `answer`, `status`, `stopped`.
use crate::{Engine, Rung, unset};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A keeper holds this instance: its lock is held, its log open, the engine started or waiting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Instance {
    /// The engine.
    pub engine: Engine,
    /// Its name in the TOML file.
    pub instance: String,
    /// The keeper's process.
    pub keeper_pid: u32,
    /// Where the keeper writes.
    pub state_dir: PathBuf,
    /// The program and its arguments, secrets not among them.
    pub argv: Vec<String>,
    /// Variables set over the caller's environment, secrets not among them.
    pub env_set: BTreeMap<String, String>,
    /// Which GPUs.
    pub gpu_ids: String,
    /// What it listens on.
    pub host: String,
    /// What it listens on.
    pub port: u16,
    /// The name it serves the model under, where the TOML says.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub served_name: Option<String>,
    /// Where its output goes.
    pub log_file: PathBuf,
    /// It ran already; the record shows what runs, not what was planned.
    #[serde(skip_serializing_if = "unset", default)]
    pub reused: bool,
    /// It runs, but from another plan.
    #[serde(skip_serializing_if = "unset", default)]
    pub stale: bool,
}

/// An instance is ready. Times count from the moment that the probe saw the instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Ready {
    /// The engine.
    pub engine: Engine,
    /// Its name in the TOML file.
    pub instance: String,
    /// Base URL, without `/v1`.
    pub url: String,
    /// The model id that the engine lists; absent below rung `listed`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub model_id: Option<String>,
    /// The rung that was asked for and reached.
    pub rung: Rung,
    /// When the process was seen to run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub alive_ms: Option<f64>,
    /// When `/health` first answered 200.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub healthy_ms: Option<f64>,
    /// When `/v1/models` first held the served name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub listed_ms: Option<f64>,
    /// When the first token came.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub answering_ms: Option<f64>,
    /// When it had answered as it is known to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub correct_ms: Option<f64>,
}

/// A real chat completion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Answer {
    /// The engine; absent with `--url`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub engine: Option<Engine>,
    /// Its name in the TOML file; absent with `--url`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub instance: Option<String>,
    /// What the model said.
    pub content: String,
    /// Its reasoning before that, where the engine separates the two.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reasoning: Option<String>,
    /// What it was asked, where that is to be kept.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub prompt: Option<String>,
    /// The data of the response's events as they came, one to a line, where that is to be kept.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub raw: Option<String>,
    /// Tokens read; absent where the engine does not count.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub prompt_tokens: Option<u64>,
    /// Tokens written; absent where the engine does not count.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub completion_tokens: Option<u64>,
    /// From the request to the first token.
    pub ttft_ms: f64,
    /// Tokens a second after the first one; absent for answers of one token.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tokens_per_second: Option<f64>,
}

/// How fast a server answers several chats at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Bench {
    /// The engine; absent with `--url`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub engine: Option<Engine>,
    /// Its name in the TOML file; absent with `--url`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub instance: Option<String>,
    /// The model that was asked.
    pub model: String,
    /// Chats that were begun at the same moment.
    pub concurrency: u32,
    /// Tokens read in all; absent where the engine does not count.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub prompt_tokens: Option<u64>,
    /// Tokens written in all; absent where the engine does not count.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub completion_tokens: Option<u64>,
    /// Until the last of them was answered.
    pub duration_ms: f64,
    /// From the request to the first token: the median of all.
    pub ttft_median_ms: f64,
    /// The same, of the one that waited longest.
    pub ttft_max_ms: f64,
    /// Tokens written a second, of all together; absent where the engine does not count.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tokens_per_second: Option<f64>,
}

/// The states of a keeper, and what a reader concludes when it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeeperState {
    /// For another instance on the same GPU.
    Waiting,
    /// The engine runs.
    Running,
    /// Between two starts.
    Backoff,
    /// Nobody asked for long: the engine was ended, and starts again for who wants it.
    Asleep,
    /// The engine exited unasked and is not started again.
    Failed,
    /// The engine was asked to end.
    Stopping,
    /// The engine was asked to end, and has ended.
    Stopped,
    /// The keeper is gone and the state that it left is not final.
    Lost,
}

impl KeeperState {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Waiting,
        Self::Running,
        Self::Backoff,
        Self::Asleep,
        Self::Failed,
        Self::Stopping,
        Self::Stopped,
        Self::Lost,
    ];

    /// The id on the wire and in `status.json`.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Backoff => "backoff",
            Self::Asleep => "asleep",
            Self::Failed => "failed",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Lost => "lost",
        }
    }
}

/// What an engine tried to reach beyond this machine while its keeper watched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Egress {
    /// How often in all.
    pub attempts: u64,
    /// What, each address by each process once; at most 64.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub targets: Vec<Target>,
    /// Why nothing could be watched; absent where it was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unwatched: Option<String>,
}

/// One address that a process tried to reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Target {
    /// `ipv4`, `ipv6`, or `unknown` where it could not be seen.
    pub family: String,
    /// Address and port.
    pub address: String,
    /// The process.
    pub pid: u32,
    /// How often.
    pub count: u64,
}

/// What one instance is doing now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Status {
    /// The engine.
    pub engine: Engine,
    /// Its name in the TOML file.
    pub instance: String,
    /// What its keeper does.
    pub state: KeeperState,
    /// The highest rung that it is on now.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rung: Option<Rung>,
    /// Base URL, without `/v1`.
    pub url: String,
    /// The engine's process; absent when it does not run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pid: Option<u32>,
    /// How often it was started again.
    pub restarts: u32,
    /// How long the engine has run; absent when it does not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub up_s: Option<f64>,
    /// It runs from an install that is no longer current.
    #[serde(skip_serializing_if = "unset", default)]
    pub stale: bool,
    /// Where its output goes.
    pub log_file: PathBuf,
    /// Resident memory of its process tree.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rss_bytes: Option<u64>,
    /// GPU memory of its process tree.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gpu_bytes: Option<u64>,
    /// How the engine last ended: `exit 1`, `signal 9`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_exit: Option<String>,
    /// Class of the last failure, in its state and until a stop that was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub class: Option<String>,
    /// What went wrong, in words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// The line of the log that shows it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub evidence: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
    /// What it tried to reach beyond this machine, where its plan has that watched.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub egress: Option<Egress>,
}

/// What it took to stop an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopMethod {
    /// TERM and its own end.
    Term,
    /// KILL after the grace.
    Kill,
    /// It was gone already.
    Gone,
}

/// An instance is stopped: its tree is gone and its port free.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Stopped {
    /// The engine.
    pub engine: Engine,
    /// Its name in the TOML file.
    pub instance: String,
    /// What it took.
    pub how: StopMethod,
    /// How long it took.
    pub seconds: f64,
    /// Processes of the instance that outlived its keeper and were ended.
    pub orphans: u32,
    /// Its state was removed too: no tool lists it any more.
    #[serde(skip_serializing_if = "unset", default)]
    pub forgotten: bool,
}
