//! KILL, but not to those who clean up after the others before they have.
use crate::{ProcessHandle, wait_for_exit};
use std::fs::File;
use std::io::Read;
use std::time::Duration;

/// How long a resource tracker gets to remove what the others have left. It takes some milliseconds for each thing.
const TRACKER: Duration = Duration::from_secs(5);
/// As much of a command line as identifies it.
const MAX_CMDLINE_BYTES: u64 = 4096;

/// Have KILL sent to all of these; says whether they have ended, each within `limit`. Python's resource trackers, which
/// remove shared memory and semaphores once those that use them are gone, get it only where they do not end by themselves.
pub fn kill(all: Vec<ProcessHandle>, send: &dyn Fn(&ProcessHandle), limit: Duration) -> bool {
    let (trackers, others): (Vec<ProcessHandle>, Vec<ProcessHandle>) =
        all.into_iter().partition(|process| is_tracker(process.pid()));
    others.iter().for_each(send);
    if !wait_for_exit(&others, limit) {
        return false;
    }
    if wait_for_exit(&trackers, TRACKER) {
        return true;
    }
    trackers.iter().for_each(send);
    wait_for_exit(&trackers, limit)
}

/// What multiprocessing starts beside a program: `python -c 'from multiprocessing.resource_tracker import main;main(7)'`;
/// loky brings one of its own, of the same name. Whoever only looks like one lives some seconds longer.
fn is_tracker(pid: u32) -> bool {
    let mut line = Vec::new();
    let read = File::open(format!("/proc/{pid}/cmdline"));
    let read = read.and_then(|file| file.take(MAX_CMDLINE_BYTES).read_to_end(&mut line));
    read.is_ok() && String::from_utf8_lossy(&line).contains("resource_tracker import main")
}
