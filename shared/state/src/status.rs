//! `status.json`, as its keeper last left it.
use record::{Egress, KeeperState, StopMethod};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Format 1 of `status.json`. Fields that a newer keeper adds are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Always 1.
    pub format: u32,
    /// What the keeper does; never `lost`, which only a reader concludes.
    pub state: KeeperState,
    /// Root of everything persistent, of the plan that is kept.
    pub workspace: PathBuf,
    /// The keeper's process.
    pub keeper_pid: u32,
    /// The engine's process; absent when it does not run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pid: Option<u32>,
    /// Mark of this start in the engine's environment (`INFER_DEV_INSTANCE`).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[serde(rename = "mark")]
    pub instance_id: Option<String>,
    /// What it listens on.
    pub port: u16,
    /// How often it was started again.
    pub restarts: u32,
    /// When `state` began, unix seconds.
    pub since_unix: f64,
    /// When the engine was last started, unix seconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub started_unix: Option<f64>,
    /// When `/health` first answered 200 after the last start, unix seconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub healthy_unix: Option<f64>,
    /// How the engine last ended: `exit 1`, `signal 9`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_exit: Option<String>,
    /// Class of failure of that end, where nobody had asked for it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub class: Option<String>,
    /// The line of the log that shows it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub evidence: Option<String>,
    /// What went wrong last, in words: the end that nobody had asked for, and why no start follows where none does.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
    /// What it took to end the engine's processes, once the state is `stopped`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub how: Option<StopMethod>,
    /// Where its output goes.
    pub log_file: PathBuf,
    /// Lines of the log that were lost because the disk was full.
    #[serde(skip_serializing_if = "none", default)]
    pub log_lost_lines: u64,
    /// What the engine was seen to make in /dev/shm, and has to be gone with it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub segments: Vec<tree::Segment>,
    /// What the engine tried to reach beyond this machine, where the plan has that watched.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub egress: Option<Egress>,
    /// `plan.hash` of the plan that is kept.
    pub plan_hash: String,
}

impl Status {
    /// Keep why the engine ended, or was not started: class, line of the log, what to do.
    pub fn explain(&mut self, class: Option<String>, evidence: Option<String>, hint: Option<String>) {
        (self.class, self.evidence, self.hint) = (class, evidence, hint);
    }
}

/// Whether there are none, for counts that are written only when there are.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn none(count: &u64) -> bool {
    *count == 0
}
