//! The network that this process is in: whether it ends at the loopback interface.
use rustix::net::{AddressFamily, SocketType};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

const LOOPBACK: &str = "lo";

/// Bring the loopback interface up.
pub(crate) fn bring_up_loopback() -> io::Result<()> {
    let socket = open_socket()?;
    let flags = flags(&socket, LOOPBACK)?;
    set_flags(&socket, LOOPBACK, flags | up())
}

/// Whether the loopback interface is up, no other is, and no route leads to another. The call that should have brought
/// that about may lie, where system calls are emulated; an interface may also be there from the start (tunnels are).
pub(crate) fn only_loopback() -> Result<(), String> {
    let read = |path: &str| {
        std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read {path}: {}", tool::io_text(&error)))
    };
    let devices = read("/proc/self/net/dev")?;
    let socket = open_socket().map_err(|error| format!("cannot open a socket: {}", tool::io_text(&error)))?;
    let mut loopback = false;
    for name in interfaces(&devices) {
        let flags = flags(&socket, name)
            .map_err(|error| format!("cannot look at the interface {name}: {}", tool::io_text(&error)))?;
        match (name, flags & up() != 0) {
            (LOOPBACK, is_up) => loopback = is_up,
            (_, true) => return Err(format!("the interface {name} is up")),
            (_, false) => {}
        }
    }
    if !loopback {
        return Err("the loopback interface is not up".to_owned());
    }
    let elsewhere = |device: &str| Err(format!("a route leads to {device}"));
    if let Some(device) = routes(&read("/proc/self/net/route")?).find(|device| *device != LOOPBACK) {
        return elsewhere(device);
    }
    // Without IPv6 there is no such file.
    let routes6 = std::fs::read_to_string("/proc/self/net/ipv6_route").unwrap_or_default();
    routes_v6(&routes6).find(|device| *device != LOOPBACK).map_or(Ok(()), elsewhere)
}

/// Names in `/proc/net/dev`: two lines of headings, then `name: counters`.
fn interfaces(devices: &str) -> impl Iterator<Item = &str> {
    devices.lines().skip(2).filter_map(|line| Some(line.rsplit_once(':')?.0.trim()))
}

/// Interfaces in `/proc/net/route`: a line of headings, then the interface first.
fn routes(table: &str) -> impl Iterator<Item = &str> {
    table.lines().skip(1).filter_map(|line| line.split_whitespace().next())
}

/// Interfaces in `/proc/net/ipv6_route`: no headings, the interface last.
fn routes_v6(table: &str) -> impl Iterator<Item = &str> {
    table.lines().filter_map(|line| line.split_whitespace().last())
}

/// Interfaces are asked through a socket, of whatever kind; this kind is never refused.
fn open_socket() -> io::Result<OwnedFd> {
    Ok(rustix::net::socket(AddressFamily::UNIX, SocketType::DGRAM, None)?)
}

fn up() -> libc::c_short {
    // It is 1.
    libc::IFF_UP as libc::c_short
}

fn flags(socket: &OwnedFd, name: &str) -> io::Result<libc::c_short> {
    let mut request = request(name)?;
    control(socket, libc::SIOCGIFFLAGS, &mut request)?;
    // SAFETY: the kernel has filled in this member of the union.
    #[expect(unsafe_code, reason = "the answer is one member of a C union")]
    Ok(unsafe { request.ifr_ifru.ifru_flags })
}

fn set_flags(socket: &OwnedFd, name: &str, flags: libc::c_short) -> io::Result<()> {
    let mut request = request(name)?;
    request.ifr_ifru.ifru_flags = flags;
    control(socket, libc::SIOCSIFFLAGS, &mut request)
}

fn request(name: &str) -> io::Result<libc::ifreq> {
    if name.len() >= libc::IFNAMSIZ {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    // SAFETY: all of its members are numbers, or arrays and pointers that may be zero.
    #[expect(unsafe_code, reason = "a C structure begins as zeros")]
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (slot, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *slot = byte as libc::c_char;
    }
    Ok(request)
}

fn control(socket: &OwnedFd, command: libc::c_ulong, request: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: both commands read and write one ifreq, which lives as long as the call.
    #[expect(unsafe_code, reason = "no safe wrapper of these ioctls is at hand")]
    let answer = unsafe { libc::ioctl(socket.as_raw_fd(), command as _, request) };
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read_by_interface() {
        let devices = "Inter-|   Receive |  Transmit\n face |bytes packets|bytes packets\n\
                       \x20   lo: 80 2 80 2\n  eth0:159 1 0 0\neth0:1: 0 0 0 0\n";
        assert_eq!(interfaces(devices).collect::<Vec<_>>(), ["lo", "eth0", "eth0:1"]);
        let table = "Iface\tDestination\tGateway\neth0\t00000000\t010200C0\nlo\t0000007F\t00000000\n";
        assert_eq!(routes(table).collect::<Vec<_>>(), ["eth0", "lo"]);
        let table = "00000000000000000000000000000000 00 0000 00 0000 ffffffff 00000001 00000000 00200200       lo\n\
                     fe800000000000000000000000000000 40 0000 00 0000 00000100 00000001 00000000 00000001     eth0\n";
        assert_eq!(routes_v6(table).collect::<Vec<_>>(), ["lo", "eth0"]);
        assert_eq!((interfaces("").count(), routes("").count(), routes_v6("").count()), (0, 0, 0));
    }
}
