//! imodel in the pipeline: what a plan names is checked as its user, and what is not whole is never loaded.
use super::{Gguf, Tensors, folders};
use crate::kit::{Sandbox, as_root, free_port};
use crate::pipeline::sandbox_with_engine;
use serde_json::{Value, json};

/// A plan that nobody starts.
pub(super) fn plan(sandbox: &Sandbox, engine: &str, model: &str, args: &[&str]) -> Value {
    let model = sandbox.path(model);
    json!({"kind": "plan", "engine": engine, "instance": "a", "workspace": sandbox.path("w"), "config": "/c.toml",
        "config_sha256": "00", "program": "/bin/false", "args": args, "env_set": {}, "host": "127.0.0.1", "port": 1,
        "model": model, "log_file": sandbox.path("log"), "state_dir": sandbox.path("run/x/a"), "gpu_ids": "all",
        "control": {"background": true, "log_max_mib": 64, "log_keep": 3, "gpu_ids": "all", "share_gpu": false,
            "restart": "never", "max_restarts": 0, "backoff_ms": 1000, "ready_rung": "answering", "ready_timeout_s": 1,
            "stall_timeout_s": 1, "stop_timeout_s": 1, "offline": true, "via_pixi": false},
        "hash": "00"})
}

/// Put a plan through imodel.
fn filter(sandbox: &Sandbox, plan: &Value) -> crate::kit::Output {
    sandbox.write("plan.jsonl", format!("{plan}\n"));
    sandbox.sh("imodel < plan.jsonl")
}

#[test]
fn a_model_that_is_not_whole_stops_its_instance_and_no_other() {
    let sandbox = sandbox_with_engine(&[free_port(), free_port()]);
    let mut short = Gguf::tiny().bytes();
    short.truncate(short.len() - 1);
    let broken = sandbox.write("short.gguf", short);
    let config = format!("{}model = {broken:?}\n", sandbox.read("llama.toml"));
    sandbox.write("llama.toml", config);
    let output = sandbox.sh("ienv llama-cpp | iinstall | iplan | imodel | ilaunch | iprobe").exits(1);
    let failed = output.one("failed");
    assert_eq!(
        (&failed["by"], &failed["class"], &failed["code"]),
        (&json!("imodel"), &json!("weights_damaged"), &json!(1))
    );
    assert_eq!(failed["instance"], "tiny1");
    assert_eq!((output.all("model").len(), output.one("instance")["instance"].clone()), (2, json!("tiny0")));
    assert_eq!(output.one("ready")["instance"], "tiny0");
    let again = sandbox.sh("ienv llama-cpp | iinstall | iplan | imodel");
    let skipped = again.one("skipped");
    assert_eq!((&skipped["by"], &skipped["why"]), (&json!("imodel"), &json!("it runs already")));
}

#[test]
fn what_the_operator_allows_is_recorded_and_stops_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("m.gguf", b"GGUF");
    let mut plan = plan(&sandbox, "llama-cpp", "m.gguf", &[]);
    drop(filter(&sandbox, &plan).exits(1));
    plan["control"]["allow"] = json!(["weights_damaged"]);
    let output = filter(&sandbox, &plan).exits(0);
    assert_eq!((output.one("model")["complete"].clone(), output.all("failed").len()), (json!(false), 0));
}

