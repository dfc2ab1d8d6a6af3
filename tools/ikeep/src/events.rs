//! What a keeper waits for: signals, the end of children, the first good `/health`, a moment in time.
use crate::health::Health;
use record::Plan;
use rustix::process::Pid;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use std::cell::Cell;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

/// Ours need little; the default of 2 MiB would only look large.
const STACK_BYTES: usize = 256 << 10;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// We were told to stop.
    Stop,
    /// A child ended, or several.
    Child,
    /// The engine of this process id answered `/health` with 200.
    Healthy(Pid),
    /// The engine of this process id hangs; why.
    Hung(Pid, String),
    /// Something for the log.
    Note(String),
    /// The log has begun to lose lines, or ceased to.
    LinesLost,
}

/// All of it in one queue, so that waiting costs nothing.
pub(crate) struct Events {
    queue: Receiver<Event>,
    sender: Sender<Event>,
    told_to_stop: Cell<bool>,
}

impl Events {
    /// Listen to signals. A keeper's only way to end is to be told so, or that the engine ends.
    pub(crate) fn listen() -> io::Result<Self> {
        let (sender, queue) = channel();
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGCHLD])?;
        let told = sender.clone();
        spawn("signals", move || {
            for signal in signals.forever() {
                let event = if signal == SIGCHLD { Event::Child } else { Event::Stop };
                if told.send(event).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { queue, sender, told_to_stop: Cell::new(false) })
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
        if matches!(event, Some(Event::Stop)) {
            self.told_to_stop.set(true);
        }
        event
    }

    /// Whether a `Stop` was among the events so far, whoever got it.
    pub(crate) fn told_to_stop(&self) -> bool {
        self.told_to_stop.get()
    }

    /// Ask the engine of this process id how it is, for as long as the sender is kept.
    pub(crate) fn watch_health(&self, pid: Pid, plan: &Plan, key: Option<&str>) -> io::Result<Sender<()>> {
        let (kept, wanted) = channel();
        let (plan, key, events) = (plan.clone(), key.map(str::to_owned), self.sender.clone());
        spawn("health", move || Health { pid, plan, key, events, wanted }.watch())?;
        Ok(kept)
    }
}

/// Start a thread that nobody waits for.
fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES).spawn(run).map(drop)
}
