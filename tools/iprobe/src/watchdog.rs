//! How long is waited: a cap on the time that the engine ran, and a limit to the time without a sign of progress.
use owner::Owner;
use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tree::{Process, Usage};

/// How often signs of progress are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Growth below this is no sign: an idle event loop reads a little too.
const STEP_BYTES: u64 = 1 << 20;
/// Lines of the log that our own questions cause.
const PROBE_PATHS: [&str; 4] = ["/health", "/models", "/v1/chat/completions", "/v1/completions"];

/// Why waiting ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum WaitError {
    /// The cap is reached.
    TimedOut(Duration),
    /// Nothing has moved for so long.
    Stalled(Duration),
}

/// The two clocks. They run only while the engine does.
#[derive(Debug)]
pub(crate) struct ProgressWatchdog {
    cap: Duration,
    stall: Duration,
    ran: Duration,
    running_since: Option<Instant>,
    moved: Instant,
    looked: Option<Instant>,
    progress: Progress,
    /// Bytes that the processes have read.
    pub(crate) read_bytes: u64,
}

impl ProgressWatchdog {
    /// `log` is the log with the user whose it is.
    pub(crate) fn new(cap: Duration, stall: Duration, log: (Owner, PathBuf)) -> Self {
        let progress = Progress { log: Some(log), ..Progress::default() };
        let moved = Instant::now();
        Self {
            cap,
            stall,
            ran: Duration::ZERO,
            running_since: None,
            moved,
            looked: None,
            progress,
            read_bytes: 0,
        }
    }

    /// The engine does not run: no clock does.
    pub(crate) fn pause(&mut self) {
        if let Some(since) = self.running_since.take() {
            self.ran += since.elapsed();
        }
    }

    /// The engine runs. `restarted`: since just now.
    pub(crate) fn resume(&mut self, restarted: bool) {
        if restarted {
            self.progress.reset_usage();
        }
        if restarted || self.running_since.is_none() {
            self.moved = Instant::now();
        }
        self.running_since.get_or_insert_with(Instant::now);
    }

    /// How long the engine has run while we waited.
    pub(crate) fn ran(&self) -> Duration {
        self.ran + self.running_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// The time that is left to a question.
    pub(crate) fn left(&self) -> Duration {
        self.cap.saturating_sub(self.ran()).min(self.stall).max(Duration::from_millis(100))
    }

    /// A rung higher is progress.
    pub(crate) fn rung_reached(&mut self) {
        self.moved = Instant::now();
    }

    /// Whether to go on. `look` finds the engine's processes, what they hold, and how much GPU memory; it is called once a
    /// second.
    pub(crate) fn check(
        &mut self,
        look: impl FnOnce() -> (Vec<Process>, Usage, u64),
    ) -> Result<(), WaitError> {
        if self.ran() >= self.cap {
            return Err(WaitError::TimedOut(self.cap));
        }
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY) {
            self.looked = Some(Instant::now());
            let (processes, usage, gpu_bytes) = look();
            self.read_bytes = usage.read_bytes;
            // Both are asked, or what one overtakes would count again later.
            if self.progress.moved(&processes, usage) | self.progress.gpu_grew(gpu_bytes) {
                self.moved = Instant::now();
            }
        }
        if self.moved.elapsed() >= self.stall { Err(WaitError::Stalled(self.stall)) } else { Ok(()) }
    }
}

/// The furthest that each sign was seen.
#[derive(Debug, Default)]
struct Progress {
    log: Option<(Owner, PathBuf)>,
    log_inode: u64,
    log_bytes: u64,
    rss_bytes: u64,
    read_bytes: u64,
    gpu_bytes: u64,
    known: HashSet<(u32, u64)>,
}

impl Progress {
    /// What a new engine holds and reads counts from nothing.
    fn reset_usage(&mut self) {
        (self.rss_bytes, self.read_bytes, self.gpu_bytes) = (0, 0, 0);
    }

    fn gpu_grew(&mut self, gpu_bytes: u64) -> bool {
        raise_maximum(&mut self.gpu_bytes, gpu_bytes)
    }

    fn moved(&mut self, processes: &[Process], usage: Usage) -> bool {
        // All of them are looked at, or what one overtakes would count again later.
        let log = self.log_grew();
        let grew = [
            raise_maximum(&mut self.rss_bytes, usage.rss_bytes),
            raise_maximum(&mut self.read_bytes, usage.read_bytes),
        ];
        let mut new = false;
        for process in processes {
            new |= self.known.insert((process.pid, process.started));
        }
        log || new || grew.contains(&true)
    }

