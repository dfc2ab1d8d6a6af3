//! Secrets of a plan: the server gets them, and nobody else reads them.
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};

/// Every text that anybody may read about the processes and files of a sandbox, secrets.json and api-key left out.
fn everything_readable(sandbox: &crate::kit::Sandbox, folder: &str) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(sandbox.path(folder)).unwrap().flatten() {
        let path = entry.path();
        let relative = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if path.is_dir() {
            text.push_str(&everything_readable(sandbox, &relative));
        } else if path.is_file() && !path.ends_with("secrets.json") && !path.ends_with("api-key") {
            text.push_str(&String::from_utf8_lossy(&fs::read(&path).unwrap()));
        }
    }
    text
}

#[test]
fn a_real_server_gets_its_key_and_nobody_else_sees_it() {
    let port = crate::kit::free_port();
    let mut sandbox = crate::pipeline::sandbox_with_engine(&[port]);
    let mut config = sandbox.read("llama.toml");
    config.push_str("api_key = \"sk-in-the-file\"\n");
    sandbox.write("llama.toml", &config);
    let overrides = r#"{"instance": {"tiny0": {"server": {"api_key": "sk-in-the-overrides"}}}}"#;
    sandbox.set("AUTO_INFER_LLAMA_CPP_OVERRIDES", overrides);
    let output = sandbox.sh("ienv llama-cpp | iinstall | ilaunch | iprobe | ichat Hello").exits(0);
    assert_eq!(output.all("answer").len(), 1, "{}", output.transcript());
    assert_eq!(output.one("plan")["secrets"], json!(["server.api_key"]));
    let state = sandbox.path("run/llama-cpp/tiny0");
    assert_eq!(fs::read_to_string(state.join("api-key")).unwrap(), "sk-in-the-overrides");
    // Without the key the server refuses; so it has it.
    let mut connection = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    connection.write_all(b"GET /v1/models HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.lines().next().unwrap().contains(" 401 "), "{answer}");
    let status: Value = serde_json::from_slice(&fs::read(state.join("status.json")).unwrap()).unwrap();
    let mut seen = format!("{}{}{}", output.stdout, output.stderr, everything_readable(&sandbox, "run"));
    seen.push_str(&everything_readable(&sandbox, "w/logs"));
    for pid in ["pid", "keeper_pid"] {
        let argv = fs::read(format!("/proc/{}/cmdline", status[pid])).unwrap();
        seen.push_str(&String::from_utf8_lossy(&argv));
    }
    assert!(!seen.contains("sk-in-the-"), "{seen}");
}

/// An engine that prints what it read of its file, as vLLM does, and what pydantic says of a value that it refuses.
const TELLING: &str = r#"#!/usr/bin/env python3
import json, sys
lines = dict(line.rstrip().split(": ", 1) for line in open(sys.argv[sys.argv.index("--config") + 1]))
tables = {name: json.loads(json.loads(value)) for name, value in lines.items()}
print(f"(APIServer pid=1) INFO 11-29 02:45:36 [api_utils.py:286] non-default args: {tables}", flush=True)
key = tables["speculative-config"]["api_key"]
print(f"  Value error, x [type=value_error, input_value={{'api_key': '{key[:9]}...{key[-7:]}'}}, input_type=dict]")
print(f"vllm serve: error: argument --speculative-config/-sc: {tables['speculative-config']}", file=sys.stderr)
sys.exit(1)
"#;

#[test]
fn secrets_inside_tables_and_json_stand_nowhere_whatever_the_engine_prints_of_them() {
    let sandbox = crate::kit::Sandbox::new();
    let python = sandbox.script("bin/python", TELLING);
    let toml = format!(
        "[master]\npython_path = '{}'\n[instance.control]\nallow = ['model_missing', 'model_not_local']\n\
         [instance.a.server]\nmodel = '/none'\nport = {}\n\
         speculative_config = {{ method = 'mtp', api_key = 'deepest-0123456789', eos_token = '</s>' }}\n\
         extra_args = ['--additional-config', '{{\"a\": [{{\"my_token\": \"deepest-two\"}}]}}']\n",
        python.display(),
        crate::kit::free_port()
    );
    sandbox.write("vllm.toml", toml);
    let pipeline = "ienv vllm | iplan | ilaunch | iprobe";
    let output = sandbox.sh(&format!("export AUTO_INFER_VLLM_CONFIG=$PWD/vllm.toml; {pipeline}")).exits(1);
    let failed = output.one("failed");
    assert_eq!(failed["class"], "bad_flag", "{failed}");
    let log = everything_readable(&sandbox, "w/logs");
    assert!(log.contains("'api_key': '[secret]'") && log.contains("'eos_token': '</s>'"), "{log}");
    assert!(failed["cause"].as_str().unwrap().contains("[secret]"), "{failed}");
    let seen = format!("{}{}{log}", output.stdout, output.stderr);
    let state = fs::read_to_string(sandbox.path("run/vllm/a/status.json")).unwrap();
    let plan = fs::read_to_string(sandbox.path("run/vllm/a/plan.json")).unwrap();
    for part in ["deepest", "0123", "456789", "-two"] {
        assert!(!format!("{seen}{state}{plan}").contains(part), "{part}: {seen}{state}{plan}");
    }
}
