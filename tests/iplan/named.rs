//! What arguments name is looked at before anything starts: files, a preset's models, GPUs, the holder of a port, a key's reach.
use super::{good, gpus, machine, plan, words};
use crate::kit::{Sandbox, as_each, free_port};
use crate::pipeline::sandbox_with_engine;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;

pub(super) fn python(engine: &str, lines: &str) -> String {
    let model = if engine == "vllm" { "model" } else { "model_path" };
    format!("[instance.a.server]\n{model} = '$M/folder'\nport = {}\n{lines}\n", free_port())
}

fn failed(sandbox: &Sandbox, engine: &str, toml: &str) -> Value {
    plan(sandbox, engine, toml).exits(65).one("failed")
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of files")]
fn a_file_that_an_argument_names_and_that_is_not_there_is_refused_with_its_place() {
    let sandbox = machine();
    for (engine, line, cause, hint) in [
        (
            "llama-cpp",
            "mmproj = '/nope.gguf'",
            "server.mmproj: /nope.gguf: No such file or directory",
            "correct it",
        ),
        (
            "llama-cpp",
            "chat_template_file = 'nope.jinja'",
            "server.chat_template_file: /nope.jinja: No such",
            "correct it",
        ),
        (
            "llama-cpp",
            "lora = ['$M/m.gguf', '/nope']",
            "server.lora: /nope: No such file or directory",
            "correct it",
        ),
        ("llama-cpp", "lora_scaled = ['/nope:0.5']", "server.lora_scaled: /nope: No such file", "correct it"),
        (
            "llama-cpp",
            "extra_args = ['-md', '/nope.gguf']",
            "extra_args.-md: /nope.gguf: No such file",
            "correct it",
        ),
        (
            "llama-cpp",
            "slot_save_path = '$M/m.gguf'",
            "server.slot_save_path: $SANDBOX/models/m.gguf: Not a dir",
            "name a folder",
        ),
        (
            "llama-cpp",
            "grammar_file = '$M/folder'",
            "server.grammar_file: $SANDBOX/models/folder: Is a dir",
            "name a file in it",
        ),
        ("llama-cpp", "api_key_file = '/nope'", "server.api_key_file: /nope: No such file", "correct it"),
        (
            "vllm",
            "chat_template = '/nope.jinja'",
            "server.chat_template: /nope.jinja: No such file",
            "correct it",
        ),
        ("vllm", "lora_modules = ['x=/nope']", "server.lora_modules: /nope: No such file", "correct it"),
        ("vllm", "ssl_certfile = '/nope.pem'", "server.ssl_certfile: /nope.pem: No such file", "correct it"),
        (
            "sglang",
            "speculative_draft_model_path = '/nope'",
            "server.speculative_draft_model_path: /nope: No",
            "correct it",
        ),
    ] {
        let toml = if engine == "llama-cpp" { good("a") + line + "\n" } else { python(engine, line) };
        let failed = failed(&sandbox, engine, &toml);
        let column = if line.starts_with("extra_args") { 15 } else { 1 };
        assert_eq!(failed["what"], format!("$SANDBOX/{engine}.toml:4:{column}"), "{line}");
        assert!(failed["cause"].as_str().unwrap().starts_with(cause), "{line}: {failed}");
        assert!(failed["hint"].as_str().unwrap().starts_with(hint), "{line}: {failed}");
        assert_eq!(failed["class"], "file_missing", "{line}");
    }
    for line in ["chat_template = '{{ messages }}'", "tokenizer = 'org/name'", "lora_modules = ['x=org/y']"] {
        // That names are no paths is told by another rule.
        let toml = python("vllm", line) + "\n[instance.a.control]\nallow = ['model_not_local']\n";
        assert_eq!(plan(&sandbox, "vllm", &toml).exits(0).stderr, "", "{line}");
    }
    let allowed = good("a") + "mmproj = '/nope'\n[instance.a.control]\nallow = ['file_missing']\n";
    assert_eq!(plan(&sandbox, "llama-cpp", &allowed).exits(0).stderr, "");
}

#[test]
fn a_file_that_the_instances_user_cannot_read_is_refused() {
    let mut sandbox = machine();
    let key = sandbox.write("keys", "sk-1\n");
    let mode = std::fs::Permissions::from_mode;
    std::fs::set_permissions(sandbox.path(""), mode(0o755)).unwrap();
    if as_each() {
        sandbox.set("AUTO_INFER_LLAMA_CPP_USER", "nobody");
        std::fs::set_permissions(&key, mode(0o600)).unwrap();
    } else {
        std::fs::set_permissions(&key, mode(0)).unwrap();
    }
    let logs = sandbox.path("logs");
    std::fs::create_dir(&logs).unwrap();
    std::fs::set_permissions(&logs, mode(0o777)).unwrap();
    let toml = format!(
        "{}api_key_file = '{}'\n[instance.a.control]\nlog_dir = '{}'\n",
        good("a"),
        key.display(),
        logs.display()
    );
    let failed = failed(&sandbox, "llama-cpp", &toml);
    assert_eq!(failed["cause"], "server.api_key_file: $SANDBOX/keys: Permission denied");
}

#[test]
fn a_presets_models_stand_in_the_plan_and_one_without_its_file_is_refused() {
    let sandbox = machine();
    let model = sandbox.text("models/m.gguf");
    let preset = |two: &str| {
        sandbox.write(
            "p.ini",
            format!("version = 1\n[*]\nc = 512\n[tiny-a]\nmodel = {model}\n[tiny-b]\nmodel = {two}\n"),
        )
    };
    let toml = |path: &std::path::Path| {
        format!("[instance.a.server]\nmodels_preset = '{}'\nport = {}\n", path.display(), free_port())
    };
    let planned = plan(&sandbox, "llama-cpp", &toml(&preset(&model))).exits(0).one("plan");
    assert_eq!((&planned["models"], planned.get("model")), (&json!(["tiny-a", "tiny-b"]), None));
    let failed = failed(&sandbox, "llama-cpp", &toml(&preset("/nope.gguf")));
    assert_eq!(
        (&failed["what"], &failed["cause"]),
        (
            &json!("$SANDBOX/llama-cpp.toml:2:1"),
            &json!(
                "server.models_preset: $SANDBOX/p.ini: model /nope.gguf of [tiny-b]: No such file or directory"
            )
        )
    );
}

#[test]
fn a_model_that_is_a_file_where_a_folder_is_loaded_is_refused() {
    let sandbox = machine();
    sandbox.write("models/folder/model.safetensors", "");
    for engine in ["vllm", "sglang"] {
        let toml = python(engine, "").replace("$M/folder", "$M/folder/model.safetensors");
        let failed = plan(&sandbox, engine, &toml).exits(69).one("failed");
        assert_eq!(
            (&failed["class"], &failed["cause"]),
            (&json!("model_missing"), &json!("Not a directory"))
        );
        assert!(failed["hint"].as_str().unwrap().ends_with(": $SANDBOX/models/folder"), "{failed}");
        let gguf = python(engine, "").replace("$M/folder", "$M/m.gguf");
        assert_eq!(plan(&sandbox, engine, &gguf).exits(0).all("failed").len(), 0);
    }
}

#[test]
fn uuids_become_numbers_for_an_engine_that_takes_no_other() {
    let mut sandbox = machine();
    let toml =
        |engine: &str, ids: &str| python(engine, "") + &format!("[instance.a.control]\ngpu_ids = '{ids}'\n");
    let visible = |plan: &Value| plan["env_set"]["CUDA_VISIBLE_DEVICES"].clone();
    let unasked = plan(&sandbox, "vllm", &toml("vllm", "GPU-1111")).exits(69).one("failed");
    assert!(unasked["cause"].as_str().unwrap().contains("nvidia-smi does not say"), "{unasked}");
    gpus(&sandbox, 4);
    let planned = plan(&sandbox, "vllm", &toml("vllm", "GPU-3333, GPU-1111")).exits(0).one("plan");
    assert_eq!((visible(&planned), &planned["gpu_ids"]), (json!("3,1"), &json!("GPU-3333,GPU-1111")));
    let planned = plan(&sandbox, "sglang", &toml("sglang", "GPU-3333")).exits(0).one("plan");
    assert_eq!(visible(&planned), "GPU-3333");
    for (ids, code, cause) in [
        ("MIG-0abc", 65, "a slice of one (MIG) has none"),
        ("GPU-1111,1", 65, "they name GPU 1 twice"),
        ("GPU-9999", 69, "GPU-9999"),
    ] {
        let failed = plan(&sandbox, "vllm", &toml("vllm", ids)).exits(code).one("failed");
        assert!(failed["cause"].as_str().unwrap().contains(cause), "{ids}: {failed}");
        assert_eq!(failed["class"], "gpu_missing");
    }
    sandbox.set("CUDA_VISIBLE_DEVICES", "GPU-2222");
    assert_eq!(visible(&plan(&sandbox, "vllm", &python("vllm", "")).exits(0).one("plan")), "2");
}

#[test]
fn a_port_that_an_instance_of_ours_holds_names_it() {
    let mut sandbox = sandbox_with_engine(&[free_port()]);
    sandbox.set("AUTO_INFER_LLAMA_CPP_INSTALL_DIR", &sandbox.text("llama"));
    drop(sandbox.sh("ienv llama-cpp | iinstall | ilaunch | iprobe").exits(0));
    // In the file of another workspace it has no name: nothing there would stop it first.
    sandbox.set("AUTO_INFER_WORKSPACE_DIR", &sandbox.text("w2"));
    sandbox.write("llama.toml", sandbox.read("llama.toml").replace("tiny0", "other"));
    let failed = sandbox.sh("ienv llama-cpp | iplan").exits(75).one("failed");
    assert_eq!(
        (&failed["class"], &failed["cause"]),
        (&json!("port_in_use"), &json!("llama-cpp tiny0 runs on it"))
    );
    drop(sandbox.sh("istop").exits(0));
}

#[test]
fn a_key_that_guards_a_part_only_is_a_warning_beyond_this_machine() {
    let sandbox = machine();
    for (host, warns) in
        [("127.0.0.1", false), ("localhost", false), ("::1", false), ("0.0.0.0", true), ("::", true)]
    {
        let toml = python("vllm", &format!("host = '{host}'\napi_key = 'hunter2'"));
        let output = plan(&sandbox, "vllm", &toml);
        let warnings = output.all("warning");
        assert_eq!(
            warnings.iter().any(|warning| warning["rule"] == "paths_open"),
            warns,
            "{host}: {warnings:?}"
        );
        assert!(!warns || warnings[0]["what"].as_str().unwrap().contains("/invocations"), "{warnings:?}");
        assert!(!output.transcript().contains("hunter2"));
    }
    let keyless = plan(&sandbox, "vllm", &python("vllm", "host = '0.0.0.0'")).exits(0);
    assert_eq!(keyless.all("warning").len(), 0);
    let by_variable = python("vllm", "host = '0.0.0.0'") + "[instance.a.env]\nVLLM_API_KEY = 'hunter2'\n";
    assert_eq!(plan(&sandbox, "vllm", &by_variable).exits(0).one("warning")["rule"], "paths_open");
}

#[test]
fn what_the_parser_takes_for_a_number_is_no_secret() {
    let sandbox = machine();
    let speaking = "#!/bin/sh\ncat <<'LINES'\n\
        {\"spellings\":[\"--port\"],\"action\":\"_StoreAction\",\"nargs\":null,\"type\":\"int\",\"choices\":null,\"default\":null}\n\
        {\"spellings\":[\"--host\"],\"action\":\"_StoreAction\",\"nargs\":null,\"type\":\"str\",\"choices\":null,\"default\":null}\n\
        {\"spellings\":[\"--model\"],\"action\":\"_StoreAction\",\"nargs\":null,\"type\":\"str\",\"choices\":null,\"default\":null}\n\
        {\"spellings\":[\"--price-of-a-token\"],\"action\":\"_StoreAction\",\"nargs\":null,\"type\":\"float\",\"choices\":null,\"default\":null}\n\
        {\"spellings\":[\"--my-token\"],\"action\":\"_StoreAction\",\"nargs\":null,\"type\":\"str\",\"choices\":null,\"default\":null}\n\
        {\"spellings\":[\"--config\"],\"action\":\"_StoreAction\",\"nargs\":null,\"type\":\"str\",\"choices\":null,\"default\":null}\n\
        LINES\n";
    sandbox.script("w/vllm-infer/.installs/0123456789ab-0000/env/bin/python", speaking);
    let toml = python("vllm", "price_of_a_token = 0.5\nmy_token = 'hunter2'");
    let planned = plan(&sandbox, "vllm", &toml).exits(0).one("plan");
    assert_eq!(planned["secrets"], json!(["server.my_token"]));
    assert!(words(&planned).contains("--price-of-a-token 0.5"), "{planned}");
}
