//! What `ilaunch` hands a keeper on its standard input, and what the keeper reports back.
use record::Plan;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The values that a plan only names. There is no `Debug`: they are not for anybody's log.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Secrets {
    /// Variables for the engine.
    pub env: BTreeMap<String, String>,
    /// The key that clients of the engine present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
    /// Files for the engine, by their name in the state directory.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// Secret values that stand inside `files`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// One JSON object on the keeper's standard input.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct StartRequest {
    /// What to keep.
    pub plan: Plan,
    /// What the plan only names.
    #[serde(default)]
    pub secrets: Secrets,
}

/// One JSON object on the report pipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
pub enum StartReport {
    /// The lock is held, the log open, the engine started or waiting.
    Kept {
        /// The keeper's process.
        keeper_pid: u32,
    },
    /// Nothing is kept and nothing runs.
    Failed {
        /// What could not be done.
        what: String,
        /// Why.
        cause: String,
        /// What to do about it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        hint: Option<String>,
        /// Failure class.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        class: Option<String>,
        /// The suite's exit code for it.
        code: u8,
    },
}
