//! The pixi templates: what they lock, and the smoke test that they bring, on an engine that does what a test says.
mod locked;

use crate::kit::{Output, Sandbox, alive, free_port, root, send, wait_for};
use rustix::process::Signal;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

fn template(engine: &str) -> PathBuf {
    root().join("scripts/templates").join(engine)
}

fn text(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(root().join("scripts/templates").join(path)).unwrap()
}

/// A python that is the engine when a server is asked for, with a worker beside it, and python3 otherwise.
const PYTHON: &str = r#"#!/bin/sh
case $1-$2 in
-m-sglang.launch_server | -m-vllm.entrypoints.openai.api_server) ;;
--http*)
    # Nobody asks before the worker is there, however little patience there is.
    until [ -s "$ROOT/worker" ] || [ -e "$ROOT/dies" ]; do sleep 0.01; done
    exec python3 "$@"
    ;;
*) exec python3 "$@" ;;
esac
echo "$@" >"$ROOT/argv"
env >"$ROOT/env"
if [ -e "$ROOT/dies" ]; then
    echo 'out of memory'
    exit 0
fi
sleep 1000 &
echo $! >"$ROOT/worker"
exec python3 "$ENGINE" "$PORT" "$ROOT"
"#;

/// A machine with such a python, a model, and a port for `VAR_PORT`.
fn machine(variable: &str) -> (Sandbox, u16) {
    let mut sandbox = Sandbox::new();
    sandbox.set("PIXI_PROJECT_ROOT", &template(&variable.to_lowercase()).display().to_string());
    sandbox.script("bin/python", PYTHON);
    sandbox.write("model/config.json", "{}");
    let port = free_port();
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", sandbox.text("bin"));
    for (name, value) in [
        ("PATH".to_owned(), path),
        ("ROOT".to_owned(), sandbox.text("")),
        ("ENGINE".to_owned(), root().join("tests/data/engine.py").display().to_string()),
        ("PORT".to_owned(), port.to_string()),
        ("HTTP_PROXY".to_owned(), "http://127.0.0.1:1".to_owned()),
        ("http_proxy".to_owned(), "http://127.0.0.1:1".to_owned()),
        (format!("{variable}_MODEL_DIR"), sandbox.text("model")),
        (format!("{variable}_PORT"), port.to_string()),
    ] {
        sandbox.set(&name, &value);
    }
    sandbox.write("chat", said(r#""content":" Paris.""#));
    (sandbox, port)
}

/// An answer with such a message.
fn said(message: &str) -> String {
    format!("200\n{{\"choices\":[{{\"index\":0,\"message\":{{{message}}}}}]}}")
}

fn smoke(sandbox: &Sandbox, engine: &str, arguments: &[&str]) -> Output {
    let script = template(engine).join("scripts/smoke.sh");
    sandbox.finish(sandbox.command(script).args(arguments))
}

fn worker(sandbox: &Sandbox) -> u32 {
    sandbox.read("worker").trim().parse().unwrap()
}

#[test]
fn smoke_serves_a_model_once_and_leaves_nothing_running() {
    for (engine, variable, module, gpus) in [
        ("sglang", "SGLANG", "sglang.launch_server --model-path", "--tp-size"),
        ("vllm", "VLLM", "vllm.entrypoints.openai.api_server --model", "--tensor-parallel-size"),
    ] {
        let (mut sandbox, port) = machine(variable);
        sandbox.set(&format!("{variable}_TP_SIZE"), "2");
        sandbox.write("healthy", "");
        let output = smoke(&sandbox, engine, &["--max-x", "5"]).exits(0);
        assert_eq!(output.stdout, " Paris.\n");
        assert!(output.stderr.contains("smoke.sh: answered after "), "{}", output.stderr);
        assert!(output.stderr.contains("up\n"), "what the server says\n{}", output.stderr);
        let expected = format!(
            "-m {module} {} --served-model-name smoke --host 127.0.0.1 --port {port} {gpus} 2 --max-x 5\n",
            sandbox.text("model")
        );
        assert_eq!(sandbox.read("argv"), expected);
        let env = sandbox.read("env");
        assert!(env.contains("HF_HUB_OFFLINE=1\n") && !env.contains(&format!("\n{variable}_PORT=")), "{env}");
        assert!(!alive(worker(&sandbox)));
        // The port, still warm from connections that are over, may be had again.
        drop(smoke(&sandbox, engine, &[]).exits(0));
    }
}

#[test]
fn smoke_says_why_a_model_is_not_served() {
    let (sandbox, _) = machine("SGLANG");
    sandbox.write("dies", "");
    let output = smoke(&sandbox, "sglang", &[]).exits(1);
    let expected = "out of memory\nsmoke.sh: the server ended with 0 before it had answered\n";
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", expected));

    let (mut sandbox, _) = machine("SGLANG");
    sandbox.set("SGLANG_TIMEOUT_S", "1");
    let output = smoke(&sandbox, "sglang", &[]).exits(75);
    assert!(output.stderr.contains("smoke.sh: the server is not healthy after "), "{}", output.stderr);
    assert!(!alive(worker(&sandbox)));

    let (sandbox, _) = machine("VLLM");
    sandbox.write("healthy", "");
    sandbox.write("chat", "500\nno template");
    let output = smoke(&sandbox, "vllm", &[]).exits(1);
    assert!(output.stderr.contains("/v1/chat/completions: 500 no template\n"), "{}", output.stderr);
    let last = "smoke.sh: the server is healthy and does not answer\n";
    assert!(output.stderr.contains(last), "{}", output.stderr);
    assert!(!alive(worker(&sandbox)));
    sandbox.write("chat", "200\n{}");
    let output = smoke(&sandbox, "vllm", &[]).exits(1);
    assert!(output.stderr.contains("smoke.sh: the server answers what is no completion: {}\n"));
    for silence in [r#""content":" \n""#, r#""content":null"#, ""] {
        sandbox.write("chat", said(silence));
        let output = smoke(&sandbox, "vllm", &[]).exits(1);
        assert_eq!(output.stdout, "");
        assert!(
            output.stderr.contains("smoke.sh: the server answers without a word: {"),
            "{}",
            output.stderr
        );
    }
    sandbox.write("chat", said(r#""content":null,"reasoning_content":"Hm.""#));
    assert_eq!(smoke(&sandbox, "vllm", &[]).exits(0).stdout, "Hm.\n");
}

#[test]
fn smoke_refuses_what_it_cannot_use_before_anything_starts() {
    let (mut sandbox, port) = machine("SGLANG");
    let held = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let taken = smoke(&sandbox, "sglang", &[]).exits(75);
    let expected = format!("smoke.sh: port {port}: [Errno 98] Address already in use\n");
    assert_eq!(taken.stderr, expected);
    drop(held);
    for (name, value, expected) in [
        ("SGLANG_PORT", "70000", "SGLANG_PORT is '70000': not a number from 1 to 65535"),
        ("SGLANG_TP_SIZE", "0", "SGLANG_TP_SIZE is '0': not a number from 1 to 1024"),
        ("SGLANG_MODEL_DIR", "nowhere", "SGLANG_MODEL_DIR is 'nowhere': no config.json in it"),
        ("SGLANG_MODEL_DIR", "", "SGLANG_MODEL_DIR is not set: the folder of a model"),
    ] {
        sandbox.set(name, value);
        assert_eq!(smoke(&sandbox, "sglang", &[]).exits(69).stderr, format!("smoke.sh: {expected}\n"));
        assert!(!sandbox.path("argv").exists());
        if name != "SGLANG_MODEL_DIR" {
            sandbox.unset(name);
        }
    }
}

#[test]
fn smoke_asks_a_question_of_the_chat_endpoint() {
    let (sandbox, _) = machine("SGLANG");
    sandbox.write("healthy", "");
    std::fs::remove_file(sandbox.path("chat")).unwrap();
    let output = smoke(&sandbox, "sglang", &[]).exits(0);
    // What the stand-in says of a chat; of a completion it knows nothing.
    assert_eq!(output.stdout, "H\n");
    assert!(output.stderr.contains(r#""messages": [{"role": "user", "content""#), "{}", output.stderr);
}

#[test]
fn names_of_older_templates_are_taken_or_warned_of() {
    let (mut sandbox, _) = machine("SGLANG");
    sandbox.write("healthy", "");
    for (name, value) in
        [("SGLANG_TP_SIZE_CU128", "4"), ("SGLANG_RUN_MODE", "prod"), ("SGLANG_TP_SIZE_CU126", "8")]
    {
        sandbox.set(name, value);
    }
    let output = smoke(&sandbox, "sglang", &[]).exits(0);
    assert!(sandbox.read("argv").ends_with(" --tp-size 4\n"), "{}", sandbox.read("argv"));
    assert!(!sandbox.read("env").contains("SGLANG_TP_SIZE_CU128"));
    for name in ["SGLANG_RUN_MODE", "SGLANG_TP_SIZE_CU126"] {
        let warning = format!("smoke.sh: warning: {name} is not read");
        assert!(output.stderr.contains(&warning), "{}", output.stderr);
    }
    sandbox.set("SGLANG_TP_SIZE", "2");
    let output = smoke(&sandbox, "sglang", &[]).exits(0);
    assert!(sandbox.read("argv").ends_with(" --tp-size 2\n") && !output.stderr.contains("CU128"));
    sandbox.unset("SGLANG_TP_SIZE");
    sandbox.set("SGLANG_TP_SIZE_CU128", "many");
    let refused = smoke(&sandbox, "sglang", &[]).exits(69);
    assert!(refused.stderr.ends_with("SGLANG_TP_SIZE_CU128 is 'many': not a number from 1 to 1024\n"));
}

#[test]
fn a_signal_to_smoke_ends_the_server() {
    let (sandbox, _) = machine("SGLANG");
    let mut command = sandbox.command(template("sglang").join("scripts/smoke.sh"));
    let mut smoke = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the worker", LIMIT, || {
        std::fs::read_to_string(sandbox.path("worker")).is_ok_and(|id| id.ends_with('\n'))
    });
    send(smoke.id(), Signal::TERM);
    assert_eq!(smoke.wait().unwrap().code(), Some(143));
    assert!(!alive(worker(&sandbox)));
}
