//! Why an engine ended, said with the line that shows it, mostly by the real server.
use super::LIMIT;
use crate::kit::{Keeping, Output, Sandbox, Tiny, free_port, send, untimed, wait_for};
use crate::pipeline::sandbox_with_engine;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, TcpListener};

const PIPELINE: &str = "ienv llama-cpp | iinstall | iplan | ilaunch | iprobe";

fn status(sandbox: &Sandbox) -> Value {
    serde_json::from_str(&sandbox.read("run/llama-cpp/tiny0/status.json")).unwrap()
}

/// The class is everywhere where it belongs, with a line that holds `words`.
fn is_told(sandbox: &Sandbox, output: &Output, class: &str, words: &str) {
    let (failed, status) = (output.one("failed"), status(sandbox));
    assert_eq!((&failed["class"], &status["class"]), (&json!(class), &json!(class)), "{failed}");
    let text = |record: &Value, field: &str| record[field].as_str().unwrap_or_default().to_owned();
    let evidence = text(&status, "evidence");
    assert!(evidence.contains(words), "{status}");
    let root = sandbox.text("").trim_end_matches('/').to_owned();
    let cause = format!("{}: {evidence}", text(&status, "reason")).replace(&root, "$SANDBOX");
    assert_eq!(text(&failed, "cause"), cause);
    assert!(text(&failed, "hint").contains("; the whole log is "), "{failed}");
    let note = format!("\nikeep: {class}: {evidence}\nikeep: hint: ");
    let log = untimed(&sandbox.read("w/logs/llama-cpp/tiny0.log"));
    assert!(log.contains(&note), "{log}");
}

#[test]
fn an_argument_whose_value_the_engine_refuses() {
    let sandbox = sandbox_with_engine(&[free_port()]);
    let config = sandbox.read("llama.toml").replace("ctx_size = 4096", "override_kv = 'x'");
    sandbox.write("llama.toml", config);
    let output = sandbox.sh(PIPELINE).exits(1);
    is_told(&sandbox, &output, "bad_flag", "error while handling argument \"--override-kv\"");
    assert!(output.one("failed")["hint"].as_str().unwrap().starts_with("correct the argument"));
}

#[test]
fn a_model_that_is_none() {
    let sandbox = sandbox_with_engine(&[free_port()]);
    let broken = sandbox.write("broken.gguf", "not a model at all");
    let model = Tiny::get().model.to_str().unwrap();
    sandbox.write("llama.toml", sandbox.read("llama.toml").replace(model, broken.to_str().unwrap()));
    let output = sandbox.sh(PIPELINE).exits(1);
    is_told(&sandbox, &output, "missing_file", "invalid magic characters");
}

#[test]
fn a_port_that_was_taken_after_it_was_planned() {
    let port = free_port();
    let sandbox = sandbox_with_engine(&[port]);
    drop(sandbox.sh("ienv llama-cpp | iinstall | iplan > planned.jsonl").exits(0));
    let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let output = sandbox.sh("ilaunch < planned.jsonl | iprobe").exits(1);
    is_told(&sandbox, &output, "port_in_use", "bind");
}

#[test]
fn an_address_that_is_not_this_machines_is_no_port_that_is_taken() {
    let keeping = Keeping::new();
    let says = "couldn't bind HTTP server socket, hostname: x, port: 1";
    for (host, arguments, class) in [
        ("203.0.113.9", json!([]), "address"),
        ("127.0.0.1", json!(["--ssl-key-file", "k", "--ssl-cert-file", "c"]), "address"),
        ("127.0.0.1", json!([]), "port_in_use"),
    ] {
        let mut plan = keeping.plan("a", &format!("echo \"{says}\"; echo up; exit 1"));
        plan["host"] = json!(host);
        plan["port"] = json!(free_port());
        plan["args"].as_array_mut().unwrap().extend(arguments.as_array().unwrap().clone());
        keeping.launch(&[plan]).exits(0).one("instance");
        let status = keeping.wait_for_state("a", "failed");
        assert_eq!((&status["class"], &status["evidence"]), (&json!(class), &json!(says)), "{host}");
        keeping.wait_until_left("a");
    }
}

#[test]
fn a_choice_that_the_engine_does_not_have_may_need_a_newer_one() {
    let keeping = Keeping::new();
    let says =
        "launch_server.py: error: argument --tool-call-parser: invalid choice: 'glm47' (choose from 'glm45')";
    let mut plan = keeping.plan("a", &format!("echo \"{says}\"; exit 1"));
    plan["control"]["background"] = json!(false);
    let output = keeping.launch(&[plan]).exits(1);
    let said = format!(" bad_flag: {says}");
    assert!(output.stderr.contains(&said), "{}", output.stderr);
    assert!(output.stderr.contains("a newer version of the engine"), "{}", output.stderr);
}

