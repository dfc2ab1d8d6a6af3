//! The sockets that listen on a port: asked of the kernel (sock_diag), which knows them apart, else looked for in
//! `/proc/net/tcp`, which takes tens of milliseconds on a machine with large tables.
use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Address and inode of each. IPv4 in IPv6 counts as IPv4.
pub(crate) fn listening_on(port: u16) -> Vec<(IpAddr, u64)> {
    let tables = [(AddressFamily::INET, "/proc/net/tcp"), (AddressFamily::INET6, "/proc/net/tcp6")];
    let of = |(family, table): (AddressFamily, &str)| {
        asked(family, port).unwrap_or_else(|| listed(&fs::read_to_string(table).unwrap_or_default(), port))
    };
    tables.into_iter().flat_map(of).collect()
}

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const REQUEST_AND_DUMP: u16 = 0x301;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const TCP: u8 = 6;
const LISTEN: u32 = 1 << 10;
const HEADER: usize = 16;
/// The header and `struct inet_diag_req_v2`.
const REQUEST: usize = HEADER + 56;

/// From the kernel; `None` where it does not answer such questions.
fn asked(family: AddressFamily, port: u16) -> Option<Vec<(IpAddr, u64)>> {
    let kind = SocketType::RAW;
    let socket = socket_with(AddressFamily::NETLINK, kind, SocketFlags::CLOEXEC, Some(SOCK_DIAG)).ok()?;
    sendto(&socket, &request(family, port), SendFlags::empty(), &SocketAddrNetlink::new(0, 0)).ok()?;
    let (mut found, mut answer) = (Vec::new(), vec![0; 32 << 10]);
    loop {
        let (length, _) = recv(&socket, answer.as_mut_slice(), RecvFlags::empty()).ok()?;
        let mut rest = answer.get(..length)?;
        while !rest.is_empty() {
            let message = rest.get(..u32_at(rest, 0)? as usize)?;
            match u16_at(message, 4)? {
                DONE => return Some(found),
                ERROR => return None,
                _ => found.extend(socket_in(message.get(HEADER..)?)),
            }
            // Messages begin at multiples of four.
            rest = rest.get(message.len().next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

fn request(family: AddressFamily, port: u16) -> [u8; REQUEST] {
    let mut bytes = [0; REQUEST];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, &u32::try_from(REQUEST).unwrap_or_default().to_ne_bytes());
    put(4, &SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    put(6, &REQUEST_AND_DUMP.to_ne_bytes());
    put(HEADER, &[u8::try_from(family.as_raw()).unwrap_or_default(), TCP]);
    put(HEADER + 4, &LISTEN.to_ne_bytes());
    put(HEADER + 8, &port.to_be_bytes());
    bytes
}

/// `struct inet_diag_msg`: the family first, the source address at 8, the inode at 68.
fn socket_in(message: &[u8]) -> Option<(IpAddr, u64)> {
    let address = match i32::from(*message.first()?) {
        libc::AF_INET => IpAddr::from(message.get(8..12)?.first_chunk::<4>().copied()?),
        _ => IpAddr::from(message.get(8..24)?.first_chunk::<16>().copied()?),
    };
    Some((address.to_canonical(), u64::from(u32_at(message, 68)?)))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_ne_bytes)
}

/// From a table of `/proc/net`.
fn listed(table: &str, port: u16) -> Vec<(IpAddr, u64)> {
    let line = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (address, found) = fields.get(1)?.split_once(':')?;
        let listens = *fields.get(3)? == "0A" && u16::from_str_radix(found, 16).ok()? == port;
        listens.then(|| Some((parse(address)?, fields.get(9)?.parse().ok()?))).flatten()
    };
    table.lines().skip(1).filter_map(line).collect()
}

/// Hex, in words of the machine's byte order.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::time::{Duration, Instant};

    #[test]
    fn the_kernel_and_the_table_say_the_same() {
        for (address, family, table) in [
            ("127.0.0.1:0", AddressFamily::INET, "/proc/net/tcp"),
            ("0.0.0.0:0", AddressFamily::INET, "/proc/net/tcp"),
            ("[::1]:0", AddressFamily::INET6, "/proc/net/tcp6"),
        ] {
            let socket = TcpListener::bind(address).unwrap();
            let bound = socket.local_addr().unwrap();
            let listed = listed(&fs::read_to_string(table).unwrap(), bound.port());
            assert_eq!(listed.iter().map(|(address, _)| *address).collect::<Vec<_>>(), [bound.ip()]);
            if let Some(asked) = asked(family, bound.port()) {
                assert_eq!(asked, listed);
            }
            drop(socket);
            // A child that another test is just starting holds it too, until it executes.
            let begun = Instant::now();
            while !listening_on(bound.port()).is_empty() {
                assert!(begun.elapsed() < Duration::from_secs(10), "{bound} is listened on after its end");
                std::thread::yield_now();
            }
        }
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
        assert_eq!(listed(&table, 8080), [(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 4242)]);
    }
}
