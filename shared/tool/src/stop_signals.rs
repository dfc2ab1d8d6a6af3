//! Signals that would end us in the middle of what has to be whole: a program that runs and would outlive us, or a change
//! and the note of it.
use failure::{Code, Failure};
use signal_hook::consts::{SIGALRM, SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};

/// How long the first that came is held at most, in seconds: whoever does not read what we write, or holds what we wait for,
/// does not keep us. A second one is obeyed at once.
const LONGEST_S: u32 = 5;

/// While nothing holds them a signal does what it always does.
static IDLE: LazyLock<Arc<AtomicBool>> = LazyLock::new(|| Arc::new(AtomicBool::new(true)));
/// The signal that came while something does.
static CAME: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);

/// For as long as this is there, SIGHUP, SIGINT and SIGTERM are kept until somebody asks for them; at its end they are obeyed. There is one
/// of it at a time.
#[derive(Debug)]
pub struct StopSignals(());

impl StopSignals {
    /// From now on.
    ///
    /// # Errors
    /// The system refuses it: code 69.
    pub fn hold() -> Result<Self, Failure> {
        Self::begin().map_err(|error| Failure::io(Code::Unmet, "cannot hold signals", &error))
    }

    fn begin() -> io::Result<Self> {
        static HELD: OnceLock<()> = OnceLock::new();
        if HELD.get().is_none() {
            for signal in [SIGHUP, SIGINT, SIGTERM].into_iter().filter(|signal| !is_taken(*signal)) {
                flag::register_conditional_default(signal, Arc::clone(&IDLE))?;
                flag::register_usize(signal, Arc::clone(&CAME), usize::try_from(signal).unwrap_or(0))?;
                flag::register(signal, Arc::clone(&IDLE))?;
                // SAFETY: alarm(2) and what obeys a signal are async-signal-safe.
                #[expect(unsafe_code, reason = "a handler must not do what is not safe in one")]
                unsafe {
                    low_level::register(signal, || {
                        libc::alarm(LONGEST_S);
                    })?;
                    low_level::register(SIGALRM, obey)?;
                }
            }
            HELD.get_or_init(|| ());
        }
        IDLE.store(false, Ordering::SeqCst);
        Ok(Self(()))
    }

    /// Whether one came.
    #[must_use]
    pub fn came(&self) -> bool {
        CAME.load(Ordering::SeqCst) != 0
    }
}

impl Drop for StopSignals {
    fn drop(&mut self) {
        IDLE.store(true, Ordering::SeqCst);
        obey();
    }
}

/// End as the signal that came would have ended us.
fn obey() {
    if let Ok(signal @ 1..) = i32::try_from(CAME.load(Ordering::SeqCst)) {
        drop(low_level::emulate_default_handler(signal));
    }
}

/// Whether whoever started us had it ignored, as nohup does, or the tool has its own way to end what it has started.
#[expect(clippy::disallowed_methods, reason = "what is in /proc is the kernel's")]
fn is_taken(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = |name: &str| {
        let mask = status.lines().find_map(|line| line.strip_prefix(name));
        mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
    };
    (mask("SigIgn:") | mask("SigCgt:")) >> (signal - 1) & 1 == 1
}
