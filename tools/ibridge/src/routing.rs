//! Which server gets a request: by the model that it names, then by the conversation, then by the load.
use crate::conversations::Conversations;
use crate::discovery::{Discovery, Snapshot};
use crate::refusal::Refusal;
use crate::settings::Settings;
use crate::upstream::{Phase, Ticket, Upstream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How often a sleeping instance is asked to wake.
const WAKE_INTERVAL: Duration = Duration::from_secs(1);
/// When to come again where all is busy, seconds.
const BUSY: u64 = 5;

/// Chooses.
pub(crate) struct Router {
    discovery: Discovery,
    model: Option<String>,
    /// Any name is good for the one server behind us.
    takes_any: bool,
    hold: Duration,
    queue: usize,
    conversations: Mutex<Conversations>,
}

/// What a request says of where it belongs.
#[derive(Clone, Debug, Default)]
pub(crate) struct RouteRequest {
    /// The model that it names.
    pub(crate) model: Option<String>,
    /// One key for each beginning of its conversation, the shortest first.
    pub(crate) beginnings: Vec<u64>,
    /// Servers that were tried.
    pub(crate) tried: Vec<String>,
    /// The one server that is meant.
    pub(crate) only: Option<String>,
}

/// Where a request goes.
pub(crate) struct Route {
    pub(crate) upstream: Arc<Upstream>,
    /// The name to ask for there.
    pub(crate) model: String,
    pub(crate) ticket: Ticket,
}

/// What a snapshot says about a wish.
enum Choice {
    Route(Arc<Upstream>, String),
    /// Not yet, and why.
    Wait(String),
    /// Its server sleeps.
    Wake(Arc<Upstream>),
    Refuse(Refusal),
}

impl Router {
    pub(crate) fn new(discovery: Discovery, settings: &Settings) -> Self {
        let (model, hold, queue) = (settings.model.clone(), settings.hold, settings.queue);
        Self { discovery, model, takes_any: false, hold, queue, conversations: Mutex::default() }
    }

    /// One before a server that takes every name.
    pub(crate) fn any(discovery: Discovery, settings: &Settings) -> Self {
        Self { takes_any: true, ..Self::new(discovery, settings) }
    }

    pub(crate) fn seen(&self) -> Arc<Snapshot> {
        self.discovery.seen()
    }

    /// The server did not do what it was last seen to do.
    pub(crate) fn refresh_now(&self) {
        self.discovery.refresh_now();
    }

    /// Wait for a server, at most as long as a request is held.
    pub(crate) async fn route(&self, route_request: &RouteRequest, until: Instant) -> Result<Route, Refusal> {
        let mut watch = self.discovery.watch();
        loop {
            let seen = Arc::clone(&watch.borrow_and_update());
            let mut look_again = until;
            let why = match self.choose(&seen, route_request) {
                Choice::Route(upstream, model) => {
                    let ticket = upstream.load.enter();
                    self.conversations().put(&route_request.beginnings, &upstream.id);
                    return Ok(Route { upstream, model, ticket });
                }
                Choice::Refuse(refusal) => return Err(refusal),
                Choice::Wait(why) => why,
                Choice::Wake(upstream) => {
                    wake(&upstream).await?;
                    look_again = until.min(Instant::now() + WAKE_INTERVAL);
                    format!("{} is asleep", upstream.id)
                }
            };
            if timeout_at(look_again, watch.changed()).await.is_err() && Instant::now() >= until {
                let text = format!("no instance was ready within {} s: {why}", self.hold.as_secs());
                return Err(Refusal::new(503, text).retry_after(30));
            }
        }
    }

    /// When a request that comes now is given up.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.hold
    }

    fn choose(&self, seen: &Snapshot, route_request: &RouteRequest) -> Choice {
        if !seen.complete {
            return Choice::Wait("the run directory is being read".to_owned());
        }
        let found = match &route_request.only {
            Some(id) => {
                Ok((seen.upstreams.iter().filter(|upstream| upstream.id == *id).cloned().collect(), None))
            }
            None => self.candidates(seen, route_request.model.as_deref()),
        };
        let (candidates, model): (Vec<_>, _) = match found {
            Ok(found) => found,
            Err(refusal) => return Choice::Refuse(refusal),
        };
        let ready: Vec<&Arc<Upstream>> = candidates
            .iter()
            .filter(|upstream| upstream.phase == Phase::Ready && !route_request.tried.contains(&upstream.id))
            .collect();
        if let Some(upstream) = self.pick(&ready, route_request) {
            let name = model.or_else(|| upstream.names.first().cloned()).unwrap_or_default();
            return Choice::Route(Arc::clone(upstream), name);
        }
        let asleep = candidates.iter().find(|upstream| upstream.phase == Phase::Asleep);
        if let Some(asleep) = asleep.filter(|_| !ready.is_empty()) {
            return Choice::Wake(Arc::clone(asleep));
        }
        if !ready.is_empty() {
            let text = format!(
                "every instance is at work on {}, which is its limit: try again in {BUSY} s",
                requests(self.queue)
            );
            return Choice::Refuse(Refusal::new(429, text).retry_after(BUSY));
        }
        not_ready(&candidates)
    }

    /// The servers that a name means, and the name to ask them for; `None`: their first.
    fn candidates(
        &self,
        seen: &Snapshot,
        asked: Option<&str>,
    ) -> Result<(Vec<Arc<Upstream>>, Option<String>), Refusal> {
        if self.takes_any {
            return Ok((seen.upstreams.clone(), asked.map(str::to_owned)));
        }
        let serving = |name: &str| -> Vec<Arc<Upstream>> {
            let serves = |upstream: &&Arc<Upstream>| upstream.names.iter().any(|served| served == name);
            seen.upstreams.iter().filter(serves).cloned().collect()
        };
        if let Some(name) = asked {
            let found = serving(name);
            if !found.is_empty() {
                return Ok((found, Some(name.to_owned())));
            }
        }
        let is_default = asked.is_none_or(|name| means_default(name) || self.model.as_deref() == Some(name));
        if !is_default {
            return self.not_known(seen, asked.unwrap_or_default());
        }
        if let Some(model) = &self.model {
            let found = serving(model);
            let all = || seen.upstreams.iter().take(1).cloned().collect();
            let found = if found.is_empty() { all() } else { found };
            return Ok((found, Some(model.clone())));
        }
        // The first that is ready, and those that serve the same; else all that may become so.
        let first = seen.upstreams.iter().find(|upstream| upstream.phase == Phase::Ready);
        let Some(first) = first else { return Ok((seen.upstreams.clone(), None)) };
        let found = first.names.first().map(|name| serving(name)).unwrap_or_default();
        Ok((if found.is_empty() { vec![Arc::clone(first)] } else { found }, None))
    }

    /// A name that nobody serves; one that loads may not have said yet which names it will.
    fn not_known(
        &self,
        seen: &Snapshot,
        asked: &str,
    ) -> Result<(Vec<Arc<Upstream>>, Option<String>), Refusal> {
        let silent: Vec<Arc<Upstream>> = seen
            .upstreams
            .iter()
            .filter(|upstream| {
                upstream.names.is_empty() && matches!(upstream.phase, Phase::Loading(_) | Phase::Asleep)
            })
            .cloned()
            .collect();
        if !silent.is_empty() {
            return Ok((silent, Some(asked.to_owned())));
        }
        let mut names: Vec<&str> =
            seen.upstreams.iter().flat_map(|upstream| &upstream.names).map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        let names = if names.is_empty() { "no model is served".to_owned() } else { names.join(", ") };
        let asked: String = asked.chars().take(200).collect();
        Err(Refusal::new(404, format!("the model '{asked}' is not served here; served are: {names}")))
    }

    /// The one that holds the conversation, else the one with the fewest requests under way. None where all are full.
    fn pick<'u>(
        &self,
        ready: &[&'u Arc<Upstream>],
        route_request: &RouteRequest,
    ) -> Option<&'u Arc<Upstream>> {
        let has_room = |upstream: &&&Arc<Upstream>| self.queue == 0 || upstream.load.now() < self.queue;
        if ready.len() > 1
            && let Some(id) = self.conversations().get(&route_request.beginnings)
            && let Some(holder) = ready.iter().filter(has_room).find(|upstream| *upstream.id == *id)
        {
            return Some(holder);
        }
        ready.iter().filter(has_room).min_by_key(|upstream| upstream.load.now()).copied()
    }

    fn conversations(&self) -> std::sync::MutexGuard<'_, Conversations> {
        self.conversations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Have a sleeping instance started.
