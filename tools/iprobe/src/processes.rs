//! The engine's processes, and whether it is they who listen, looked at with their user's rights.
use owner::Owner;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tree::{Listening, Process, Usage};

/// vLLM sets SO_REUSEPORT: that somebody answers on the port does not say that it is ours.
pub(crate) fn port_is_ours(host: &str, port: u16, keeper: u32, user: &Owner) -> Result<(), String> {
    let asked = match host.parse() {
        Ok(IpAddr::V4(all)) if all.is_unspecified() => Some(Ipv4Addr::LOCALHOST.into()),
        Ok(IpAddr::V6(all)) if all.is_unspecified() => Some(Ipv6Addr::LOCALHOST.into()),
        Ok(address) => Some(address),
        Err(_) => None,
    };
    let look = || tree::listening(asked, port, &tree::family(keeper));
    let Ok(Listening::Stranger(pid)) = user.act(look) else { return Ok(()) };
    let who =
        pid.map(|pid| format!(" ({pid} {})", Process::name(pid).unwrap_or_default())).unwrap_or_default();
    Err(format!("another process{who} listens on port {port}"))
}

/// What descends from the keeper, and what it holds.
pub(crate) fn processes(keeper: u32, user: &Owner) -> (Vec<Process>, Usage) {
    let look = || {
        let processes = tree::family(keeper);
        let usage = tree::usage(&processes);
        (processes, usage)
    };
    user.act(look).unwrap_or_default()
}
