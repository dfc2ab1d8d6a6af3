//! State that is removed under a running engine.
use super::{LIMIT, PATIENT};
use crate::kit::{Keeping, alive, as_root, full, send, tools, wait_for};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

/// Says `up` and ignores TERM.
const STUBBORN: &str = "trap '' TERM; echo up; exec sleep 1000";

fn pid(keeping: &Keeping) -> u32 {
    u32::try_from(keeping.status("a")["pid"].as_u64().unwrap()).unwrap()
}

fn remove(keeping: &Keeping) {
    fs::remove_dir_all(keeping.sandbox.path("run")).unwrap();
}

fn wait_until_written(keeping: &Keeping, keeper: u32) {
    let there = || keeping.keeper("a") == Some(keeper) && keeping.status("a")["state"] == "running";
    wait_for("the state to be written again", LIMIT, there);
}

#[test]
fn a_run_directory_that_is_removed_is_written_again_with_its_lock() {
    let keeping = Keeping::new();
    keeping.start("a", PATIENT);
    let (keeper, engine) = (keeping.keeper("a").unwrap(), pid(&keeping));
    let files = || {
        let entries = fs::read_dir(keeping.state_dir("a")).unwrap().map(Result::unwrap);
        let mode = |entry: &fs::DirEntry| entry.metadata().unwrap().permissions().mode() & 0o7777;
        let mut files: Vec<_> = entries.map(|entry| (entry.file_name(), mode(&entry))).collect();
        files.sort();
        files
    };
    let (before, plan) = (files(), fs::read(keeping.state_dir("a").join("plan.json")).unwrap());
    remove(&keeping);
    wait_until_written(&keeping, keeper);
    assert_eq!(files(), before);
    assert_eq!(fs::read(keeping.state_dir("a").join("plan.json")).unwrap(), plan);
    assert_eq!(pid(&keeping), engine);
    keeping.wait_for_log("a", "the state directory was removed, and is written again");
    let stopped = keeping.sandbox.sh("istop a").exits(0).one("stopped");
    assert_eq!((&stopped["how"], &stopped["orphans"]), (&json!("term"), &json!(0)));
    assert!(!alive(engine) && keeping.processes().is_empty());
}

#[test]
fn whatever_of_it_is_removed_or_moved_away_is_written_again() {
    let keeping = Keeping::new();
    keeping.start("a", PATIENT);
    let (keeper, engine) = (keeping.keeper("a").unwrap(), pid(&keeping));
    for name in ["status.json", "plan.json", "lock"] {
        fs::remove_file(keeping.state_dir("a").join(name)).unwrap();
        wait_for(name, LIMIT, || keeping.state_dir("a").join(name).exists());
        wait_until_written(&keeping, keeper);
    }
    fs::rename(keeping.sandbox.path("run"), keeping.sandbox.path("moved")).unwrap();
    wait_until_written(&keeping, keeper);
    assert!(alive(engine));
    // Nobody takes what was moved away for lost, and ends the engine for it.
    let moved = state::Directory::at(keeping.sandbox.path("moved/llama-cpp/a"));
    assert_eq!(moved.keeper().unwrap(), Some(keeper));
}

#[test]
fn no_second_engine_starts_beside_one_whose_state_was_removed() {
    let tries = if full() { 50 } else { 6 };
    for number in 0..tries {
        let keeping = Keeping::new();
        let starts = keeping.sandbox.text("starts");
        let plan = keeping.start("a", &format!("echo x >> {starts}; {PATIENT}"));
        let keeper = keeping.keeper("a").unwrap();
        let plans = keeping.sandbox.write("plan.jsonl", format!("{plan}\n"));
        if number % 2 == 0 {
            remove(&keeping);
        } else {
            fs::rename(keeping.sandbox.path("run"), keeping.sandbox.path("moved")).unwrap();
        }
        let launch = |_| {
            let mut command = keeping.sandbox.command(tools().join("ilaunch"));
            command.stdin(fs::File::open(&plans).unwrap()).stdout(Stdio::piped()).stderr(Stdio::null());
            command.spawn().unwrap()
        };
        let launches: Vec<_> = (0..2).map(launch).collect();
        for launch in launches {
            let output = launch.wait_with_output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(output.status.code(), Some(75), "{text}");
        }
        wait_until_written(&keeping, keeper);
        assert_eq!(keeping.sandbox.read("starts"), "x\n");
    }
}

/// An instance of another user, who cannot make the run directory again.
fn of_nobody(keeping: &Keeping, script: &str) -> Option<Value> {
    if !as_root() {
        return None;
    }
    let mut plan = keeping.plan("a", script);
    plan["user"] = json!("nobody");
    keeping.launch(std::slice::from_ref(&plan)).exits(0).one("instance");
    keeping.wait_for_log("a", "up\n");
    Some(plan)
}

#[test]
fn an_engine_whose_state_cannot_be_written_again_is_reported_and_can_be_stopped() {
    let keeping = Keeping::new();
    if of_nobody(&keeping, PATIENT).is_none() {
        return;
    }
    let engine = pid(&keeping);
    remove(&keeping);
    for names in ["", "llama-cpp/a"] {
        let warning = keeping.sandbox.sh(&format!("istat {names}")).exits(1).one("warning");
        assert_eq!((&warning["rule"], &warning["instance"]), (&json!("unrecorded"), &json!("a")));
        assert!(warning["what"].as_str().unwrap().contains(&format!("process {engine},")), "{warning}");
    }
    drop(keeping.sandbox.sh("istop b").exits(65));
    // Another run directory was chosen: what runs elsewhere is not meant.
    assert_eq!(keeping.sandbox.sh("AUTO_INFER_RUN_DIR=$PWD/other istop").transcript(), "");
    assert!(alive(engine));
    let stopped = keeping.sandbox.sh("istop --run-dir run a").exits(0).one("stopped");
    assert_eq!((&stopped["how"], &stopped["orphans"]), (&json!("term"), &json!(0)));
    assert!(keeping.processes().is_empty());
}