async fn wake(upstream: &Upstream) -> Result<(), Refusal> {
    let Some(place) = upstream.kept.as_ref().map(|kept| kept.place.clone()) else { return Ok(()) };
    let woken = tokio::task::spawn_blocking(move || stop::wake(&place)).await;
    match woken {
        Ok(Err(failure)) => {
            let text = format!("{} is asleep: {}: {}", upstream.id, failure.what, failure.cause);
            log::warn!("{text}");
            Err(Refusal::new(503, text))
        }
        _ => Ok(()),
    }
}

fn requests(count: usize) -> String {
    if count == 1 { "1 request".to_owned() } else { format!("{count} requests") }
}

/// No candidate is ready.
fn not_ready(candidates: &[Arc<Upstream>]) -> Choice {
    let loading = candidates.iter().find_map(|upstream| match upstream.phase {
        Phase::Loading(why) => Some(format!("{} {why}", upstream.id)),
        _ => None,
    });
    if let Some(why) = loading {
        return Choice::Wait(why);
    }
    if let Some(asleep) = candidates.iter().find(|upstream| upstream.phase == Phase::Asleep) {
        return Choice::Wake(Arc::clone(asleep));
    }
    let why: Vec<String> = candidates
        .iter()
        .map(|upstream| match upstream.phase {
            Phase::Down(why) => format!("{} {why}", upstream.id),
            _ => format!("{} gave no answer", upstream.id),
        })
        .collect();
    let why = if why.is_empty() { "none was started".to_owned() } else { why.join(", ") };
    Choice::Refuse(Refusal::new(503, format!("no instance is ready: {why}")).retry_after(30))
}

/// Whether a name stands for whatever is there: the names that Claude Code has for its own models.
fn means_default(name: &str) -> bool {
    let name = name.split('[').next().unwrap_or(name);
    let name = name.strip_prefix("anthropic/").unwrap_or(name);
    name.starts_with("claude-")
        || matches!(name, "sonnet" | "opus" | "haiku" | "fable" | "opusplan" | "default")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_claude_codes_models_mean_the_default() {
        for name in [
            "claude-opus-4-5",
            "claude-sonnet-4-5[1m]",
            "anthropic/claude-haiku-4-5",
            "sonnet",
            "opus",
            "haiku[1m]",
        ] {
            assert!(means_default(name), "{name}");
        }
        for name in ["gpt-5", "claude", "sonnets", "tiny", ""] {
            assert!(!means_default(name), "{name}");
        }
    }
}
