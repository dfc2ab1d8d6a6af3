//! A network namespace that has nothing but a loopback interface.
//!
//! A child makes it and proves it, then this process joins it in one step: where only a part of it succeeds (a user
//! namespace without rights in it, as some distributions have it) this process is still what it was.
use crate::network;
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, PidfdFlags, WaitOptions, getegid, geteuid, pidfd_open, waitpid};
use rustix::process::{parent_process_death_signal, set_parent_process_death_signal};
use rustix::thread::{LinkNameSpaceType, ThreadNameSpaceType, UnshareFlags};
use rustix::thread::{move_into_link_name_space, move_into_thread_name_spaces, unshare_unsafe};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

/// Make a network namespace and move this process, which must have no other thread, into it.
///
/// An ordinary user may have one in a user namespace of its own. Root has the right to one already, or would lose there
/// what it may do with other users' files.
pub(crate) fn enter() -> Result<(), String> {
    let owned = !geteuid().is_root();
    let (ours, theirs) = UnixStream::pair().map_err(|error| cannot("open a socket pair", &error))?;
    // SAFETY: this process has one thread, so that the child may do what it could.
    #[expect(unsafe_code, reason = "the standard library starts programs only")]
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        drop(ours);
        map_users_for_parent(theirs, owned);
        // SAFETY: ends the child without the parent's clean-up.
        #[expect(unsafe_code, reason = "the child must not go on as the parent")]
        unsafe {
            libc::_exit(0)
        }
    }
    let failed = io::Error::last_os_error();
    drop(theirs);
    let child = if pid > 0 { Pid::from_raw(pid) } else { None };
    let child = child.ok_or_else(|| cannot("fork", &failed))?;
    let joined = wait_for_child(&ours).and_then(|()| join(child, owned));
    drop(ours);
    // Nobody else's child is to be found by the command. Where SIGCHLD is ignored there is nothing to wait for.
    waitpid(Some(child), WaitOptions::empty()).ok();
    joined.and_then(|()| network::only_loopback())
}

/// The child: make the namespace, say how that went, and hold it until the parent has joined it or is gone.
fn map_users_for_parent(mut parent: UnixStream, owned: bool) {
    let why = make(owned).err().unwrap_or_default();
    // A parent that got no message waits for our end.
    if writeln!(parent, "{why}").is_ok() {
        drop(parent.read(&mut [0]));
    }
}

/// What the child said: an empty line, or why not.
fn wait_for_child(child: &UnixStream) -> Result<(), String> {
    let mut line = String::new();
    drop(BufReader::new(child).read_line(&mut line));
    match line.strip_suffix('\n') {
        Some("") => Ok(()),
        Some(why) => Err(why.to_owned()),
        None => Err("the process that makes the network namespace has died".to_owned()),
    }
}

/// `owned`: in a user namespace of its own.
fn make(owned: bool) -> Result<(), String> {
    // Afterwards they are unknown until they are mapped.
    let (uid, gid) = (geteuid(), getegid());
    let flags = if owned { UnshareFlags::NEWUSER | UnshareFlags::NEWNET } else { UnshareFlags::NEWNET };
    // SAFETY: descriptors and memory stay as they are, and this process has one thread.
    #[expect(unsafe_code, reason = "unshare(2) has flags that pull descriptors away")]
    unsafe { unshare_unsafe(flags) }.map_err(|error| cannot("make a network namespace", &error.into()))?;
    if owned {
        // A process may map its own ids to themselves, once it has given up changing its groups.
        for (file, line) in [
            ("setgroups", "deny".to_owned()),
            ("uid_map", format!("{0} {0} 1", uid.as_raw())),
            ("gid_map", format!("{0} {0} 1", gid.as_raw())),
        ] {
            let path = format!("/proc/self/{file}");
            std::fs::write(&path, line).map_err(|error| cannot(&format!("write {path}"), &error))?;
        }
    }
    network::bring_up_loopback().map_err(|error| cannot("bring the loopback interface up", &error))?;
    network::only_loopback()
}

/// All of the child's new namespaces, or none.
fn join(child: Pid, owned: bool) -> Result<(), String> {
    let user = if owned { ThreadNameSpaceType::USER } else { ThreadNameSpaceType::empty() };
    let signal = parent_process_death_signal();
    let joined = pidfd_open(child, PidfdFlags::empty())
        .and_then(|child| move_into_thread_name_spaces(child.as_fd(), user | ThreadNameSpaceType::NETWORK))
        .or_else(|_| join_one_by_one(child, owned));
    joined.map_err(|error| cannot("enter the network namespace", &error.into()))?;
    // A change of rights may have cleared it.
    signal
        .and_then(set_parent_process_death_signal)
        .map_err(|error| cannot("keep the parent's death signal", &error.into()))
}

/// Before Linux 5.8 a process gives no way into all of its namespaces at once. The user namespace comes first, for the right
/// to enter the other; whoever gets no further has lost nothing by it, because his ids there are his own.
fn join_one_by_one(child: Pid, owned: bool) -> rustix::io::Result<()> {
    let kinds = [("user", LinkNameSpaceType::User), ("net", LinkNameSpaceType::Network)];
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    // Both are opened before either is entered.
    let mut spaces = Vec::new();
    for (name, kind) in kinds.into_iter().skip(usize::from(!owned)) {
        let path = format!("/proc/{}/ns/{name}", child.as_raw_nonzero());
        spaces.push((rustix::fs::open(path, flags, Mode::empty())?, kind));
    }
    for (space, kind) in spaces {
        move_into_link_name_space(space.as_fd(), Some(kind))?;
    }
    Ok(())
}

fn cannot(what: &str, error: &io::Error) -> String {
    format!("cannot {what}: {}", tool::io_text(error))
}
