//! Waiting until instances are ready, and never saying so too early.
mod addresses;
mod identity;
mod progress;

use crate::kit::{Fake, Keeping, Sandbox, free_port, send, wait_for};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(30);

/// An `iprobe` at work on the records of a file.
fn begin(fake: &Fake<'_>, args: &[&str]) -> Child {
    let sandbox = &fake.keeping.sandbox;
    let stream = std::fs::File::open(sandbox.path(&fake.stream())).unwrap();
    let mut command = sandbox.command(crate::kit::tools().join("iprobe"));
    command.args(args).stdin(stream).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn records(stdout: &[u8]) -> Vec<Value> {
    let lines = stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

fn text<'a>(record: &'a Value, field: &str) -> &'a str {
    record[field].as_str().unwrap_or_else(|| panic!("no {field} in {record}"))
}

#[test]
fn a_server_that_lists_its_model_while_it_loads_is_not_ready() {
    let keeping = Keeping::new();
    let fake = Fake::plan(&keeping, "a").says("early", "").launched();
    let mut probe = begin(&fake, &[]);
    wait_for("questions", LIMIT, || keeping.log("a").matches("GET /health").count() > 3);
    assert!(probe.try_wait().unwrap().is_none(), "it was taken for ready");
    fake.now_says("healthy", "");
    let output = probe.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let ready = records(&output.stdout).pop().unwrap();
    assert_eq!((text(&ready, "kind"), text(&ready, "url")), ("ready", fake.url().as_str()));
    assert_eq!((text(&ready, "model_id"), text(&ready, "rung")), ("fake", "answering"));
    let times =
        ["alive_ms", "healthy_ms", "listed_ms", "answering_ms"].map(|rung| ready[rung].as_f64().unwrap());
    assert!(times.is_sorted(), "{ready}");
}

#[test]
fn a_port_that_is_bound_and_not_listened_on_is_waited_for() {
    let keeping = Keeping::new();
    let fake = Fake::plan(&keeping, "a").says("bind-only", "").says("healthy", "").launched();
    let mut probe = begin(&fake, &[]);
    assert!(probe.try_wait().unwrap().is_none());
    fake.unsays("bind-only");
    assert_eq!(probe.wait_with_output().unwrap().status.code(), Some(0));
}

#[test]
fn one_that_dies_fails_at_once_with_its_exit_and_its_last_words() {
    let keeping = Keeping::new();
    let plan = keeping.plan("a", "for i in $(seq 30); do echo line $i; done; echo cannot load >&2; exit 7");
    keeping.sandbox.write("plans.jsonl", format!("{plan}\n"));
    let begun = Instant::now();
    let output = keeping.sandbox.sh("ilaunch < plans.jsonl | iprobe");
    assert!(begun.elapsed() < Duration::from_secs(10));
    let failed = output.exits(1).one("failed");
    assert_eq!((text(&failed, "by"), text(&failed, "exit")), ("iprobe", "exit 7"));
    let tail: Vec<&str> =
        failed["log_tail"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert!(tail.contains(&"cannot load") && tail.len() <= 20 && !tail.contains(&"line 1"), "{tail:?}");
}

#[test]
fn one_whose_keeper_was_killed_fails_at_once() {
    let keeping = Keeping::new();
    let fake = Fake::plan(&keeping, "a").launched();
    let probe = begin(&fake, &[]);
    wait_for("questions", LIMIT, || keeping.log("a").contains("GET /health"));
    keeping.signal_keeper("a", Signal::KILL);
    let output = probe.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&records(&output.stdout)[2], "cause"), "its keeper is gone");
}

/// A keeper has its lock before it has written: what `status.json` says then is the last word of the one before it.
#[test]
fn one_whose_keeper_has_only_just_begun_is_waited_for() {
    let keeping = Keeping::new();
    let fake = Fake::plan(&keeping, "a").says("healthy", "").launched();
    keeping.wait_for_state("a", "running");
    let status = keeping.state_dir("a").join("status.json");
    let now = std::fs::read_to_string(&status).unwrap();
    std::fs::write(&status, now.replace("\"running\"", "\"stopped\"")).unwrap();
    let mut probe = begin(&fake, &[]);
    // One that believes it ends at once.
    let early = Instant::now();
    while early.elapsed() < Duration::from_millis(500) && probe.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::fs::write(&status, now).unwrap();
    let output = probe.wait_with_output().unwrap();
    assert_eq!(records(&output.stdout)[2]["kind"], "ready", "{output:?}");
}

