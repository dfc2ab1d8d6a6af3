//! Two installs at once, and an install that is killed.
use super::{Cached, LIMIT, path};
use crate::fuzz::SeededRng;
use crate::kit::{Pixi, alive, full, send, tools, wait_for};
use rustix::process::Signal;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

#[test]
fn two_at_once_make_one_install() {
    let site = Cached::new();
    let output = site.sandbox.sh("ienv sglang | icache > stream
        iinstall < stream > one & iinstall < stream > two; wait $!
        cat one two");
    let installed = output.exits(0).all("installed");
    assert_eq!(installed.len(), 2);
    assert_eq!(installed.iter().filter(|record| record["reused"] == true).count(), 1);
    assert_eq!(site.installs().len(), 1);
    assert_eq!(site.imports(), "1.17.0 3.20\n");
}

/// The command lines of processes that were given a path below `folder`.
fn at_work(folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    let entries = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path().join("cmdline"));
    let lines = entries.map(|path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned());
    lines.filter(|line| line.contains(&folder)).collect()
}

#[test]
fn what_pixi_started_keeps_others_out_when_iinstall_was_killed() {
    let mut site = Cached::new();
    let started = site.sandbox.text("started");
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = --version ]; then echo pixi 0.77.0; exit; fi
        sleep 600 > /dev/null 2>&1 &\necho $! > {started}.new; mv {started}.new {started}; wait\n"
    );
    let program = site.sandbox.script("fake/pixi", &script);
    path(&mut site.sandbox, program.parent().unwrap());
    drop(site.sandbox.sh("ienv sglang > stream").exits(0));
    let mut command = site.sandbox.command(tools().join("iinstall"));
    command.stdin(fs::File::open(site.sandbox.path("stream")).unwrap());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("pixi's child", LIMIT, || Path::new(&started).exists());
    child.kill().unwrap();
    child.wait().unwrap();
    let grandchild: u32 = site.sandbox.read("started").trim().parse().unwrap();
    wait_for("pixi's end", LIMIT, || at_work(&site.home()).is_empty());
    assert!(alive(grandchild));
    let failed = site.sandbox.sh("iinstall --wait 0 < stream").exits(75).one("failed");
    assert!(failed["cause"].as_str().unwrap().contains("what a killed one left running"), "{failed}");

    send(grandchild, Signal::KILL);
    path(&mut site.sandbox, &Pixi::get().bin);
    drop(site.sandbox.sh("iinstall < stream").exits(0));
    assert_eq!(site.imports(), "1.17.0 3.20\n");
    assert_eq!(site.installs().len(), 1);
}

#[test]
fn killed_at_any_moment_current_is_whole_and_no_pixi_goes_on() {
    let site = Cached::new();
    drop(site.sandbox.sh("ienv sglang > stream").exits(0));
    let mut seeded_rng = SeededRng::new();
    let rounds = if full() { 100 } else { 6 };
    for round in 0..rounds {
        // Each round has something to do: another template.
        site.sandbox.write("template/scripts/round", round.to_string());
        let mut command = site.sandbox.command(tools().join("iinstall"));
        command.stdin(fs::File::open(site.sandbox.path("stream")).unwrap());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // The moment is what is tested; there is no event to wait for.
        std::thread::sleep(seeded_rng.moment(Duration::from_secs(1)));
        child.kill().unwrap();
        let finished = child.wait().unwrap().success();
        if site.home().join("current").exists() {
            assert_eq!(site.imports(), "1.17.0 3.20\n", "round {round}");
        } else {
            assert!(!finished, "it finished and nothing is current");
        }
        if site.home().join(".installs/.lock").exists() {
            let lock = fs::File::open(site.home().join(".installs/.lock")).unwrap();
            let free = || {
                use rustix::fs::{FlockOperation, flock};
                flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok()
            };
            wait_for("the lock, which whoever installs holds", LIMIT, free);
            assert_eq!(at_work(&site.home()), [""; 0], "round {round}: behind a free lock");
        }
    }
    let output = site.sandbox.sh("iinstall < stream").exits(0);
    assert!(output.all("installed").len() == 1);
    assert_eq!(site.imports(), "1.17.0 3.20\n");
    assert!(site.installs().len() <= 2, "{:?}", site.installs());
}
