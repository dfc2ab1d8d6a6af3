//! A keeper's pipes: who holds a copy of an end, or stops the keeper, does not make ilaunch wait.
use crate::kit::{Keeping, Output, in_the_long_run, tools};
use std::time::{Duration, Instant};

const PATIENT: &str = "echo up; exec sleep 1000";

/// Launch one instance; in `ikeep`'s place stands a script that may begin it, as `$KEEP`.
fn launch(keeping: &Keeping, ikeep: &str, env: &str) -> (Output, Duration) {
    keeping.sandbox.own_tool("ilaunch", "bin/ilaunch");
    let keep = tools().join("ikeep");
    keeping.sandbox.script("bin/ikeep", &format!("#!/bin/bash\nKEEP={}\n{ikeep}\n", keep.display()));
    let mut plan = keeping.plan("a", PATIENT);
    plan["env_set"]["LONG"] = env.into();
    keeping.sandbox.write("plan", format!("{plan}\n"));
    let begun = Instant::now();
    (keeping.sandbox.sh("bin/ilaunch < plan"), begun.elapsed())
}

#[test]
fn a_copy_of_the_report_pipe_that_somebody_holds_is_not_waited_for() {
    let keeping = Keeping::new();
    // The sleep inherits the pipe, as another process of the user may take it.
    let (output, took) = launch(&keeping, "sleep 1000 & exec $KEEP \"$@\"", "");
    assert!(took < Duration::from_secs(20), "{took:?}");
    let keeper = output.exits(0).one("instance")["keeper_pid"].clone();
    assert_eq!(keeper, keeping.keeper("a").unwrap());
}

#[test]
fn the_keepers_end_ends_the_wait_though_its_pipe_is_held() {
    let keeping = Keeping::new();
    let (output, took) = launch(&keeping, "sleep 1000 & exit 3", "");
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert_eq!(output.exits(69).one("failed")["cause"], "its keeper ended without a report: exit 3");
}

#[test]
fn what_others_write_to_the_pipe_is_no_report_and_names_no_process() {
    let keeping = Keeping::new();
    let forged = "echo '{\"report\":\"kept\",\"keeper_pid\":1}' >&$2; sleep 1000 & exec sleep 1000";
    let instance = launch(&keeping, forged, "").0.exits(0).one("instance");
    assert_ne!(instance["keeper_pid"], 1);
    let flood = "head -c 10000000 /dev/zero >&$2";
    let (output, took) = launch(&keeping, flood, "");
    assert!(took < Duration::from_secs(20), "{took:?}");
    drop(output.exits(69).one("failed"));
}

#[test]
fn a_request_of_any_size_reaches_a_keeper_that_is_slow_to_read() {
    let keeping = Keeping::new();
    let (output, _) = launch(&keeping, "sleep 0.3; exec $KEEP \"$@\"", &"x".repeat(100_000));
    drop(output.exits(0).one("instance"));
    assert_eq!(keeping.status("a")["state"], "running");
}

#[test]
fn a_keeper_that_is_stopped_has_a_minute_whatever_the_size_of_its_request() {
    if !in_the_long_run() {
        return;
    }
    for (size, cause) in
        [(100_000, "not reported for 60 s"), (3_000_000, "not read the start request for 60 s")]
    {
        let keeping = Keeping::new();
        let (output, took) = launch(&keeping, "kill -STOP $$; exec $KEEP \"$@\"", &"x".repeat(size));
        assert!((59..75).contains(&took.as_secs()), "{took:?}");
        let failed = output.exits(75).one("failed");
        assert!(failed["cause"].as_str().unwrap().ends_with(cause), "{failed}");
    }
}
