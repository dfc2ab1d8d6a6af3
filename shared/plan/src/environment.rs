//! The server's environment: what is set over the caller's and what of the caller's it does not get.
use record::{Control, Engine};
use std::collections::BTreeMap;

/// Variables of the caller that would change what a server does behind the TOML's back.
const DROPPED: [&str; 3] = ["LLAMA_API_KEY", "VLLM_API_KEY", "AIP_MODE"];

/// A server that compiles its Python anew at each start is slow for nothing. Images set it for their own build.
const BYTECODE: &str = "PYTHONDONTWRITEBYTECODE";

/// In both spellings.
const PROXIES: [&str; 5] = ["http_proxy", "https_proxy", "all_proxy", "ftp_proxy", "no_proxy"];

/// What keeps engines and the libraries under them from the network.
const OFFLINE: [&str; 5] =
    ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "VLLM_NO_USAGE_STATS", "DO_NOT_TRACK", "LLAMA_ARG_OFFLINE"];

/// Names of the caller's variables that a server does not get, unless the TOML sets them.
pub(crate) fn dropped(caller: &BTreeMap<String, String>, set: &[&str]) -> Vec<String> {
    let names = caller.keys().filter(|name| is_dropped(name) && !set.contains(&name.as_str()));
    names.cloned().collect()
}

fn is_dropped(name: &str) -> bool {
    name.starts_with("LLAMA_ARG_")
        || name.starts_with(variables::PREFIX)
        || DROPPED.contains(&name)
        || name == BYTECODE
        || PROXIES.contains(&name.to_ascii_lowercase().as_str())
}

/// Those of them whose loss an operator may notice: our own are meant for us, and no server is worse off without the one
/// that is for builds.
pub(crate) fn worth_a_warning(dropped: &[String]) -> impl Iterator<Item = &String> {
    dropped.iter().filter(|name| !name.starts_with(variables::PREFIX) && *name != BYTECODE)
}

/// What is set: what the program needs, what keeps it offline, the GPUs, and the TOML's own last.
pub(crate) fn set(
    mut env: BTreeMap<String, String>,
    engine: Engine,
    control: &Control,
    own: &[(String, String)],
) -> BTreeMap<String, String> {
    let mut put = |name: &str, value: &str| drop(env.insert(name.to_owned(), value.to_owned()));
    put("PYTHONUNBUFFERED", "1");
    if matches!(engine, Engine::Vllm | Engine::Sglang) {
        // A worker that dies of SIGILL or SIGSEGV says nothing by itself.
        put("PYTHONFAULTHANDLER", "1");
    }
    if control.offline {
        OFFLINE.iter().for_each(|name| put(name, "1"));
    }
    match control.gpu_ids.as_str() {
        "all" => {}
        "none" => put("CUDA_VISIBLE_DEVICES", ""),
        ids => {
            put("CUDA_VISIBLE_DEVICES", ids);
            // The order in which nvidia-smi counts, not the fastest first.
            put("CUDA_DEVICE_ORDER", "PCI_BUS_ID");
        }
    }
    env.extend(own.iter().cloned());
    env
}
