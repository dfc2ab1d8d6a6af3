//! Root's way to the engine's log.
use super::{Boundary, PATIENT, SECRET, U};
use crate::kit::wait_for;
use rustix::process::Signal;
use serde_json::json;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::time::Duration;

/// U's instance, killed, whose log, or what its status says is the log, leads to a file of root's.
fn nothing_leaks(plant: impl Fn(&Boundary)) {
    let Some(boundary) = Boundary::new() else { return };
    let mut plan = boundary.keeping.plan("a", PATIENT);
    plan["user"] = json!("nobody");
    boundary.keeping.sandbox.write("plan.jsonl", format!("{plan}\n"));
    drop(boundary.keeping.sandbox.sh("tools/ilaunch < plan.jsonl > a.jsonl").exits(0));
    boundary.keeping.wait_for_log("a", "up\n");
    boundary.keeping.wait_for_state("a", "running");
    boundary.keeping.signal_keeper("a", Signal::KILL);
    boundary.keeping.wait_until_left("a");
    // His own log is told of.
    let told = boundary.keeping.sandbox.sh("iprobe < a.jsonl").exits(1).one("failed");
    assert_eq!(told["log_tail"][0], "up");
    plant(&boundary);
    for tool in ["iprobe < a.jsonl", "istat --log a", "istat", "istop"] {
        let output = boundary.keeping.sandbox.sh(&format!("timeout 20 {tool}"));
        assert!(!output.transcript().contains(SECRET), "{tool}: {}", output.transcript());
        assert!(output.code < 124, "{tool}: {}", output.transcript());
    }
}

#[test]
fn a_link_in_place_of_the_log_tells_nothing_of_what_it_leads_to() {
    nothing_leaks(|boundary| {
        let log = boundary.keeping.log_file("a");
        fs::remove_file(&log).unwrap();
        boundary.run_as(U, &["ln", "-s", &boundary.keeping.sandbox.text("secret"), log.to_str().unwrap()]);
    });
}

#[test]
fn a_log_file_that_the_status_names_is_read_with_its_users_rights() {
    nothing_leaks(|boundary| {
        let secret = boundary.keeping.sandbox.text("secret");
        boundary.set("status.json", "log_file", json!(secret));
        boundary.set("plan.json", "log_file", json!(secret));
    });
}

#[test]
fn a_log_folder_whose_parents_are_the_users_leads_to_no_folder_of_roots() {
    let Some(boundary) = Boundary::new() else { return };
    let sandbox = &boundary.keeping.sandbox;
    let theirs = sandbox.path("theirs");
    fs::create_dir(&theirs).unwrap();
    fs::create_dir(sandbox.path("roots")).unwrap();
    chown(&theirs, Some(U), Some(U)).unwrap();
    boundary.run_as(U, &["ln", "-s", &sandbox.text("roots"), &sandbox.text("theirs/link")]);
    let mut plan = boundary.keeping.plan("a", PATIENT);
    (plan["user"], plan["log_file"]) = (json!("nobody"), json!(sandbox.text("theirs/link/logs/a.log")));
    sandbox.write("plan.jsonl", format!("{plan}\n"));
    let output = sandbox.sh("tools/ilaunch < plan.jsonl").exits(69);
    assert!(output.stderr.contains("theirs/link/logs: Permission denied"), "{}", output.transcript());
    assert_eq!(fs::read_dir(sandbox.path("roots")).unwrap().count(), 0);
    // Folders in his own are his.
    plan["log_file"] = json!(sandbox.text("theirs/logs/a/a.log"));
    sandbox.write("plan.jsonl", format!("{plan}\n"));
    drop(sandbox.sh("tools/ilaunch < plan.jsonl").exits(0));
    for folder in ["theirs/logs", "theirs/logs/a"] {
        assert_eq!(sandbox.path(folder).metadata().unwrap().uid(), U, "{folder}");
    }
}

/// U has a maze of links on the way, so that a path takes its time, and puts a link to a file of root's in the place of every
/// folder that root makes, over and over.
const RACER: &str = "import os, sys
folder, target = sys.argv[1:]
os.chdir(folder)
os.symlink('.', 'maze0')
for n in range(1, 35):
    os.symlink('./' * 1500 + f'maze{n - 1}', f'maze{n}')
print('ready', flush=True)
def swap(name):
    try:
        os.rename(name, '..gone')
        os.symlink(target, name)
    except OSError:
        pass
    try:
        os.rmdir('..gone')
    except OSError:
        pass
for n in range(10 ** 9):
    swap('logs')
    if n % 20 == 0:
        for name in os.listdir('.'):
            if name.startswith('.logs'):
                swap(name)
            if os.path.islink(name) and not name.startswith('maze'):
                os.unlink(name)
";

#[test]
fn a_race_for_the_log_folder_gives_away_nothing_of_roots() {
    let Some(boundary) = Boundary::new() else { return };
    let sandbox = &boundary.keeping.sandbox;
    let theirs = sandbox.path("theirs");
    fs::create_dir(&theirs).unwrap();
    chown(&theirs, Some(U), Some(U)).unwrap();
    let (script, folder) = (sandbox.write("racer.py", RACER), sandbox.text("theirs"));
    let target = sandbox.text("secret");
    let mut command = boundary.as_user(U, &["python3", script.to_str().unwrap(), &folder, &target]);
    let _racer = super::Running::start(command.stdout(std::process::Stdio::null()));
    wait_for("the maze", Duration::from_secs(20), || theirs.join("maze34").is_symlink());
    let mut plan = boundary.keeping.plan("a", "exit 0");
    (plan["user"], plan["log_file"]) = (json!("nobody"), json!(sandbox.text("theirs/maze34/logs/a.log")));
    sandbox.write("plan.jsonl", format!("{plan}\n"));
    for _ in 0..if crate::kit::full() { 200 } else { 20 } {
        let output = sandbox.sh("timeout 60 tools/ilaunch < plan.jsonl");
        assert!([0, 1, 69, 75].contains(&output.code), "{}", output.transcript());
        let secret = sandbox.path("secret").metadata().unwrap();
        assert_eq!((secret.uid(), secret.mode() & 0o7777), (0, 0o600));
    }
}