#[test]
fn each_is_reported_the_moment_that_it_is_ready_while_input_is_still_open() {
    let keeping = Keeping::new();
    let slow = Fake::plan(&keeping, "slow").launched();
    let quick = Fake::plan(&keeping, "quick").says("healthy", "").launched();
    let sandbox = &keeping.sandbox;
    let mut command = sandbox.command(crate::kit::tools().join("iprobe"));
    let mut probe = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = probe.stdin.take().unwrap();
    for fake in [&slow, &quick] {
        input.write_all(sandbox.read(&fake.stream()).as_bytes()).unwrap();
    }
    let mut lines = BufReader::new(probe.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut ready = || {
        let line = lines.find(|line| line.contains("\"kind\":\"ready\"")).unwrap();
        text(&serde_json::from_str(&line).unwrap(), "instance").to_owned()
    };
    assert_eq!(ready(), "quick");
    slow.now_says("healthy", "");
    assert_eq!(ready(), "slow");
    drop(input);
    assert!(probe.wait().unwrap().success());
}

#[test]
fn a_server_that_does_not_chat_is_reported_and_is_ready_on_a_lower_rung() {
    let keeping = Keeping::new();
    let refusal = "501\n{\"error\":{\"message\":\"This server does not support completions\"}}";
    let mut fake = Fake::plan(&keeping, "a").says("healthy", "").says("chat", refusal).launched();
    let failed = keeping.sandbox.sh(&format!("iprobe < {}", fake.stream())).exits(1).one("failed");
    assert_eq!(text(&failed, "cause"), "HTTP 501: This server does not support completions");
    assert!(text(&failed, "hint").contains("ready_rung"), "{failed}");
    let ready =
        keeping.sandbox.sh(&format!("iprobe --rung listed < {}", fake.stream())).exits(0).one("ready");
    assert_eq!((text(&ready, "rung"), ready.get("answering_ms")), ("listed", None));
    keeping.stop("a");
    fake.plan["control"]["ready_rung"] = json!("healthy");
    let fake = fake.launched();
    let ready = keeping.sandbox.sh(&format!("iprobe < {}", fake.stream())).exits(0).one("ready");
    assert_eq!((text(&ready, "rung"), ready.get("model_id")), ("healthy", None));
}

#[test]
fn all_interfaces_are_asked_on_loopback_and_never_through_a_proxy() {
    let mut keeping = Keeping::new();
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        keeping.sandbox.set(name, "http://127.0.0.1:1");
    }
    for (name, host, asked) in [("four", "0.0.0.0", "127.0.0.1"), ("six", "::", "[::1]")] {
        let fake = Fake::plan_on(&keeping, name, host).says("healthy", "").launched();
        let ready = keeping.sandbox.sh(&format!("iprobe < {}", fake.stream())).exits(0).one("ready");
        assert_eq!(text(&ready, "url"), format!("http://{asked}:{}", fake.port()));
    }
}

#[test]
fn once_answers_by_its_exit_code_alone() {
    let keeping = Keeping::new();
    let fake = Fake::plan(&keeping, "a").launched();
    let state = format!("iprobe --once --state {}", keeping.state_dir("a").display());
    let url = format!("iprobe --once --url {}/v1", fake.url());
    for probe in [&state, &url] {
        let output = keeping.sandbox.sh(probe).exits(1);
        assert!(output.stdout.is_empty() && output.stderr.contains("HTTP 503: Loading model"), "{output:?}");
    }
    drop(keeping.sandbox.sh(&format!("{url} --rung alive")).exits(2));
    fake.now_says("healthy", "");
    for probe in [&state, &url] {
        assert_eq!(keeping.sandbox.sh(probe).transcript(), "");
    }
    keeping.stop("a");
    let output = keeping.sandbox.sh(&state).exits(1);
    assert_eq!(output.stderr, "iprobe: llama-cpp/a is not ready: it is stopped\n");
    drop(keeping.sandbox.sh(&url).exits(1));
    drop(keeping.sandbox.sh("iprobe --once --state none").exits(65));
    drop(keeping.sandbox.sh("iprobe --once").exits(2));
}

