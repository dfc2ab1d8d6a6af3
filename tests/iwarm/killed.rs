//! Two runs at once, and a run that is killed.
use super::{Connected, VOLUME};
use crate::kit::{Killed, kill_at_any_moment, wait_for};
use std::process::{Child, Stdio};
use std::time::Duration;

#[test]
fn two_at_once_take_turns() {
    let connected = Connected::new();
    connected.served.hold(Some("tinylib"));
    let script = "ienv sglang > env; iwarm < env > a 2> a.err & first=$!
                  until [ -e asked ]; do sleep 0.02; done
                  iwarm --wait 0 < env > none || echo $?
                  iwarm < env > b 2> b.err & second=$!
                  until grep -q waiting b.err; do sleep 0.02; done
                  touch waiting; wait $first; wait $second; cat a b; cat b.err >&2";
    let mut child = spawn(&connected, script);
    wait_for("the first to fetch", LIMIT, || asked(&connected, "tinylib"));
    connected.sandbox.write("asked", "");
    wait_for("the second to wait", LIMIT, || connected.sandbox.path("waiting").exists());
    connected.served.hold(None);
    assert!(child.wait().unwrap().success());
    let said = connected.sandbox.read("out");
    assert!(said.starts_with("75\n") && said.matches("\"warmed\"").count() == 2, "{said}");
    assert!(connected.sandbox.read("err").contains("waiting for another iwarm that holds "));
    assert_eq!(connected.sh("ienv sglang | icache --deep").exits(0).one("cache")["gaps"], 0);
}

const LIMIT: Duration = Duration::from_secs(300);

fn asked(connected: &Connected, word: &str) -> bool {
    connected.served.heads().iter().any(|head| head.lines().next().unwrap_or_default().contains(word))
}

/// Run a script where the cache is a volume; what it says goes to `out` and `err`.
fn spawn(connected: &Connected, script: &str) -> Child {
    let file = |name| std::fs::File::create(connected.sandbox.path(name)).unwrap();
    let mut command = connected.mounted(VOLUME, script);
    command.stdin(Stdio::null()).stdout(file("out")).stderr(file("err")).spawn().unwrap()
}

#[test]
fn killed_in_the_middle_it_takes_pixi_with_it_and_the_next_run_finishes() {
    let connected = Connected::new();
    assert_eq!(connected.sandbox.sh("ienv sglang > env").exits(0).stderr, "");
    for (word, signal) in [("tinylib", "TERM"), ("pypi/idna", "KILL")] {
        connected.served.hold(Some(word));
        let before = connected.served.heads().len();
        let mut child = spawn(&connected, "exec iwarm < env");
        let fetches = || connected.served.heads()[before..].iter().any(|head| head.contains(word));
        wait_for("pixi to fetch", LIMIT, || fetches() || child.try_wait().unwrap().is_some());
        assert!(child.try_wait().unwrap().is_none(), "{}", connected.sandbox.read("err"));
        assert!(connected.at_work() > 0);
        let kill = format!("kill -{signal} {}", child.id());
        assert_eq!(connected.sandbox.sh(&kill).exits(0).stderr, "");
        assert!(child.wait().unwrap().code().is_none());
        let pixi = format!("flock -w 60 {} true", connected.sandbox.text("volume/cache/.warm.lock"));
        assert_eq!(connected.sandbox.sh(&pixi).exits(0).stderr, "");
        assert!(connected.names().iter().any(|name| name.starts_with(".warm-")));
        connected.served.hold(None);
        connected.warm().exits(0).one("warmed");
        assert!(connected.names().iter().all(|name| !name.starts_with(".warm-")), "{:?}", connected.names());
        assert_eq!(connected.sh("ienv sglang | icache --deep").exits(0).one("cache")["gaps"], 0);
        assert_eq!(connected.sandbox.sh("rm -r volume/cache").exits(0).stderr, "");
    }
}

#[test]
fn killed_at_any_moment_the_next_run_has_a_cache_without_gaps() {
    let connected = Connected::new();
    assert_eq!(connected.sandbox.sh("ienv sglang > env").exits(0).stderr, "");
    let begun = std::time::Instant::now();
    connected.warm().exits(0).one("warmed");
    let whole = begun.elapsed();
    let start = |_| {
        assert_eq!(connected.sandbox.sh("rm -r volume/cache").exits(0).stderr, "");
        spawn(&connected, "exec iwarm < env")
    };
    kill_at_any_moment(("iwarm", 3, whole), Killed::Process, start, |_| {
        connected.warm().exits(0).one("warmed");
        assert!(connected.names().iter().all(|name| !name.starts_with(".warm-")), "{:?}", connected.names());
        assert_eq!(connected.sh("ienv sglang | icache --deep").exits(0).one("cache")["gaps"], 0);
    });
}
