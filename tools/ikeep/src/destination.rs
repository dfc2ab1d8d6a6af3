//! Where a system call leads: read from the memory of the process that makes it.
use crate::listener::TrappedCall;
use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::FileExt;

/// Bytes of a `sockaddr_in6`, the longest that is looked at.
const ADDRESS: usize = 28;
/// Bytes of `struct msghdr` up to the length of its name, and of `struct mmsghdr`.
const NAME: usize = 12;
const MESSAGE: u64 = 64;
/// Messages of one sendmmsg(2) that are looked at; the kernel takes 1024 at most.
const MESSAGES: u64 = 1024;

/// The family and address of each destination that is not on this machine.
pub(crate) fn of(asked: &TrappedCall) -> Vec<(&'static str, String)> {
    if i64::from(asked.call) == libc::SYS_io_uring_setup {
        return vec![("unknown", "io_uring, whose sockets cannot be seen".to_owned())];
    }
    let Ok(memory) = File::open(format!("/proc/{}/mem", asked.thread)) else {
        return vec![("unknown", "its memory cannot be read".to_owned())];
    };
    let leads_out = |address: &SocketAddr| !is_here(address.ip().to_canonical());
    let found = addresses(&memory, asked).unwrap_or_default();
    found.into_iter().filter(leads_out).map(|address| (family(&address), address.to_string())).collect()
}

fn family(address: &SocketAddr) -> &'static str {
    if address.is_ipv4() { "ipv4" } else { "ipv6" }
}

/// The destinations that a call names.
fn addresses(memory: &File, asked: &TrappedCall) -> io::Result<Vec<SocketAddr>> {
    let [_, second, third, _, fifth, sixth] = asked.arguments;
    Ok(match i64::from(asked.call) {
        libc::SYS_connect => address(memory, second, third)?.into_iter().collect(),
        libc::SYS_sendto => address(memory, fifth, sixth)?.into_iter().collect(),
        libc::SYS_sendmsg => named(memory, second)?.into_iter().collect(),
        libc::SYS_sendmmsg => {
            let at = (0..third.min(MESSAGES)).map(|index| second + index * MESSAGE);
            at.filter_map(|at| named(memory, at).ok().flatten()).collect()
        }
        _ => Vec::new(),
    })
}

/// The name in a `struct msghdr`: a pointer, then its length.
fn named(memory: &File, at: u64) -> io::Result<Option<SocketAddr>> {
    let mut head = [0; NAME];
    memory.read_exact_at(&mut head, at)?;
    let [a, b, c, d, e, f, g, h, i, j, k, l] = head;
    let name = u64::from_ne_bytes([a, b, c, d, e, f, g, h]);
    if name == 0 { Ok(None) } else { address(memory, name, u32::from_ne_bytes([i, j, k, l]).into()) }
}

fn address(memory: &File, at: u64, length: u64) -> io::Result<Option<SocketAddr>> {
    let length = usize::try_from(length).unwrap_or(ADDRESS).min(ADDRESS);
    let mut bytes = [0; ADDRESS];
    memory.read_exact_at(&mut bytes[..length], at)?;
    Ok(parsed(&bytes[..length]))
}

/// A `sockaddr_in` or `sockaddr_in6`; nothing else leads anywhere.
fn parsed(bytes: &[u8]) -> Option<SocketAddr> {
    let family = u16::from_ne_bytes([*bytes.first()?, *bytes.get(1)?]);
    let port = u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]);
    match i32::from(family) {
        libc::AF_INET => {
            let octets: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            Some(SocketAddr::new(Ipv4Addr::from(octets).into(), port))
        }
        libc::AF_INET6 => {
            let octets: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            Some(SocketAddr::new(Ipv6Addr::from(octets).into(), port))
        }
        _ => None,
    }
}

/// Whether an address is this machine's own.
fn is_here(ip: IpAddr) -> bool {
    if ip.is_loopback() || ip.is_unspecified() {
        return true;
    }
    let own = nix::ifaddrs::getifaddrs().into_iter().flatten().filter_map(|entry| {
        let address = entry.address?;
        let v4 = address.as_sockaddr_in().map(|at| IpAddr::from(at.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|at| IpAddr::from(at.ip())))
    });
    own.into_iter().any(|own| own == ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_two_families_are_read_and_no_others() {
        let family = |family: libc::c_int| u16::try_from(family).unwrap().to_ne_bytes();
        let v4 = [&family(libc::AF_INET)[..], &[1, 187, 192, 0, 2, 7], &[0; 8]].concat();
        assert_eq!(parsed(&v4).unwrap().to_string(), "192.0.2.7:443");
        let mut v6 = [&family(libc::AF_INET6)[..], &[0, 53], &[0; 4], &[0; 16], &[0; 4]].concat();
        v6[8..12].copy_from_slice(&[0x20, 1, 0xd, 0xb8]);
        assert_eq!(parsed(&v6).unwrap().to_string(), "[2001:db8::]:53");
        assert_eq!(parsed(&v4[..6]), None);
        assert_eq!(parsed(&[&family(libc::AF_UNIX)[..], b"/run/x"].concat()), None);
        assert_eq!(parsed(&[]), None);
    }

    #[test]
    fn this_machine_is_no_way_out() {
        for here in ["127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::"] {
            assert!(is_here(here.parse().unwrap()), "{here}");
        }
        assert!(!is_here("192.0.2.200".parse().unwrap()) && !is_here("2001:db8::9".parse().unwrap()));
    }
}
