//! Secrets of other engines, and secrets in URLs.
use super::{Boundary, PATIENT};
use crate::kit::{Keeping, free_port};
use std::fs;

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
