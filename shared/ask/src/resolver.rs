//! Names of hosts. ureq's own way takes a thread for every question that has a time limit, and panics where there is none.
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc::sync_channel;
use std::thread::Builder;
use std::time::Duration;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;
use ureq::{Error, Timeout};

/// How long a name server gets.
const LIMIT: Duration = Duration::from_secs(5);
/// ureq keeps no more, and panics over another one.
const MAX_LOOKUPS: usize = 16;

/// Numbers are taken as they are; names are looked up.
#[derive(Debug)]
pub(crate) struct BoundedResolver;

impl Resolver for BoundedResolver {
    fn resolve(&self, uri: &Uri, _: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().ok_or(Error::HostNotFound)?.trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(80);
        let mut found = self.empty();
        match host.parse::<IpAddr>() {
            Ok(address) => found.push(SocketAddr::new(address, port)),
            Err(_) => {
                let addresses = look_up(host.to_owned(), port, LIMIT.min(*timeout.after))?;
                addresses.into_iter().take(MAX_LOOKUPS).for_each(|address| found.push(address));
            }
        }
        if found.is_empty() { Err(Error::HostNotFound) } else { Ok(found) }
    }
}

/// The system's own look-up knows no limit of ours, so a thread does it. Where there is none, the system's limits hold.
fn look_up(host: String, port: u16, limit: Duration) -> Result<Vec<SocketAddr>, Error> {
    let (send, receive) = sync_channel(1);
    let address = (host, port);
    let asked = address.clone();
    let thread = Builder::new().name("names".to_owned()).spawn(move || {
        // Nobody waits any more once the limit is over.
        drop(send.send(addresses(&asked)));
    });
    match thread {
        Ok(_) => receive.recv_timeout(limit).unwrap_or(Err(Error::Timeout(Timeout::Resolve))),
        Err(_) => addresses(&address),
    }
}

fn addresses(address: &(String, u16)) -> Result<Vec<SocketAddr>, Error> {
    let found = (address.0.as_str(), address.1).to_socket_addrs();
    found.map(Iterator::collect).map_err(|_| Error::HostNotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_this_machine_is_found_and_one_of_none_is_not() {
        let found = look_up("localhost".to_owned(), 7, LIMIT).unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 7), "{found:?}");
        assert!(matches!(look_up("no such host".to_owned(), 7, LIMIT), Err(Error::HostNotFound)));
    }
}
