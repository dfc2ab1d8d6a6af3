//! A sandbox that runs real pipelines of the real tools, and what tests share beside it.
mod fake;
pub(crate) mod fixture;
mod keeping;
mod loopback;
mod output;
mod pixi;
mod sandbox;
mod speaking;
mod tiny;

pub(crate) use fake::Fake;
pub(crate) use keeping::{Keeping, send, started_in, untimed};
pub(crate) use loopback::Loopback;
pub(crate) use output::Output;
pub(crate) use pixi::Pixi;
pub(crate) use sandbox::Sandbox;
pub(crate) use speaking::speaking;
pub(crate) use tiny::Tiny;

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Where cargo put the tools. A separate test package does not build them: `scripts/test` does, first.
pub(crate) fn tools() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let dir = exe.parent().unwrap().parent().unwrap().to_owned();
    assert!(dir.join("ienv").exists(), "no ienv in {}: run cargo build --workspace first", dir.display());
    dir
}

/// Whether this is the long run, `scripts/test --full`.
pub(crate) fn full() -> bool {
    std::env::var_os("INFER_DEV_TEST_FULL").is_some_and(|full| full == "1")
}

/// A port that nobody holds and nobody else is given: below those that the kernel hands to whoever asks for any, and each
/// once in this process. Another run of the tests begins elsewhere.
pub(crate) fn free_port() -> u16 {
    const FIRST: u32 = 12_000;
    const COUNT: u32 = 16_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(797);
    let ports = (0..COUNT).map(|_| start.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % COUNT + FIRST);
    let mut ports = ports.map(|port| u16::try_from(port).unwrap());
    ports.find(|port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok()).unwrap()
}

/// Wait until `done` says so; panics after `limit` with `what` that was waited for.
pub(crate) fn wait_for(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < limit, "waited {limit:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a process of this id exists and is not a zombie.
pub(crate) fn alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}
