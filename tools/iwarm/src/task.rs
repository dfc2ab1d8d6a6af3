//! What is to be done for an engine.
use record::{Env, Gap};
use std::time::Duration;

/// One engine's cache, and what is wrong with it.
pub(crate) struct Task<'a> {
    /// How long to wait for whoever is at work on it.
    pub(crate) patience: Duration,
    pub(crate) env: &'a Env,
    pub(crate) gaps: Vec<Gap>,
}