#[test]
fn every_model_that_the_arguments_name_is_looked_at() {
    let sandbox = Sandbox::new();
    folders::write_to(&sandbox, "m");
    sandbox.write("m.gguf", Gguf::tiny().bytes());
    sandbox.write("lora/adapter_config.json", "{}");
    sandbox.write("lora/adapter_model.safetensors", Tensors::of(&["a"]).bytes());
    let (m, lora) = (sandbox.text("m"), sandbox.text("lora"));
    let roles = |engine: &str, model: &str, args: &[&str]| -> Vec<String> {
        let output = filter(&sandbox, &plan(&sandbox, engine, model, args));
        let roles = output.all("model").into_iter();
        roles.map(|model| format!("{} {}", model["role"].as_str().unwrap(), model["complete"])).collect()
    };
    let draft = format!("{{\"method\":\"draft_model\",\"model\":\"{m}\"}}");
    let named = format!("x={lora}");
    let args = [
        "--model",
        &m,
        "--speculative-config",
        &draft,
        "--lora-modules",
        &named,
        "--tokenizer",
        &m,
        "-tp",
        "2",
    ];
    assert_eq!(roles("vllm", "m", &args), ["model true", "draft true", "lora true", "tokenizer true"]);
    let args =
        ["--model-path", &m, "--speculative-draft-model-path", &lora, "--lora-paths", &named, "/nowhere"];
    assert_eq!(roles("sglang", "m", &args), ["model true", "draft false", "lora true", "lora false"]);
    let gguf = sandbox.text("m.gguf");
    let args = ["--model-draft", &gguf, "--mmproj", &gguf, "--lora", "/no,/none", "-c", "-1"];
    let expected = ["model true", "draft true", "mmproj false", "lora false", "lora false"];
    assert_eq!(roles("llama-cpp", "m.gguf", &args), expected);
}

#[test]
fn the_plans_parallel_sizes_share_the_weights() {
    let sandbox = Sandbox::new();
    folders::write_to(&sandbox, "m");
    let args = ["--tensor-parallel-size", "2", "-pp=3"];
    let model = filter(&sandbox, &plan(&sandbox, "vllm", "m", &args)).exits(0).one("model");
    assert_eq!((&model["gpus"], &model["gpu_bytes"]), (&json!(6), &json!(4)));
}

#[test]
fn names_of_other_places_are_left_to_the_engine() {
    let sandbox = Sandbox::new();
    let mut plan = plan(&sandbox, "vllm", "m", &[]);
    plan["model"] = json!("org/name");
    let skipped = filter(&sandbox, &plan).exits(0).one("skipped");
    assert_eq!(skipped["why"], "the plan names no model by its path");
    let output = sandbox.sh("imodel < /dev/null").exits(65);
    assert!(output.stderr.contains("no 'plan' record on standard input"), "{}", output.stderr);
}