#[test]
fn a_state_directory_or_a_url_is_waited_for_without_records() {
    let keeping = Keeping::new();
    let fake = Fake::plan(&keeping, "a").says("healthy", "").launched();
    let state = keeping.state_dir("a");
    let ready = keeping.sandbox.sh(&format!("iprobe --state {}", state.display())).exits(0).one("ready");
    assert_eq!(text(&ready, "instance"), "a");
    assert_eq!(keeping.sandbox.sh(&format!("iprobe --url {}", fake.url())).transcript(), "");
    let nobody = format!("iprobe --url http://127.0.0.1:{} --timeout 1", free_port());
    assert!(keeping.sandbox.sh(&nobody).exits(75).stderr.contains("Connection refused"));
    drop(keeping.sandbox.sh("iprobe --url https://127.0.0.1:1").exits(2));
}

#[test]
fn a_planned_instance_that_nobody_launched_is_an_input_failure() {
    let keeping = Keeping::new();
    drop(keeping.sandbox.sh("iprobe < /dev/null").exits(65));
    let plan = keeping.plan("a", "exit 1");
    keeping.sandbox.write("plan.jsonl", format!("{plan}\n"));
    let output = keeping.sandbox.sh("iprobe < plan.jsonl").exits(65);
    assert!(output.stderr.contains("no 'instance' record"), "{output:?}");
    let stand_in =
        r#"{"kind":"skipped","engine":"llama-cpp","instance":"a","by":"ilaunch","why":"disabled"}"#;
    drop(keeping.sandbox.sh(&format!("(cat plan.jsonl; echo '{stand_in}') | iprobe")).exits(0));
    let gone = format!(
        r#"{{"kind":"instance","engine":"llama-cpp","instance":"a","keeper_pid":1,"state_dir":"{}","argv":[],"env_set":{{}},"gpu_ids":"all","host":"127.0.0.1","port":1,"log_file":"/x"}}"#,
        keeping.sandbox.text("none")
    );
    keeping.sandbox.sh(&format!("echo '{gone}' | iprobe")).exits(65).one("failed");
}

#[test]
fn an_engine_that_was_not_asked_to_serve_is_skipped() {
    let sandbox = Sandbox::new();
    let output = sandbox
        .sh("AUTO_INFER_LLAMA_CPP_GET_PKG_ON_BOOT=1 AUTO_INFER_LLAMA_CPP_PKG_PATH=/x ienv --boot | iprobe");
    let skipped = output.all("skipped");
    let by_us = skipped.iter().filter(|record| record["by"] == "iprobe").count();
    assert_eq!(by_us, 1, "{}", output.transcript());
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let keeping = Keeping::new();
    let fake = Fake::plan(&keeping, "a").says("healthy", "").launched();
    drop(keeping.sandbox.sh(&format!("set +o pipefail; iprobe < {} | true", fake.stream())).exits(0));
    assert_eq!(keeping.status("a")["state"], "running");
    send(keeping.keeper("a").unwrap(), Signal::TERM);
}

#[test]
fn a_restarted_engine_is_probed_from_the_first_rung_and_no_timeout_runs_in_between() {
    let keeping = Keeping::new();
    let mut fake = Fake::plan(&keeping, "a").says("healthy", "");
    fake.plan["control"]["backoff_ms"] = json!(2000);
    fake.plan["control"]["ready_timeout_s"] = json!(2);
    let fake = fake.launched();
    wait_for("health", LIMIT, || keeping.status("a")["healthy_unix"].is_f64());
    fake.unsays("healthy");
    let first = keeping.status("a")["pid"].as_u64().unwrap().try_into().unwrap();
    send(first, Signal::KILL);
    keeping.wait_for_state("a", "backoff");
    let probe = begin(&fake, &[]);
    keeping.wait_for_state("a", "running");
    fake.now_says("healthy", "");
    let output = probe.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(keeping.status("a")["restarts"], 1);
    assert_eq!(text(&records(&output.stdout).pop().unwrap(), "rung"), "answering");
}
