//! What crosses from the process that installs as another user, who may take its pipe, stop it, and plant links.
use super::Site;
use super::pack::Pack;
use crate::kit::{Output, as_root, not_run, root};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// nobody, whose engine it is, and daemon, somebody else.
const U: u32 = 65534;
const V: u32 = 1;

/// A site whose engine is nobody's, with an archive that only root may read.
fn site() -> Site {
    let mut site = Site::new();
    fs::set_permissions(site.sandbox.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(site.sandbox.path("private")).unwrap();
    fs::set_permissions(site.sandbox.path("private"), fs::Permissions::from_mode(0o700)).unwrap();
    site.save("private/a.tar.gz", Pack::good());
    site.set("archive", site.sandbox.text("private/a.tar.gz"));
    site.set("user", "nobody");
    site.set("install_dir", site.sandbox.text("engine/llama"));
    site
}

/// A folder of somebody's.
fn folder_of(site: &Site, name: &str, uid: u32) {
    fs::create_dir_all(site.sandbox.path(name)).unwrap();
    chown(site.sandbox.path(name), Some(uid), Some(uid)).unwrap();
}

fn owner(path: impl AsRef<Path>) -> u32 {
    path.as_ref().symlink_metadata().unwrap().uid()
}

/// nobody's other process, which waits for the child.
struct Taker {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
}

impl Taker {
    /// It holds the lock that the child will wait for.
    fn start(site: &Site, act: &str, text: &str) -> Self {
        drop(site.run("").exits(0));
        let lock = site.home().join(".installs/.lock");
        let script = site.sandbox.write("taker.py", fs::read(root().join("tests/data/taker.py")).unwrap());
        let mut command = site.sandbox.command("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "python3"]).arg(script);
        command.arg("iinstall").arg(lock).args([act, text]).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut taker = Self { child, said };
        assert_eq!(taker.line(), "locked");
        taker
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Taker {
    fn drop(&mut self) {
        kill_process(Pid::from_child(&self.child), Signal::KILL).ok();
        self.child.wait().unwrap();
    }
}

/// Install while nobody does `act`; `None` where this kernel lets nobody take a descriptor.
fn installed_beside(site: &Site, act: &str, text: &str) -> Option<Output> {
    let mut taker = Taker::start(site, act, text);
    let begun = Instant::now();
    let output = site.run("--wait 60");
    assert!(begun.elapsed() < Duration::from_secs(30), "the end of the child ends it");
    let said = taker.line();
    if said.starts_with("refused") {
        not_run(&said);
        return None;
    }
    assert_eq!(said, "acted", "{}", output.transcript());
    Some(output)
}

#[test]
fn of_what_another_process_of_the_user_writes_into_the_pipe_no_plan_crosses() {
    if !as_root() {
        return;
    }
    let site = site();
    let forged = [
        json!({"kind": "plan", "engine": "llama-cpp", "instance": "a", "workspace": "/", "config": "/",
            "config_sha256": "0", "program": "/bin/sh", "args": [], "env_set": {}, "host": "127.0.0.1", "port": 1,
            "log_file": "/l", "state_dir": "/s", "gpu_ids": "all", "hash": "1", "control": {
                "background": true, "log_max_mib": 64, "log_keep": 3, "gpu_ids": "all", "share_gpu": false,
                "restart": "on-failure", "max_restarts": 5, "backoff_ms": 1000, "ready_rung": "answering",
                "ready_timeout_s": 60, "stall_timeout_s": 60, "stop_timeout_s": 20, "offline": true,
                "via_pixi": false}}),
        json!({"kind": "env", "engine": "llama-cpp", "origin": {}, "workspace": "/", "run_dir": "/", "log_dir": "/"}),
        json!({"kind": "skipped", "engine": "vllm", "by": "iplan", "why": "forged"}),
        json!({"kind": "weather", "sun": true}),
        json!({"kind": "warning", "engine": "vllm", "instance": "x", "rule": "r", "what": "\u{1b}[2Jw", "hint": "h"}),
    ];
    let text: String = forged.iter().map(|record| format!("{record}\n")).collect();
    let Some(output) = installed_beside(&site, "write", &text) else { return };
    let output = output.exits(0);
    assert_eq!(output.kinds(), ["env", "warning", "installed"]);
    let warning = output.one("warning");
    assert_eq!((&warning["engine"], &warning["what"]), (&json!("llama-cpp"), &json!("\u{fffd}[2Jw")));
    assert_eq!(warning.get("instance"), None);
}

#[test]
fn an_install_elsewhere_than_in_its_folder_does_not_cross() {
    if !as_root() {
        return;
    }
    let site = site();
    let mut forged = json!({"kind": "installed", "engine": "llama-cpp", "id": "0", "path": "/etc", "seal": "none",
        "seconds": 0.0});
    let refused = |forged: &Value| {
        let Some(output) = installed_beside(&site, "write", &format!("{forged}\n")) else { return };
        let failed = output.exits(65).one("failed");
        assert_eq!(failed["what"], "cannot use what iinstall said as another user");
        let cause = failed["cause"].as_str().unwrap();
        assert!(cause.ends_with("as a part of the install in $SANDBOX/engine/llama"), "{cause}");
    };
    refused(&forged);
    forged["path"] = json!(site.home().join(".installs/x"));
    forged["executable"] = json!(site.home().join(".installs/x/../../../../../bin/sh"));
    refused(&forged);
}

#[test]
fn a_user_cannot_make_root_read_without_end() {
    if !as_root() {
        return;
    }
    let site = site();
    if let Some(output) = installed_beside(&site, "flood", "") {
        assert_eq!(output.exits(65).one("failed")["cause"], "it wrote more than records are");
    }
    if let Some(output) = installed_beside(&site, "stop", "") {
        assert_eq!(output.exits(75).one("failed")["cause"], "somebody has stopped it");
    }
}

#[test]
fn what_was_set_for_other_engines_is_not_in_the_environment_of_the_users_process() {
    if !as_root() {
        return;
    }
    let mut site = site();
    site.sandbox.set("AUTO_INFER_VLLM_OVERRIDES", r#"{"a":{"server":{"api_key":"SECRET"}}}"#);
    site.sandbox.set("AUTO_INFER_LITELLM_MASTER_KEY", "SECRET");
    let mut taker = Taker::start(&site, "environ", "");
    drop(site.run("--wait 60").exits(0));
    let mut environ = Vec::new();
    loop {
        let line = taker.line();
        if line == "acted" || line.starts_with("refused") {
            break;
        }
        environ.push(line);
    }
    assert!(environ.iter().any(|line| line == "HOME=/nonexistent"), "{environ:?}");
    assert!(
        !environ.iter().any(|line| line.contains("AUTO_INFER_") || line.contains("SECRET")),
        "{environ:?}"
    );
}

#[test]
fn a_link_that_a_user_planted_opens_no_archive_that_he_may_not_read() {
    if !as_root() {
        return;
    }
    let mut site = site();
    let archive = site.sandbox.path("private/a.tar.gz");
    for uid in [U, V] {
        folder_of(&site, "theirs", uid);
        drop(fs::remove_file(site.sandbox.path("theirs/a.tar.gz")));
        symlink(&archive, site.sandbox.path("theirs/a.tar.gz")).unwrap();
        let failed = site.install(site.sandbox.path("theirs/a.tar.gz")).exits(69).one("failed");
        assert_eq!(failed["what"], "cannot read $SANDBOX/theirs/a.tar.gz");
        assert_eq!(failed["cause"], "Permission denied", "uid {uid}");
    }
    // On the way, and with a folder that anybody may write.
    fs::remove_file(site.sandbox.path("theirs/a.tar.gz")).unwrap();
    symlink(site.sandbox.path("private"), site.sandbox.path("theirs/way")).unwrap();
    assert_eq!(site.install(site.sandbox.path("theirs/way/a.tar.gz")).exits(69).all("failed").len(), 1);
    fs::create_dir(site.sandbox.path("open")).unwrap();
    fs::set_permissions(site.sandbox.path("open"), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::hard_link(&archive, site.sandbox.path("open/a.tar.gz")).unwrap();
    fs::set_permissions(&archive, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(site.install(site.sandbox.path("open/a.tar.gz")).exits(69).all("failed").len(), 1);
    assert!(!site.sandbox.path("engine").exists(), "nothing was made");

    // The operator's own link, and what its owner may read, are followed.
    symlink("private/a.tar.gz", site.sandbox.path("ours.tar.gz")).unwrap();
    drop(site.install(site.sandbox.path("ours.tar.gz")).exits(0));
    fs::copy(&archive, site.sandbox.path("theirs/own.tar.gz")).unwrap();
    chown(site.sandbox.path("theirs/own.tar.gz"), Some(V), Some(V)).unwrap();
    fs::set_permissions(site.sandbox.path("theirs/own.tar.gz"), fs::Permissions::from_mode(0o600)).unwrap();
    drop(site.install(site.sandbox.path("theirs/own.tar.gz")).exits(0));
}

#[test]
fn a_link_that_a_user_planted_makes_no_folder_where_he_may_make_none() {
    if !as_root() {
        return;
    }
    for uid in [U, V] {
        let mut site = site();
        fs::create_dir(site.sandbox.path("roots")).unwrap();
        folder_of(&site, "theirs", uid);
        symlink(site.sandbox.path("roots"), site.sandbox.path("theirs/way")).unwrap();
        let nothing = |site: &Site| assert_eq!(fs::read_dir(site.sandbox.path("roots")).unwrap().count(), 0);
        site.set("install_dir", site.sandbox.text("theirs/way/llama"));
        let failed = site.run("").exits(69).one("failed");
        assert_eq!(failed["what"], "cannot make $SANDBOX/theirs/way/llama");
        assert_eq!(failed["cause"], "Permission denied");
        nothing(&site);
        // A parent alone, and what becomes of folders that came to nothing.
        site.set("install_dir", site.sandbox.text("theirs/way/more/llama"));
        assert_eq!(site.run("").exits(69).all("failed").len(), 1);
        nothing(&site);
        site.set("install_dir", site.sandbox.text("engine/llama"));
        site.set("archive_cache_dir", site.sandbox.text("theirs/way/cache"));
        assert_eq!(site.run("").exits(69).all("failed").len(), 1);
        nothing(&site);
        assert!(!site.sandbox.path("engine").exists());
    }
}

#[test]
fn a_folder_below_somebodys_own_is_made_with_his_rights_and_the_last_is_given_away() {
    if !as_root() {
        return;
    }
    for (uid, above) in [(U, U), (V, V)] {
        let mut site = site();
        folder_of(&site, "theirs", uid);
        site.set("install_dir", site.sandbox.text("theirs/new/llama"));
        drop(site.run("").exits(0));
        assert_eq!(owner(site.sandbox.path("theirs/new")), above);
        assert_eq!(owner(site.home()), U);
        drop(site.run("").exits(0));
    }
}
