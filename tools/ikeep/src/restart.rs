//! Whether an engine that ended by itself is started again, and when.
use record::{Control, Restart};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const LONGEST: Duration = Duration::from_secs(60);
/// Up for this long, an engine has shown that it can run: what came before does not count against it.
const PROVEN: Duration = Duration::from_secs(600);

/// The policy of `control`, and what has happened so far.
pub(crate) struct Restarts {
    policy: Restart,
    most: u32,
    first: Duration,
    /// Restarts since the engine last was up for long.
    streak: u32,
    was_healthy: bool,
}

impl Restarts {
    pub(crate) fn of(control: &Control) -> Self {
        let first = Duration::from_millis(control.backoff_ms);
        Self { policy: control.restart, most: control.max_restarts, first, streak: 0, was_healthy: false }
    }

    /// It answered: from now on an end is worth another start. One that never did has a fault that stays.
    pub(crate) fn healthy(&mut self) {
        self.was_healthy = true;
    }

    /// It ended by itself after `up`: how long to wait before the next start, or why there is none. `jitter` from 0 to 1
    /// takes up to a quarter off, so that instances that fell together do not rise together.
    pub(crate) fn after(&mut self, up: Duration, jitter: f64) -> Result<Duration, String> {
        if up >= PROVEN {
            self.streak = 0;
        }
        if !self.was_healthy {
            return Err("before it was ever healthy".to_owned());
        }
        if self.policy == Restart::Never {
            return Err("and restart is 'never'".to_owned());
        }
        if self.streak >= self.most {
            return Err(format!("after {} restarts", self.streak));
        }
        let doubled = self.first.saturating_mul(1 << self.streak.min(31)).min(LONGEST);
        self.streak += 1;
        Ok(doubled.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 4.0))
    }
}

/// Unix seconds.
pub(crate) fn now() -> f64 {
    since_epoch().as_secs_f64()
}

/// From 0 to 1, different for instances that ask at different moments.
pub(crate) fn jitter() -> f64 {
    f64::from(since_epoch().subsec_nanos() % 1_000_003) / 1_000_003.0
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_secs(1);

    fn restarts(policy: Restart, most: u32) -> Restarts {
        Restarts { policy, most, first: SHORT, streak: 0, was_healthy: true }
    }

    #[test]
    fn the_delay_doubles_to_a_minute_and_then_it_is_over() {
        let mut restarts = restarts(Restart::OnFailure, 8);
        let delays: Vec<u64> = (0..8).map(|_| restarts.after(SHORT, 0.0).unwrap().as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(restarts.after(SHORT, 0.0).unwrap_err(), "after 8 restarts");
    }

    #[test]
    fn luck_takes_a_quarter_off_at_most() {
        let delay = |jitter| restarts(Restart::OnFailure, 1).after(SHORT, jitter).unwrap().as_millis();
        assert_eq!((delay(0.0), delay(0.5), delay(1.0)), (1000, 875, 750));
    }

    #[test]
    fn ten_minutes_up_and_the_count_begins_anew() {
        let mut restarts = restarts(Restart::OnFailure, 2);
        for _ in 0..10 {
            assert!(restarts.after(SHORT, 0.0).is_ok());
            assert_eq!(restarts.after(PROVEN, 0.0).unwrap(), SHORT);
        }
    }

    #[test]
    fn what_was_never_healthy_and_what_shall_not_is_not_restarted() {
        let mut sick = Restarts { was_healthy: false, ..restarts(Restart::OnFailure, 5) };
        assert_eq!(sick.after(SHORT, 0.0).unwrap_err(), "before it was ever healthy");
        sick.healthy();
        assert!(sick.after(SHORT, 0.0).is_ok());
        assert!(restarts(Restart::Never, 5).after(SHORT, 0.0).is_err());
    }
}
