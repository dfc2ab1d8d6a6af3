//! imodel --suggest: a configuration that iplan takes, for every family that it knows.
use super::{Gguf, folders};
use crate::iplan::{gpus, machine};
use crate::kit::Sandbox;
use serde_json::{Value, json};

/// What is suggested is planned by iplan, with the options that the engine itself has; its arguments.
#[track_caller]
fn planned(sandbox: &Sandbox, engine: &str, path: &str) -> (String, Vec<String>) {
    let text = sandbox.sh(&format!("imodel --suggest {engine} {path}")).exits(0).stdout;
    // What gpt-oss needs beside the model is no matter of the model.
    let quiet = r#"{"instance":{"control":{"allow":["port_in_use","tiktoken"]}}}"#;
    let text = text.replace("$SANDBOX", &sandbox.text(""));
    sandbox.write(&format!("{engine}.toml"), text.replace("//", "/"));
    let part = engine.replace('-', "_").to_uppercase();
    let line = format!("export AUTO_INFER_{part}_OVERRIDES='{quiet}'; ienv {engine} | iplan");
    let plan = sandbox.sh(&line).exits(0).one("plan");
    let args = plan["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned());
    (text, args.collect())
}

fn with_model(config: &Value) -> Sandbox {
    let sandbox = machine();
    folders::write_to(&sandbox, "models/M");
    sandbox.write("models/M/config.json", config.to_string());
    sandbox
}

fn config(model_type: &str) -> Value {
    json!({"architectures": ["X"], "model_type": model_type, "num_hidden_layers": 10, "hidden_size": 64,
        "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 40960})
}

#[test]
fn every_line_has_its_reason_and_iplan_takes_it() {
    let sandbox = with_model(&config("qwen3"));
    gpus(&sandbox, 2);
    let (text, args) = planned(&sandbox, "vllm", "models/M");
    let words = args.join(" ");
    for wanted in [
        "--served-model-name M",
        "--tensor-parallel-size 1",
        "--max-model-len 40960",
        "--tool-call-parser hermes",
        "--reasoning-parser qwen3",
        "--enable-auto-tool-choice",
    ] {
        assert!(words.contains(wanted), "no {wanted} in {words}\n{text}");
    }
    // Above each key is a comment.
    let lines: Vec<&str> = text.lines().collect();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| !line.starts_with(['#', '['])) {
        assert!(at > 0 && lines[at - 1].starts_with("# "), "no reason for: {line}");
    }
    let (_, args) = planned(&sandbox, "sglang", "models/M");
    let words = args.join(" ");
    assert!(
        words.contains("--context-length 40960") && words.contains("--tool-call-parser qwen "),
        "{words}"
    );
}

#[test]
fn what_is_not_known_is_a_comment() {
    let sandbox = with_model(&json!({"model_type": "never_heard_of"}));
    let (text, args) = planned(&sandbox, "vllm", "models/M");
    assert!(!args.iter().any(|word| word.contains("parser") || word.contains("parallel")), "{args:?}");
    for wanted in
        ["nvidia-smi names no GPU here", "No parser of tool calls", "does not say how long its context is"]
    {
        assert!(text.contains(wanted), "no '{wanted}' in {text}");
    }
}

#[test]
fn every_family_that_is_known_is_one_of_the_engines() {
    let sandbox = with_model(&config("x"));
    let families = [
        ("deepseek_v3", "DeepSeek-V3.1"),
        ("deepseek_v3", "DeepSeek-R1"),
        ("deepseek_v3", "DeepSeek-V3"),
        ("deepseek_v32", "D"),
        ("ernie4_5_moe", "E"),
        ("gemma4", "G"),
        ("glm4_moe", "GLM-4.7"),
        ("glm4_moe", "GLM-4.6"),
        ("gpt_oss", "gpt-oss-20b"),
        ("granite", "G"),
        ("hunyuan_v1_moe", "H"),
        ("kimi_k2", "K"),
        ("llama4", "L"),
        ("llama", "Llama-3.3-70B"),
        ("minimax_m2", "M"),
        ("mistral", "M"),
        ("qwen2", "Q"),
        ("qwen2_5_vl", "Q"),
        ("qwen3_moe", "Qwen3-Coder"),
        ("qwen3_moe", "Q"),
        ("qwen3_next", "Q"),
        ("seed_oss", "S"),
        ("step3", "S"),
    ];
    for (model_type, name) in families {
        let mut config = config(model_type);
        config["vision_config"] = json!({});
        sandbox.write("models/M/config.json", config.to_string());
        sandbox.write("models/M/preprocessor_config.json", "{}");
        drop(
            sandbox
                .sh(&format!("rm -rf models/at; mkdir models/at; cp -r models/M models/at/{name}"))
                .exits(0),
        );
        for engine in ["vllm", "sglang"] {
            let (text, _) = planned(&sandbox, engine, &format!("models/at/{name}"));
            assert!(
                !text.contains("No parser of tool calls or of reasoning is known"),
                "{model_type}: {text}"
            );
        }
    }
}

#[test]
fn a_gguf_file_is_served_under_its_own_name() {
    let sandbox = machine();
    for (name, part) in Gguf::tiny().split(2) {
        sandbox.write(&format!("models/{}", name.replace("m-", "Tiny-Q4-")), part.bytes());
    }
    let (text, args) = planned(&sandbox, "llama-cpp", "models/Tiny-Q4-00001-of-00002.gguf");
    assert!(args.join(" ").contains("--alias Tiny-Q4"), "{text}");
    assert!(text.starts_with("# llama-cpp, for ") && text.contains("[instance.tiny_q4.server]"), "{text}");
}

#[test]
fn a_file_that_is_there_is_left_alone_and_has_to_be_of_this_model() {
    let sandbox = machine();
    sandbox.write("models/own.gguf", Gguf::tiny().bytes());
    sandbox.write("models/other.gguf", Gguf::tiny().bytes());
    let suggest =
        |engine: &str, path: &str| sandbox.sh(&format!("imodel --suggest {engine} --output own.toml {path}"));
    drop(suggest("llama-cpp", "models/own.gguf").exits(0));
    let relative = |text: &str| text.replace("model = \"/", "model = \"");
    let written = format!("# mine\n{}", relative(&sandbox.read("own.toml")));
    assert_ne!(written.lines().count(), 1);
    sandbox.write("own.toml", &written);
    for path in ["models/own.gguf", "./models/../models/own.gguf"] {
        assert_eq!(suggest("llama-cpp", path).exits(0).stdout, "", "{path}");
    }
    for (engine, path, text, code, told) in [
        (
            "llama-cpp",
            "models/other.gguf",
            written.as_str(),
            69,
            "names another model: $SANDBOX/models/own.gguf",
        ),
        ("llama-cpp", "models/gone.gguf", &written, 69, "gone.gguf"),
        ("vllm", "models/own.gguf", &written, 69, "alias is no key of vllm"),
        ("sglang", "models/own.gguf", &written, 69, "model is no key of sglang"),
        ("llama-cpp", "models/own.gguf", "", 69, "none is in server.model"),
        ("llama-cpp", "models/own.gguf", "a = [", 65, "own.toml:1:6"),
        ("llama-cpp", "models/own.gguf", "instance = 1", 65, "own.toml:1:"),
    ] {
        sandbox.write("own.toml", text);
        let output = suggest(engine, path).exits(code);
        assert!(output.stderr.contains(told), "{told}: {}", output.stderr);
        let others = told.starts_with("gone") || output.stderr.contains("-c own.toml") || code == 65;
        assert!(others, "what else to do: {}", output.stderr);
        assert_eq!(sandbox.read("own.toml"), text);
    }
    drop(sandbox.sh("rm own.toml; mkfifo own.toml").exits(0));
    let output = suggest("llama-cpp", "models/own.gguf").exits(69);
    assert!(output.stderr.contains("own.toml: it is no regular file"), "{}", output.stderr);
}
