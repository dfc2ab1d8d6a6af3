//! What all requests share.
use crate::body::{Bodies, ReceivedBody};
use crate::discovery::Snapshot;
use crate::journal::{Entry, Journal};
use crate::prefix_check::PrefixCheck;
use crate::refusal::Refusal;
use crate::routing::Router;
use crate::settings::{Mode, Settings};
use crate::upstream::Upstream;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use std::sync::Arc;

/// Everything that requests share.
pub(crate) struct Bridge {
    pub(crate) settings: Settings,
    /// To the instances, to the one upstream, or to LiteLLM.
    pub(crate) router: Router,
    /// To the instances, where the other one leads to LiteLLM, which asks for them below `/engines`.
    pub(crate) engines: Option<Router>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) bodies: Bodies,
    /// Where it was asked for.
    prefix_check: Option<PrefixCheck>,
}

impl Bridge {
    pub(crate) fn new(
        settings: Settings,
        (router, engines): (Router, Option<Router>),
        journal: Arc<Journal>,
    ) -> Self {
        let bodies = Bodies::new(settings.max_body);
        let prefix_check = settings.audit_prefix.then(PrefixCheck::default);
        Self { settings, router, engines, journal, bodies, prefix_check }
    }

    /// All that is behind us.
    pub(crate) fn seen(&self) -> Snapshot {
        let mut seen = Snapshot::clone(&self.router.seen());
        if let Some(engines) = &self.engines {
            seen.upstreams.extend(engines.seen().upstreams.iter().cloned());
        }
        seen
    }

    /// The whole body, and the request's log entry.
    pub(crate) async fn enter(
        &self,
        what: &str,
        parts: &Parts,
        body: Incoming,
    ) -> (Box<Entry>, Result<ReceivedBody, Refusal>) {
        let mut entry = Box::new(Entry::new(&self.journal, what.to_owned()));
        let taken = self.bodies.take(&parts.headers, body).await;
        if let Err(refusal) = &taken {
            entry.refused(refusal);
        }
        (entry, taken)
    }

    /// The beginnings of a conversation; read only where there is a choice of instances.
    pub(crate) fn beginnings(&self, router: &Router, body: impl FnOnce() -> serde_json::Value) -> Vec<u64> {
        if router.seen().upstreams.len() < 2 {
            return Vec::new();
        }
        let blocks = messages::prefix::blocks(&body());
        let shared = blocks.iter().take_while(|block| !block.place.starts_with(['m', 'i'])).count();
        messages::prefix::keys(&blocks).split_off(shared)
    }

    /// Say where a turn stops extending the one before it, where that was asked for.
    pub(crate) fn check_prefix(&self, parts: &Parts, request: impl FnOnce() -> serde_json::Value) {
        if let Some(said) =
            self.prefix_check.as_ref().and_then(|check| check.turn(&parts.headers, &request()))
        {
            self.journal.say(said);
        }
    }

    /// Whether clients present the engine's own key, because we want none.
    pub(crate) fn forwards_credentials(&self) -> bool {
        let is_foreign = self.settings.upstream.is_some() || self.settings.litellm.is_some();
        is_foreign && !self.settings.access.wants_key()
    }

    /// Whether this instance is asked by its own /v1/messages.
    pub(crate) fn is_native(&self, upstream: &Upstream) -> bool {
        match self.settings.mode {
            Mode::Auto => upstream.is_native,
            Mode::Native | Mode::Litellm => true,
            Mode::Translate => false,
        }
    }
}
