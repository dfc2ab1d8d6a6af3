//! Whether a port can be had, and who has it.
use config::ONE_ADDRESS;
use failure::{Code, Failure};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};
use std::fs;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

/// Until a process that was just started executes its program.
const AGAIN: Duration = Duration::from_millis(100);
const LOOKS: usize = 5;

/// Why nothing could listen.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The host is none that can be listened on here.
    Host(Failure),
    /// Somebody else has the port.
    Taken(Failure),
}

/// Whether two listeners on the same port are in each other's way.
pub(crate) fn overlap(one: &str, other: &str) -> bool {
    let addresses = |host: &str| -> Vec<IpAddr> {
        resolve(host, 0).unwrap_or_default().iter().map(|address| address.ip().to_canonical()).collect()
    };
    let (ones, others) = (addresses(one), addresses(other));
    let all = |addresses: &[IpAddr]| addresses.iter().any(IpAddr::is_unspecified);
    one == other || all(&ones) || all(&others) || ones.iter().any(|address| others.contains(address))
}

/// Try to take the port and let it go again.
///
/// Without SO_REUSEADDR: a server that has bound its port and does not listen yet is not seen otherwise.
pub(crate) fn check(host: &str, port: u16) -> Result<(), Refused> {
    let addresses = resolve(host, port).map_err(Refused::Host)?;
    for address in addresses {
        match try_bind(address, false) {
            Err(Errno::ADDRINUSE) => {}
            Err(Errno::AFNOSUPPORT) | Ok(()) => continue,
            Err(error) => {
                let failure = Failure::io(Code::Unmet, format!("cannot listen on {address}"), &error.into());
                return Err(Refused::Host(failure.hint(refused_hint(error))));
            }
        }
        let sockets = sockets_on(port);
        // Connections of a server that has ended hold their port for a minute; every engine sets SO_REUSEADDR.
        let only_ended = !sockets.is_empty() && sockets.iter().all(|socket| socket.inode == 0);
        let is_free = only_ended && try_bind(address, true).is_ok();
        if !(is_free || nobody_is_seen(&sockets) && is_free_soon(address)) {
            let holder = holder(&sockets);
            return Err(Refused::Taken(Failure::new(Code::Later, format!("port {port} is in use"), holder)));
        }
    }
    Ok(())
}

/// Whether no process has a port that is taken: a process that was just started had copies of its parent's sockets, until it
/// executed its program.
fn nobody_is_seen(sockets: &[Socket]) -> bool {
    sockets.iter().all(|socket| tree::holder(socket.inode).is_none())
}

/// Whether a port is free a moment later.
fn is_free_soon(address: SocketAddr) -> bool {
    (0..LOOKS).any(|_| {
        std::thread::sleep(AGAIN);
        try_bind(address, false).is_ok()
    })
}

/// Whether none but these processes is seen to hold the port. A socket whose holder may not be looked at is taken for
/// theirs, and so is one that is bound and does not listen, which nobody sees.
pub(crate) fn is_held_by(port: u16, pids: &[u32]) -> bool {
    let held = sockets_on(port).into_iter().filter(|socket| socket.inode != 0);
    held.filter_map(|socket| tree::holder(socket.inode)).all(|pid| pids.contains(&pid))
}

/// What to do where an address is not to be had.
fn refused_hint(error: Errno) -> &'static str {
    match error {
        Errno::ADDRNOTAVAIL => {
            "no interface of this machine has it; set server.host to one that `ip address` lists, or to \"127.0.0.1\" or \"0.0.0.0\""
        }
        Errno::ACCESS => "only root takes ports below 1024; set server.port to a higher one",
        _ => "set server.host to \"127.0.0.1\", or to \"0.0.0.0\" for all addresses of this machine",
    }
}

fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let refuse = |cause: &str, hint: &str| {
        Err(Failure::new(Code::Input, format!("cannot listen on '{host}'"), cause).hint(hint))
    };
    if host.contains('/') || host.ends_with(".sock") {
        return refuse(
            "a socket in the file system is not supported",
            "set server.host to an address, as \"127.0.0.1\"",
        );
    }
    if host.contains(',') {
        return refuse("several addresses are not supported", ONE_ADDRESS);
    }
    let bare = if host == "*" { "::" } else { host.trim_start_matches('[').trim_end_matches(']') };
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let found = (bare, port).to_socket_addrs();
    let addresses: Vec<SocketAddr> = found
        .map_err(|error| {
            Failure::io(Code::Unmet, format!("host '{host}' is not known"), &error).hint(
                "set server.host to an address of this machine, or to a name that /etc/hosts or its DNS has",
            )
        })?
        .collect();
    Ok(addresses)
}

fn try_bind(address: SocketAddr, reuse: bool) -> rustix::io::Result<()> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    if reuse {
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    bind(&socket, &address)
}

