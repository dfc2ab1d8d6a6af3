//! What happens in the child between fork and exec.
use crate::User;
use crate::descriptors::{CloseMode, close};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal, setpgid, setsid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use std::io;
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// What the child leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leader {
    /// Nothing: it stays in our session and process group.
    #[default]
    Nothing,
    /// A process group of its own.
    Group,
    /// A session of its own.
    Session,
}

/// How a command is started.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// Who it runs as; `None`: whoever we are.
    pub user: Option<User>,
    /// What it leads.
    pub leader: Leader,
    /// The signal that it gets when the *thread* that started it ends.
    pub death_signal: Option<Signal>,
    /// Descriptors above 2 that it inherits, under the same numbers.
    pub keep: Vec<RawFd>,
}

impl Start {
    /// Arrange all of it for `command`, in the order that holds: session or group, descriptors, groups, gid, uid, and the
    /// death signal last, because a change of user clears it. If we die before it is set, the child does not start.
    pub fn apply(self, command: &mut Command) {
        if let Some(user) = &self.user {
            user.reset_environment(command);
        }
        let parent = rustix::process::getpid();
        // SAFETY: between fork and exec only system calls are made, on data that was allocated before the fork.
        #[expect(unsafe_code, reason = "pre_exec is the only way to act between fork and exec")]
        unsafe {
            command.pre_exec(move || self.enter(parent));
        }
    }

    fn enter(&self, parent: Pid) -> io::Result<()> {
        match self.leader {
            Leader::Nothing => {}
            Leader::Group => setpgid(None, None)?,
            Leader::Session => drop(setsid()?),
        }
        inherit_only(&self.keep)?;
        if let Some(user) = &self.user {
            become_user(user)?;
        }
        if let Some(signal) = self.death_signal {
            set_parent_process_death_signal(Some(signal))?;
            if getppid() != Some(parent) {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
        }
        Ok(())
    }
}

/// The raw system calls: they change only this thread, and after fork there is no other.
fn become_user(user: &User) -> io::Result<()> {
    use rustix::process::{Gid, Uid};
    let gid = Gid::from_raw(user.owner().gid());
    let uid = Uid::from_raw(user.owner().uid());
    // A user may always become itself; only root may set groups.
    if rustix::process::geteuid().is_root() {
        set_groups(user.owner().groups())?;
        set_thread_res_gid(gid, gid, gid)?;
    }
    set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}

/// At most 64 groups on the stack: the heap is not to be touched between fork and exec.
fn set_groups(groups: &[u32]) -> io::Result<()> {
    use rustix::process::Gid;
    let mut ids = [Gid::ROOT; 64];
    let count = groups.len().min(ids.len());
    for (id, group) in ids.iter_mut().zip(groups) {
        *id = Gid::from_raw(*group);
    }
    Ok(set_thread_groups(&ids[..count])?)
}

/// Mark every descriptor above 2 close-on-exec, then unmark those to keep.
fn inherit_only(keep: &[RawFd]) -> io::Result<()> {
    close(3, u32::MAX, CloseMode::ClosedOnExec);
    // SAFETY: fcntl takes plain numbers and touches no memory of ours.
    #[expect(unsafe_code, reason = "what is kept is known by its number")]
    unsafe {
        for fd in keep {
            if libc::fcntl(*fd, libc::F_SETFD, 0) == -1 {
                return Err(io::Error::last_os_error());
            }
        }
    }
    Ok(())
}
