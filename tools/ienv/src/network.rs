//! What the network namespace of this process can reach: its interfaces, and the routes of its main tables.
use crate::system_file::text;
use nix::net::if_::InterfaceFlags;
use record::{Interface, Route};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

const LOOPBACK: &str = "lo";

/// What a namespace has.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Network {
    pub(crate) interfaces: Vec<Interface>,
    pub(crate) routes: Vec<Route>,
    pub(crate) isolated: bool,
}

/// Look. Where the interfaces cannot be listed nothing is called isolated.
pub(crate) fn survey() -> Network {
    let listed = interfaces();
    let mut routes = routes(&text("/proc/self/net/route").unwrap_or_default());
    // Without IPv6 there is no such file.
    routes.extend(routes_v6(&text("/proc/self/net/ipv6_route").unwrap_or_default()));
    let only_loopback = |all: &Vec<Interface>| all.iter().all(|one| !one.up || one.name == LOOPBACK);
    let isolated = listed.as_ref().is_some_and(only_loopback) && routes.is_empty();
    Network { interfaces: listed.unwrap_or_default(), routes, isolated }
}

/// Every interface by name, with its addresses.
fn interfaces() -> Option<Vec<Interface>> {
    let mut found: BTreeMap<String, Interface> = BTreeMap::new();
    for entry in nix::ifaddrs::getifaddrs().ok()? {
        let name = tool::one_line(&entry.interface_name);
        let up = entry.flags.contains(InterfaceFlags::IFF_UP);
        let new = Interface { name: name.clone(), up, addresses: Vec::new() };
        let interface = found.entry(name).or_insert(new);
        let Some(address) = entry.address else { continue };
        let v4 = address.as_sockaddr_in().map(|at| at.ip().to_string());
        interface.addresses.extend(v4.or_else(|| address.as_sockaddr_in6().map(|at| at.ip().to_string())));
    }
    Some(found.into_values().collect())
}

/// `/proc/net/route`: a line of headings, then interface, destination, gateway, flags, three counters, mask, all in hex and
/// addresses in the byte order of the machine.
fn routes(table: &str) -> Vec<Route> {
    table.lines().skip(1).filter_map(route).filter(|route| route.interface != LOOPBACK).collect()
}

fn route(line: &str) -> Option<Route> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let &[interface, to, via, _, _, _, _, mask, ..] = words.as_slice() else { return None };
    let number = |hex: &str| u32::from_str_radix(hex, 16).ok();
    let address = |hex: &str| Some(Ipv4Addr::from(number(hex)?.to_ne_bytes()));
    let to = format!("{}/{}", address(to)?, number(mask)?.count_ones());
    let via = address(via).filter(|via| !via.is_unspecified()).map(|via| via.to_string());
    Some(Route { to, via, interface: tool::one_line(interface) })
}

/// `/proc/net/ipv6_route`: destination and its length, source and its length, next hop, four counters and flags, interface.
fn routes_v6(table: &str) -> Vec<Route> {
    table.lines().filter_map(route_v6).filter(|route| route.interface != LOOPBACK).collect()
}

fn route_v6(line: &str) -> Option<Route> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let &[to, length, _, _, via, .., interface] = words.as_slice() else { return None };
    let address = |hex: &str| Some(Ipv6Addr::from(u128::from_str_radix(hex, 16).ok()?));
    let to = format!("{}/{}", address(to)?, u8::from_str_radix(length, 16).ok()?);
    let via = address(via).filter(|via| !via.is_unspecified()).map(|via| via.to_string());
    Some(Route { to, via, interface: tool::one_line(interface) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(to: &str, via: Option<&str>, interface: &str) -> Route {
        Route { to: to.to_owned(), via: via.map(str::to_owned), interface: interface.to_owned() }
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn the_kernels_tables_are_read_without_loopback() {
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                     eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                     eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
                     lo\t0000007F\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\nnot a line\n";
        let expected = [at("0.0.0.0/0", Some("172.17.0.1"), "eth0"), at("172.17.0.0/16", None, "eth0")];
        assert_eq!(routes(table), expected);
    }

    #[test]
    fn so_are_those_of_ipv6() {
        let zeros = "0".repeat(32);
        let table = format!(
            "fe80{z} 40 {zeros} 00 {zeros} 00000100 00000001 00000000 00000001     eth0\n\
             {zeros} 00 {zeros} 00 fe80{z} 00000400 00000001 00000000 00000003     eth0\n\
             {zeros} 00 {zeros} 00 {zeros} ffffffff 00000001 00000000 00200200       lo\n",
            z = "0".repeat(28)
        );
        assert_eq!(routes_v6(&table), [at("fe80::/64", None, "eth0"), at("::/0", Some("fe80::"), "eth0")]);
    }

    #[test]
    fn this_machine_has_a_loopback_interface() {
        let lo = survey().interfaces.into_iter().find(|interface| interface.name == LOOPBACK);
        assert!(lo.is_some());
    }
}
