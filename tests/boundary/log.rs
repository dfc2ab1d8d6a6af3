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
fn a_link_in_place_of_the_log_shows_nothing_of_what_it_leads_to() {
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

/// Who is not root has his own rights and no others, so that no kernel asks whether U could read it.
#[test]
fn a_file_of_ours_makes_another_user_who_looks_read_nothing_of_his_own() {
    let Some(boundary) = Boundary::new() else { return };
    boundary.start(PATIENT);
    boundary.keeping.wait_for_log("a", "up\n");
    boundary.keeping.wait_for_state("a", "running");
    let sandbox = &boundary.keeping.sandbox;
    drop(sandbox.sh("chmod 755 .; mkdir -m 700 vs; chmod 711 run; chmod 644 a.jsonl").exits(0));
    for tool in ["istat", "iprobe"] {
        sandbox.own_tool(tool, &format!("tools/{tool}"));
    }
    for name in ["vs/secret", "vs/open"] {
        sandbox.write(name, format!("{SECRET}\n"));
    }
    drop(sandbox.sh("chmod 600 vs/secret; chown -R 1:1 vs").exits(0));
    boundary.keeping.signal_keeper("a", Signal::KILL);
    boundary.keeping.wait_until_left("a");
    let state = sandbox.text("run/llama-cpp/a");
    for (name, seen) in [("vs/secret", false), ("vs/open", false), ("logs/a.log", true)] {
        boundary.set("status.json", "log_file", json!(sandbox.text(name)));
        for tool in ["istat --log a", &format!("iprobe --once --state {state}")] {
            let run = format!("cd /; exec timeout 20 {}/tools/{tool}", sandbox.path("").display());
            let output = boundary.as_user(super::V, &["sh", "-c", &run]).output().unwrap();
            let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            assert!(!said.contains(SECRET), "{name} {tool}: {said}");
            assert!(!seen || !tool.contains("--log") || said.contains("up"), "{name} {tool}: {said}");
        }
    }
}

#[test]
fn what_engines_compile_is_never_in_a_folder_that_another_user_has() {
    let Some(boundary) = Boundary::new() else { return };
    let sandbox = &boundary.keeping.sandbox;
    let mut plan = boundary.keeping.plan("a", PATIENT);
    let caches = sandbox.path("caches");
    (plan["user"], plan["cache_dir"]) = (json!("nobody"), json!(caches.join("llama-cpp-1.65534")));
    sandbox.write("plan.jsonl", format!("{plan}\n"));
    drop(sandbox.sh("tools/ilaunch < plan.jsonl").exits(0));
    let whose =
        |path: &std::path::Path| (path.metadata().unwrap().uid(), path.metadata().unwrap().mode() & 0o7777);
    assert_eq!((whose(&caches), whose(&caches.join("llama-cpp-1.65534"))), ((0, 0o1777), (U, 0o700)));
    boundary.keeping.stop("a");
    // He who has it renames what is in it, sticky or not.
    chown(&caches, Some(super::V), None).unwrap();
    let refused = sandbox.sh("tools/ilaunch < plan.jsonl").exits(69);
    assert!(refused.stderr.contains("caches belongs to uid 1, who could put another"), "{}", refused.stderr);
    chown(&caches, Some(U), None).unwrap();
    drop(sandbox.sh("tools/ilaunch < plan.jsonl").exits(0));
}
