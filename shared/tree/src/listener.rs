//! Whose socket listens on a port, from `/proc/net/tcp` and the descriptors of processes.
use crate::Process;
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
    /// Somebody else, alone or (SO_REUSEPORT) beside the given processes; named where that can be told.
    Stranger(Option<u32>),
    /// The given processes' descriptors may not be looked at.
    Unknown,
}

/// Who would take a connection to `port` at `address`; `ours` are the processes that should. `None` for an address that is
/// only known by name.
#[must_use]
pub fn listening(address: Option<IpAddr>, port: u16, ours: &[Process]) -> Listening {
    let sockets = taking(address, port);
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
        Some(inode) => Listening::Stranger(holder(*inode)),
    }
}

/// Inodes of the sockets that would get the connection: those bound to that very address before those bound to all.
fn taking(address: Option<IpAddr>, port: u16) -> Vec<u64> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let found = tables.iter().filter_map(|path| fs::read_to_string(path).ok());
    let found: Vec<(IpAddr, u64)> = found.flat_map(|table| listeners(&table, port)).collect();
    let inodes = |wanted: &dyn Fn(IpAddr) -> bool| -> Vec<u64> {
        found.iter().filter(|(bound, _)| wanted(*bound)).map(|(_, inode)| *inode).collect()
    };
    let Some(address) = address.map(|address| address.to_canonical()) else { return inodes(&|_| true) };
    let exact = inodes(&|bound| bound == address);
    if exact.is_empty() { inodes(&|bound| bound.is_unspecified()) } else { exact }
}

/// Address and inode of each listening socket of `port` in a table of `/proc/net`.
fn listeners(table: &str, port: u16) -> Vec<(IpAddr, u64)> {
    let line = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (address, found) = fields.get(1)?.split_once(':')?;
        let listens = *fields.get(3)? == "0A" && u16::from_str_radix(found, 16).ok()? == port;
        listens.then(|| Some((parse(address)?, fields.get(9)?.parse().ok()?))).flatten()
    };
    table.lines().skip(1).filter_map(line).collect()
}

/// Hex, in words of the machine's byte order. IPv4 in IPv6 counts as IPv4.
fn parse(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    if hex.len() == 8 {
        return Some(IpAddr::V4(Ipv4Addr::from(word(0)?)));
    }
    let mut bytes = [0; 16];
    for (index, part) in bytes.chunks_exact_mut(4).enumerate() {
        part.copy_from_slice(&word(index * 8)?);
    }
    Some(IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical())
}

/// Inodes of the sockets that a process holds; `None` where it may not be looked at.
fn sockets_of(pid: u32) -> Option<HashSet<u64>> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let links = entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    let inode =
        |link: std::path::PathBuf| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok();
    Some(links.filter_map(inode).collect())
}

/// A process that holds this socket, where we may look.
fn holder(inode: u64) -> Option<u32> {
    let holds = |pid: u32| sockets_of(pid).is_some_and(|inodes| inodes.contains(&inode));
    Process::all().iter().map(|process| process.pid).find(|pid| holds(*pid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    const LOOPBACK: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));

    #[test]
    fn a_listener_is_found_with_whoever_holds_it() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let own = Process::read(std::process::id()).unwrap();
        assert_eq!(listening(LOOPBACK, port, &[own]), Listening::Ours);
        assert_eq!(listening(None, port, &[own]), Listening::Ours);
        assert_eq!(listening(LOOPBACK, port, &[]), Listening::Stranger(Some(own.pid)));
        drop(socket);
        assert_eq!(listening(LOOPBACK, port, &[own]), Listening::Nobody);
    }

    #[test]
    fn addresses_are_read_in_all_their_forms() {
        let this = |bytes: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(bytes));
        assert_eq!(parse(&this([127, 0, 0, 1])), Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        let v6 = [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]].map(this).concat();
        assert_eq!(parse(&v6), Some(IpAddr::V6(Ipv6Addr::LOCALHOST)));
        let mapped = [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 255, 255], [10, 0, 0, 7]].map(this).concat();
        assert_eq!(parse(&mapped), Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7))));
    }

    #[test]
    fn only_listening_sockets_of_the_port_count() {
        let zero = "00000000";
        let table = format!(
            "  sl  local_address rem_address   st tx rx tr tm retrnsmt   uid  timeout inode\n\
             0: {zero}:1F90 {zero}:0000 0A 0:0 00:0 0 1000 0 4242 1 0\n\
             1: {zero}:1F90 {zero}:0000 01 0:0 00:0 0 1000 0 4343 1 0\n\
             2: {zero}:1F91 {zero}:0000 0A 0:0 00:0 0 1000 0 4444 1 0\n"
        );
        assert_eq!(listeners(&table, 8080), [(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 4242)]);
    }
}
