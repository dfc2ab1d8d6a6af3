//! What a record speaks of.
use record::Engine;

/// The engine or the instance that a `failed`, `skipped` or `warning` speaks of.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The engine.
    pub engine: Engine,
    /// The instance, where it concerns only one.
    pub instance: Option<&'a str>,
}

impl From<Engine> for Subject<'_> {
    fn from(engine: Engine) -> Self {
        Self { engine, instance: None }
    }
}

impl<'a> From<(Engine, &'a str)> for Subject<'a> {
    fn from((engine, instance): (Engine, &'a str)) -> Self {
        Self { engine, instance: Some(instance) }
    }
}
