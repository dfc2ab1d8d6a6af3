//! What the command's environment says about the network: no proxies, and the variables by which tools know that they are offline.
use std::ffi::OsStr;
use std::process::Command;

/// The variables by which tools are told to stay offline, or to send no statistics. An offline tool fails at once, and does
/// not try, wait and try again.
const SWITCHES: [(&str, &str); 15] = [
    ("PIXI_OFFLINE", "1"),
    ("UV_OFFLINE", "1"),
    ("PIP_NO_INDEX", "1"),
    ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
    ("CONDA_OFFLINE", "true"),
    ("MAMBA_OFFLINE", "true"),
    ("HF_HUB_OFFLINE", "1"),
    ("HF_DATASETS_OFFLINE", "1"),
    ("TRANSFORMERS_OFFLINE", "1"),
    ("LLAMA_ARG_OFFLINE", "1"),
    ("VLLM_NO_USAGE_STATS", "1"),
    ("DO_NOT_TRACK", "1"),
    ("CARGO_NET_OFFLINE", "true"),
    ("npm_config_offline", "true"),
    ("GOPROXY", "off"),
];

/// Take the proxies out of the environment that `command` inherits and set the switches.
pub(crate) fn prepare(command: &mut Command) {
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_proxy(name)) {
        command.env_remove(name);
    }
    command.envs(SWITCHES);
}

/// `http_proxy`, `ALL_PROXY`, `no_proxy`, `PIP_PROXY`, `npm_config_https_proxy`: there are as many as there are tools.
fn is_proxy(name: &OsStr) -> bool {
    name.to_ascii_lowercase().as_encoded_bytes().ends_with(b"_proxy")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_a_proxy_in_any_case_and_for_any_tool() {
        for name in ["http_proxy", "HTTPS_PROXY", "No_Proxy", "all_proxy", "UV_HTTPS_PROXY", "PIP_PROXY"] {
            assert!(is_proxy(OsStr::new(name)), "{name}");
        }
        for name in ["PROXY_COMMAND", "proxy", "AUTO_INFER_LITELLM_PROXY_PORT", "HOME"] {
            assert!(!is_proxy(OsStr::new(name)), "{name}");
        }
    }
}