#[test]
fn a_table_is_for_people() {
    let sandbox = Sandbox::new();
    folders::write_to(&sandbox, "m");
    drop(sandbox.sh("truncate -s -1 m/model-00001-of-00002.safetensors").exits(0));
    let output = sandbox.sh("imodel --table m").exits(1);
    insta::assert_snapshot!(output.transcript(), @r"
    $SANDBOX/m
      NOT WHOLE  Qwen3ForCausalLM
      safetensors         272 B  3 tensors in 2 files
      BF16                 24 B  3 tensors, 12 parameters
      layers 10, heads 8, KV heads 2, context 4096
      about 1.2 MiB of cache for 1,000 tokens
      wrong: model-00001-of-00002.safetensors: 1 bytes are missing: 168 of 169 are there
      to do: copy it again from where it is whole, and compare the hashes
    -- stderr --
    imodel: $SANDBOX/m is not whole: model-00001-of-00002.safetensors: 1 bytes are missing: 168 of 169 are there
    imodel: hint: copy it again from where it is whole, and compare the hashes
    [exit 1]
    ");
}

#[test]
fn weights_that_do_not_fit_the_gpus_are_not_loaded() {
    let sandbox = Sandbox::new();
    let huge = |dtype: &str, bytes: usize, elements: u64| {
        folders::write_to(&sandbox, "m");
        let mut file = Tensors::of(&[]);
        file.add("c", dtype, &[elements], bytes);
        let path = sandbox.write("m/model-00002-of-00002.safetensors", file.head());
        let length = (file.head().len() + bytes) as u64;
        std::fs::File::options().write(true).open(path).unwrap().set_len(length).unwrap();
    };
    // The GPUs have 81,559 MiB each.
    crate::iplan::gpus(&sandbox, 2);
    let path = format!("{}:$PATH", sandbox.text("bin"));
    let run = |engine: &str, args: &[&str], allow: &str| {
        let mut plan = plan(&sandbox, engine, "m", args);
        plan["control"]["allow"] = json!([allow, "weights_sparse"]);
        sandbox.write("plan.jsonl", format!("{plan}\n"));
        sandbox.sh(&format!("PATH={path} imodel < plan.jsonl"))
    };
    huge("BF16", 100 << 30, 50 << 30);
    let failed = run("vllm", &[], "").exits(69).one("failed");
    assert_eq!(failed["class"], "weights_memory");
    assert_eq!(failed["cause"], "each of 1 has to take 102400 MiB of weights, and has 81559 MiB");
    assert!(run("vllm", &["--tensor-parallel-size", "2"], "").exits(0).all("failed").is_empty());
    assert!(run("sglang", &["--cpu-offload-gb", "40"], "").exits(0).all("failed").is_empty());
    assert!(run("vllm", &[], "weights_memory").exits(0).all("failed").is_empty());
    // Loaded with 16 bits, it is half as large.
    huge("F32", 100 << 30, 25 << 30);
    assert!(run("sglang", &[], "").exits(0).all("failed").is_empty());
}

#[test]
fn root_looks_as_the_user_who_serves() {
    if !as_root() {
        return;
    }
    let sandbox = Sandbox::new();
    drop(sandbox.sh("chmod 755 .").exits(0));
    sandbox.write("open/m.gguf", Gguf::tiny().bytes());
    sandbox.write("closed/m.gguf", Gguf::tiny().bytes());
    drop(sandbox.sh("chmod 700 closed; chmod 644 open/m.gguf").exits(0));
    let mut open = plan(&sandbox, "llama-cpp", "open/m.gguf", &[]);
    open["user"] = json!("nobody");
    drop(filter(&sandbox, &open).exits(0));
    let mut closed = plan(&sandbox, "llama-cpp", "closed/m.gguf", &[]);
    drop(filter(&sandbox, &closed).exits(0));
    closed["user"] = json!("nobody");
    let failed = filter(&sandbox, &closed).exits(69).one("failed");
    assert!(failed["cause"].as_str().unwrap().contains("Permission denied"), "{failed}");
    // A link that the user has made leads root nowhere that the user could not go.
    drop(sandbox.sh("mkdir theirs; ln -s ../closed/m.gguf theirs/; chown -hR nobody theirs").exits(0));
    let output = sandbox.sh("imodel theirs/m.gguf");
    assert!(output.stderr.contains("Permission denied"), "{}", output.transcript());
}

#[test]
fn a_file_that_is_not_there_is_reported_once() {
    let sandbox = sandbox_with_engine(&[free_port()]);
    let config = sandbox.read("llama.toml");
    for (line, what) in [
        ("mmproj = '/nope.gguf'", "server.mmproj: /nope.gguf"),
        ("lora = ['/nope.gguf']", "server.lora: /nope.gguf"),
        ("model_draft = '/nope.gguf'", "server.model_draft: /nope.gguf"),
    ] {
        sandbox.write("llama.toml", format!("{config}{line}\n"));
        let failed = sandbox.sh("ienv llama-cpp | iinstall | iplan | imodel").exits(65).one("failed");
        assert_eq!((&failed["by"], &failed["class"]), (&json!("iplan"), &json!("file_missing")));
        assert!(failed["cause"].as_str().unwrap().starts_with(what), "{failed}");
        let allow = "[instance.control]\nallow = ['file_missing']\n";
        sandbox.write("llama.toml", format!("{allow}{config}{line}\n"));
        let failed = sandbox.sh("ienv llama-cpp | iinstall | iplan | imodel").exits(69).one("failed");
        assert_eq!(failed["by"], "imodel");
    }
}
