//! Finding out that nobody uses an engine, from what it says of itself: whoever asks it, through a bridge or not, counts.
use crate::activity::{self, ActivitySample};
use crate::event::Event;
use ask::Target;
use owner::Owner;
use record::Plan;
use rustix::process::Pid;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// Between two looks: an eighth of the limit, within these.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);
/// How long one answer may take.
const LIMIT: Duration = Duration::from_secs(10);

/// One start of an engine, as its use is watched.
pub(crate) struct Idle {
    pub(crate) pid: Pid,
    pub(crate) plan: Plan,
    pub(crate) key: Option<String>,
    pub(crate) events: Sender<Event>,
    /// Ends when nobody wants to know any more.
    pub(crate) wanted: Receiver<()>,
    /// So long without use, and it is idle.
    pub(crate) limit: Duration,
    /// Tokens that the keeper itself has asked for: they are no use of the engine.
    pub(crate) tokens: Arc<AtomicU64>,
}

/// What was seen last, and since when nothing else was.
struct IdleSince {
    seen: ActivitySample,
    tokens: u64,
    since: Instant,
}

impl Idle {
    /// Until it is idle, it does not say whether it is, or idleness is no longer of interest.
    pub(crate) fn watch(self) {
        let pause = (self.limit / 8).clamp(SHORTEST, LONGEST);
        let server = Target::of_plan(&self.plan, &Owner::current()).with_key(self.key.clone());
        let mut quiet: Option<IdleSince> = None;
        while self.wanted.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            let tokens = self.tokens.load(Ordering::Relaxed);
            match activity::ask(&self.plan, &server, LIMIT) {
                Ok(seen) => quiet = Some(IdleSince::after(quiet, seen, tokens, Instant::now())),
                // It loads, or has no time for an answer.
                Err(None) => quiet = None,
                Err(Some(why)) => {
                    let note =
                        format!("idle_stop_s: whether it is idle cannot be told, and it runs on: {why}");
                    self.events.send(Event::Note(note)).ok();
                    return;
                }
            }
            if quiet.as_ref().is_some_and(|quiet| quiet.since.elapsed() >= self.limit) {
                self.events.send(Event::Idle(self.pid)).ok();
                return;
            }
        }
    }
}

impl IdleSince {
    /// A request under way, or counters that have moved, begin it anew; but for those that our own token has moved.
    fn after(before: Option<Self>, seen: ActivitySample, tokens: u64, now: Instant) -> Self {
        let since = match before {
            Some(before) if tokens != before.tokens => before.since,
            Some(before) if !seen.busy && seen.served == before.seen.served => before.since,
            _ => now,
        };
        Self { seen, tokens, since }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: ActivitySample = seen(false, 1);

    const fn seen(busy: bool, served: u64) -> ActivitySample {
        ActivitySample { busy, counters: 0, served }
    }

    #[test]
    fn quiet_lasts_until_somebody_asks_and_our_own_tokens_do_not_count() {
        let begun = Instant::now();
        let later = |seconds| begun + Duration::from_secs(seconds);
        let first = IdleSince::after(None, IDLE, 0, begun);
        let second = IdleSince::after(Some(first), IDLE, 0, later(1));
        assert_eq!(second.since, begun);
        let token = IdleSince::after(Some(second), seen(true, 2), 1, later(2));
        assert_eq!(token.since, begun);
        let after = IdleSince::after(Some(token), seen(false, 3), 2, later(3));
        assert_eq!(after.since, begun);
        let busy = IdleSince::after(Some(after), seen(true, 3), 2, later(4));
        assert_eq!(busy.since, later(4));
        let done = IdleSince::after(Some(busy), seen(false, 4), 2, later(5));
        assert_eq!(done.since, later(5));
    }
}
