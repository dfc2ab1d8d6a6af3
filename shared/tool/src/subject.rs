//! What a record speaks of.
use crate::Failure;
use record::{Engine, Failed};
use text::one_line;

/// The engine or the instance that a `failed`, `skipped` or `warning` speaks of.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The engine.
    pub engine: Engine,
    /// The instance, where it concerns only one.
    pub instance: Option<&'a str>,
}

impl Subject<'_> {
    /// The record of its failure in this tool.
    pub(crate) fn failed(self, by: &str, failure: Failure) -> Failed {
        Failed {
            engine: self.engine,
            instance: self.instance.map(str::to_owned),
            by: by.to_owned(),
            // What a user's process or file said is in them: a record is read by eyes too.
            what: one_line(&failure.what),
            cause: one_line(&failure.cause),
            hint: failure.hint.as_deref().map(one_line),
            class: failure.class,
            exit: failure.exit,
            log_tail: failure.log_tail,
            code: failure.code.number(),
        }
    }
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