#[test]
fn a_crash_is_reported_and_the_next_start_does_not_take_it_for_its_own() {
    let sandbox = sandbox_with_engine(&[free_port()]);
    let config = sandbox.read("llama.toml") + "[instance.tiny0.control]\nbackoff_ms = 10\n";
    sandbox.write("llama.toml", config);
    sandbox.sh(PIPELINE).exits(0).one("ready");
    let pid = || status(&sandbox)["pid"].as_u64().map(|pid| u32::try_from(pid).unwrap());
    let first = pid().unwrap();
    send(first, Signal::SEGV);
    wait_for("another start", LIMIT, || pid().is_some_and(|pid| pid != first));
    let again = status(&sandbox);
    assert_eq!((&again["class"], &again["last_exit"]), (&json!("crash"), &json!("signal 11")), "{again}");
    let ready = sandbox.sh("iprobe --state run/llama-cpp/tiny0").exits(0).one("ready");
    assert_eq!(ready["rung"], "answering");
    // An end that was asked for has no class.
    drop(sandbox.sh("istop").exits(0));
    let stopped = status(&sandbox);
    assert_eq!((&stopped["state"], stopped.get("class")), (&json!("stopped"), None), "{stopped}");
}

#[test]
fn a_kill_proves_nothing() {
    let keeping = Keeping::new();
    keeping.start("a", "echo up; kill -KILL $$");
    let status = keeping.wait_for_state("a", "failed");
    let seen = (&status["class"], status.get("evidence"), &status["last_exit"]);
    assert_eq!(seen, (&json!("unknown"), None, &json!("signal 9")));
}

#[test]
fn what_a_former_start_said_is_no_evidence() {
    let keeping = Keeping::new();
    let plan = keeping.plan("a", "echo 'error: invalid argument: --x'; echo up; exit 1");
    keeping.launch(&[plan]).exits(0).one("instance");
    assert_eq!(keeping.wait_for_state("a", "failed")["class"], "bad_flag");
    keeping.wait_until_left("a");
    let plan = keeping.plan("a", "echo again; exit 1");
    keeping.launch(&[plan]).exits(0).one("instance");
    keeping.wait_for_log("a", "again\n");
    let status = keeping.wait_for_state("a", "failed");
    assert_eq!((&status["class"], status.get("evidence")), (&json!("unknown"), None));
}

#[test]
fn the_line_is_found_across_a_rotation() {
    let keeping = Keeping::new();
    let script = "echo 'error: invalid argument: --x'; seq --format 'line %060.0f' 300; echo up; exit 1";
    let mut plan = keeping.plan("a", script);
    plan["control"]["log_max_mib"] = json!(1);
    // So full that what the engine says makes it turn.
    keeping.sandbox.write("logs/a.log", "0".repeat((1 << 20) - 4097) + "\n");
    keeping.launch(&[plan]).exits(0).one("instance");
    let status = keeping.wait_for_state("a", "failed");
    assert!(keeping.sandbox.path("logs/a.log.1").exists());
    let seen = (&status["class"], &status["evidence"]);
    assert_eq!(seen, (&json!("bad_flag"), &json!("error: invalid argument: --x")));
}

#[test]
fn in_the_foreground_stderr_says_it_and_what_to_do() {
    let keeping = Keeping::new();
    let mut plan = keeping.plan("a", "echo 'error: invalid argument: --x'; exit 1");
    plan["control"]["background"] = json!(false);
    let output = keeping.launch(&[plan]).exits(1);
    let said = "\nikeep: bad_flag: error: invalid argument: --x\nikeep: hint: correct the argument";
    assert!(untimed(&output.stderr).contains(said), "{}", output.stderr);
}

#[test]
fn a_program_that_cannot_be_started() {
    let keeping = Keeping::new();
    keeping.sandbox.write("plain", "not a program");
    for name in ["plain", "gone"] {
        let mut plan = keeping.plan(name, "");
        plan["program"] = json!(keeping.sandbox.text(name));
        let failed = keeping.launch(&[plan]).exits(69).one("failed");
        let classes = (&failed["class"], &keeping.status(name)["class"]);
        assert_eq!(classes, (&json!("missing_file"), &json!("missing_file")));
    }
}
