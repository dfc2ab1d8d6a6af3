//! Whether a process that is waited for is worth it: one that does nothing any more is not, and none is for ever.
use crate::processor_time;
use std::io;
use std::time::{Duration, Instant};

/// How long a process is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long it may do nothing.
    pub stall: Duration,
    /// How long it may take, whatever it does.
    pub total: Duration,
    /// How often is looked whether it does anything.
    pub look: Duration,
}

impl Limits {
    /// For installs and downloads: a disk that does not answer for 15 minutes does not answer, and none takes a day.
    pub const USUAL: Self = Self {
        stall: Duration::from_secs(15 * 60),
        total: Duration::from_secs(24 * 3600),
        look: Duration::from_secs(5),
    };
}

/// One process, watched with its descendants.
#[derive(Debug)]
pub struct StallLimit {
    pid: u32,
    limits: Limits,
    begun: Instant,
    looked: Instant,
    /// When it last did something: how much it had said by then, and how long it had been at work.
    moved: (Instant, usize, Duration),
}

impl StallLimit {
    /// Of a process that begins now.
    #[must_use]
    pub fn with(pid: u32, limits: Limits) -> Self {
        let now = Instant::now();
        Self { pid, limits, begun: now, looked: now, moved: (now, 0, Duration::ZERO) }
    }

    /// To be asked again and again, with how much it has said that is a sign of work.
    ///
    /// # Errors
    /// `TimedOut` once it is past a limit.
    pub fn check(&mut self, said: usize) -> io::Result<()> {
        if self.looked.elapsed() < self.limits.look {
            return Ok(());
        }
        self.looked = Instant::now();
        let (since, before, worked) = self.moved;
        // Of a family: those that have ended count no more, so that it may become less, too.
        let works = processor_time(self.pid, true);
        if (before, worked) != (said, works) {
            self.moved = (self.looked, said, works);
        } else if since.elapsed() >= self.limits.stall {
            return Err(late("it did nothing", self.limits.stall));
        }
        if self.begun.elapsed() >= self.limits.total {
            return Err(late("it did not end", self.limits.total));
        }
        Ok(())
    }

    /// For how long it has done nothing.
    #[must_use]
    pub fn idle(&self) -> Duration {
        self.moved.0.elapsed()
    }
}

fn late(what: &str, limit: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("{what} for {} s", limit.as_secs()))
}
