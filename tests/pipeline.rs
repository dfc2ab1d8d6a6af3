//! The main job, end to end on the real llama.cpp server: from an archive to an answer, with no network.
pub(crate) mod roads;
mod written;

use crate::kit::{Sandbox, Tiny, alive, free_port, tools};
use serde_json::Value;
use std::fs::File;

const PIPELINE: &str = "ienv llama-cpp | iinstall | iplan | ilaunch | iprobe | ichat Hello";

/// A sandbox whose llama.cpp variables name the real engine, and a TOML file with one instance per port.
pub(crate) fn sandbox_with_engine(ports: &[u16]) -> Sandbox {
    let tiny = Tiny::get();
    let mut sandbox = Sandbox::new();
    let mut config = format!("[instance.server]\nmodel = {:?}\nctx_size = 4096\n", tiny.model);
    for (index, port) in ports.iter().enumerate() {
        config.push_str(&format!("[instance.tiny{index}.server]\nport = {port}\n"));
    }
    let config = sandbox.write("llama.toml", config);
    sandbox.set("AUTO_INFER_LLAMA_CPP_CONFIG", config.to_str().unwrap());
    sandbox.set("AUTO_INFER_LLAMA_CPP_PKG_PATH", tiny.archive.to_str().unwrap());
    sandbox
}

fn pid_of(status: &Value) -> u32 {
    u32::try_from(status["pid"].as_u64().unwrap()).unwrap()
}

#[test]
fn from_an_archive_to_an_answer_and_back_to_nothing() {
    let mut sandbox = sandbox_with_engine(&[free_port()]);
    // Our own requests never use a proxy; this one would refuse them all.
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        sandbox.set(name, "http://127.0.0.1:1");
    }
    let first = sandbox.sh(PIPELINE).exits(0);
    let kinds: Vec<String> = first.kinds().into_iter().filter(|kind| kind != "warning").collect();
    assert_eq!(kinds, ["env", "installed", "plan", "instance", "ready", "answer"]);
    let answer = first.one("answer");
    assert!(answer["content"].as_str().unwrap().split(' ').count() > 5, "{answer}");
    assert!(answer["completion_tokens"].as_u64().unwrap() > 5, "{answer}");
    assert!(answer["ttft_ms"].as_f64().unwrap() > 0.0 && answer["tokens_per_second"].as_f64().unwrap() > 0.0);
    let ready = first.one("ready");
    let rungs =
        ["alive_ms", "healthy_ms", "listed_ms", "answering_ms"].map(|rung| ready[rung].as_f64().unwrap());
    assert!(rungs.is_sorted(), "{ready}");

    let status = sandbox.sh("istat").exits(0).one("status");
    assert_eq!((status["state"].as_str(), status["restarts"].as_u64()), (Some("running"), Some(0)));
    let (engine, keeper) = (pid_of(&status), first.one("instance")["keeper_pid"].as_u64().unwrap());
    assert!(alive(engine));

    let second = sandbox.sh(PIPELINE).exits(0);
    assert_eq!(second.one("installed")["reused"], true);
    assert_eq!(second.one("instance")["reused"], true);
    assert_eq!(pid_of(&sandbox.sh("istat").exits(0).one("status")), engine, "a second server was started");

    let stopped = sandbox.sh("istop").exits(0).one("stopped");
    assert_eq!((stopped["how"].as_str(), stopped["orphans"].as_u64()), (Some("term"), Some(0)));
    assert!(!alive(engine) && !alive(u32::try_from(keeper).unwrap()));
    assert_eq!(sandbox.sh("istat || true").one("status")["state"], "stopped");
}

#[test]
fn several_instances_come_up_side_by_side_and_are_stopped_by_name() {
    let sandbox = sandbox_with_engine(&[free_port(), free_port(), free_port()]);
    let output = sandbox.sh(PIPELINE).exits(0);
    assert_eq!((output.all("ready").len(), output.all("answer").len()), (3, 3));
    let stopped = sandbox.sh("istop llama-cpp/tiny1").exits(0).one("stopped");
    assert_eq!(stopped["instance"], "tiny1");
    let running = |status: &&Value| status["state"] == "running";
    assert_eq!(sandbox.sh("istat || true").all("status").iter().filter(running).count(), 2);
    assert_eq!(sandbox.sh("istop").exits(0).all("stopped").len(), 2);
}

