//! What planning has to say.
use failure::Failure;
use record::{Engine, Plan, Warning};

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
