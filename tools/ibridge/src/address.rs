//! Where a server is.
use record::Plan;
use std::net::IpAddr;

/// Its host, its port, and the paths at it.
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
}