    fn log_grew(&mut self) -> bool {
        let Some((user, path)) = &self.log else { return false };
        let Ok(log) = state::open_log(user, path) else { return false };
        let Ok(now) = log.metadata() else { return false };
        let rotated = now.ino() != self.log_inode || now.len() < self.log_bytes;
        let from = if rotated { 0 } else { self.log_bytes };
        (self.log_inode, self.log_bytes) = (now.ino(), now.len());
        now.len() > from && (rotated || log_grew_beyond_our_probes(log, from))
    }
}

/// Whether a value is a step further than ever before.
fn raise_maximum(furthest: &mut u64, now: u64) -> bool {
    let step = now >= furthest.saturating_add(STEP_BYTES);
    if step {
        *furthest = now;
    }
    step
}

/// Whether a log, from an offset on, holds a line that our own questions did not cause. What cannot be read counts.
fn log_grew_beyond_our_probes(mut log: File, from: u64) -> bool {
    let mut text = Vec::new();
    let read = log.seek(SeekFrom::Start(from)).and_then(|_| log.take(STEP_BYTES).read_to_end(&mut text));
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    read.is_err() || lines.any(|line| !PROBE_PATHS.iter().any(|path| line.contains(path)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const NOTHING: (Vec<Process>, Usage, u64) = (Vec::new(), Usage { rss_bytes: 0, read_bytes: 0 }, 0);

    fn nowhere() -> (Owner, PathBuf) {
        (Owner::current(), "/nonexistent/log".into())
    }

    #[test]
    fn clocks_stand_still_while_the_engine_does_not_run() {
        let mut watchdog = ProgressWatchdog::new(Duration::ZERO, Duration::from_secs(9), nowhere());
        watchdog.pause();
        assert_eq!(watchdog.ran(), Duration::ZERO);
        watchdog.resume(true);
        assert_eq!(watchdog.check(|| NOTHING), Err(WaitError::TimedOut(Duration::ZERO)));
    }

    #[test]
    fn without_progress_patience_ends_and_a_rung_renews_it() {
        let stall = Duration::from_millis(20);
        let mut watchdog = ProgressWatchdog::new(Duration::from_secs(9), stall, nowhere());
        watchdog.resume(true);
        watchdog.moved = Instant::now().checked_sub(stall).unwrap();
        assert_eq!(watchdog.check(|| NOTHING), Err(WaitError::Stalled(stall)));
        watchdog.rung_reached();
        assert_eq!(watchdog.check(|| NOTHING), Ok(()));
    }

    #[test]
    fn memory_reading_and_new_processes_are_progress_but_small_change_is_not() {
        let mut progress = Progress { log: Some(nowhere()), ..Progress::default() };
        let usage = |rss_bytes, read_bytes| Usage { rss_bytes, read_bytes };
        assert!(progress.moved(&[], usage(STEP_BYTES, 0)));
        assert!(!progress.moved(&[], usage(STEP_BYTES + 9, 9)));
        assert!(progress.moved(&[], usage(0, STEP_BYTES)));
        let own = Process::read(std::process::id()).unwrap();
        assert!(progress.moved(&[own], usage(0, 0)));
        assert!(!progress.moved(&[own], usage(0, 0)));
        assert!(progress.gpu_grew(STEP_BYTES) && !progress.gpu_grew(STEP_BYTES + 9));
        progress.reset_usage();
        assert!(progress.gpu_grew(STEP_BYTES) && progress.moved(&[own], usage(STEP_BYTES, 0)));
    }

    #[test]
    fn a_log_that_only_repeats_our_questions_has_not_grown() {
        let path = std::env::temp_dir().join(format!("iprobe-log-{}", std::process::id()));
        let mut log = File::create(&path).unwrap();
        let mut progress = Progress { log: Some((Owner::current(), path.clone())), ..Progress::default() };
        let mut said = |line: &str| {
            writeln!(log, "{line}").unwrap();
            progress.log_grew()
        };
        assert!(said("loading shard 1"));
        assert!(!said("INFO: 127.0.0.1:1 - \"GET /health HTTP/1.1\" 503 Service Unavailable"));
        assert!(!said("srv  log_server_r: done request: GET /models/sse 127.0.0.1 200"));
        assert!(said("loading shard 2"));
        std::fs::remove_file(path).unwrap();
    }
}