#[test]
fn a_config_whose_model_is_absent_fails_before_anything_starts() {
    let sandbox = sandbox_with_engine(&[free_port()]);
    let config = sandbox.read("llama.toml").replace("tiny.gguf", "gone.gguf");
    sandbox.write("llama.toml", config);
    let output = sandbox.sh(PIPELINE).exits(69);
    let failed = output.one("failed");
    assert_eq!(failed["by"], "iplan");
    assert!(failed["what"].as_str().unwrap().contains("gone.gguf"), "{failed}");
    assert!(output.all("instance").is_empty() && output.all("ready").is_empty());
    assert!(sandbox.sh("istat").all("status").is_empty());
}

#[test]
fn a_model_that_cannot_be_loaded_fails_at_once_with_the_servers_own_words() {
    let sandbox = sandbox_with_engine(&[free_port()]);
    let broken = sandbox.write("broken.gguf", "GGUF but not really");
    let config =
        sandbox.read("llama.toml").replace(Tiny::get().model.to_str().unwrap(), broken.to_str().unwrap());
    sandbox.write("llama.toml", config);
    let output = sandbox.sh(PIPELINE).exits(1);
    let failed = output.one("failed");
    assert_eq!((failed["by"].as_str(), failed["exit"].as_str()), (Some("iprobe"), Some("exit 1")));
    assert!(!failed["log_tail"].as_array().unwrap().is_empty(), "{failed}");
    assert!(output.all("answer").is_empty());
}

#[test]
fn a_boot_that_asks_for_nothing_does_nothing_and_says_so() {
    let sandbox = Sandbox::new();
    let output = sandbox.sh("ienv --boot | iinstall | iplan | ilaunch | iprobe | ichat").exits(0);
    assert!(output.kinds().iter().all(|kind| kind == "skipped"), "{}", output.transcript());
}

#[test]
fn a_boot_that_only_installs_starts_nothing() {
    let mut sandbox = sandbox_with_engine(&[free_port()]);
    sandbox.set("AUTO_INFER_LLAMA_CPP_GET_PKG_ON_BOOT", "1");
    let output = sandbox.sh("ienv --boot | iinstall | iplan | ilaunch | iprobe | ichat").exits(0);
    assert_eq!(output.all("installed").len(), 1);
    assert!(output.all("plan").is_empty() && output.all("instance").is_empty(), "{}", output.transcript());
}

#[test]
fn ilaunch_without_iplan_plans_by_itself() {
    let sandbox = sandbox_with_engine(&[free_port()]);
    let output = sandbox.sh("ienv llama-cpp | iinstall | ilaunch | iprobe | ichat Hello").exits(0);
    assert_eq!(output.all("answer").len(), 1, "{}", output.transcript());
}

#[test]
fn a_server_that_was_put_there_by_hand_is_served_while_nothing_is_installed() {
    let mut sandbox = sandbox_with_engine(&[free_port()]);
    let older = sandbox.text("older");
    drop(sandbox.sh(&format!("mkdir older; tar xzf {} -C older", Tiny::get().archive.display())).exits(0));
    let nested = sandbox.sh("cd older; find . -name llama-server -printf '%h\\n'").exits(0).stdout;
    if nested.trim() != "./bin" {
        drop(sandbox.sh(&format!("mkdir older/bin; cp -a older/{}/. older/bin", nested.trim())).exits(0));
    }
    sandbox.unset("AUTO_INFER_LLAMA_CPP_PKG_PATH");
    sandbox.set("AUTO_INFER_LLAMA_CPP_INSTALL_DIR", &older);
    let output = sandbox.sh(PIPELINE).exits(0);
    assert_eq!(output.one("installed")["reused"], true);
    assert!(output.one("plan").get("install_path").is_none(), "{}", output.transcript());
    assert_eq!(output.all("answer").len(), 1);
}

#[test]
fn without_a_reader_ilaunch_starts_nothing_of_a_stream_that_it_did_not_read_to_its_end() {
    let sandbox = sandbox_with_engine(&[free_port()]);
    let head = sandbox.sh("ienv llama-cpp | iinstall").exits(0).stdout;
    let failed = r#"{"kind":"failed","engine":"llama-cpp","by":"iplan","what":"w","cause":"c","code":65}"#;
    let head = head.replace("$SANDBOX", sandbox.text("").trim_end_matches('/'));
    let stream = sandbox.write("stream", format!("{head}{failed}\n"));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = sandbox.command(tools().join("ilaunch"));
    let status = command.stdin(File::open(stream).unwrap()).stdout(writer).status().unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(sandbox.sh("istat").exits(0).all("status").is_empty());
}
