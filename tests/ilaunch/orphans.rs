//! What a killed keeper leaves behind is ended before anything starts.
use super::{LIMIT, PATIENT};
use crate::kit::{Keeping, alive, wait_for};
use rustix::process::Signal;
use serde_json::json;

/// A leader that ignores TERM and a worker in a session of its own whose parent has gone.
const STUBBORN: &str = "(setsid bash -c 'trap \"\" TERM; while :; do sleep 1; done' &)
    trap '' TERM; echo up; while :; do sleep 1; done";

/// Start, kill the keeper, start again with `ilaunch`; what is left of the first.
fn killed_and_started_again(user: Option<&str>, ilaunch: &str) {
    let keeping = Keeping::new();
    let mut plan = keeping.plan("a", STUBBORN);
    if let Some(user) = user {
        plan["user"] = json!(user);
    }
    keeping.launch(&[plan.clone()]).exits(0).one("instance");
    keeping.wait_for_log("a", "up\n");
    wait_for("the worker", LIMIT, || keeping.marked("a").len() >= 2);
    keeping.signal_keeper("a", Signal::KILL);
    keeping.wait_until_left("a");
    let orphans = keeping.marked("a");
    assert!(orphans.len() >= 2);
    keeping.sandbox.script("engines/a", &format!("#!/bin/bash\n{PATIENT}\n"));
    keeping.sandbox.write("again.jsonl", format!("{plan}\n"));
    let output = keeping.sandbox.sh(&format!("{ilaunch} < again.jsonl")).exits(0);
    assert_eq!(output.kinds(), ["plan", "warning", "instance"]);
    let warning = output.one("warning");
    assert_eq!((&warning["rule"], &warning["instance"]), (&json!("orphans"), &json!("a")));
    assert!(orphans.iter().all(|pid| !alive(*pid)), "{orphans:?}");
    assert_eq!(keeping.status("a")["state"], "running");
}

#[test]
fn orphans_are_found_by_their_mark_and_ended() {
    killed_and_started_again(None, "ilaunch");
}

#[test]
fn orphans_of_another_user_are_found_without_the_right_to_trace() {
    if rustix::process::geteuid().is_root() {
        let root = "setpriv --bounding-set=-sys_ptrace,-perfmon,-sys_admin ilaunch";
        killed_and_started_again(Some("nobody"), root);
    }
}

#[test]
fn a_clean_stop_leaves_nothing_to_warn_of() {
    let keeping = Keeping::new();
    let plan = keeping.start("a", PATIENT);
    keeping.stop("a");
    assert_eq!(keeping.launch(&[plan]).exits(0).kinds(), ["plan", "instance"]);
}
