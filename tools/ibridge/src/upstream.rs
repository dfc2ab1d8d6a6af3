//! One server that requests can be handed to, as it was last seen.
use crate::pool::Pool;
use record::{Engine, KeeperState, Plan};
use state::Directory;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// A name or a number, IPv6 without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// What stands before `/v1`, without a slash at its end.
    pub(crate) prefix: String,
    /// What is asked for its health.
    pub(crate) health: &'static str,
}

impl Address {
    /// From a base URL, with or without `/v1`.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        // The same rules as for every other tool.
        let target = ask::Target::parse(url)?;
        let rest = target.url().trim_start_matches("http://");
        let (authority, prefix) =
            rest.split_once('/').map_or((rest, String::new()), |(a, p)| (a, format!("/{p}")));
        let (host, port) = authority.rsplit_once(':').ok_or("its port is not one")?;
        let port = port.parse().map_err(|_| "its port is not one")?;
        Ok(Self { host: host.trim_matches(['[', ']']).to_owned(), port, prefix, health: "/health" })
    }

    /// Of an instance.
    pub(crate) fn of_instance(plan: &Plan, port: u16) -> Self {
        let prefix = plan.path_prefix.clone().unwrap_or_default();
        Self { host: plan.host.clone(), port, prefix, health: "/health" }.on_this_machine()
    }

    /// A server that listens on all interfaces is reached on loopback.
    pub(crate) fn on_this_machine(self) -> Self {
        let host = self.host.as_str();
        let host = match host.parse::<IpAddr>() {
            Ok(IpAddr::V4(v4)) if v4.is_unspecified() => "127.0.0.1".to_owned(),
            Ok(IpAddr::V6(v6)) if v6.is_unspecified() => "::1".to_owned(),
            _ if host.is_empty() => "127.0.0.1".to_owned(),
            _ => host.chars().filter(char::is_ascii_graphic).collect(),
        };
        Self { host, ..self }
    }

    /// `HOST:PORT`, as it stands in a `Host` header.
    pub(crate) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The base URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}{}", self.authority(), self.prefix)
    }
}

/// How far a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It answers.
    Ready,
    /// It will answer, unless it fails: it loads, waits for another or is between two starts.
    Loading(&'static str),
    /// Its engine was ended because nobody asked, and a request starts it.
    Asleep,
    /// It does not run and will not by itself.
    Down(&'static str),
}

/// One server.
#[derive(Clone)]
pub(crate) struct Upstream {
    /// `ENGINE/INSTANCE`, or the URL.
    pub(crate) id: String,
    pub(crate) engine: Option<Engine>,
    pub(crate) address: Address,
    /// The key that it wants.
    pub(crate) key: Option<String>,
    /// The names that it serves, the first for requests that name none.
    pub(crate) names: Vec<String>,
    pub(crate) phase: Phase,
    /// It has /v1/messages.
    pub(crate) is_native: bool,
    /// What its keeper says.
    pub(crate) kept: Option<KeeperFacts>,
    pub(crate) load: Arc<Load>,
    pub(crate) pool: Arc<Pool>,
}

/// What a keeper says of its instance.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeeperFacts {
    pub(crate) place: Directory,
    pub(crate) state: KeeperState,
    pub(crate) status: state::Status,
    pub(crate) model: Option<String>,
    /// Seconds without a request after which it is stopped.
    pub(crate) idle_stop_s: Option<u32>,
}

impl Upstream {
    /// Whether nothing that matters to a request or to a reader of the page is different.
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.id == other.id
            && self.address == other.address
            && self.key == other.key
            && self.names == other.names
            && self.phase == other.phase
            && self.is_native == other.is_native
            && self.kept == other.kept
    }
}

/// How many requests are under way at a server.
#[derive(Debug, Default)]
pub(crate) struct Load {
    under_way: AtomicUsize,
}

impl Load {
    pub(crate) fn now(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Count one more, until the ticket is dropped.
    pub(crate) fn enter(self: &Arc<Self>) -> Ticket {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        Ticket(Arc::clone(self))
    }
}

/// One request under way.
#[derive(Debug)]
pub(crate) struct Ticket(Arc<Load>);

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_host_port_and_what_stands_before_v1() {
        let parse = |url| {
            Address::parse(url)
                .map(|found| (found.host.clone(), found.port, found.prefix.clone(), found.url()))
        };
        let text = |host: &str, port, prefix: &str, url: &str| {
            (host.to_owned(), port, prefix.to_owned(), url.to_owned())
        };
        assert_eq!(parse("http://h:1/v1").unwrap(), text("h", 1, "", "http://h:1"));
        assert_eq!(parse("http://[::1]:7/a/b/v1/").unwrap(), text("::1", 7, "/a/b", "http://[::1]:7/a/b"));
        assert!(parse("https://h").is_err());
    }

    #[test]
    fn a_ticket_counts_while_it_lives() {
        let load = Arc::new(Load::default());
        let (one, two) = (load.enter(), load.enter());
        assert_eq!(load.now(), 2);
        drop(one);
        drop(two);
        assert_eq!(load.now(), 0);
    }
}
