//! A keeper that is to take over from another one, which is told to stop by whoever started both.
use super::{LIMIT, PATIENT, keep};
use crate::kit::{Keeping, alive, as_root, wait_for};
use rustix::process::Signal;
use serde_json::json;
use std::time::Duration;

#[test]
fn it_stops_the_keeper_of_its_user_itself_and_takes_over() {
    let keeping = Keeping::new();
    let mut plan = keeping.start("a", PATIENT);
    let old = keeping.keeper("a").unwrap();
    plan["hash"] = json!("2");
    let mut new = keep(&keeping, &format!("{}{}", json!({"plan": plan}), state::stopping_line(old)));
    wait_until_taken_over(&keeping, (old, new.id()));
    assert_eq!(new.wait().unwrap().code(), Some(0));
}

#[test]
fn it_waits_for_a_keeper_of_another_user_however_late_that_one_is_stopped() {
    if !as_root() {
        return;
    }
    let keeping = Keeping::new();
    let mut plan = keeping.plan("a", PATIENT);
    plan["user"] = json!("nobody");
    drop(keeping.launch(std::slice::from_ref(&plan)).exits(0));
    let old = keeping.keeper("a").unwrap();
    plan.as_object_mut().unwrap().remove("user");
    (plan["hash"], plan["log_file"]) = (json!("2"), json!(keeping.sandbox.text("own.log")));
    let mut new = keep(&keeping, &format!("{}{}", json!({"plan": plan}), state::stopping_line(old)));
    // Longer than a machine with much to do takes to hear a signal.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!((keeping.keeper("a"), new.try_wait().unwrap()), (Some(old), None));
    keeping.signal_keeper("a", Signal::TERM);
    wait_until_taken_over(&keeping, (old, new.id()));
    assert_eq!(new.wait().unwrap().code(), Some(0));
}

/// The new keeper has the instance, and its engine runs; then it is stopped.
fn wait_until_taken_over(keeping: &Keeping, (old, new): (u32, u32)) {
    wait_for("the new one to take over", LIMIT, || keeping.keeper("a") == Some(new));
    let runs = || keeping.status("a")["plan_hash"] == "2" && keeping.status("a")["pid"].is_u64();
    wait_for("its engine", LIMIT, runs);
    assert!(!alive(old));
    keeping.stop("a");
}

#[test]
fn a_keeper_that_is_another_than_the_one_to_stop_is_left_alone_at_once() {
    let keeping = Keeping::new();
    let plan = keeping.start("a", PATIENT);
    let old = keeping.keeper("a").unwrap();
    for stopping in [String::new(), state::stopping_line(1)] {
        let new = keep(&keeping, &format!("{}{stopping}", json!({"plan": plan})));
        let output = new.wait_with_output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.ends_with(&format!("process {old} keeps this instance already\n")), "{text}");
        assert_eq!((output.status.code(), keeping.keeper("a")), (Some(75), Some(old)));
    }
}
