//! Where a server is, as it stands in a URL.
use std::net::IpAddr;

/// A host as it stands in a URL: all interfaces become loopback, IPv6 is bracketed.
pub(crate) fn authority(host: &str) -> String {
    match host.parse::<IpAddr>() {
        _ if host.is_empty() => "127.0.0.1".to_owned(),
        Ok(IpAddr::V4(v4)) if v4.is_unspecified() => "127.0.0.1".to_owned(),
        Ok(IpAddr::V6(v6)) if v6.is_unspecified() => "[::1]".to_owned(),
        Ok(IpAddr::V6(v6)) => format!("[{v6}]"),
        // It may come from a file that the instance's user wrote.
        _ => host.chars().filter(char::is_ascii_graphic).collect(),
    }
}

/// A prefix as it stands in a URL; it may come from a file that the instance's user wrote.
pub(crate) fn path(prefix: &str) -> String {
    prefix.chars().filter(char::is_ascii_graphic).filter(|c| !['?', '#'].contains(c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_holds_nothing_that_a_terminal_obeys() {
        assert_eq!(authority("a\u{1b}[31m\nistop: \u{202e}b"), "a[31mistop:b");
    }

    #[test]
    fn all_interfaces_are_asked_on_loopback_and_ipv6_is_bracketed() {
        assert_eq!(authority("0.0.0.0"), "127.0.0.1");
        assert_eq!(authority(""), "127.0.0.1");
        assert_eq!(authority("::"), "[::1]");
        assert_eq!(authority("fe80::1"), "[fe80::1]");
        assert_eq!(authority("gpu7.lan"), "gpu7.lan");
    }
}
