//! What to do about a pixi that failed, as far as its last output shows why.
use crate::scratch::NO_LOCKS;
use pixi::{Download, JobOutput, Kind, override_variable};
use std::path::Path;
use tool::Failure;

/// The failure, with what to do about it where that is known.
pub(crate) fn failure(ended: &JobOutput, root: &Path) -> Failure {
    let kind = ended.why().kind;
    let mut failure = ended.failure(format!("cannot warm the cache {}", root.display()));
    if let Some(free) = free_mib(root).filter(|_| kind == Kind::NoSpace) {
        failure.cause.push_str(&format!("; {free} MiB are free on the disk of {}", root.display()));
    }
    failure.hint(hint(&kind, &proxies()))
}

fn hint(kind: &Kind, proxies: &[String]) -> String {
    match kind {
        Kind::Virtual(package) => {
            let variable = override_variable(package);
            let example = if package == "cuda" { format!(", as in {variable}=12.8") } else { String::new() };
            format!(
                "this machine has no such {package}: set {variable} to the version that the target has{example}"
            )
        }
        Kind::NoSpace => {
            "make room there and run again; what is in the cache already is not fetched again".to_owned()
        }
        Kind::NoLocks => NO_LOCKS.to_owned(),
        Kind::LongPath => {
            "pixi installs into a folder of the cache for a moment: give the cache a shorter path".to_owned()
        }
        Kind::Offline => "pixi's own configuration says offline; iwarm is for a connected machine".to_owned(),
        Kind::Denied => {
            "this user must be able to write all that is in the cache; give it with chown -R".to_owned()
        }
        Kind::Download(Download::Certificate) => {
            let untrusted = "where a proxy or mirror has a certificate of its own, PIXI_TLS_ROOT_CERTS=system lets pixi \
                             trust those of this machine";
            format!("{untrusted}; {}", network(proxies))
        }
        Kind::Download(Download::Status(407)) => {
            format!("the proxy wants a name and password in its URL; {}", network(proxies))
        }
        Kind::Download(_) => network(proxies),
        _ => "the last lines of pixi are above; it is run as: pixi install --frozen".to_owned(),
    }
}

fn free_mib(root: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(root).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize) >> 20)
}

/// The proxy variables that are set: never what to.
fn proxies() -> Vec<String> {
    const NAMES: [&str; 4] = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"];
    let set = std::env::vars_os().filter(|(_, value)| !value.is_empty());
    let names = set.filter_map(|(name, _)| name.into_string().ok());
    let mut names: Vec<String> = names.filter(|name| NAMES.contains(&name.to_lowercase().as_str())).collect();
    names.sort();
    names
}

fn network(proxies: &[String]) -> String {
    let through = match proxies {
        [] => "no proxy variable is set: where this machine needs one, set https_proxy".to_owned(),
        names => format!("pixi was given {}", names.join(", ")),
    };
    format!("{through}; mirrors are set in pixi's own configuration")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_way_out() {
        for (kind, expected) in [
            (
                Kind::Virtual("glibc".to_owned()),
                "this machine has no such glibc: set CONDA_OVERRIDE_GLIBC to the version that the target has",
            ),
            (Kind::NoLocks, NO_LOCKS),
            (
                Kind::Download(Download::Name),
                "pixi was given https_proxy; mirrors are set in pixi's own configuration",
            ),
        ] {
            assert_eq!(hint(&kind, &["https_proxy".to_owned()]), expected);
        }
        let hint = |download| hint(&Kind::Download(download), &[]);
        assert!(hint(Download::Status(403)).starts_with("no proxy variable is set"));
        assert!(hint(Download::Status(407)).starts_with("the proxy wants a name"));
        assert!(hint(Download::Certificate).contains("PIXI_TLS_ROOT_CERTS=system"));
    }
}
