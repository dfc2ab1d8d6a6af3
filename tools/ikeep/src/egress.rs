//! What an engine tried to reach while it ran: counted, and let through.
//!
//! The kernel asks a listener of ours before a call that could lead out: connect(2), and sends that name a destination. The
//! filter is one of the thread that starts the engine, from which the engine inherits it; that thread stays, because the
//! engine's death signal hangs on it.
use crate::destination;
use crate::listener::{self, Listener, TrappedCall};
use record::{Egress, Plan, Target};
use std::io;
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Targets that are counted one by one; more are counted together.
const TARGETS: usize = 64;

type Start = (Command, Sender<io::Result<Child>>);

/// Who watches, where somebody does.
pub(crate) struct EgressWatch {
    seen: Arc<Mutex<Egress>>,
    starter: Option<Sender<Start>>,
    /// How many attempts and targets `status.json` and the log have.
    pub(crate) told: (u64, usize),
}

impl EgressWatch {
    /// Begin, where the plan wants it. Where it cannot be done, the status says so: the engine runs all the same.
    pub(crate) fn of(plan: &Plan) -> Option<Self> {
        plan.control.watch_egress.then(|| {
            Self::begin().unwrap_or_else(|why| {
                let unwatched = Some(why);
                let seen = Arc::new(Mutex::new(Egress { unwatched, ..Egress::default() }));
                Self { seen, starter: None, told: (0, 0) }
            })
        })
    }

    fn begin() -> Result<Self, String> {
        listener::can_continue_calls()?;
        let seen = Arc::new(Mutex::new(Egress::default()));
        let (starter, starts) = channel::<Start>();
        let (made, listener) = channel();
        tool::thread::start("starter", move || {
            drop(made.send(Listener::of_this_thread()));
            for (mut command, done) in starts {
                drop(done.send(command.spawn()));
            }
        })
        .map_err(|failure| failure.cause)?;
        let cannot = |error: io::Error| format!("no seccomp listener can be set: {}", tool::io_text(&error));
        let made = listener.recv().map_err(|_| "its thread has ended".to_owned())?;
        let (listener, counts) = (made.map_err(cannot)?, Arc::clone(&seen));
        tool::thread::start("egress", move || {
            listener.serve(&mut |asked| count(&counts, asked));
        })
        .map_err(|failure| failure.cause)?;
        Ok(Self { seen, starter: Some(starter), told: (0, 0) })
    }

    /// What was seen so far.
    pub(crate) fn seen(&self) -> Egress {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Start a command that is watched, with all that it starts.
    pub(crate) fn spawn(&self, mut command: Command) -> io::Result<Child> {
        let Some(starter) = &self.starter else { return command.spawn() };
        let (done, started) = channel();
        let gone = || io::Error::other("the thread that starts it has ended");
        starter.send((command, done)).map_err(|_| gone())?;
        started.recv().map_err(|_| gone())?
    }
}

/// Add what a call wanted to reach, where that is not this machine.
fn count(seen: &Mutex<Egress>, asked: &TrappedCall) {
    let targets = destination::of(asked);
    if targets.is_empty() {
        return;
    }
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    for (family, address) in targets {
        seen.attempts += 1;
        let same = |target: &&mut Target| target.address == address && target.pid == asked.process();
        if let Some(known) = seen.targets.iter_mut().find(same) {
            known.count += 1;
        } else if seen.targets.len() < TARGETS {
            let pid = asked.process();
            seen.targets.push(Target { family: family.to_owned(), address, pid, count: 1 });
        }
    }
}
