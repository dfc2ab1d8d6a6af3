//! Whether the server that answers is the one that was started.
use super::text;
use crate::kit::{Fake, Keeping, free_port};
use serde_json::json;

#[test]
fn another_model_than_the_served_one_is_not_listed() {
    let keeping = Keeping::new();
    let mut fake = Fake::plan(&keeping, "a").says("healthy", "").says("ids", "x\ny");
    fake.plan["served_name"] = json!("glm4");
    let fake = fake.launched();
    let output = keeping.sandbox.sh(&format!("iprobe --timeout 1 < {}", fake.stream())).exits(75);
    assert_eq!(output.one("failed")["cause"], "1 s are over; /v1/models lists x, y, not glm4");
    fake.now_says("ids", "x\nglm4");
    let output = keeping.sandbox.sh(&format!("iprobe < {}", fake.stream())).exits(0);
    assert_eq!(output.one("ready")["model_id"], "glm4");
}

#[test]
fn a_foreign_server_on_the_port_is_not_taken_for_ours() {
    let keeping = Keeping::new();
    let ours = Fake::plan(&keeping, "ours").says("bind-only", "").says("healthy", "").launched();
    let mut other = Fake::plan(&keeping, "other").says("healthy", "");
    // It shares the port, as a second vLLM would, and answers just as ours will.
    let program = text(&other.plan, "program").to_owned();
    let script = std::fs::read_to_string(&program).unwrap();
    let script = script.replace(&other.port().to_string(), &ours.port().to_string());
    std::fs::write(&program, script).unwrap();
    other.plan["port"] = json!(free_port());
    let other = other.launched();
    let output = keeping.sandbox.sh(&format!("iprobe < {}", ours.stream())).exits(75);
    let failed = output.one("failed");
    let who = format!(
        "llama-cpp/other, an instance of ours ({} python3), listens on port {}",
        keeping.status("other")["pid"],
        ours.port()
    );
    assert_eq!(text(&failed, "cause"), who);
    keeping.stop(&other.name);
    ours.unsays("bind-only");
    keeping.sandbox.sh(&format!("iprobe < {}", ours.stream())).exits(0).one("ready");
}

#[test]
fn the_key_of_the_state_directory_is_presented_and_a_wrong_one_fails_at_once() {
    let keeping = Keeping::new();
    let fake = Fake::plan(&keeping, "a").says("healthy", "").says("key", "sesame").launched();
    let failed = keeping.sandbox.sh(&format!("iprobe < {}", fake.stream())).exits(69).one("failed");
    assert_eq!(text(&failed, "cause"), "HTTP 401: Invalid API Key");
    std::fs::write(keeping.state_dir("a").join("api-key"), "sesame\n").unwrap();
    let output = keeping.sandbox.sh(&format!("iprobe < {}", fake.stream())).exits(0);
    assert!(!output.stdout.contains("sesame") && output.one("ready")["rung"] == "answering");
    let key = keeping.sandbox.write("key", "sesame\n");
    let probe = format!("iprobe --once --url {} --key-file", fake.url());
    drop(keeping.sandbox.sh(&format!("{probe} {}", key.display())).exits(0));
    drop(keeping.sandbox.sh(&format!("{probe} none")).exits(69));
}