/// One TCP socket of this network namespace.
struct Socket {
    listens: bool,
    /// 0: no process has it any more.
    inode: u64,
}

/// The sockets whose own port is `port`. One that is bound and does not listen is in none of these lists.
#[expect(clippy::disallowed_methods, reason = "/proc/net is the kernel's")]
fn sockets_on(port: u16) -> Vec<Socket> {
    let lists = ["/proc/net/tcp", "/proc/net/tcp6"].map(|list| fs::read_to_string(list).unwrap_or_default());
    // These lists have thousands of lines where there are many connections, and few of them are of this port.
    let port_in_hex = format!(":{port:04X} ");
    let may_be_it = |line: &&str| line.contains(&port_in_hex);
    let lines = lists.iter().flat_map(|list| list.lines().skip(1));
    lines.filter(may_be_it).filter_map(|line| socket(line, port)).collect()
}

fn socket(line: &str, port: u16) -> Option<Socket> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (_, local) = fields.get(1)?.rsplit_once(':')?;
    if u16::from_str_radix(local, 16).ok()? != port {
        return None;
    }
    Some(Socket { listens: *fields.get(3)? == "0A", inode: fields.get(9)?.parse().ok()? })
}

/// Who holds one of the sockets, the listening one first.
fn holder(sockets: &[Socket]) -> String {
    let listening = sockets.iter().filter(|socket| socket.listens);
    let others = sockets.iter().filter(|socket| !socket.listens);
    let held = listening.chain(others).filter(|socket| socket.inode != 0);
    let owner = held.map(|socket| socket.inode).find_map(tree::holder);
    match owner {
        // Its name alone: a command line may hold secrets, and records are kept.
        Some(pid) => {
            let name = tree::Process::name(pid).unwrap_or_default();
            let ours = tree::instance_of(pid).map(|instance| format!(", of our instance {instance}"));
            format!("pid {pid} has it: {name}{}", ours.unwrap_or_default())
        }
        None => "it cannot be seen from here who has it".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};

    fn taken(host: &str, port: u16) -> Failure {
        match check(host, port) {
            Err(Refused::Taken(failure)) => failure,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_port_that_a_loading_server_has_bound_without_listening_is_in_use() {
        let socket =
            socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        sockopt::set_socket_reuseaddr(&socket, true).unwrap();
        sockopt::set_socket_reuseport(&socket, true).unwrap();
        bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let port = SocketAddr::try_from(rustix::net::getsockname(&socket).unwrap()).unwrap().port();
        let failure = taken("127.0.0.1", port);
        assert_eq!((failure.code, failure.what), (Code::Later, format!("port {port} is in use")));
        drop(socket);
        check("127.0.0.1", port).unwrap();
    }

    #[test]
    fn the_holder_is_named_whatever_address_it_listens_on() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["127.0.0.1", "0.0.0.0", "localhost", "::", "*"] {
            let failure = taken(host, port);
            assert!(
                failure.cause.starts_with(&format!("pid {} has it: ", std::process::id())),
                "{failure:?}"
            );
        }
    }

    #[test]
    fn a_connection_that_ended_a_moment_ago_does_not_hold_its_port() {
        use std::io::Read;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut client = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let (server, _) = listener.accept().unwrap();
        // The server's side closes first, so that TIME_WAIT is on its port.
        drop(server);
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        drop(client);
        drop(listener);
        check("127.0.0.1", port).unwrap();
    }

    #[test]
    fn a_host_that_nothing_can_listen_on_is_refused_with_what_to_set() {
        for (host, what, hint) in [
            ("192.0.2.1", "cannot listen on 192.0.2.1:8080", "no interface of this machine has it"),
            ("no-such-host.invalid", "host 'no-such-host.invalid' is not known", "/etc/hosts"),
            ("/run/x.sock", "cannot listen on '/run/x.sock'", "set server.host to an address"),
            ("127.0.0.1,127.0.0.2", "cannot listen on '127.0.0.1,127.0.0.2'", "give one address"),
        ] {
            let Err(Refused::Host(failure)) = check(host, 8080) else { panic!("{host} is not refused") };
            assert_eq!(failure.what, what);
            assert!(failure.hint.as_ref().is_some_and(|found| found.contains(hint)), "{failure:?}");
        }
    }

    #[test]
    fn listeners_overlap_on_one_address_whatever_its_name_and_where_one_takes_all() {
        assert!(overlap("127.0.0.1", "0.0.0.0"));
        assert!(overlap("::", "10.0.0.1"));
        assert!(overlap("localhost", "127.0.0.1"));
        assert!(overlap("[::1]", "::1"));
        assert!(!overlap("127.0.0.1", "10.0.0.1"));
        assert!(!overlap("localhost", "10.0.0.1"));
    }
}
