//! What surrounds pixi and its like when they run: which variables they get, and which of the caller's they do not.
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// Whether the network may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// A connected machine: the caller's proxies, certificates and pixi configuration count.
    Connected,
    /// None: what is configured on this machine cannot change the result.
    Offline,
}

/// Variables of an activated environment, or of a shell inside pixi, that would make another environment of ours, or other
/// words of what is said.
const FOREIGN: [&str; 10] = [
    "CONDA_PREFIX",
    "CONDA_DEFAULT_ENV",
    "CONDA_SHLVL",
    "VIRTUAL_ENV",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "LD_PRELOAD",
    // A backtrace would push what it panicked over out of the last lines.
    "RUST_BACKTRACE",
    "RUST_LIB_BACKTRACE",
];

/// pixi's own variables that a connected run keeps: they say how the network is reached.
const CONNECTING: [&str; 3] = ["PIXI_TLS_NO_VERIFY", "PIXI_TLS_ROOT_CERTS", "PIXI_HOME"];

/// Give `command` what `ienv` resolved (`variables`), a private folder for temporary files, and what `network` calls for;
/// take away what an activated environment, or settings of the caller's, would change.
///
/// Sealed programs lose proxies and get their offline switches from `iseal` as well.
pub fn set_environment(
    command: &mut Command,
    variables: &BTreeMap<String, String>,
    tmp: &Path,
    network: Network,
) {
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_foreign(name, network)) {
        command.env_remove(name);
    }
    command.envs(variables).env("TMPDIR", tmp).env("NO_COLOR", "1");
    if network == Network::Offline {
        command.env("PIXI_OFFLINE", "1").env("PIXI_NO_CONFIG", "1");
    }
}

fn is_foreign(name: &OsStr, network: Network) -> bool {
    let Some(name) = name.to_str() else { return false };
    let keeps = network == Network::Connected && CONNECTING.contains(&name);
    FOREIGN.contains(&name) || (name.starts_with("PIXI_") && !keeps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connected_pixi_keeps_how_it_connects_and_an_offline_one_nothing() {
        let foreign = |name: &str, network| is_foreign(OsStr::new(name), network);
        for network in [Network::Connected, Network::Offline] {
            assert!(foreign("PIXI_FROZEN", network) && foreign("VIRTUAL_ENV", network));
            assert!(foreign("RUST_BACKTRACE", network) && foreign("RUST_LIB_BACKTRACE", network));
            assert!(!foreign("CONDA_OVERRIDE_CUDA", network) && !foreign("HTTPS_PROXY", network));
        }
        assert!(!foreign("PIXI_TLS_ROOT_CERTS", Network::Connected));
        assert!(foreign("PIXI_TLS_ROOT_CERTS", Network::Offline));
    }
}
