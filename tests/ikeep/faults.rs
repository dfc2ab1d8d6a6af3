//! Keepers that are killed, and run directories that cannot be written.
use super::LIMIT;
use super::log::Small;
use crate::kit::{Keeping, send, tools, wait_for};
use rustix::process::Signal;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

/// One process that ends at the first TERM.
const PATIENT: &str = "echo up; exec sleep 1000";

#[test]
fn whenever_a_keeper_is_killed_the_next_start_has_the_instance_for_itself() {
    let keeping = Keeping::new();
    let plan = keeping.plan("a", PATIENT);
    keeping.sandbox.write("plan.jsonl", format!("{plan}\n"));
    for seed in 0..20_u64 {
        let mut command = keeping.sandbox.command(tools().join("ilaunch"));
        command.stdin(fs::File::open(keeping.sandbox.path("plan.jsonl")).unwrap());
        let mut ilaunch = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_for("a keeper", LIMIT, || keeping.keeper("a").is_some());
        std::thread::sleep(Duration::from_micros(seed * 300));
        let keeper = keeping.keeper("a").unwrap();
        send(keeper, Signal::KILL);
        keeping.wait_until_left("a");
        ilaunch.wait().unwrap();
        // It was ended by the kernel, or it is by the next start.
        let output = keeping.launch(std::slice::from_ref(&plan)).exits(0);
        assert_eq!(output.all("instance").len(), 1, "{}", output.transcript());
        let ours = keeping.marked("a");
        assert_eq!(ours.len(), 1);
        assert_eq!(keeping.processes().len(), 2, "after kill {seed}: a keeper and its engine");
        keeping.stop("a");
        assert!(keeping.processes().is_empty());
    }
}

#[test]
fn a_run_directory_that_cannot_be_written_is_named() {
    let keeping = Keeping::new();
    let plan = keeping.plan("a", PATIENT);
    fs::remove_dir(keeping.sandbox.path("run")).unwrap();
    keeping.sandbox.write("run", "a file, not a folder");
    let failed = keeping.launch(&[plan]).exits(69).one("failed");
    assert!(failed["what"].as_str().unwrap().contains("$SANDBOX/run/llama-cpp/a"), "{failed}");
    assert_eq!(failed["cause"], "Not a directory");
    fs::remove_file(keeping.sandbox.path("run")).unwrap();
}

/// Fill a folder's file system to the last byte.
fn fill(keeping: &Keeping, folder: &str) {
    drop(keeping.sandbox.sh(&format!("dd if=/dev/zero of={folder}/filler bs=4k 2> /dev/null || true")));
}

#[test]
fn on_a_full_run_directory_nothing_starts_and_what_runs_is_stopped_and_told() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let keeping = Keeping::new();
    let run = keeping.sandbox.path("run");
    let Some(_small) = Small::mount(&run, "256k") else { return };
    keeping.start("a", PATIENT);
    fill(&keeping, "run");
    let failed = keeping.launch(&[keeping.plan("b", PATIENT)]).exits(69).one("failed");
    assert_eq!(failed["cause"], "No space left on device", "{failed}");
    wait_for("the second keeper to go", LIMIT, || keeping.processes().len() == 2);
    let status = keeping.stop("a");
    assert_eq!((status["state"].as_str(), status["how"].as_str()), (Some("stopped"), Some("term")));
    assert!(keeping.processes().is_empty());
}
