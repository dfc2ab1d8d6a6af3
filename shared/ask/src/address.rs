//! Where a server is, as its plan says.
use crate::Target;
use crate::target::{LITELLM, LITELLM_HEALTH};
use crate::tls::Tls;
use owner::Owner;
use record::{Engine, Plan};
use std::net::IpAddr;
use std::path::Path;

impl Target {
    /// The server of this plan: its scheme, its prefix, and its certificate, which is read with the rights of the user whose
    /// instance it is. One that cannot be read fails every request with the reason.
    #[must_use]
    pub fn of_plan(plan: &Plan, user: &Owner) -> Self {
        let (host, port) = (authority(&plan.host), plan.port);
        let prefix = plan.path_prefix.as_deref().map(path).unwrap_or_default();
        if plan.scheme.as_deref() != Some("https") {
            let target = Self::new(format!("http://{host}:{port}{prefix}"), Tls::none());
            let is_litellm = plan.engine == Engine::Bridge && plan.instance == LITELLM;
            return if is_litellm { target.with_health(LITELLM_HEALTH) } else { target };
        }
        let tls = plan.ca_file.as_deref().map_or_else(Tls::none, |file| Tls::pinned(certificate(file, user)));
        Self::new(format!("https://{host}:{port}{prefix}"), tls)
    }
}

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
fn path(prefix: &str) -> String {
    prefix.chars().filter(char::is_ascii_graphic).filter(|c| !['?', '#'].contains(c)).collect()
}

/// No certificate with its chain is larger.
const CERTIFICATE_BYTES: usize = 1 << 20;

/// What stands in a certificate's file. The user can write the plan, and so can choose the path.
fn certificate(file: &Path, user: &Owner) -> Result<Vec<u8>, String> {
    owner::read_as(user, file, CERTIFICATE_BYTES).map_err(|error| {
        let text = error.to_string();
        format!(
            "cannot read its certificate {}: {}",
            file.display(),
            text.split(" (os error ").next().unwrap_or(&text)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_holds_nothing_that_a_terminal_obeys() {
        let url = Target::at("a\u{1b}[31m\nistop: \u{202e}b", 1).url().to_owned();
        assert_eq!(url, "http://a[31mistop:b:1");
    }

    #[test]
    fn all_interfaces_are_asked_on_loopback_and_ipv6_is_bracketed() {
        let url = |host| Target::at(host, 8080).url().to_owned();
        assert_eq!(url("0.0.0.0"), "http://127.0.0.1:8080");
        assert_eq!(url(""), "http://127.0.0.1:8080");
        assert_eq!(url("::"), "http://[::1]:8080");
        assert_eq!(url("fe80::1"), "http://[fe80::1]:8080");
        assert_eq!(url("gpu7.lan"), "http://gpu7.lan:8080");
    }
}
