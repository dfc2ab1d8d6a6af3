//! Waiting for processes to end.
use crate::Process;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::time::Timespec;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// One process, pinned: its id cannot come to mean another.
#[derive(Debug)]
pub struct Pinned {
    pid: u32,
    fd: OwnedFd,
}

impl Pinned {
    /// Pin the process that has this id now; `None` when there is none. The caller then asks again whether it is the one.
    #[must_use]
    pub fn pin(pid: u32) -> Option<Self> {
        let id = i32::try_from(pid).ok().and_then(Pid::from_raw)?;
        pidfd_open(id, PidfdFlags::empty()).ok().map(|fd| Self { pid, fd })
    }

    /// Pin this very process and no later one of the same id.
    #[must_use]
    pub fn of(process: Process) -> Option<Self> {
        let pinned = Self::pin(process.pid)?;
        let same = Process::read(process.pid).is_some_and(|now| now.started == process.started);
        same.then_some(pinned)
    }

    /// Its id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Send it a signal.
    ///
    /// # Errors
    /// What the system says; ESRCH once it has gone.
    pub fn signal(&self, signal: Signal) -> std::io::Result<()> {
        Ok(pidfd_send_signal(&self.fd, signal)?)
    }
}

/// Wait until all of these have ended; `false` when time is up first. Whether anybody has reaped them does not matter.
#[must_use]
pub fn ended(pinned: &[Pinned], limit: Duration) -> bool {
    let until = Instant::now() + limit;
    pinned.iter().all(|process| {
        let mut watched = [PollFd::new(&process.fd, PollFlags::IN)];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 3600, tv_nsec: 0 });
            match poll(&mut watched, Some(&timeout)) {
                Err(rustix::io::Errno::INTR) => {}
                Ok(ready) => return ready > 0,
                Err(_) => return false,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_waited_for_and_a_zombie_has_ended() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::read(child.id()).unwrap();
        let pinned = [Pinned::of(process).unwrap()];
        assert!(!ended(&pinned, Duration::from_millis(10)));
        pinned[0].signal(Signal::KILL).unwrap();
        assert!(ended(&pinned, Duration::from_secs(10)));
        child.wait().unwrap();
        assert!(Pinned::of(process).is_none());
    }
}
