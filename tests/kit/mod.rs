//! A sandbox that runs real pipelines of the real tools, and what tests share beside it.
mod clients;
mod fake;
pub(crate) mod fixture;
mod front;
mod keeping;
mod killing;
mod loopback;
mod needs;
mod output;
mod pixi;
mod sandbox;
mod speaking;
mod stub;
mod tiny;

pub(crate) use clients::clients;
pub(crate) use fake::Fake;
pub(crate) use front::{Answer, Front, ask, read, read_chunk, read_head};
pub(crate) use keeping::{Keeping, send, started_in, untimed};
pub(crate) use killing::{Killed, kill_at_any_moment};
pub(crate) use loopback::Loopback;
pub(crate) use needs::{as_each, as_root, full, in_the_long_run, is_root, left_out, not_run};
pub(crate) use output::Output;
pub(crate) use pixi::Pixi;
pub(crate) use sandbox::Sandbox;
pub(crate) use speaking::{speaking, speaking_as};
pub(crate) use stub::{Stub, answer, begin_events};
pub(crate) use tiny::Tiny;

use std::fs::Permissions;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Where the tools are: where cargo put them, or copies that every user can run, where only root may enter a folder on the
/// way there and could give them to nobody else. A separate test package does not build them: `scripts/test` does, first.
pub(crate) fn tools() -> PathBuf {
    static TOOLS: OnceLock<PathBuf> = OnceLock::new();
    let made = || {
        let exe = std::env::current_exe().unwrap();
        let dir = exe.parent().unwrap().parent().unwrap().to_owned();
        assert!(dir.join("ienv").exists(), "no ienv in {}: run cargo build --workspace first", dir.display());
        if is_root() && !anybody_may_enter(&dir) { copied(&dir) } else { dir }
    };
    TOOLS.get_or_init(made).clone()
}

/// Whether every user may enter a folder, and all folders on the way there.
fn anybody_may_enter(dir: &Path) -> bool {
    let open = |dir: &Path| std::fs::metadata(dir).unwrap().permissions().mode() & 0o001 != 0;
    dir.ancestors().all(open)
}

/// A copy of the tools. A static is never dropped: a shell that reads from us to our end takes it away.
fn copied(dir: &Path) -> PathBuf {
    let copy = tempfile::Builder::new().prefix("infer-dev-tools-").tempdir().unwrap().keep();
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "read -r _; exec rm -r \"$0\""]).arg(&copy).stdin(Stdio::piped()).process_group(0);
    std::mem::forget(shell.spawn().unwrap());
    std::fs::set_permissions(&copy, Permissions::from_mode(0o755)).unwrap();
    let tools = crate::tree::tool_names().into_iter().map(|tool| dir.join(tool));
    // By a process of its own: what we write to while another test starts a child cannot be executed.
    assert!(Command::new("cp").arg("-t").arg(&copy).args(tools).status().unwrap().success());
    copy
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
