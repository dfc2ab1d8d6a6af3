//! Secrets of other engines, and secrets in URLs.
use super::{Boundary, PATIENT, U, V};
use crate::kit::{Keeping, free_port};
use serde_json::json;
use std::fs;
use std::os::unix::fs::chown;

const WORD: &str = "w0rd-of-another";

#[test]
fn a_keeper_and_its_engine_carry_no_settings_of_any_engine() {
    let Some(mut boundary) = Boundary::new() else { return };
    let overrides = format!("{{\"master\": {{\"key\": \"{WORD}\"}}}}");
    for name in ["AUTO_INFER_VLLM_OVERRIDES", "AUTO_INFER_LITELLM_MASTER_KEY", "AUTO_INFER_SGLANG_OVERRIDES"]
    {
        boundary.keeping.sandbox.set(name, &overrides);
    }
    boundary.start(PATIENT);
    let status = boundary.keeping.wait_for_state("a", "running");
    boundary.keeping.wait_for_log("a", "up\n");
    for pid in [&status["keeper_pid"], &status["pid"]] {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap();
        let environ = String::from_utf8_lossy(&environ);
        assert!(
            environ.contains("PATH=") && !environ.contains("AUTO_INFER_") && !environ.contains(WORD),
            "{environ}"
        );
    }
}

#[test]
fn a_login_in_a_url_stands_in_no_argument_no_record_and_no_log() {
    let mut keeping = Keeping::new();
    let sandbox = &mut keeping.sandbox;
    let program = sandbox.script(
        "engine",
        "#!/bin/bash\necho \"$DATABASE_URL and ${DATABASE_URL#*:}\"; echo up; exec sleep 1000\n",
    );
    let (model, port) = (sandbox.write("model.gguf", ""), free_port());
    let server = format!("[instance.a.server]\nmodel = {model:?}\nport = {port}\n");
    let env = format!("[instance.a.env]\nDATABASE_URL = \"postgres://me:{WORD}@db.invalid/x\"\n");
    let log = sandbox.text("logs/a.log");
    let config = format!(
        "[master]\nllama_cpp_path = {program:?}\n[instance.a.control]\nlog_file = {log:?}\n{server}{env}"
    );
    let config = sandbox.write("c.toml", &config);
    sandbox.set("AUTO_INFER_LLAMA_CPP_CONFIG", config.to_str().unwrap());
    let output = sandbox.sh("ienv llama-cpp | iplan | ilaunch; istat").transcript();
    assert!(output.contains("env.DATABASE_URL") && !output.contains(WORD), "{output}");
    keeping.wait_for_log("a", "up\n");
    assert!(
        keeping.log("a").contains("[secret]") && !keeping.log("a").contains(WORD),
        "{}",
        keeping.log("a")
    );
    let plan = fs::read_to_string(keeping.state_dir("a").join("plan.json")).unwrap();
    assert!(!plan.contains(WORD), "{plan}");
    // On a command line everybody reads it: llama.cpp has no other way for an argument.
    let server = server.replace("port =", &format!("model_url = \"https://me:{WORD}@h.invalid/m\"\nport ="));
    keeping.sandbox.write("c.toml", format!("[master]\nllama_cpp_path = {program:?}\n{server}"));
    let refused = keeping.sandbox.sh("ienv llama-cpp | iplan").exits(65).transcript();
    assert!(refused.contains("server.model_url") && !refused.contains(WORD), "{refused}");
}

/// Whoever asks for the bridge that is kept gets its user's word where it listens and where its key lies.
#[test]
fn the_key_of_a_callers_own_workspace_goes_to_no_bridge_of_another_user() {
    let Some(boundary) = Boundary::new() else { return };
    let sandbox = &boundary.keeping.sandbox;
    sandbox.own_tool("ibridge", "tools/ibridge");
    let mut plan = boundary.keeping.plan("bridge", PATIENT);
    (plan["engine"], plan["user"]) = ("bridge".into(), "nobody".into());
    plan["state_dir"] = sandbox.text("run/bridge/bridge").into();
    sandbox.write("plan.jsonl", format!("{plan}\n"));
    drop(sandbox.sh("chmod 755 .; tools/ilaunch < plan.jsonl").exits(0));
    let place = sandbox.path("run/bridge/bridge");
    for (uid, folder, seen) in [(V, "vs", false), (U, "us", false), (0, "roots", false), (0, "open", true)] {
        let key = sandbox.write(&format!("{folder}/bridge-key"), format!("{WORD}\n"));
        drop(sandbox.sh(&format!("chmod 600 {folder}/bridge-key; chmod 711 run")).exits(0));
        chown(&key, Some(uid), Some(uid)).unwrap();
        if seen {
            drop(sandbox.sh("chmod 644 open/bridge-key").exits(0));
        }
        let listen = format!("0.0.0.0:{}", free_port());
        let args = ["--listen", &listen, "--workspace", &sandbox.text(folder)];
        let mut kept: serde_json::Value =
            serde_json::from_slice(&fs::read(place.join("plan.json")).unwrap()).unwrap();
        kept["args"] = json!(args);
        fs::write(place.join("plan.json"), kept.to_string()).unwrap();
        let output = boundary.as_user(V, &[&sandbox.text("tools/ibridge"), "env"]).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success() && said.contains(&listen.replace("0.0.0.0", "127.0.0.1")), "{said}");
        assert_eq!(said.contains(WORD), seen, "{folder}: {said}");
    }
    drop(sandbox.sh("istop").exits(0));
}
