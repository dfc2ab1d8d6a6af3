//! What a keeper waits for: signals, the end of children, the first good `/health`, a moment in time.
use crate::event::Event;
use crate::health::Health;
use crate::idle::Idle;
use record::Plan;
use rustix::process::Pid;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Ours need little; the default of 2 MiB would only look large.
const STACK_BYTES: usize = 256 << 10;

/// All of it in one queue, so that waiting costs nothing.
pub(crate) struct Events {
    queue: Receiver<Event>,
    sender: Sender<Event>,
    stop_requested: Cell<bool>,
    wake_requested: Cell<bool>,
}

/// For as long as these are kept, an engine is asked.
pub(crate) type HealthChecks = Vec<Sender<()>>;

impl Events {
    /// Listen to signals. A keeper's only way to end is to be told so, or that the engine ends.
    pub(crate) fn listen() -> io::Result<Self> {
        let (sender, queue) = channel();
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGCHLD, SIGUSR1])?;
        let told = sender.clone();
        spawn("signals", move || {
            for signal in signals.forever() {
                let event = match signal {
                    SIGCHLD => Event::Child,
                    SIGUSR1 => Event::Wake,
                    _ => Event::Stop,
                };
                if told.send(event).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { queue, sender, stop_requested: Cell::new(false), wake_requested: Cell::new(false) })
    }

    /// Where somebody else may announce events.
    pub(crate) fn sender(&self) -> Sender<Event> {
        self.sender.clone()
    }

    /// The next event; `None` once it is `until`.
    pub(crate) fn next(&self, until: Option<Instant>) -> Option<Event> {
        let event = match until {
            // We hold a sender ourselves: the queue never ends.
            None => self.queue.recv().ok(),
            Some(until) => self.queue.recv_timeout(until.saturating_duration_since(Instant::now())).ok(),
        };
        match event {
            Some(Event::Stop) => self.stop_requested.set(true),
            Some(Event::Wake) => self.wake_requested.set(true),
            _ => {}
        }
        event
    }

    /// Whether a `Stop` was among the events so far, whoever got it.
    pub(crate) fn stop_requested(&self) -> bool {
        self.stop_requested.get()
    }

    /// Whether a `Wake` was among the events since this was last asked, whoever got it.
    pub(crate) fn wake_requested(&self) -> bool {
        self.wake_requested.take()
    }

    /// Ask the engine of this process id how it is, and where its plan wants that, whether anybody uses it.
    pub(crate) fn watch_health(&self, pid: Pid, plan: &Plan, key: Option<&str>) -> io::Result<HealthChecks> {
        let (kept, wanted) = channel();
        let (plan, key, events) = (plan.clone(), key.map(str::to_owned), self.sender.clone());
        let tokens = Arc::default();
        let mut asked = vec![kept];
        if let Some(limit) = plan.control.idle_stop_s {
            let (kept, wanted) = channel();
            let (plan, key, events) = (plan.clone(), key.clone(), events.clone());
            let (limit, tokens) = (Duration::from_secs(limit.into()), Arc::clone(&tokens));
            spawn("idle", move || Idle { pid, plan, key, events, wanted, limit, tokens }.watch())?;
            asked.push(kept);
        }
        spawn("health", move || Health { pid, plan, key, events, wanted, tokens }.watch())?;
        Ok(asked)
    }
}

/// Start a thread that nobody waits for.
fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES).spawn(run).map(drop)
}
