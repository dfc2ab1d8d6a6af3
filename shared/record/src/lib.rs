//! The wire: one JSON object per line, `kind` first.
//!
//! Owns the record kinds, one struct per kind, and the reading, forwarding and writing of a stream of them.
//! Knows nothing of exit codes beyond carrying them, and nothing of what any tool does.
mod engine;
mod host;
mod install;
mod instance;
mod model;
mod outcome;
mod plan;
mod resolved;
mod schema;
mod stream;

pub use engine::Engine;
pub use host::{Gpu, Host, Interface, Route};
pub use install::{Activation, Cache, Gap, Installed, Packed, Seal, Source, Warmed};
pub use instance::{
    Answer, Bench, Egress, Instance, KeeperState, Ready, Status, StopMethod, Stopped, Target,
};
pub use model::{Model, TypeUse};
pub use outcome::{Failed, Skipped, Warning};
pub use plan::{Control, Liveness, Plan, Restart, Rung};
pub use resolved::{Bridge, Env, Origin, Road, Step};
pub use schema::schema;
pub use stream::{Error, LINE_LIMIT, Line, Reader, Writer};

use serde::{Deserialize, Serialize};

/// Any record whose kind this version knows. Serialises with `kind` first.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[expect(missing_docs, reason = "each kind is documented at its struct")]
pub enum Record {
    Host(Host),
    Env(Env),
    Bridge(Bridge),
    Warmed(Warmed),
    Gap(Gap),
    Cache(Cache),
    Installed(Installed),
    Packed(Packed),
    Plan(Plan),
    Model(Model),
    Warning(Warning),
    Instance(Instance),
    Ready(Ready),
    Answer(Answer),
    Bench(Bench),
    Status(Status),
    Stopped(Stopped),
    Skipped(Skipped),
    Failed(Failed),
}

/// Only the tag: what decides which struct a line is read as, so that an error names the field and not the enum.
#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(borrow)]
    kind: std::borrow::Cow<'a, str>,
}

impl Record {
    /// Read one line. `Ok(None)` is a record of a kind that this version does not know.
    ///
    /// # Errors
    /// The line is not a JSON object with a string `kind`, or a known kind lacks a field or has one of the wrong type.
    pub fn parse(line: &str) -> Result<Option<Self>, serde_json::Error> {
        let tag: Tag<'_> = serde_json::from_str(line)?;
        Ok(Some(match &*tag.kind {
            "host" => Self::Host(serde_json::from_str(line)?),
            "env" => Self::Env(serde_json::from_str(line)?),
            "bridge" => Self::Bridge(serde_json::from_str(line)?),
            "warmed" => Self::Warmed(serde_json::from_str(line)?),
            "gap" => Self::Gap(serde_json::from_str(line)?),
            "cache" => Self::Cache(serde_json::from_str(line)?),
            "installed" => Self::Installed(serde_json::from_str(line)?),
            "packed" => Self::Packed(serde_json::from_str(line)?),
            "plan" => Self::Plan(serde_json::from_str(line)?),
            "model" => Self::Model(serde_json::from_str(line)?),
            "warning" => Self::Warning(serde_json::from_str(line)?),
            "instance" => Self::Instance(serde_json::from_str(line)?),
            "ready" => Self::Ready(serde_json::from_str(line)?),
            "answer" => Self::Answer(serde_json::from_str(line)?),
            "bench" => Self::Bench(serde_json::from_str(line)?),
            "status" => Self::Status(serde_json::from_str(line)?),
            "stopped" => Self::Stopped(serde_json::from_str(line)?),
            "skipped" => Self::Skipped(serde_json::from_str(line)?),
            "failed" => Self::Failed(serde_json::from_str(line)?),
            _ => return Ok(None),
        }))
    }

    /// The kind, as it stands on the wire.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Host(_) => "host",
            Self::Env(_) => "env",
            Self::Bridge(_) => "bridge",
            Self::Warmed(_) => "warmed",
            Self::Gap(_) => "gap",
            Self::Cache(_) => "cache",
            Self::Installed(_) => "installed",
            Self::Packed(_) => "packed",
            Self::Plan(_) => "plan",
            Self::Model(_) => "model",
            Self::Warning(_) => "warning",
            Self::Instance(_) => "instance",
            Self::Ready(_) => "ready",
            Self::Answer(_) => "answer",
            Self::Bench(_) => "bench",
            Self::Status(_) => "status",
            Self::Stopped(_) => "stopped",
            Self::Skipped(_) => "skipped",
            Self::Failed(_) => "failed",
        }
    }

    /// The engine and the instance that the record speaks of.
    #[must_use]
    pub fn subject(&self) -> (Option<Engine>, Option<&str>) {
        match self {
            Self::Env(r) => (Some(r.engine), None),
            Self::Bridge(_) => (Some(Engine::Bridge), None),
            Self::Warmed(r) => (Some(r.engine), None),
            Self::Gap(r) => (Some(r.engine), None),
            Self::Cache(r) => (Some(r.engine), None),
            Self::Installed(r) => (Some(r.engine), None),
            Self::Host(_) | Self::Packed(_) => (None, None),
            Self::Plan(r) => (Some(r.engine), Some(&r.instance)),
            Self::Model(r) => (r.engine, r.instance.as_deref()),
            Self::Warning(r) => (r.engine, r.instance.as_deref()),
            Self::Instance(r) => (Some(r.engine), Some(&r.instance)),
            Self::Ready(r) => (Some(r.engine), Some(&r.instance)),
            Self::Answer(r) => (r.engine, r.instance.as_deref()),
            Self::Bench(r) => (r.engine, r.instance.as_deref()),
            Self::Status(r) => (Some(r.engine), Some(&r.instance)),
            Self::Stopped(r) => (Some(r.engine), Some(&r.instance)),
            Self::Skipped(r) => (Some(r.engine), r.instance.as_deref()),
            Self::Failed(r) => (Some(r.engine), r.instance.as_deref()),
        }
    }
}

/// Implements `From<$kind> for Record` for each kind, so that a tool writes the struct it made.
macro_rules! kinds {
    ($($kind:ident)*) => {$(
        impl From<$kind> for Record {
            fn from(record: $kind) -> Self {
                Self::$kind(record)
            }
        }
    )*};
}
kinds!(Host Env Bridge Warmed Gap Cache Installed Packed Plan Model Warning Instance Ready Answer Bench Status Stopped Skipped Failed);

/// Whether a flag is unset, for fields that are written only when true.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn unset(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_comes_first_and_absent_fields_are_not_written() {
        let skipped =
            Skipped { engine: Engine::LlamaCpp, instance: None, by: "ienv".into(), why: "boot".into() };
        let line = serde_json::to_string(&Record::from(skipped)).unwrap();
        assert_eq!(line, r#"{"kind":"skipped","engine":"llama-cpp","by":"ienv","why":"boot"}"#);
    }

    #[test]
    fn an_unknown_kind_is_not_an_error_and_a_known_one_with_a_missing_field_is() {
        assert_eq!(Record::parse(r#"{"kind":"weather","sun":true}"#).unwrap(), None);
        let cause = Record::parse(r#"{"kind":"skipped","engine":"vllm","by":"x"}"#).unwrap_err().to_string();
        assert!(cause.contains("missing field `why`"), "{cause}");
    }

    #[test]
    fn newer_optional_fields_are_ignored() {
        let line = r#"{"kind":"skipped","engine":"vllm","by":"x","why":"y","colour":"red"}"#;
        assert!(matches!(Record::parse(line).unwrap(), Some(Record::Skipped(_))));
    }
}
