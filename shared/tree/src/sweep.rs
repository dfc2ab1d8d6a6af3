//! Ending what a keeper that was killed has left behind.
use crate::instance_id::try_find_by_instance_id;
use crate::{ProcessHandle, kill, wait_for_exit};
use owner::Owner;
use rustix::process::Signal;
use std::collections::HashSet;
use std::io;
use std::time::Duration;

/// How long processes get that were sent TERM.
const GRACE: Duration = Duration::from_secs(3);
/// How long the kernel gets to take them down. Drivers hold on to the dead for long.
const DEATH: Duration = Duration::from_secs(30);
/// Whoever forks while we look is met in the next round.
const ROUNDS: usize = 5;

/// What a sweep came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Processes that were found and have ended.
    pub ended: u32,
    /// Whether any of them had to be killed.
    pub killed: bool,
    /// One that was killed and has not ended yet.
    pub stuck: Option<u32>,
}

/// End every process of the user that carries the instance id: TERM, a short grace, KILL, until none is left. `leader` gets no
/// TERM: the kernel sent it one when its keeper died, and a second one kills some engines hard.
///
/// # Errors
/// Processes cannot be looked at, so that nobody knows whether one is left.
pub fn sweep(instance_id: &str, user: &Owner, leader: Option<u32>) -> io::Result<Swept> {
    let mut met = HashSet::new();
    let mut swept = Swept::default();
    let mut found = try_find_by_instance_id(instance_id, user)?;
    for round in 0..ROUNDS {
        if found.is_empty() {
            break;
        }
        met.extend(found.iter().map(|process| (process.pid, process.started)));
        let pinned: Vec<ProcessHandle> = found.iter().copied().filter_map(ProcessHandle::of).collect();
        if round == 0 {
            for process in pinned.iter().filter(|process| Some(process.pid()) != leader) {
                signal(user, process, Signal::TERM);
                // One that was suspended would get that only when it goes on.
                signal(user, process, Signal::CONT);
            }
            if wait_for_exit(&pinned, GRACE) {
                found = try_find_by_instance_id(instance_id, user)?;
                continue;
            }
        }
        swept.killed = true;
        let all_ended = kill(pinned, &|process| signal(user, process, Signal::KILL), DEATH);
        found = try_find_by_instance_id(instance_id, user)?;
        if !all_ended {
            break;
        }
    }
    swept.stuck = found.first().map(|process| process.pid);
    swept.ended = u32::try_from(met.len()).unwrap_or(u32::MAX);
    Ok(swept)
}

/// With the user's rights. What cannot be signalled has gone, or is found again.
fn signal(user: &Owner, process: &ProcessHandle, signal: Signal) {
    user.signal(process.pid(), || process.signal(signal)).ok();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command};

    fn start(instance_id: &str, script: &str) -> Child {
        let mut command = Command::new("bash");
        command.args(["-c", script]).env(variables::INFER_DEV_INSTANCE, instance_id);
        command.spawn().unwrap()
    }

    fn own() -> Owner {
        Owner::current()
    }

    #[test]
    fn all_that_carry_the_id_are_ended_and_nobody_else() {
        let mut children =
            [start("sweep-1", "sleep 60"), start("sweep-1", "sleep 60"), start("sweep-2", "sleep 60")];
        let swept = sweep("sweep-1", &own(), None).unwrap();
        assert_eq!(swept, Swept { ended: 2, killed: false, stuck: None });
        let alive = |child: &mut Child| child.try_wait().unwrap().is_none();
        assert!(alive(&mut children[2]));
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert_eq!(sweep("sweep-1", &own(), None).unwrap(), Swept::default());
    }

    #[test]
    fn one_that_ignores_term_is_killed() {
        let mut child = start("sweep-3", "trap '' TERM; echo; while :; do sleep 1; done");
        let swept = sweep("sweep-3", &own(), Some(child.id())).unwrap();
        child.wait().unwrap();
        assert!(swept.killed && swept.stuck.is_none(), "{swept:?}");
    }
}
