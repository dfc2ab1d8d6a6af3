//! Waiting until a driver has taken back what was held.
use crate::meter::Meter;
use std::thread;
use std::time::{Duration, Instant};

/// Pause between two looks: the driver cleans up in steps.
const PAUSE: Duration = Duration::from_millis(250);
/// What the driver may give or take at any time, whoever runs.
const NOISE: u64 = 16 << 20;

/// Memory of processes that have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreleased {
    /// How much of it.
    pub bytes: u64,
    /// Whether the processes are named as its holders. Else it still became less when time was up.
    pub named: bool,
}

/// Wait until the driver has taken back what these processes held, all of which have ended: none of them is named any
/// more; or where nobody is named, the memory used on the GPUs that they were given has stopped falling. `None` when it
/// has, and where nobody answers; else what is left when time is up.
#[must_use]
pub fn wait_until_released(
    meter: &Meter,
    pids: &[u32],
    gpus: (&str, Option<&str>),
    limit: Duration,
) -> Option<Unreleased> {
    let until = Instant::now() + limit;
    let mut before: Option<u64> = None;
    loop {
        let reading = meter.since(Instant::now())?;
        let bytes = reading.held(pids, gpus.0, gpus.1);
        let named = reading.names(pids);
        let falls = || before.is_none_or(|before| bytes + NOISE <= before);
        if !named && (bytes <= NOISE || !reading.holders.is_empty() || !falls()) {
            return None;
        }
        if Instant::now() >= until {
            return Some(Unreleased { bytes, named });
        }
        before = Some(bytes);
        thread::sleep(PAUSE);
    }
}
