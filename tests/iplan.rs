//! iplan: every rule of the TOML file, and everything that is checked before anything starts.
mod address;
mod changed;
mod check;
mod config;
mod emit;
mod environment;
mod gpu;
mod named;
mod offline;
mod port;
mod program;
mod skipped;
mod spoken;
pub(crate) mod walk;
mod walk_llama;

use crate::kit::{Output, Sandbox, free_port, root, speaking};
use serde_json::{Value, json};

/// A sandbox with a `llama-server`, an SGLang and a vLLM that nobody starts, and a model file and folder.
pub(crate) fn machine() -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.script("bin/llama-server", &speaking("llama-cpp"));
    sandbox.write("models/m.gguf", "");
    sandbox.write("models/folder/config.json", "{}");
    let path =
        format!("{}:{}", sandbox.text("bin"), sandbox.command("env").get_envs().find_map(path_of).unwrap());
    sandbox.set("PATH", &path);
    for (engine, part) in [("llama-cpp", "LLAMA_CPP"), ("vllm", "VLLM"), ("sglang", "SGLANG")] {
        sandbox.set(&format!("AUTO_INFER_{part}_CONFIG"), &sandbox.text(&format!("{engine}.toml")));
    }
    sandbox.set("AUTO_INFER_LLAMA_CPP_INSTALL_DIR", &sandbox.text("llama"));
    for engine in ["vllm", "sglang"] {
        let home = format!("w/{engine}-infer");
        let install = format!("{home}/.installs/0123456789ab-0000");
        let python = sandbox.script(&format!("{install}/env/bin/python"), &speaking(engine));
        let record = json!({
            "engine": engine, "id": "0123456789ab", "path": sandbox.path(&install), "python": python,
            "activation": {"path": [sandbox.path(&format!("{install}/env/bin"))], "variables": {"CONDA_PREFIX": "/p"}},
            "seal": "none", "seconds": 1.0, "format": 1
        });
        sandbox.write(&format!("{install}/installed.json"), record.to_string());
        sandbox.write(&format!("{home}/.installed-from.json"), record.to_string());
    }
    // Where the driver's compiler writes is a folder named by a hash of the sandbox's path, unless the caller says.
    sandbox.set("CUDA_CACHE_PATH", "/theirs");
    sandbox
}

fn path_of((name, value): (&std::ffi::OsStr, Option<&std::ffi::OsStr>)) -> Option<String> {
    (name == "PATH").then(|| value.unwrap().to_str().unwrap().to_owned())
}

/// Plan one engine's TOML; `$M` in it is the folder of models.
fn plan(sandbox: &Sandbox, engine: &str, toml: &str) -> Output {
    plan_with(sandbox, engine, toml, "")
}

fn plan_with(sandbox: &Sandbox, engine: &str, toml: &str, options: &str) -> Output {
    sandbox.write(&format!("{engine}.toml"), toml.replace("$M", &sandbox.text("models")));
    sandbox.sh(&format!("ienv {engine} | iplan {options}"))
}

