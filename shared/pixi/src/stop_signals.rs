//! Signals that end us while a program runs: what it has started would outlive us, and hold the lock that it was given.
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};

/// While no program runs a signal does what it always does.
static IDLE: LazyLock<Arc<AtomicBool>> = LazyLock::new(|| Arc::new(AtomicBool::new(true)));
/// The signal that came while one runs.
static CAME: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);

/// For as long as this is there, a signal is kept until somebody asks for it; at its end it is obeyed.
pub(crate) struct StopSignals(());

impl StopSignals {
    pub(crate) fn hold() -> io::Result<Self> {
        static HELD: OnceLock<()> = OnceLock::new();
        if HELD.get().is_none() {
            for signal in [SIGHUP, SIGINT, SIGTERM].into_iter().filter(|signal| !is_taken(*signal)) {
                flag::register_conditional_default(signal, Arc::clone(&IDLE))?;
                flag::register_usize(signal, Arc::clone(&CAME), usize::try_from(signal).unwrap_or(0))?;
            }
            HELD.get_or_init(|| ());
        }
        IDLE.store(false, Ordering::SeqCst);
        Ok(Self(()))
    }

    pub(crate) fn came(&self) -> bool {
        CAME.load(Ordering::SeqCst) != 0
    }
}

impl Drop for StopSignals {
    fn drop(&mut self) {
        IDLE.store(true, Ordering::SeqCst);
        if let Ok(signal @ 1..) = i32::try_from(CAME.load(Ordering::SeqCst)) {
            drop(low_level::emulate_default_handler(signal));
        }
    }
}

/// Whether whoever started us had it ignored, as nohup does, or the tool has its own way to end what it has started.
fn is_taken(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = |name: &str| {
        let mask = status.lines().find_map(|line| line.strip_prefix(name));
        mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
    };
    (mask("SigIgn:") | mask("SigCgt:")) >> (signal - 1) & 1 == 1
}
