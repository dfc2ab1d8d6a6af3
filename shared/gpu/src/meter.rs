//! One answer for many threads.
use crate::Snapshot;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What was answered last, shared by all who want to know, so that not each of them runs nvidia-smi.
#[derive(Debug, Default)]
pub struct Meter {
    last: Mutex<Last>,
    /// Held by the one who asks.
    asking: Mutex<()>,
}

#[derive(Clone, Debug, Default)]
struct Last {
    /// When it was asked.
    asked: Option<Instant>,
    reading: Option<Arc<Snapshot>>,
    /// Nobody answered once: nobody is asked again.
    silent: bool,
}

impl Meter {
    /// An answer to a question that was put at `moment` or later; waits for it. `None` where nobody answers.
    #[must_use]
    pub fn since(&self, moment: Instant) -> Option<Arc<Snapshot>> {
        let _asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        let last = self.last();
        // Whoever waited for the lock finds the answer of the one who held it, if that one asked late enough.
        if last.silent || last.asked.is_some_and(|asked| asked >= moment) {
            return last.reading;
        }
        let asked = Instant::now();
        let reading = Snapshot::take().map(Arc::new);
        let silent = reading.is_none();
        let now = Last { asked: Some(asked), reading, silent };
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&now);
        now.reading
    }

    /// The last answer, without waiting: a thread of its own asks anew when it is older than `every`. The first one is
    /// asked for that long after the first call.
    #[must_use]
    pub fn recent(self: &Arc<Self>, every: Duration) -> Option<Arc<Snapshot>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let asked = *last.asked.get_or_insert(now);
        if !last.silent && asked + every <= now {
            last.asked = Some(now);
            let meter = Arc::clone(self);
            // Without a thread the last answer stands until there is one.
            drop(threads::start("meter", move || drop(meter.since(Instant::now()))));
        }
        last.reading.clone()
    }

    fn last(&self) -> Last {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
