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

/// What follows the request, on a line of its own, before the keeper that has the instance is told to stop. The new keeper
/// knows by it for whose end it is to wait, also where whoever wrote it is killed right after.
#[must_use]
pub fn stopping_line(keeper: u32) -> String {
    format!("\n{STOPPING} {keeper}\n")
}

/// What came on standard input: the request, and the keeper of the last [`stopping_line`].
#[must_use]
pub fn split_stopping(input: &[u8]) -> (&[u8], Option<u32>) {
    let split = || {
        let (request, line) = std::str::from_utf8(input).ok()?.strip_suffix('\n')?.rsplit_once('\n')?;
        let keeper = line.strip_prefix(STOPPING)?.strip_prefix(' ')?.parse().ok()?;
        Some((request.as_bytes(), Some(keeper)))
    };
    split().unwrap_or((input, None))
}

const STOPPING: &str = "stopping";

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_told_from_the_request() {
        let both = format!("{{\"plan\": 1}}{}", stopping_line(42));
        assert_eq!(split_stopping(both.as_bytes()), (b"{\"plan\": 1}".as_slice(), Some(42)));
        for plain in ["", "\n", "{}\n", "{\n}\n", "{}\nstopping\n", "{}\nstopping x\n", "{}\nstopping 1"] {
            assert_eq!(split_stopping(plain.as_bytes()), (plain.as_bytes(), None));
        }
    }
}
