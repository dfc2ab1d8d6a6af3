//! Stopping instances, whatever their keepers and engines have come to.
mod forget;

use crate::kit::{Fake, Keeping, Sandbox, alive, as_root, send, tools, wait_for};
use rustix::process::Signal;
use serde_json::json;
use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);
const PATIENT: &str = "echo up; while :; do sleep 1000 & wait; done";
/// Ignores TERM, with a worker in a session of its own that does too.
const STUBBORN: &str = "trap '' TERM; setsid bash -c \"trap '' TERM; while :; do sleep 1000; done\" & \
                        echo up; while :; do sleep 1000; done";

#[test]
fn stopping_nothing_succeeds() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.sh("istop").transcript(), "");
    assert_eq!(sandbox.sh("istop vllm").transcript(), "");
    assert_eq!(sandbox.sh("AUTO_INFER_RUN_DIR=$PWD/none istop").transcript(), "");
}

#[test]
fn what_is_named_and_is_not_there_is_said() {
    let keeping = Keeping::new();
    keeping.start("tiny", PATIENT);
    let output = keeping.sandbox.sh("istop tinny").exits(65);
    insta::assert_snapshot!(output.transcript(), @r"
    -- stderr --
    istop: no instance 'tinny': nothing of that name was kept
    istop: hint: did you mean 'tiny'
    [exit 65]
    ");
    // All or nothing: one bad name stops nobody.
    drop(keeping.sandbox.sh("istop tiny vllm/tiny").exits(65));
    assert_eq!(keeping.status("tiny")["state"], "running");
    drop(keeping.sandbox.sh("istop --run-dir none").exits(69));
    drop(keeping.sandbox.sh("AUTO_INFER_RUN_DIR=run istop").exits(69));
}

#[test]
fn it_returns_when_the_tree_is_gone_and_the_port_is_free() {
    let keeping = Keeping::new();
    let fake = Fake::plan(&keeping, "a").launched();
    let (pids, keeper) = (keeping.processes(), keeping.keeper("a").unwrap());
    let stopped = keeping.sandbox.sh("istop").exits(0).one("stopped");
    assert_eq!((&stopped["how"], &stopped["orphans"]), (&json!("term"), &json!(0)));
    assert!(!alive(keeper) && pids.iter().all(|pid| !alive(*pid)));
    drop(TcpListener::bind(("127.0.0.1", fake.port())).unwrap());
    assert_eq!(keeping.status("a")["state"], "stopped");
    assert_eq!(keeping.sandbox.sh("istop").transcript(), "");
    let again = keeping.sandbox.sh("istop a").exits(0).one("stopped");
    assert_eq!((&again["how"], &again["orphans"]), (&json!("gone"), &json!(0)));
}

#[test]
fn only_what_is_named_is_stopped_and_all_at_once() {
    let keeping = Keeping::new();
    let slow = "trap 'sleep 2; exit 0' TERM; echo up; while :; do sleep 0.05; done";
    for name in ["a", "b", "c", "d"] {
        keeping.start(name, slow);
    }
    assert_eq!(keeping.sandbox.sh("istop llama-cpp/a").exits(0).one("stopped")["instance"], "a");
    assert_eq!(keeping.status("b")["state"], "running");
    let begun = std::time::Instant::now();
    assert_eq!(keeping.sandbox.sh("istop llama-cpp").exits(0).all("stopped").len(), 3);
    assert!(begun.elapsed() < Duration::from_millis(5500), "one after another: {:?}", begun.elapsed());
}

#[test]
fn an_engine_that_ignores_term_is_killed_by_its_keeper() {
    let keeping = Keeping::new();
    let mut plan = keeping.plan("a", STUBBORN);
    plan["control"]["stop_timeout_s"] = json!(1);
    drop(keeping.launch(&[plan]).exits(0));
    keeping.wait_for_log("a", "up\n");
    let stopped = keeping.sandbox.sh("istop").exits(0).one("stopped");
    assert_eq!((&stopped["how"], &stopped["orphans"]), (&json!("kill"), &json!(0)));
    assert!(keeping.processes().is_empty());
}

#[test]
fn a_keeper_that_does_not_go_is_killed_with_its_tree() {
    let keeping = Keeping::new();
    keeping.start("a", STUBBORN);
    let keeper = keeping.keeper("a").unwrap();
    send(keeper, Signal::STOP);
    let stopped = keeping.sandbox.sh("istop --timeout 1").exits(0).one("stopped");
    assert_eq!(stopped["how"], "kill");
    assert!(stopped["orphans"].as_u64().unwrap() >= 2, "{stopped}");
    assert!(!alive(keeper) && keeping.processes().is_empty());
}

#[test]
fn what_a_killed_keeper_left_is_found_by_its_instance_id_and_ended() {
    let keeping = Keeping::new();
    keeping.start("a", STUBBORN);
    keeping.start("other", PATIENT);
    let others = keeping.marked("other");
    wait_for("the worker in its own session", LIMIT, || keeping.marked("a").len() >= 4);
    keeping.signal_keeper("a", Signal::KILL);
    keeping.wait_until_left("a");
    assert!(!keeping.marked("a").is_empty());
    let stopped = keeping.sandbox.sh("istop a").exits(0).one("stopped");
    assert_eq!(stopped["how"], "gone");
    assert!(stopped["orphans"].as_u64().unwrap() >= 2, "{stopped}");
    assert!(keeping.marked("a").is_empty());
    // A child of its own may have come since.
    let now = keeping.marked("other");
    assert!(others.iter().all(|pid| now.contains(pid)), "another instance was touched: {others:?}, {now:?}");
}

#[test]
fn two_at_once_both_see_it_gone() {
    let keeping = Keeping::new();
    let slow = "trap 'echo term; sleep 0.3; exit 0' TERM; echo up; while :; do sleep 0.05; done";
    keeping.start("a", slow);
    let mut first = keeping.sandbox.command(tools().join("istop"));
    let mut first = first.stdout(Stdio::null()).spawn().unwrap();
    drop(keeping.sandbox.sh("istop a").exits(0).one("stopped"));
    assert!(first.wait().unwrap().success());
    assert_eq!(keeping.log("a").matches("term\n").count(), 1, "{}", keeping.log("a"));
}

#[test]
fn another_listener_on_the_port_is_warned_of() {
    let keeping = Keeping::new();
    let plan = keeping.start("a", PATIENT);
    let port = u16::try_from(plan["port"].as_u64().unwrap()).unwrap();
    let _held = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let output = keeping.sandbox.sh("istop").exits(0);
    assert_eq!(output.kinds(), ["stopped", "warning"]);
    assert_eq!(output.one("warning")["rule"], "port_held");
}

#[test]
fn somebody_elses_instance_is_left_running_and_said() {
    if !as_root() {
        return;
    }
    let keeping = Keeping::new();
    keeping.start("a", PATIENT);
    // Where another user can run it.
    keeping.sandbox.own_tool("istop", "istop");
    let output = keeping.sandbox.sh("setpriv --reuid=65534 --regid=65534 --clear-groups ./istop").exits(69);
    let failed = output.one("failed");
    assert!(failed["cause"] == "Operation not permitted" && failed["instance"] == "a", "{failed}");
    assert_eq!(keeping.status("a")["state"], "running");
}

#[test]
fn orphans_of_another_user_are_found_without_the_right_to_trace() {
    if !as_root() {
        return;
    }
    let keeping = Keeping::new();
    let mut plan = keeping.plan("a", STUBBORN);
    plan["user"] = json!("nobody");
    plan["log_file"] = json!("/dev/null");
    drop(keeping.launch(&[plan]).exits(0));
    wait_for("the worker in its own session", LIMIT, || keeping.marked("a").len() >= 4);
    keeping.signal_keeper("a", Signal::KILL);
    keeping.wait_until_left("a");
    let weak = "setpriv --bounding-set=-sys_ptrace,-perfmon,-sys_admin,-checkpoint_restore \
                --inh-caps=-all istop a";
    let stopped = keeping.sandbox.sh(weak).exits(0).one("stopped");
    assert!(stopped["orphans"].as_u64().unwrap() >= 2, "{stopped}");
    assert!(keeping.marked("a").is_empty());
}
