//! Whose socket listens on a port, from the descriptors of processes.
use crate::Process;
use crate::process::pids;
use crate::sockets::listening_on;
use owner::Owner;
use std::collections::HashSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Who would take a connection to a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listening {
    /// Nobody, as far as this network namespace shows.
    Nobody,
    /// The given processes, and nobody else.
    Ours,
    /// Somebody else, alone or (SO_REUSEPORT) beside the given processes; named where that is known.
    Foreign(Option<u32>),
    /// The given processes' descriptors may not be looked at.
    Unknown,
}

/// Who would take a connection to `port` at `address`; `ours` are the processes that should. `None` for an address that is
/// only known by name.
#[must_use]
pub fn listening(address: Option<IpAddr>, port: u16, ours: &[Process]) -> Listening {
    let sockets = listening_inodes(address, port);
    if sockets.is_empty() {
        return Listening::Nobody;
    }
    let mut held = HashSet::new();
    let mut hidden = false;
    for process in ours {
        match sockets_of(process.pid) {
            Some(inodes) => held.extend(inodes),
            // One that has gone in the meantime hides nothing.
            None => hidden |= Process::read(process.pid).is_some_and(|now| !now.zombie),
        }
    }
    match sockets.iter().find(|inode| !held.contains(*inode)) {
        None => Listening::Ours,
        Some(_) if hidden => Listening::Unknown,
        Some(inode) => Listening::Foreign(holder(*inode)),
    }
}

/// Whether none but the processes of this keeper and its user would answer on a port. That somebody answers does not say that
/// it is the engine: vLLM sets SO_REUSEPORT, and one that loads may not listen yet.
///
/// # Errors
/// Who else listens there, in words.
pub fn answers(host: &str, port: u16, keeper: u32, user: &Owner) -> Result<(), String> {
    let asked = match host.parse() {
        Ok(IpAddr::V4(all)) if all.is_unspecified() => Some(Ipv4Addr::LOCALHOST.into()),
        Ok(IpAddr::V6(all)) if all.is_unspecified() => Some(Ipv6Addr::LOCALHOST.into()),
        Ok(address) => Some(address),
        Err(_) => None,
    };
    // Nearly always one process holds all of them: then nobody looks through the threads of the engine for more.
    let look = || {
        let sockets = listening_inodes(asked, port);
        let leader = crate::process::children(keeper).unwrap_or_default();
        let held: HashSet<u64> = leader.into_iter().filter_map(sockets_of).flatten().collect();
        if sockets.iter().all(|inode| held.contains(inode)) {
            return Listening::Ours;
        }
        listening(asked, port, &crate::family(keeper))
    };
    let Ok(Listening::Foreign(pid)) = user.act(look) else { return Ok(()) };
    Err(format!("{} listens on port {port}", pid.map_or_else(|| "another process".to_owned(), describe)))
}

/// A process that has what one of ours should have: an instance of ours by its name, any other by its program's.
#[must_use]
pub fn describe(pid: u32) -> String {
    let program = Process::name(pid).unwrap_or_default();
    match crate::instance_of(pid) {
        Some(instance) => format!("{instance}, an instance of ours ({pid} {program}),"),
        None => format!("another process ({pid} {program})"),
    }
}

/// Inodes of the sockets that would get the connection: those bound to that very address before those bound to all.
fn listening_inodes(address: Option<IpAddr>, port: u16) -> Vec<u64> {
    let found = listening_on(port);
    let inodes = |wanted: &dyn Fn(IpAddr) -> bool| -> Vec<u64> {
        found.iter().filter(|(bound, _)| wanted(*bound)).map(|(_, inode)| *inode).collect()
    };
    let Some(address) = address.map(|address| address.to_canonical()) else { return inodes(&|_| true) };
    let exact = inodes(&|bound| bound == address);
    if exact.is_empty() { inodes(&|bound| bound.is_unspecified()) } else { exact }
}

/// Inodes of the sockets that a process holds; `None` where it may not be looked at.
fn sockets_of(pid: u32) -> Option<HashSet<u64>> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let links = entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    let inode =
        |link: std::path::PathBuf| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok();
    Some(links.filter_map(inode).collect())
}

/// A process that holds the socket of this inode, where we may look.
#[must_use]
pub fn holder(inode: u64) -> Option<u32> {
    let holds = |pid: u32| sockets_of(pid).is_some_and(|inodes| inodes.contains(&inode));
    pids().unwrap_or_default().into_iter().find(|pid| holds(*pid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::time::{Duration, Instant};

    const LOOPBACK: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));

    #[test]
    fn a_listener_is_found_with_whoever_holds_it() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let own = Process::read(std::process::id()).unwrap();
        assert_eq!(listening(LOOPBACK, port, &[own]), Listening::Ours);
        assert_eq!(listening(None, port, &[own]), Listening::Ours);
        assert_eq!(listening(LOOPBACK, port, &[]), Listening::Foreign(Some(own.pid)));
        drop(socket);
        // A child that another test is just starting holds it too, until it executes.
        let begun = Instant::now();
        while listening(LOOPBACK, port, &[own]) != Listening::Nobody {
            assert!(begun.elapsed() < Duration::from_secs(10), "{port} is listened on after its end");
            std::thread::yield_now();
        }
    }
}