fn words(plan: &Value) -> String {
    let args = plan["args"].as_array().unwrap();
    args.iter().map(|word| word.as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

/// A llama.cpp instance that nothing is wrong with, on a port of its own.
fn good(name: &str) -> String {
    format!("[instance.{name}.server]\nmodel = '$M/m.gguf'\nport = {}\n", free_port())
}

#[test]
fn a_plan_is_the_whole_dry_run_of_an_instance() {
    let sandbox = machine();
    let port = free_port();
    let toml = format!(
        "[instance.control]\nlog_keep = 7\nallow = ['port_in_use']\n[instance.env]\nA = 'all'\nB = 'all'\n\
         [instance.server]\nhost = '0.0.0.0'\nextra_args = ['--verbose']\n\
         [instance.glm.control]\nallow = ['stale']\nstop_timeout_s = 3\nliveness = 'answer'\nliveness_period_s = 7\n[instance.glm.env]\nB = 'own'\n\
         [instance.glm.server]\nmodel = '$M/m.gguf'\nport = {port}\nalias = 'glm4,glm'\nextra_args = ['--slots']\n"
    );
    let output = plan(&sandbox, "llama-cpp", &toml).exits(0);
    assert_eq!((output.kinds(), output.stderr.as_str()), (vec!["env".to_owned(), "plan".to_owned()], ""));
    let plan = output.one("plan");
    let expected = format!(
        "--host 0.0.0.0 --model $SANDBOX/models/m.gguf --port {port} --alias glm4,glm --verbose --slots"
    );
    assert_eq!(words(&plan), expected);
    assert_eq!(plan["program"], "$SANDBOX/bin/llama-server");
    assert_eq!(plan["workspace"], "$SANDBOX/w");
    assert_eq!((&plan["host"], &plan["port"]), (&json!("0.0.0.0"), &json!(port)));
    assert_eq!((&plan["model"], &plan["served_name"]), (&json!("$SANDBOX/models/m.gguf"), &json!("glm4")));
    assert_eq!(plan["log_file"], "$SANDBOX/w/logs/llama-cpp/glm.log");
    assert_eq!(plan["state_dir"], "$SANDBOX/run/llama-cpp/glm");
    let offline = "1";
    let expected = json!({
        "A": "all", "B": "own", "DO_NOT_TRACK": offline, "HF_HUB_OFFLINE": offline, "LLAMA_ARG_OFFLINE": offline,
        "PYTHONUNBUFFERED": "1", "TRANSFORMERS_OFFLINE": offline, "VLLM_NO_USAGE_STATS": offline
    });
    assert_eq!(plan["env_set"], expected);
    let expected = json!({
        "background": true, "log_max_mib": 64, "log_keep": 7, "gpu_ids": "all", "share_gpu": false,
        "restart": "on-failure", "max_restarts": 5, "backoff_ms": 1000, "ready_rung": "answering",
        "ready_timeout_s": 3600, "stall_timeout_s": 300, "stop_timeout_s": 3, "offline": true, "via_pixi": false,
        "liveness": "answer", "liveness_period_s": 7, "liveness_failures": 5,
        "allow": ["port_in_use", "stale"]
    });
    assert_eq!(plan["control"], expected);
    let again = sandbox.sh("ienv llama-cpp | iplan").exits(0).one("plan");
    assert_eq!(plan["hash"], again["hash"]);
    assert!(
        !sandbox.path("w/logs").exists() && !sandbox.path("run/llama-cpp").exists(),
        "a plan leaves no trace"
    );
}

#[test]
fn one_instance_that_cannot_run_does_not_keep_the_others_from_it() {
    let sandbox = machine();
    let toml = good("a") + &good("b").replace("m.gguf", "none.gguf") + &good("c");
    let output = plan(&sandbox, "llama-cpp", &toml).exits(69);
    assert_eq!(output.kinds(), ["env", "plan", "failed", "plan"]);
    assert_eq!(
        output.stderr,
        "iplan: model $SANDBOX/models/none.gguf of instance b: No such file or directory\n\
         iplan: hint: correct server.model, or mount the model there\n"
    );
    assert_eq!(output.one("failed")["class"], "model_missing");
}

#[test]
fn models_are_checked_as_far_as_the_name_goes() {
    let sandbox = machine();
    let folder = plan(&sandbox, "llama-cpp", &good("a").replace("m.gguf", "folder")).exits(69);
    assert_eq!(folder.one("failed")["cause"], "Is a directory");
    let none = plan(&sandbox, "llama-cpp", &format!("[instance.a.server]\nport = {}", free_port())).exits(65);
    assert_eq!(none.one("failed")["class"], "model_unset");
    let router = format!("[instance.a.server]\nmodels_dir = '$M'\nport = {}", free_port());
    assert_eq!(plan(&sandbox, "llama-cpp", &router).exits(0).one("plan").get("model"), None);
    let named = format!("[instance.a.server]\nmodel = 'Qwen/Qwen3-8B'\nport = {}", free_port());
    let output = plan(&sandbox, "vllm", &named).exits(0);
    assert_eq!(output.one("warning")["rule"], "model_not_local");
    assert_eq!(output.one("plan")["model"], "Qwen/Qwen3-8B");
    let allowed =
        good("a").replace("m.gguf", "none.gguf") + "[instance.a.control]\nallow = ['model_missing']\n";
    assert_eq!(plan(&sandbox, "llama-cpp", &allowed).exits(0).stderr, "");
}

#[test]
fn in_the_foreground_there_is_only_one() {
    let sandbox = machine();
    let one = good("a") + "[instance.a.control]\nbackground = false\n";
    assert_eq!(plan(&sandbox, "llama-cpp", &one).exits(0).one("plan")["control"]["background"], false);
    let output = plan(&sandbox, "llama-cpp", &(one + &good("b"))).exits(65);
    assert_eq!(
        output.stderr,
        "iplan: instance a has background = false: 2 instances are enabled, and only one can run in the foreground\n"
    );
    assert_eq!(output.one("plan")["instance"], "b");
}

/// A `nvidia-smi` that reports so many GPUs.
pub(crate) fn gpus(sandbox: &Sandbox, count: u32) {
    let lines: String = (0..count)
        .map(|index| format!("{index}, GPU-{index}{index}{index}{index}, NVIDIA A, 81559, 4, 81555\n"))
        .collect();
    sandbox.script("bin/nvidia-smi", &format!("#!/bin/sh\ncat <<'LINES'\n{lines}LINES\n"));
}

#[test]
fn the_example_configurations_plan_cleanly_on_a_machine_with_eight_gpus() {
    let mut sandbox = machine();
    gpus(&sandbox, 8);
    sandbox.script("bin/llama-server", &speaking("llama-cpp"));
    for model in ["GLM-4.7", "Qwen2-VL-7B-Instruct"] {
        sandbox.write(&format!("models/{model}/config.json"), "{}");
    }
    sandbox.write("models/GLM-4.7-GGUF/Q2_K/GLM-4.7-Q2_K-00001-of-00003.gguf", "");
    // Whatever listens on this machine is no business of the examples.
    let quiet = r#"{"instance":{"control":{"allow":["port_in_use"]}}}"#;
    let folder = root().join("scripts/model-configs");
    let mut found: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    let examples = [
        ("glm-4.7-q2k.toml", "llama-cpp", "LLAMA_CPP", "--alias glm4", 8),
        (
            "sglang-glm-4.7-tp8.toml",
            "sglang",
            "SGLANG",
            "--trust-remote-code --mem-fraction-static 0.9 --disable-cuda-graph-padding",
            8,
        ),
        ("sglang-qwen2-vl-7b-tp2.toml", "sglang", "SGLANG", "--tp-size 2 --enable-multimodal", 2),
        (
            "vllm-qwen2-vl-7b-tp8.toml",
            "vllm",
            "VLLM",
            "--tensor-parallel-size 4 --pipeline-parallel-size 2",
            8,
        ),
        ("vllm-qwen2-vl-7b.toml", "vllm", "VLLM", r#"--limit-mm-per-prompt {"image":4,"video":1}"#, 1),
    ];
    assert_eq!(found, examples.map(|(name, ..)| name));
    for (name, engine, part, expected, count) in examples {
        sandbox.set(&format!("AUTO_INFER_{part}_OVERRIDES"), quiet);
        let toml = std::fs::read_to_string(folder.join(name)).unwrap();
        let output = plan(&sandbox, engine, &toml.replace("/llm-models", &sandbox.text("models"))).exits(0);
        assert_eq!(output.stderr, "", "{name}");
        let planned = output.one("plan");
        assert!(words(&planned).contains(expected), "{name}: {}", words(&planned));
        assert_eq!(planned["gpu_ids"].as_str().unwrap().split(',').count(), count, "{name}");
        let workaround = planned["env_set"].get("SGLANG_DISABLE_CUDNN_CHECK").is_some();
        assert_eq!(workaround, name == "sglang-qwen2-vl-7b-tp2.toml", "{name}");
    }
}

#[test]
fn the_table_shows_a_person_what_would_run() {
    let sandbox = machine();
    let toml = "[instance.control]\nallow = ['port_in_use', 'model_not_local']\n[instance.a.server]\nmodel = 'glm'\nport = 8080\n\
                chat_template_kwargs = { x = \"it's\" }\napi_key = 'hunter2'\n[instance.a.control]\noffline = false\n";
    insta::assert_snapshot!(plan_with(&sandbox, "llama-cpp", toml, "--table").exits(0).transcript(), @r#"
    ENGINE     INSTANCE  LISTENS         GPUS  MODEL  STATE
    llama-cpp  a         127.0.0.1:8080  all   glm    to start

    # llama-cpp a, log $SANDBOX/w/logs/llama-cpp/a.log
    # not shown: server.api_key
    # as it is by default: --port 8080, --host 127.0.0.1
    PYTHONUNBUFFERED=1 $SANDBOX/bin/llama-server --model glm --port 8080 --chat-template-kwargs '{"x":"it'\''s"}' --host 127.0.0.1
    "#);
}

#[test]
fn the_page_names_every_key_and_every_rule() {
    let sandbox = machine();
    let page = std::fs::read_to_string(root().join("man/infer-dev.5")).unwrap();
    let items: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix(".It Ic ")).collect();
    let items: Vec<&str> = items.iter().flat_map(|line| line.split(" , ")).collect();
    for (engine, toml) in [
        ("llama-cpp", "[instance.a.control]\nzzz = 1\n"),
        ("llama-cpp", "[instance.a.control]\nallow = ['zzz']\n"),
        ("llama-cpp", "[master]\nzzz = 1\n"),
        ("vllm", "[master]\nzzz = 1\n"),
        ("sglang", "[master]\nzzz = 1\n"),
    ] {
        let failed = plan(&sandbox, engine, toml).exits(65).all("failed").remove(0);
        let (_, known) = failed["hint"].as_str().unwrap().split_once(" are ").unwrap();
        for name in known.split(", ") {
            assert!(items.contains(&name), "man/infer-dev.5 has no '{name}'");
        }
    }
}
