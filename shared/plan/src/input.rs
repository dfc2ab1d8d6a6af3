//! One engine to plan for.
use record::{Env, Installed};

/// One engine to plan for.
#[derive(Clone, Debug)]
pub struct Input {
    /// Its environment contract.
    pub env: Env,
    /// What is installed, where a record said so.
    pub installed: Option<Installed>,
}
