//! What is behind the bridge, followed as it comes, goes and restarts. A thread of its own looks; requests see snapshots.
use crate::address::Address;
use crate::pool::Pool;
use crate::upstream::{KeeperFacts, Load, Phase, Upstream};
use ask::Target;
use record::{Engine, KeeperState, Plan};
use state::Directory;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tool::Failure;

/// Between two looks at the run directory while something loads, and otherwise.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const PAUSE: Duration = Duration::from_millis(300);
/// How often one that is healthy is asked again.
const REFRESH_AFTER: Duration = Duration::from_secs(5);
/// How long a server may take for one short question.
const LIMIT: Duration = Duration::from_secs(3);

/// What was seen.
#[derive(Clone, Default)]
pub(crate) struct Snapshot {
    /// A look has ended.
    pub(crate) complete: bool,
    /// Engines in the usual order, instances by name.
    pub(crate) upstreams: Vec<Arc<Upstream>>,
}

/// The readers' end.
#[derive(Clone)]
pub(crate) struct Discovery {
    seen: watch::Receiver<Arc<Snapshot>>,
    wake: SyncSender<()>,
}

impl Discovery {
    /// Begin to look.
    pub(crate) fn start(source: Source) -> Result<Self, Failure> {
        let (send, seen) = watch::channel(Arc::new(Snapshot::default()));
        let (wake, woken) = sync_channel(1);
        let follower = DiscoveryThread { source, known: HashMap::new() };
        drop(tool::thread::start("follow", move || follower.run(&send, &woken))?);
        Ok(Self { seen, wake })
    }

    /// As of now.
    pub(crate) fn seen(&self) -> Arc<Snapshot> {
        Arc::clone(&self.seen.borrow())
    }

    /// For one who waits for a change.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.seen.clone()
    }

    /// Something is not as it was seen: look now.
    pub(crate) fn refresh_now(&self) {
        // One that is on its way already will do.
        self.wake.try_send(()).ok();
    }
}

/// Where is looked.
pub(crate) enum Source {
    /// Into a run directory, or all there are.
    RunDir(Option<PathBuf>),
    /// At one server, which may want this key.
    Server(Address, Option<String>),
}

struct DiscoveryThread {
    source: Source,
    known: HashMap<String, KnownServer>,
}

/// What is remembered of one server between two looks.
#[derive(Default)]
struct KnownServer {
    /// The start that it is remembered of.
    start: String,
    plan: Option<Plan>,
    key: Option<String>,
    healthy: bool,
    names: Vec<String>,
    /// Asked once for each start: engines log the question as an error.
    is_native: Option<bool>,
    next: Option<Instant>,
    load: Arc<Load>,
    pool: Arc<Pool>,
}

/// What one server said.
struct ServerInfo {
    healthy: Result<(), ask::Error>,
    names: Vec<String>,
    is_native: Option<bool>,
}

