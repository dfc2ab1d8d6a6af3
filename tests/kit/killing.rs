//! Commands that are killed at any moment.
use super::full;
use crate::fuzz::SeededRng;
use rustix::process::{Pid, Signal, kill_process_group};
use std::process::Child;
use std::time::{Duration, Instant};

/// What is killed.
#[derive(Clone, Copy)]
pub(crate) enum Killed {
    /// The process alone, as the kernel does that lacks memory.
    Process,
    /// The group that it leads, as a terminal does that is closed.
    Group,
}

/// Kill a command in each of a hundred rounds of the long run, or of fewer every day, at a random moment of the time that
/// it takes, `whole`. `start` starts it, and `look` looks at what the kill has left. Both are given the round.
pub(crate) fn kill_at_any_moment(
    (name, everyday, whole): (&str, u32, Duration),
    killed: Killed,
    mut start: impl FnMut(u32) -> Child,
    mut look: impl FnMut(u32),
) {
    let rounds = if full() { 100 } else { everyday };
    let (mut seeded_rng, begun, mut early) = (SeededRng::new(), Instant::now(), 0);
    for round in 0..rounds {
        let mut child = start(round);
        std::thread::sleep(seeded_rng.moment(whole));
        early += u32::from(child.try_wait().unwrap().is_none());
        if let Killed::Group = killed {
            kill_process_group(Pid::from_child(&child), Signal::KILL).ok();
        }
        drop(child.kill());
        child.wait().unwrap();
        look(round);
    }
    println!("{name}: {early} of {rounds} were killed before their end, {:?}", begun.elapsed());
    // Of a few rounds all may come too late.
    assert!(early > 0 || !full(), "{name}: none was killed before its end");
}
