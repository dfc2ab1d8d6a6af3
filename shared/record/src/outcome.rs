//! What any tool may say: `warning`, `skipped`, `failed`.
use crate::Engine;
use serde::{Deserialize, Serialize};

/// Something an operator should know, that stops nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Warning {
    /// The engine that it concerns.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub engine: Option<Engine>,
    /// The instance that it concerns.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub instance: Option<String>,
    /// Stable id of the rule, for `allow`.
    pub rule: String,
    /// What was seen.
    pub what: String,
    /// What to do about it.
    pub hint: String,
}

/// Stands in for the record that `by` would have written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Skipped {
    /// The engine that was skipped.
    pub engine: Engine,
    /// The instance that was skipped.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub instance: Option<String>,
    /// The tool that did not act.
    pub by: String,
    /// Why.
    pub why: String,
}

/// Ends its engine, or its instance, for all tools that follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Failed {
    /// The engine that failed.
    pub engine: Engine,
    /// The instance that failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub instance: Option<String>,
    /// The tool that says so.
    pub by: String,
    /// What could not be done, the object named.
    pub what: String,
    /// Why, in the system's words.
    pub cause: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
    /// Failure class of an engine: `oom_gpu`, `bad_flag`, …
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub class: Option<String>,
    /// How the child ended: `exit 1`, `signal 9`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exit: Option<String>,
    /// The last lines of its log.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub log_tail: Vec<String>,
    /// The suite's exit code for it, never 0; 75 says that a retry may help.
    #[serde(deserialize_with = "failing")]
    #[schemars(range(min = 1))]
    pub code: u8,
}

/// A failure that exits with 0 would be none.
fn failing<'de, D: serde::Deserializer<'de>>(input: D) -> Result<u8, D::Error> {
    std::num::NonZeroU8::deserialize(input).map(std::num::NonZeroU8::get)
}
