//! Waiting for processes to end.
//!
//! A descriptor of a process (pidfd_open) cannot come to mean another one. Before Linux 5.3, under some container filters and
//! where no descriptor is left there is none: then a process is known by its id and the moment of its start, which is looked at
//! again before each signal.
use crate::Process;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use rustix::time::Timespec;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How often a process is looked at that has no descriptor.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// One process, pinned: its id is not taken for another's.
#[derive(Debug)]
pub struct ProcessHandle {
    id: Pid,
    fd: Option<OwnedFd>,
    /// When it started; known where there is no descriptor, and where /proc shows it.
    started: Option<u64>,
}

impl ProcessHandle {
    /// Pin the process that has this id now; `None` when there is none. The caller then asks again whether it is the one.
    #[must_use]
    pub fn open(pid: u32) -> Option<Self> {
        let id = i32::try_from(pid).ok().and_then(Pid::from_raw)?;
        let fd = match pidfd_open(id, PidfdFlags::empty()) {
            Ok(fd) => Some(fd),
            Err(Errno::SRCH | Errno::INVAL) => return None,
            Err(_) => None,
        };
        let started = Process::read(pid).map(|process| process.started);
        (fd.is_some() || started.is_some()).then_some(Self { id, fd, started })
    }

    /// Pin this very process and no later one of the same id.
    #[must_use]
    pub fn of(process: Process) -> Option<Self> {
        let pinned = Self::open(process.pid)?;
        let same = Process::read(process.pid).is_some_and(|now| now.started == process.started);
        same.then_some(Self { started: Some(process.started), ..pinned })
    }

    /// Its id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.id.as_raw_nonzero().get().unsigned_abs()
    }

    /// Send it a signal.
    ///
    /// # Errors
    /// What the system says; ESRCH once it has gone.
    pub fn signal(&self, signal: Signal) -> std::io::Result<()> {
        match self.fd.as_ref().map(|fd| pidfd_send_signal(fd, signal)) {
            Some(Ok(())) => Ok(()),
            // A filter may refuse this call alone, and says so in either way.
            Some(Err(Errno::NOSYS | Errno::PERM)) | None => self.signal_by_id(signal),
            Some(Err(error)) => Err(error.into()),
        }
    }

    /// Between the look and the signal there is no time in which an id could go round.
    fn signal_by_id(&self, signal: Signal) -> std::io::Result<()> {
        let now = Process::read(self.pid()).ok_or(Errno::SRCH)?;
        match self.started {
            Some(started) if started == now.started => Ok(kill_process(self.id, signal)?),
            Some(_) => Err(Errno::SRCH.into()),
            None => Err(Errno::PERM.into()),
        }
    }

    /// Wait until it has ended; `false` once it is `until`.
    fn wait_for_exit(&self, until: Instant) -> bool {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Some(fd) = &self.fd else {
                let lives = |now: Process| !now.zombie && Some(now.started) == self.started;
                if !Process::read(self.pid()).is_some_and(lives) {
                    return true;
                }
                if left.is_zero() {
                    return false;
                }
                std::thread::sleep(POLL_INTERVAL.min(left));
                continue;
            };
            let timeout = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 3600, tv_nsec: 0 });
            match poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&timeout)) {
                Err(Errno::INTR) => {}
                Ok(ready) => return ready > 0,
                Err(_) => return false,
            }
        }
    }
}

/// Wait until all of these have ended; `false` when time is up first. Whether anybody has reaped them does not matter.
#[must_use]
pub fn wait_for_exit(pinned: &[ProcessHandle], limit: Duration) -> bool {
    let until = Instant::now() + limit;
    pinned.iter().all(|process| process.wait_for_exit(until))
}

/// Send `signal` to a process and to no later one of the same id. `false` when it has gone or may not be signalled.
pub fn signal(process: Process, signal: Signal) -> bool {
    ProcessHandle::of(process).is_some_and(|pinned| pinned.signal(signal).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waited_for(pin: impl Fn(Process) -> Option<ProcessHandle>) {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::read(child.id()).unwrap();
        let pinned = [pin(process).unwrap()];
        assert!(!wait_for_exit(&pinned, Duration::from_millis(10)));
        pinned[0].signal(Signal::KILL).unwrap();
        assert!(wait_for_exit(&pinned, Duration::from_secs(10)));
        child.wait().unwrap();
        assert!(pinned[0].signal(Signal::TERM).is_err() && wait_for_exit(&pinned, Duration::ZERO));
        assert!(pin(process).is_none());
    }

    #[test]
    fn a_process_is_waited_for_and_a_zombie_has_ended() {
        waited_for(ProcessHandle::of);
    }

    #[test]
    fn the_same_holds_where_there_is_no_descriptor_of_it() {
        waited_for(|process| ProcessHandle::of(process).map(|pinned| ProcessHandle { fd: None, ..pinned }));
    }

    #[test]
    fn a_later_process_of_the_same_id_is_not_signalled() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pinned = ProcessHandle::open(child.id()).unwrap();
        let other = ProcessHandle { fd: None, started: pinned.started.map(|started| started - 1), ..pinned };
        assert_eq!(other.signal(Signal::KILL).unwrap_err().raw_os_error(), Some(3));
        assert!(wait_for_exit(&[other], Duration::ZERO) && child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
