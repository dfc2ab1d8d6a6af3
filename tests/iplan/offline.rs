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
    let allowed = "[instance.a.control]\nallow = ['flashinfer']";
    assert_eq!(planned(&sandbox, "vllm", "", allowed).exits(0).stderr, "");
}

#[test]
fn sglang_refuses_images_with_one_torch_and_an_old_cudnn() {
    let config = json!({"model_type": "qwen2_vl", "vision_config": {}});
    let bad = ["sglang-0.5.7", "torch-2.9.1+cu128", "nvidia_cudnn_cu12-9.10.2.21"];
    let sandbox = with("sglang", &bad, &config);
    fails(planned(&sandbox, "sglang", "", ""), "cudnn", "torch 2.9.1+cu128 and cuDNN 9.10.2.21");
    assert_eq!(planned(&sandbox, "sglang", "SGLANG_DISABLE_CUDNN_CHECK = '1'", "").exits(0).stderr, "");
    let allowed = "[instance.a.control]\nallow = ['cudnn']";
    assert_eq!(planned(&sandbox, "sglang", "", allowed).exits(0).stderr, "");
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
fn code_of_the_models_own_is_reported_unless_it_is_trusted() {
    let config = json!({"model_type": "x", "auto_map": {"AutoConfig": "configuration_x.XConfig"}});
    let sandbox = with("vllm", &[], &config);
    warns(planned(&sandbox, "vllm", "", ""), "own_code", "configuration_x.XConfig");
    assert_eq!(planned(&sandbox, "vllm", "", "trust_remote_code = true").exits(0).stderr, "");
    let allowed = "[instance.a.control]\nallow = ['own_code']";
    assert_eq!(planned(&sandbox, "vllm", "", allowed).exits(0).stderr, "");
}

#[test]
fn a_port_that_the_user_may_not_have_is_refused() {
    if !as_root() {
        return;
    }
    let mut sandbox = machine();
    drop(sandbox.sh("chmod 755 . w models; mkdir w/logs; chown nobody w/logs").exits(0));
    sandbox.set("AUTO_INFER_LLAMA_CPP_USER", "nobody");
    // A network of its own, in which the limit is as the kernel sets it: containers often have none.
    let on_port = |port: u16, allow: &str| {
        let toml = format!(
            "[instance.a.control]\nallow = ['log_not_writable'{allow}]\n[instance.a.server]\nmodel = '{}'\nport = {port}\n",
            sandbox.text("models/m.gguf")
        );
        sandbox.write("llama-cpp.toml", toml);
        sandbox.sh("unshare --net bash -c 'ienv llama-cpp | iplan'")
    };
    fails(on_port(1023, ""), "port_privileged", "nobody may not listen on port 1023, which is below 1024");
    assert_eq!(on_port(1024, "").exits(0).stderr, "");
    assert_eq!(on_port(1023, ", 'port_privileged'").exits(0).stderr, "");
}

/// Plan as on a machine with a GPU, of this driver, where /dev/shm has so many MiB.
fn on_a_gpu(sandbox: &Sandbox, engine: &str, driver: &str, shm: u32, more: &str) -> Output {
    let model = if engine == "vllm" { "model" } else { "model_path" };
    let toml = format!(
        "[instance.a.server]\n{model} = '{}'\nport = {}\n{more}\n",
        sandbox.text("models/folder"),
        free_port()
    );
    sandbox.write(&format!("{engine}.toml"), toml);
    let script = format!(
        "mkdir -p dev; mount -t tmpfs x dev
        for name in null zero urandom random; do touch dev/$name; mount --bind /dev/$name dev/$name; done
        mkdir dev/shm; mount -t tmpfs -o size={shm}m x dev/shm; touch dev/nvidiactl; ln -s /proc/self/fd dev/fd
        mount --move dev /dev
        mount -t tmpfs x /proc/driver; mkdir /proc/driver/nvidia
        echo 'NVRM version: NVIDIA UNIX x86_64 Kernel Module  {driver}  Wed' > /proc/driver/nvidia/version
        ienv {engine} | iplan"
    );
    sandbox.finish(sandbox.command("unshare").args(["--mount", "bash", "-euo", "pipefail", "-c", &script]))
}

#[test]
fn what_only_matters_on_a_gpu_is_reported_there() {
    if !as_root() {
        return;
    }
    let config = json!({"model_type": "qwen3"});
    let packages = ["vllm-0.32.0", "flashinfer_python-0.6.1", "nvidia_cuda_runtime-13.0.96"];
    let sandbox = with("vllm", &packages, &config);
    let run = |driver: &str, shm: u32, more: &str| on_a_gpu(&sandbox, "vllm", driver, shm, more);
    let allow = |rules: &str| format!("[instance.a.control]\nallow = [{rules}]");
    fails(run("575.51.03", 2048, &allow("'compiler'")), "driver", "needs driver 580, and this one is 575");
    assert_eq!(run("575.51.03", 2048, &allow("'compiler', 'driver'")).exits(0).stderr, "");
    warns(run("580.65.06", 2048, ""), "compiler", "there is no nvcc and no ninja");
    for program in ["nvcc", "ninja"] {
        let bin = "w/vllm-infer/.installs/0123456789ab-0000/env/bin";
        sandbox.script(&format!("{bin}/{program}"), "#!/bin/sh\n");
    }
    assert_eq!(run("580.65.06", 64, "").exits(0).stderr, "");
    warns(run("580.65.06", 64, "tensor_parallel_size = 2"), "shm", "/dev/shm has 64 MiB");
    assert_eq!(run("580.65.06", 1024, "tensor_parallel_size = 2").exits(0).stderr, "");
    let silenced = format!("tensor_parallel_size = 2\n{}", allow("'shm'"));
    assert_eq!(run("580.65.06", 64, &silenced).exits(0).stderr, "");
}

#[test]
fn what_is_named_beside_the_model_and_has_to_be_fetched_is_reported() {
    let sandbox = with("vllm", &[], &json!({"model_type": "qwen3"}));
    let folder = sandbox.text("models/folder");
    let draft = "speculative_config = {method = 'eagle', model = 'org/draft'}";
    for (line, name) in [
        ("tokenizer = 'org/tokenizer'", "org/tokenizer would be"),
        (draft, "org/draft would be"),
        ("lora_modules = ['x=org/lora']", "org/lora would be"),
    ] {
        warns(planned(&sandbox, "vllm", "", line), "model_not_local", name);
        let allowed = format!("{line}\n[instance.a.control]\nallow = ['model_not_local']");
        assert_eq!(planned(&sandbox, "vllm", "", &allowed).exits(0).stderr, "");
        let connected = format!("{line}\n[instance.a.control]\noffline = false");
        assert_eq!(planned(&sandbox, "vllm", "", &connected).exits(0).stderr, "");
    }
    assert_eq!(planned(&sandbox, "vllm", "", &format!("tokenizer = {folder:?}")).exits(0).stderr, "");
    let llama = |line: &str| {
        let toml = format!("[instance.a.server]\nmodel = '$M/m.gguf'\nport = {}\n{line}\n", free_port());
        plan(&machine(), "llama-cpp", &toml)
    };
    warns(llama("hf_repo_draft = 'org/draft'"), "model_not_local", "org/draft would be");
    assert_eq!(
        llama("model_draft = '/dev/null'\n[instance.a.control]\nallow = ['file_missing']").exits(0).stderr,
        ""
    );
}

#[test]
fn a_disk_that_is_too_full_for_a_log_is_reported() {
    let sandbox = machine();
    let of = |mib: u32, allow: &str| {
        let toml = format!(
            "[instance.a.control]\nlog_dir = '/dev/shm'\nlog_max_mib = {mib}\nallow = [{allow}]\n[instance.a.server]\nmodel = '$M/m.gguf'\nport = {}\n",
            free_port()
        );
        plan(&sandbox, "llama-cpp", &toml)
    };
    warns(of(1_048_576, ""), "log_space", "MiB left");
    assert_eq!(of(1, "").exits(0).stderr, "");
    assert_eq!(of(1_048_576, "'log_space'").exits(0).stderr, "");
}