impl DiscoveryThread {
    fn run(mut self, send: &watch::Sender<Arc<Snapshot>>, woken: &Receiver<()>) {
        loop {
            let upstreams = self.look();
            let loading = upstreams.iter().any(|upstream| matches!(upstream.phase, Phase::Loading(_)));
            self.publish(send, upstreams);
            match woken.recv_timeout(if loading { FIRST_PAUSE } else { PAUSE }) {
                Ok(()) => self.known.values_mut().for_each(|known| known.next = None),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn publish(&self, send: &watch::Sender<Arc<Snapshot>>, upstreams: Vec<Upstream>) {
        let before = Arc::clone(&send.borrow());
        let same = before.complete
            && before.upstreams.len() == upstreams.len()
            && before.upstreams.iter().zip(&upstreams).all(|(before, now)| before.same(now));
        if !same {
            let upstreams = upstreams.into_iter().map(Arc::new).collect();
            send.send_replace(Arc::new(Snapshot { complete: true, upstreams }));
        }
        self.known.values().for_each(|known| known.pool.drop_stale());
    }

    fn look(&mut self) -> Vec<Upstream> {
        let mut drafts = match &self.source {
            Source::Server(address, key) => vec![self.of_url(address.clone(), key.clone())],
            Source::RunDir(run_dir) => self.of_run_dir(run_dir.clone().as_deref()),
        };
        let now = Instant::now();
        let due = |draft: &&Upstream| {
            let known = self.known.get(&draft.id);
            draft.phase == Phase::Ready && known.is_none_or(|known| known.next.is_none_or(|next| now >= next))
        };
        let asks = |draft: &Upstream| self.known.get(&draft.id).is_none_or(|known| known.is_native.is_none());
        let due: Vec<(Upstream, bool)> =
            drafts.iter().filter(due).map(|draft| (draft.clone(), asks(draft))).collect();
        let info = tool::thread::each("ask", &due, |(upstream, asks)| ask_server(upstream, *asks));
        for ((draft, _), info) in due.iter().zip(info) {
            if let (Ok(info), Some(known)) = (info, self.known.get_mut(&draft.id)) {
                known.update(info);
            }
        }
        for draft in &mut drafts {
            if let Some(known) = self.known.get(&draft.id) {
                draft.names.clone_from(&known.names);
                draft.is_native = known.is_native.unwrap_or(false);
                if draft.phase == Phase::Ready && !known.healthy {
                    draft.phase = Phase::Loading("is loading");
                }
            }
        }
        drafts
    }

    fn of_url(&mut self, address: Address, key: Option<String>) -> Upstream {
        let id = address.url();
        let known = self.known.entry(id.clone()).or_default();
        Upstream {
            id,
            engine: None,
            address,
            key,
            names: Vec::new(),
            phase: Phase::Ready,
            is_native: false,
            kept: None,
            load: Arc::clone(&known.load),
            pool: Arc::clone(&known.pool),
        }
    }

    /// What stands in the run directory. What cannot be read is logged and left out.
    fn of_run_dir(&mut self, run_dir: Option<&Path>) -> Vec<Upstream> {
        let found = match state::find_all(run_dir) {
            Ok(found) => found,
            Err(failure) => {
                log::debug!("{}: {}", failure.what, failure.cause);
                return Vec::new();
            }
        };
        let engines = found.places.iter().filter(|place| place.engine().is_some_and(|e| e != Engine::Bridge));
        let upstreams: Vec<Upstream> = engines.filter_map(|place| self.of_state_dir(place)).collect();
        self.known.retain(|id, _| upstreams.iter().any(|upstream| upstream.id == *id));
        upstreams
    }

    fn of_state_dir(&mut self, place: &Directory) -> Option<Upstream> {
        let id = format!("{}/{}", place.engine()?, place.instance()?);
        let (state, status) = match place.state() {
            Ok(found) => found?,
            Err(error) => {
                log::debug!("{}: {error}", place.path().display());
                return None;
            }
        };
        let known = self.known.entry(id.clone()).or_default();
        let start = format!("{}{:?}{}", status.plan_hash, status.instance_id, status.port);
        if known.start != start || known.plan.is_none() {
            let (load, names) = (Arc::clone(&known.load), std::mem::take(&mut known.names));
            *known = KnownServer { start, load, names, ..KnownServer::default() };
            known.plan = place.plan().ok().flatten();
            known.key = place.api_key().ok().flatten();
            let served = known.plan.as_ref().and_then(|plan| plan.served_name.clone());
            known.names = served.map_or_else(|| std::mem::take(&mut known.names), |name| vec![name]);
        }
        let plan = known.plan.as_ref()?;
        let idle_stop_s = plan.control.idle_stop_s;
        Some(Upstream {
            id,
            engine: place.engine(),
            address: Address::of_instance(plan, status.port),
            key: known.key.clone(),
            names: Vec::new(),
            phase: if plan.scheme.is_some() {
                Phase::Down("speaks TLS, which the bridge does not")
            } else {
                phase(state, status.pid.is_some())
            },
            is_native: false,
            kept: Some(KeeperFacts {
                place: place.clone(),
                state,
                status,
                model: plan.model.clone(),
                idle_stop_s,
            }),
            load: Arc::clone(&known.load),
            pool: Arc::clone(&known.pool),
        })
    }
}

/// As the keeper says; one that runs has still to be asked.
fn phase(state: KeeperState, has_process: bool) -> Phase {
    match state {
        KeeperState::Running if has_process => Phase::Ready,
        KeeperState::Running => Phase::Loading("is starting"),
        KeeperState::Waiting => Phase::Loading("waits for another instance"),
        KeeperState::Backoff => Phase::Loading("is between two starts"),
        KeeperState::Asleep => Phase::Asleep,
        KeeperState::Stopping => Phase::Down("is stopping"),
        KeeperState::Stopped => Phase::Down("is stopped"),
        KeeperState::Failed => Phase::Down("has failed"),
        KeeperState::Lost => Phase::Down("has lost its keeper"),
    }
}

/// Ask one server for its health, its names and whether it speaks Anthropic Messages.
fn ask_server(upstream: &Upstream, asks_native: bool) -> ServerInfo {
    let url = upstream.address.url();
    let target = match Target::parse(&url) {
        Ok(target) => target.with_key(upstream.key.clone()).with_health(upstream.address.health),
        Err(cause) => {
            return ServerInfo {
                healthy: Err(ask::Error::Unreachable(cause)),
                names: Vec::new(),
                is_native: None,
            };
        }
    };
    let healthy = match target.health(LIMIT) {
        // Some other server than ours, which has no such path, is up where it lists its models.
        Err(ask::Error::Status { code: 404 | 405, .. }) if upstream.engine.is_none() => Ok(()),
        other => other,
    };
    // LiteLLM's names are whatever is asked for, and it has both APIs.
    if healthy.is_err() || upstream.address.health == ask::LITELLM_HEALTH {
        return ServerInfo { healthy, names: Vec::new(), is_native: None };
    }
    let names = target.models(LIMIT).unwrap_or_default();
    let is_native = asks_native.then(|| target.accepts_post("/v1/messages", LIMIT).ok()).flatten();
    ServerInfo { healthy, names, is_native }
}

impl KnownServer {
    fn update(&mut self, info: ServerInfo) {
        let busy = matches!(info.healthy, Err(ask::Error::TimedOut));
        // One that answered before and is slow now is at work.
        self.healthy = info.healthy.is_ok() || (busy && self.healthy);
        self.next = self.healthy.then(|| Instant::now() + REFRESH_AFTER);
        if info.healthy.is_err() {
            return;
        }
        let served = self.plan.as_ref().and_then(|plan| plan.served_name.clone());
        let mut names: Vec<String> = served.into_iter().collect();
        names.extend(info.names.into_iter().filter(|name| !names.contains(name)).collect::<Vec<_>>());
        if !names.is_empty() {
            self.names = names;
        }
        self.is_native = info.is_native.or(self.is_native);
    }
}
