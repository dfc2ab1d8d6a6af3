//! The container's entry: the boot on the real engine, and what becomes of COMMAND.
mod folders;
mod hooks;
mod kept;
mod terminal;

pub(crate) use hooks::ON_A_VOLUME;

use crate::kit::{Front, Output, Sandbox, free_port, root, send, speaking, wait_for};
use crate::pipeline::sandbox_with_engine;
use rustix::process::Signal;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

fn script() -> PathBuf {
    root().join("scripts/infer-dev-entry.sh")
}

/// The real engine, installed and served at boot.
fn booting(ports: &[u16]) -> Sandbox {
    let mut sandbox = sandbox_with_engine(ports);
    sandbox.set("AUTO_INFER_LLAMA_CPP_GET_PKG_ON_BOOT", "1");
    sandbox.set("AUTO_INFER_LLAMA_CPP_ON_BOOT", "1");
    sandbox
}

/// The same, and the last instance's model is one that no engine loads.
fn booting_with_one_broken(ports: &[u16]) -> Sandbox {
    let sandbox = booting(ports);
    let broken = sandbox.write("broken.gguf", "GGUF but not really");
    // imodel would not let it come so far.
    let control = "[instance.control]\nallow = ['weights_damaged']\n";
    let config = format!("{}model = {broken:?}\n{control}", sandbox.read("llama.toml"));
    sandbox.write("llama.toml", config);
    sandbox
}

/// An engine that starts and never gets ready.
fn booting_for_ever() -> Sandbox {
    let sandbox = booting(&[free_port()]);
    let server = sandbox.script("server", &(speaking("llama-cpp") + "exec sleep 1000\n"));
    let config = format!("[master]\nllama_cpp_path = {server:?}\n{}", sandbox.read("llama.toml"));
    sandbox.write("llama.toml", config);
    sandbox
}

/// Run the entry script to its end with `sh -c COMMAND`.
fn enter(sandbox: &Sandbox, command: &str) -> Output {
    sandbox.finish(sandbox.command(script()).args(["sh", "-c", command]))
}

fn spawn(sandbox: &Sandbox, command: &str) -> Child {
    let mut entry = sandbox.command(script());
    entry.args(["sh", "-c", command]).stdout(Stdio::null()).stderr(Stdio::null());
    entry.spawn().unwrap()
}

fn wait_for_file(sandbox: &Sandbox, name: &str) {
    wait_for(name, LIMIT, || sandbox.path(name).exists());
}

fn states(sandbox: &Sandbox) -> Vec<String> {
    let all = sandbox.sh("istat || true").all("status");
    all.iter().map(|status| status["state"].as_str().unwrap().to_owned()).collect()
}

fn end(child: &mut Child) -> Option<i32> {
    child.wait().unwrap().code()
}

