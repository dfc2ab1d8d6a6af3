//! What an engine would look for on the network, or in vain, told before it starts.
use super::{machine, plan};
use crate::kit::{Output, Sandbox, as_root, free_port};
use serde_json::json;

/// A machine whose environment of an engine has these distributions, and a model of this configuration.
fn with(engine: &str, packages: &[&str], config: &serde_json::Value) -> Sandbox {
    let sandbox = machine();
    let site = format!("w/{engine}-infer/.installs/0123456789ab-0000/env/lib/python3.12/site-packages");
    for package in packages {
        sandbox.write(&format!("{site}/{package}.dist-info/METADATA"), "");
    }
    sandbox.write("models/folder/config.json", config.to_string());
    sandbox
}

fn planned(sandbox: &Sandbox, engine: &str, env: &str, more: &str) -> Output {
    let model = if engine == "vllm" { "model" } else { "model_path" };
    let toml = format!(
        "[instance.a.env]\n{env}\n[instance.a.server]\n{model} = '$M/folder'\nport = {}\n{more}\n",
        free_port()
    );
    plan(sandbox, engine, &toml)
}

#[track_caller]
fn fails(output: Output, class: &str, cause: &str) {
    let failed = output.exits(69).one("failed");
    assert_eq!(failed["class"], class, "{failed}");
    assert!(failed["cause"].as_str().unwrap().contains(cause), "{failed}");
    assert!(failed["hint"].as_str().unwrap().contains("(see http"), "{failed}");
}

#[track_caller]
fn warns(output: Output, rule: &str, what: &str) {
    let warning = output.exits(0).one("warning");
    assert_eq!(warning["rule"], rule, "{warning}");
    assert!(warning["what"].as_str().unwrap().contains(what), "{warning}");
}

#[test]
fn gpt_oss_needs_the_file_of_its_tokens() {
    let config = json!({"model_type": "gpt_oss"});
    let sandbox = with("vllm", &["vllm-0.32.0"], &config);
    fails(planned(&sandbox, "vllm", "", ""), "tiktoken", "TIKTOKEN_ENCODINGS_BASE is not set");
    let folder = sandbox.text("tokens");
    let env = format!("TIKTOKEN_ENCODINGS_BASE = {folder:?}");
    fails(planned(&sandbox, "vllm", &env, ""), "tiktoken", "which has no o200k_base.tiktoken");
    sandbox.write("tokens/o200k_base.tiktoken", "x");
    assert_eq!(planned(&sandbox, "vllm", &env, "").exits(0).stderr, "");
    let allowed = "[instance.a.control]\nallow = ['tiktoken']";
    assert_eq!(planned(&sandbox, "vllm", "", allowed).exits(0).stderr, "");
    let sandbox = with("sglang", &[], &config);
    warns(planned(&sandbox, "sglang", "", ""), "tiktoken", "it would be fetched");
}

#[test]
fn the_three_parts_of_flashinfer_are_of_one_version() {
    let config = json!({"model_type": "qwen3"});
    let sandbox = with(
        "vllm",
        &["flashinfer_python-0.6.1", "flashinfer_cubin-0.6.1", "flashinfer_jit_cache-0.6.1+cu129"],
        &config,
    );
    assert_eq!(planned(&sandbox, "vllm", "", "").exits(0).stderr, "");
    let sandbox = with("vllm", &["flashinfer_python-0.6.1", "flashinfer_cubin-0.6.0"], &config);
    warns(
        planned(&sandbox, "vllm", "", ""),
        "flashinfer",
        "flashinfer_python is 0.6.1, and flashinfer_cubin is 0.6.0",
    );
}

#[test]
fn sglang_refuses_images_with_one_torch_and_an_old_cudnn() {
    let config = json!({"model_type": "qwen2_vl", "vision_config": {}});
    let bad = ["sglang-0.5.7", "torch-2.9.1+cu128", "nvidia_cudnn_cu12-9.10.2.21"];
    let sandbox = with("sglang", &bad, &config);
    fails(planned(&sandbox, "sglang", "", ""), "cudnn", "torch 2.9.1+cu128 and cuDNN 9.10.2.21");
    assert_eq!(planned(&sandbox, "sglang", "SGLANG_DISABLE_CUDNN_CHECK = '1'", "").exits(0).stderr, "");
    for good in [
        ["sglang-0.5.10", bad[1], bad[2]],
        [bad[0], "torch-2.10.0", bad[2]],
        [bad[0], bad[1], "nvidia_cudnn_cu12-9.16.0.29"],
    ] {
        let sandbox = with("sglang", &good, &config);
        assert_eq!(planned(&sandbox, "sglang", "", "").exits(0).stderr, "", "{good:?}");
    }
    let text = with("sglang", &bad, &json!({"model_type": "qwen3"}));
    assert_eq!(planned(&text, "sglang", "", "").exits(0).stderr, "");
}

#[test]
fn code_of_the_models_own_is_told_unless_it_is_trusted() {
    let config = json!({"model_type": "x", "auto_map": {"AutoConfig": "configuration_x.XConfig"}});
    let sandbox = with("vllm", &[], &config);
    warns(planned(&sandbox, "vllm", "", ""), "own_code", "configuration_x.XConfig");
    assert_eq!(planned(&sandbox, "vllm", "", "trust_remote_code = true").exits(0).stderr, "");
}

#[test]
fn a_port_that_the_user_may_not_have_is_refused() {
    let free: u16 = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    if !as_root() || free < 2 {
        return;
    }
    let mut sandbox = machine();
    drop(sandbox.sh("chmod 755 . w models; mkdir w/logs; chown nobody w/logs").exits(0));
    sandbox.set("AUTO_INFER_LLAMA_CPP_USER", "nobody");
    let toml = format!(
        "[instance.a.control]\nallow = ['port_in_use', 'log_not_writable']\n[instance.a.server]\nmodel = '$M/m.gguf'\nport = {}\n",
        free - 1
    );
    fails(plan(&sandbox, "llama-cpp", &toml), "port_privileged", "nobody may not listen on port");
}

#[test]
fn a_disk_that_is_too_full_for_a_log_is_told() {
    let sandbox = machine();
    let toml = format!(
        "[instance.a.control]\nlog_dir = '/dev/shm'\nlog_max_mib = 1048576\n[instance.a.server]\nmodel = '$M/m.gguf'\nport = {}\n",
        free_port()
    );
    warns(plan(&sandbox, "llama-cpp", &toml), "log_space", "MiB left");
}
