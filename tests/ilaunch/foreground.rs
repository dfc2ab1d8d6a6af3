//! `control.background = false`: one instance in the foreground.
use super::LIMIT;
use crate::kit::{Keeping, Output, alive, send, wait_for};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::process::{Child, Stdio};

fn plan(keeping: &Keeping, script: &str) -> Value {
    let mut plan = keeping.plan("a", script);
    plan["control"]["background"] = json!(false);
    plan
}

fn run(keeping: &Keeping, script: &str) -> Output {
    keeping.launch(&[plan(keeping, script)])
}

#[test]
fn its_exit_code_is_ours_and_its_log_is_on_stderr_too() {
    let keeping = Keeping::new();
    let output = run(&keeping, "echo out; echo err >&2; exit 7").exits(7);
    assert_eq!(output.kinds(), ["plan", "instance"]);
    assert!(output.stderr.contains("\nout\nerr\n"), "{}", output.stderr);
    assert_eq!(keeping.status("a")["state"], "failed");
    assert!(keeping.log("a").contains("out\nerr\n"));
    drop(run(&keeping, "kill -SEGV $$").exits(128 + 11));
}

#[test]
fn what_cannot_be_run_ends_as_in_a_shell() {
    let keeping = Keeping::new();
    let mut plan = plan(&keeping, "");
    plan["program"] = json!(keeping.sandbox.text("nowhere"));
    let output = keeping.launch(&[plan.clone()]).exits(127);
    assert!(output.stderr.ends_with("ilaunch: cannot start $SANDBOX/nowhere: No such file or directory\n"));
    plan["program"] = json!(keeping.sandbox.write("plain", "not a program"));
    drop(keeping.launch(&[plan]).exits(126));
}

#[test]
fn it_is_the_only_instance_or_it_is_not_started() {
    let keeping = Keeping::new();
    let plans = [plan(&keeping, "exit 0"), keeping.plan("b", super::PATIENT)];
    let output = keeping.launch(&plans).exits(65);
    assert_eq!(output.one("failed")["cause"], "it is not the only instance");
    assert_eq!(output.one("instance")["instance"], "b");
}

/// `ilaunch` in the foreground, its engine up.
fn started(keeping: &Keeping, script: &str) -> Child {
    let line = format!("{}\n", plan(keeping, script));
    keeping.sandbox.write("plan.jsonl", line);
    let mut command = keeping.sandbox.command(crate::kit::tools().join("ilaunch"));
    command.stdin(fs::File::open(keeping.sandbox.path("plan.jsonl")).unwrap());
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    keeping.wait_for_log("a", "up\n");
    child
}

#[test]
fn signals_are_handed_on() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let keeping = Keeping::new();
        let script = "trap 'echo term; exit 5' TERM; echo up; while :; do sleep 1000 & wait; done";
        let mut ilaunch = started(&keeping, script);
        send(ilaunch.id(), signal);
        assert_eq!(ilaunch.wait().unwrap().code(), Some(5), "{signal:?}");
        assert_eq!(keeping.status("a")["state"], "stopped");
        assert_eq!(keeping.log("a").matches("term\n").count(), 1);
    }
}

#[test]
fn it_ends_with_us_however_we_end() {
    let keeping = Keeping::new();
    let mut ilaunch = started(&keeping, super::PATIENT);
    // The engine may have spoken before its keeper has said which process it is.
    wait_for("its process", LIMIT, || keeping.status("a")["pid"].is_u64());
    let engine = u32::try_from(keeping.status("a")["pid"].as_u64().unwrap()).unwrap();
    ilaunch.kill().unwrap();
    ilaunch.wait().unwrap();
    wait_for("the engine to end", LIMIT, || !alive(engine));
    assert_eq!(keeping.wait_for_state("a", "stopped")["how"], "term");
}
