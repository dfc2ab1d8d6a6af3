//! Whom root can be made to signal.
use super::{Boundary, PATIENT, Running, U, V};
use crate::kit::wait_for;
use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;
use std::time::Duration;

/// Holds a POSIX lock on the file that it is given.
const HOLDER: &str = "import fcntl, sys, time
file = open(sys.argv[1], 'r+')
fcntl.lockf(file, fcntl.LOCK_EX)
open(sys.argv[2], 'w').close()
time.sleep(1000)";

fn holder(boundary: &Boundary, uid: Option<u32>, lock: &str) -> Running {
    let sandbox = &boundary.keeping.sandbox;
    let ready = sandbox.text(&format!("ready/{}", uid.unwrap_or(0)));
    fs::create_dir_all(sandbox.path("ready")).unwrap();
    chown(sandbox.path("ready"), uid, uid).unwrap();
    let command = ["python3", "-c", HOLDER, lock, &ready];
    let mut command = match uid {
        Some(uid) => boundary.as_user(uid, &command),
        None => {
            let mut own = sandbox.command("python3");
            own.args(&command[1..]);
            own
        }
    };
    let running = Running::start(&mut command);
    wait_for("the lock", Duration::from_secs(20), || fs::metadata(&ready).is_ok());
    running
}

#[test]
fn a_process_of_roots_that_holds_a_lock_behind_a_planted_link_is_left_alone() {
    let Some(boundary) = Boundary::new() else { return };
    let sandbox = &boundary.keeping.sandbox;
    fs::create_dir(sandbox.path("daemon")).unwrap();
    sandbox.write("daemon/lock", "");
    sandbox.write("daemon/status.json", "{}");
    let mut victim = holder(&boundary, None, &sandbox.text("daemon/lock"));
    // V's run directory, and V's link in one that V may write.
    let planted = sandbox.path("planted/llama-cpp");
    fs::create_dir_all(&planted).unwrap();
    for folder in [sandbox.path("planted"), planted] {
        chown(folder, Some(V), Some(V)).unwrap();
    }
    boundary.run_as(V, &["ln", "-s", &sandbox.text("daemon"), &sandbox.text("planted/llama-cpp/x")]);
    let output = sandbox.sh("istop --run-dir planted").exits(69);
    assert!(output.stderr.contains("belongs to uid 1"), "{}", output.transcript());
    // The same link in root's own run directory is no state directory.
    fs::create_dir_all(sandbox.path("run/llama-cpp")).unwrap();
    std::os::unix::fs::symlink(sandbox.path("daemon"), sandbox.path("run/llama-cpp/x")).unwrap();
    drop(sandbox.sh("istop"));
    assert!(victim.lives());
    fs::remove_file(sandbox.path("run/llama-cpp/x")).unwrap();
}

#[test]
fn a_lock_that_is_held_by_somebody_elses_process_does_not_end_it() {
    let Some(boundary) = Boundary::new() else { return };
    boundary.start(PATIENT);
    boundary.keeping.wait_for_state("a", "running");
    boundary.keeping.stop("a");
    let lock = boundary.state("lock");
    let mut own = holder(&boundary, Some(U), lock.to_str().unwrap());
    boundary.set("status.json", "state", serde_json::json!("running"));
    // He is no keeper.
    let output = boundary.keeping.sandbox.sh("istop").exits(75);
    assert!(output.stderr.contains("holds its lock and is no keeper"), "{}", output.transcript());
    assert!(own.lives());
    drop(own);
    // One of root's or of V's is not U's to have ended, whatever it is called and whoever is asked to end it.
    let mut victim = called_keeper(&boundary, 0, &lock);
    let output = boundary.keeping.sandbox.sh("istop").exits(69);
    assert!(output.stderr.contains("Operation not permitted"), "{}", output.transcript());
    assert!(victim.lives());
    drop(victim);
    let sandbox = &boundary.keeping.sandbox;
    sandbox.own_tool("istop", "tools/istop");
    drop(sandbox.sh("chmod 711 run; chmod 666 run/llama-cpp/a/lock").exits(0));
    let mut victim = called_keeper(&boundary, V, &lock);
    let output = boundary.as_user(V, &[&sandbox.text("tools/istop"), "a"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("Operation not permitted"), "{said}");
    assert!(output.status.code() == Some(69) && victim.lives());
}

/// A process of this user's that is called as a keeper is, and holds a lock.
fn called_keeper(boundary: &Boundary, uid: u32, lock: &Path) -> Running {
    let sandbox = &boundary.keeping.sandbox;
    let python =
        std::process::Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
    let python = String::from_utf8(python.unwrap().stdout).unwrap();
    let folder = sandbox.path(&format!("called-{uid}"));
    fs::create_dir(&folder).unwrap();
    chown(&folder, Some(uid), Some(uid)).unwrap();
    let [ikeep, ready] = ["ikeep", "ready"].map(|name| folder.join(name).display().to_string());
    std::os::unix::fs::symlink(python.trim(), &ikeep).unwrap();
    let mut command = boundary.as_user(uid, &[&ikeep, "-c", HOLDER, lock.to_str().unwrap(), &ready]);
    let running = Running::start(&mut command);
    wait_for("the lock", Duration::from_secs(20), || fs::metadata(&ready).is_ok());
    running
}