#[test]
fn command_runs_once_the_engines_answer_and_its_exit_code_is_the_scripts() {
    let sandbox = booting(&[free_port()]);
    let output = enter(&sandbox, "istat >at-command; exit 7").exits(7);
    assert_eq!(output.one("answer")["instance"], "tiny0");
    assert_eq!(output.stderr, "");
    assert!(sandbox.read("at-command").contains(r#""state":"running""#));
    assert_eq!(states(&sandbox), ["running"], "the engine stays where only COMMAND ended");
}

#[test]
fn command_gets_standard_input_and_may_be_interrupted() {
    let sandbox = Sandbox::new();
    sandbox.write("words", "hello\n");
    let entry = script().display().to_string();
    let output = sandbox.sh(&format!("{entry} cat <words 2>&1 | tail -n 1")).exits(0);
    assert_eq!(output.stdout, "hello\n");
    // A shell lets what it starts with `&` ignore INT and QUIT (bits 1 and 2).
    let output = sandbox.sh(&format!("{entry} grep SigIgn /proc/self/status | tail -n 1")).exits(0);
    let ignored = output.stdout.split_whitespace().last().unwrap();
    assert_eq!(u64::from_str_radix(ignored, 16).unwrap() & 0b110, 0, "{ignored}");
    let missing = sandbox.finish(sandbox.command(script()).arg("no-such-program")).exits(127);
    assert!(missing.stderr.contains("no-such-program: not found"), "{}", missing.stderr);
}

#[test]
fn without_command_a_terminal_gets_a_shell_with_job_control() {
    let mut sandbox = Sandbox::new();
    sandbox.set("SHELL", "/bin/bash");
    sandbox.write("typed", "echo flags=$-\nsleep 1000 &\nkill %1\nexit 4\n");
    let entry = script().display().to_string();
    let output = sandbox.sh(&format!("script -qec {entry} /dev/null <typed")).exits(4);
    let flags = output.stdout.split("flags=").find(|text| text.starts_with('h')).unwrap();
    assert!(flags.split_whitespace().next().unwrap().contains('m'), "{}", output.stdout);
    assert!(output.stdout.contains("ENGINE "), "a table for a person\n{}", output.stdout);
    assert!(!output.stdout.contains(r#"{"kind""#), "{}", output.stdout);
}

#[test]
fn a_failed_boot_does_not_keep_command_from_running() {
    let sandbox = booting_with_one_broken(&[free_port(), free_port()]);
    let output = enter(&sandbox, "echo ran >ran; exit 3").exits(3);
    assert_eq!(sandbox.read("ran"), "ran\n");
    assert_eq!(output.one("answer")["instance"], "tiny0");
    assert_eq!(output.one("failed")["instance"], "tiny1");
    assert_eq!(states(&sandbox), ["running", "failed"]);
}

#[test]
fn a_failed_boot_ends_the_container_where_it_is_set_to() {
    let mut sandbox = booting_with_one_broken(&[free_port(), free_port()]);
    sandbox.set("AUTO_INFER_BOOT_FAILURE", "stop");
    let output = enter(&sandbox, "echo ran >ran").exits(1);
    assert!(!sandbox.path("ran").exists());
    assert_eq!(output.one("stopped")["instance"], "tiny0", "what did come up is stopped");
    let last = "infer-dev-entry.sh: the boot failed with 1 and AUTO_INFER_BOOT_FAILURE is 'stop'\n";
    assert!(output.stderr.ends_with(last), "{}", output.stderr);
    assert_eq!(states(&sandbox), ["stopped", "failed"]);
}

#[test]
fn command_need_not_wait_for_the_boot() {
    let mut sandbox = booting(&[free_port()]);
    sandbox.set("AUTO_INFER_BOOT_WAIT", "0");
    sandbox.set("INFER_DEV_KEEP", &sandbox.text("kept"));
    // The boot waits for COMMAND, which would never start if it waited for the boot.
    let ienv = crate::kit::tools().join("ienv");
    sandbox.script("bin/ienv", &format!("#!/bin/sh\nread -r _ <gate\nexec {} \"$@\"\n", ienv.display()));
    let path = format!("{}:{}", sandbox.text("bin"), crate::kit::tools().display());
    sandbox.set("PATH", &format!("{path}:/usr/bin:/bin"));
    let command = "echo go >gate; until grep -q '\"answer\"' kept/*; do sleep 0.01; done; exit 5";
    drop(sandbox.sh("mkfifo gate").exits(0));
    let output = enter(&sandbox, command).exits(5);
    assert_eq!(output.all("answer").len(), 1);
}

#[test]
fn a_boot_that_fails_in_the_background_ends_command_where_it_is_set_to() {
    let mut sandbox = booting_with_one_broken(&[free_port()]);
    sandbox.set("AUTO_INFER_BOOT_WAIT", "0");
    sandbox.set("AUTO_INFER_BOOT_FAILURE", "stop");
    drop(enter(&sandbox, "exec sleep 1000").exits(1));
    sandbox.set("AUTO_INFER_BOOT_FAILURE", "continue");
    let command = "until istat | grep -q '\"failed\"'; do sleep 0.01; done; exit 6";
    drop(enter(&sandbox, command).exits(6));
}

#[test]
fn term_stops_the_engines_first_and_then_command() {
    let sandbox = booting(&[free_port()]);
    let command = "trap 'istat >at-term; exit 9' TERM; : >started; while :; do sleep 0.01; done";
    let mut entry = spawn(&sandbox, command);
    wait_for_file(&sandbox, "started");
    assert_eq!(states(&sandbox), ["running"]);
    send(entry.id(), Signal::TERM);
    send(entry.id(), Signal::TERM);
    assert_eq!(end(&mut entry), Some(9), "COMMAND's own exit code");
    assert!(sandbox.read("at-term").contains(r#""state":"stopped""#), "{}", sandbox.read("at-term"));
}

#[test]
fn term_during_the_boot_leaves_nothing_running() {
    let mut sandbox = booting_for_ever();
    for wait in ["1", "0"] {
        sandbox.set("AUTO_INFER_BOOT_WAIT", wait);
        let mut entry = spawn(&sandbox, "exec sleep 1000");
        wait_for("the engine", LIMIT, || states(&sandbox) == ["running"]);
        send(entry.id(), Signal::TERM);
        // COMMAND had not been started, or died of TERM.
        assert_eq!(end(&mut entry), Some(143), "AUTO_INFER_BOOT_WAIT={wait}");
        assert_eq!(states(&sandbox), ["stopped"], "AUTO_INFER_BOOT_WAIT={wait}");
    }
}

#[test]
fn a_reader_that_goes_away_does_not_end_the_boot() {
    let mut sandbox = booting(&[free_port()]);
    sandbox.set("INFER_DEV_KEEP", &sandbox.text("kept"));
    drop(sandbox.sh(&format!("{} true | true", script().display())));
    wait_for("the answer", LIMIT, || sandbox.sh("cat kept/*").stdout.contains(r#""kind":"answer""#));
    assert_eq!(states(&sandbox), ["running"]);
}

#[test]
fn wrong_variables_are_named_and_nothing_is_done() {
    let mut sandbox = Sandbox::new();
    sandbox.set("AUTO_INFER_BOOT_WAIT", "perhaps");
    insta::assert_snapshot!(enter(&sandbox, "echo ran").exits(69).transcript(), @r"
    -- stderr --
    infer-dev-entry.sh: AUTO_INFER_BOOT_WAIT is 'perhaps': not one of 1 true yes on 0 false no off
    [exit 69]
    ");
    sandbox.set("AUTO_INFER_BOOT_FAILURE", "explode");
    insta::assert_snapshot!(enter(&sandbox, "echo ran").exits(69).transcript(), @r"
    -- stderr --
    infer-dev-entry.sh: AUTO_INFER_BOOT_FAILURE is 'explode': not one of continue stop
    [exit 69]
    ");
}

#[test]
fn a_boot_that_is_asked_for_the_bridge_starts_it_after_the_engines_and_names_its_key_to_the_owner() {
    let mut sandbox = booting(&[free_port()]);
    let port = free_port();
    sandbox.set("AUTO_INFER_BRIDGE_LISTEN", &format!("0.0.0.0:{port}"));
    sandbox.set("AUTO_INFER_BRIDGE_ON_BOOT", "1");
    let output = enter(&sandbox, "ibridge env; exit 7").exits(7);
    let records: Vec<_> =
        output.stdout.lines().filter(|line| line.contains("\"kind\":\"instance\"")).collect();
    assert!(records.len() == 2 && records[1].contains("\"engine\":\"bridge\""), "{}", output.transcript());
    assert!(
        output.stdout.contains(&format!("export ANTHROPIC_BASE_URL='http://127.0.0.1:{port}';")),
        "{}",
        output.transcript()
    );
    let key = sandbox.read("w/bridge-key");
    assert!(output.stdout.contains(&format!("export ANTHROPIC_AUTH_TOKEN='{}';", key.trim())));
    let status = sandbox.sh("istat bridge").exits(0).one("status");
    assert_eq!(
        (&status["rung"], &status["url"]),
        (&"healthy".into(), &format!("http://127.0.0.1:{port}").into())
    );
    let front = Front::at(port);
    let body = br#"{"model":"claude-x","max_tokens":4,"messages":[{"role":"user","content":"Hello"}]}"#;
    assert_eq!(front.post_with("/v1/messages", &[], body).status, 401);
    let ready =
        || front.post_with("/v1/messages", &[&format!("x-api-key: {}", key.trim())], body).status == 200;
    wait_for("an answer", Duration::from_secs(30), ready);
    assert_eq!(sandbox.sh("istop").exits(0).all("stopped").len(), 2);
}

#[test]
fn help_and_wrong_options_start_nothing() {
    let sandbox = Sandbox::new();
    for option in ["--help", "-h"] {
        let help = sandbox.finish(sandbox.command(script()).arg(option)).exits(0);
        assert!(help.stdout.contains("Usage: infer-dev-entry.sh [COMMAND [ARG...]]"), "{}", help.stdout);
        assert!(help.stderr.is_empty() && !help.stdout.contains(r#""kind""#), "{}", help.transcript());
    }
    let wrong = sandbox.finish(sandbox.command(script()).arg("--hlep")).exits(2);
    assert_eq!(wrong.stdout, "");
    assert!(wrong.stderr.contains("--hlep is no option"), "{}", wrong.stderr);
}

#[test]
fn term_to_all_at_once_shows_in_the_exit_code() {
    use std::os::unix::process::CommandExt;
    let sandbox = Sandbox::new();
    for _ in 0..10 {
        let mut entry = sandbox.command(script());
        entry.args(["sh", "-c", ": >started; exec sleep 1000"]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut entry = entry.process_group(0).spawn().unwrap();
        wait_for_file(&sandbox, "started");
        let group = rustix::process::Pid::from_child(&entry);
        rustix::process::kill_process_group(group, Signal::TERM).unwrap();
        assert_eq!(end(&mut entry), Some(143));
        std::fs::remove_file(sandbox.path("started")).unwrap();
    }
}