#[test]
fn an_engine_whose_state_cannot_be_written_again_is_stopped_by_its_keeper() {
    let keeping = Keeping::new();
    if of_nobody(&keeping, PATIENT).is_none() {
        return;
    }
    remove(&keeping);
    wait_for("the keeper and its engine to go", LIMIT, || keeping.processes().is_empty());
    let log = keeping.log("a");
    assert!(log.contains("failed: its state directory is gone: cannot make "), "{log}");
    assert!(log.contains(": Permission denied\n"), "{log}");
}

/// The state is removed and a file stands in the place of the run directory, or of a folder in it.
fn put_a_file(keeping: &Keeping, at: &str) {
    let path = keeping.sandbox.path(at);
    // The keeper may write it again in between.
    let put = || {
        fs::remove_dir_all(&path).ok();
        fs::write(&path, "").is_ok()
    };
    wait_for("the file to stand there", LIMIT, put);
}

#[test]
fn an_engine_is_seen_and_stopped_though_a_file_stands_where_its_state_was() {
    for at in ["run", "run/llama-cpp", "run/llama-cpp/a"] {
        let keeping = Keeping::new();
        keeping.start("a", PATIENT);
        let engine = pid(&keeping);
        put_a_file(&keeping, at);
        // Whichever run directory is chosen, or none.
        for choice in ["istat", "unset AUTO_INFER_RUN_DIR; istat", "istat --run-dir run"] {
            let warnings = keeping.sandbox.sh(choice).all("warning");
            let told =
                |warning: &&Value| warning["what"].as_str().unwrap().contains(&format!("process {engine},"));
            let warning =
                warnings.iter().find(told).unwrap_or_else(|| panic!("{at}: {choice}: {warnings:?}"));
            assert_eq!(warning["rule"], "unrecorded", "{at}: {choice}");
        }
        let stopped = keeping.sandbox.sh("istop a").exits(0).one("stopped");
        assert_eq!((&stopped["how"], &stopped["orphans"]), (&json!("term"), &json!(0)));
        assert!(!alive(engine) && keeping.processes().is_empty());
    }
}

#[test]
fn a_keeper_stops_where_a_file_stands_in_the_place_of_its_run_directory_and_says_so() {
    let keeping = Keeping::new();
    keeping.start("a", PATIENT);
    put_a_file(&keeping, "run");
    wait_for("the keeper and its engine to go", LIMIT, || keeping.processes().is_empty());
    let log = keeping.log("a");
    assert!(log.contains("failed: its state directory is gone: cannot make "), "{log}");
    assert!(log.contains("/run is not a folder\n"), "{log}");
}

#[test]
fn a_launch_that_makes_the_run_directory_gives_it_back_to_the_keeper() {
    let keeping = Keeping::new();
    let Some(plan) = of_nobody(&keeping, PATIENT) else { return };
    let (keeper, engine) = (keeping.keeper("a").unwrap(), pid(&keeping));
    remove(&keeping);
    fs::create_dir(keeping.sandbox.path("run")).unwrap();
    let failed = keeping.launch(&[plan]).exits(75).one("failed");
    let cause = format!("process {keeper} keeps this instance already");
    assert_eq!(failed["cause"], cause, "{failed}");
    wait_until_written(&keeping, keeper);
    assert_eq!(pid(&keeping), engine);
}

#[test]
fn what_a_killed_keeper_left_without_state_is_seen_and_ended() {
    let keeping = Keeping::new();
    let mut plan = keeping.plan("a", STUBBORN);
    plan["control"]["stop_timeout_s"] = json!(0);
    keeping.launch(std::slice::from_ref(&plan)).exits(0).one("instance");
    for (number, way) in ["istop", "istop a", "ilaunch"].into_iter().enumerate() {
        wait_for("a start", LIMIT, || keeping.log("a").matches("up\n").count() > number);
        wait_for("its process", LIMIT, || keeping.status("a")["pid"].is_u64());
        let (engine, keeper) = (pid(&keeping), keeping.keeper("a").unwrap());
        send(keeper, Signal::KILL);
        wait_for("the keeper to go", LIMIT, || !alive(keeper));
        remove(&keeping);
        let warning = keeping.sandbox.sh("istat").exits(1).one("warning");
        assert!(warning["what"].as_str().unwrap().contains("without a keeper"), "{warning}");
        assert!(alive(engine));
        if way == "ilaunch" {
            let launched = keeping.launch(std::slice::from_ref(&plan)).exits(0);
            assert_eq!(launched.one("warning")["rule"], "orphans");
        } else {
            let stopped = keeping.sandbox.sh(way).exits(0).one("stopped");
            assert_eq!((&stopped["how"], &stopped["orphans"]), (&json!("gone"), &json!(1)));
            assert!(keeping.processes().is_empty());
            keeping.launch(std::slice::from_ref(&plan)).exits(0).one("instance");
        }
        assert!(!alive(engine));
    }
}
