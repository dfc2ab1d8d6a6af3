//! Variables that are refused or warned of.
use super::{env, refused, set, with};
use crate::kit::Sandbox;
use insta::assert_snapshot;
use serde_json::{Value, json};

#[test]
fn every_bad_variable_of_an_engine_is_named_and_the_others_go_on() {
    let sandbox = with(&[
        ("VLLM_ON_BOOT", "maybe"),
        ("VLLM_CONFIG", "models/vllm.toml"),
        ("VLLM_BUNDLE_SHA256", "beef"),
        ("VLLM_OVERRIDES", r#"{"key": hunter2}"#),
        ("VLLM_USER", "nobody-of-this-name"),
        ("VLLM_PIXI_ENV", "../up"),
        ("SGLANG_CACHE_ROOT", "~/cache"),
        ("LLAMA_CPP_PKG_PATH", "/media/llama.tar.gz"),
    ]);
    let output = sandbox.sh("ienv").exits(69);
    let vllm = ["ON_BOOT", "BUNDLE_SHA256", "PIXI_ENV", "CONFIG", "OVERRIDES", "USER"];
    let mut expected = vllm.map(|name| format!("vllm AUTO_INFER_VLLM_{name}")).to_vec();
    expected.push("sglang AUTO_INFER_SGLANG_CACHE_ROOT".to_owned());
    assert_eq!(refused(&output), expected, "{}", output.transcript());
    assert_eq!(output.one("env")["engine"], "llama-cpp");
    assert!(!output.transcript().contains("hunter2"));
    assert_snapshot!(output.stderr, @r#"
    ienv: cannot use AUTO_INFER_VLLM_ON_BOOT: 'maybe' is not a boolean
    ienv: hint: set it to 1, true, yes or on, or to 0, false, no or off
    ienv: cannot use AUTO_INFER_VLLM_BUNDLE_SHA256: 'beef' is not a sha256
    ienv: hint: give the 64 hexadecimal digits that sha256sum prints
    ienv: cannot use AUTO_INFER_VLLM_PIXI_ENV: '../up' is not the name of an environment
    ienv: hint: give a name from [environments] of pixi.toml
    ienv: cannot use AUTO_INFER_VLLM_CONFIG: 'models/vllm.toml' is not an absolute path
    ienv: hint: give the whole path, from / on
    ienv: cannot use AUTO_INFER_VLLM_OVERRIDES: it is not JSON: expected value at line 1 column 9
    ienv: hint: give a JSON object in the shape of the TOML, such as {"instance":{"server":{"port":8081}}}
    ienv: cannot use AUTO_INFER_VLLM_USER: 'nobody-of-this-name' is not a user of this machine
    ienv: hint: name a user that this machine knows, or unset it
    ienv: cannot use AUTO_INFER_SGLANG_CACHE_ROOT: '~/cache' is not an absolute path
    ienv: hint: write the home directory out; only a shell expands ~
    "#);
}

#[test]
fn a_bad_variable_of_all_engines_ends_each_and_is_said_once() {
    let sandbox = with(&[("WORKSPACE_DIR", "w"), ("BOOT_WAIT", "sometimes"), ("VLLM_ON_BOOT", "1")]);
    let output = sandbox.sh("ienv --boot").exits(69);
    assert_snapshot!(output.transcript(), @r#"
    {"kind":"failed","engine":"vllm","by":"ienv","what":"cannot use AUTO_INFER_WORKSPACE_DIR","cause":"'w' is not an absolute path","hint":"give the whole path, from / on","code":69}
    {"kind":"failed","engine":"vllm","by":"ienv","what":"cannot use AUTO_INFER_BOOT_WAIT","cause":"'sometimes' is not a boolean","hint":"set it to 1, true, yes or on, or to 0, false, no or off","code":69}
    {"kind":"skipped","engine":"llama-cpp","by":"ienv","why":"no ON_BOOT variable asks for it"}
    {"kind":"skipped","engine":"sglang","by":"ienv","why":"no ON_BOOT variable asks for it"}
    {"kind":"skipped","engine":"bridge","by":"ienv","why":"no ON_BOOT variable asks for it"}
    -- stderr --
    ienv: cannot use AUTO_INFER_WORKSPACE_DIR: 'w' is not an absolute path
    ienv: hint: give the whole path, from / on
    ienv: cannot use AUTO_INFER_BOOT_WAIT: 'sometimes' is not a boolean
    ienv: hint: set it to 1, true, yes or on, or to 0, false, no or off
    [exit 69]
    "#);
    for (name, value) in [
        ("AUTO_INFER_BOOT_FAILURE", "explode"),
        ("AUTO_INFER_LENIENT_CONFIG", "2"),
        ("AUTO_INFER_LOG_DIR", "logs"),
        ("AUTO_INFER_RUN_DIR", "./run"),
        ("INFER_DEV_KEEP", "keep"),
    ] {
        let mut sandbox = Sandbox::new();
        sandbox.set(name, value);
        let output = sandbox.sh("ienv llama-cpp").exits(69);
        assert_eq!(refused(&output), [format!("llama-cpp {name}")]);
        let output = sandbox.sh("ienv --boot | cat").exits(69);
        assert_eq!(output.kinds(), ["skipped"; 4], "boot asked for nothing, and yet it is wrong");
        assert!(output.stderr.starts_with(&format!("ienv: cannot use {name}: ")), "{}", output.stderr);
    }
}

#[test]
fn what_is_not_utf_8_is_refused_and_named() {
    let sandbox = Sandbox::new();
    let output =
        sandbox.sh(r"AUTO_INFER_VLLM_CONFIG=$'/\xff' AUTO_INFER_VLLM_ON_BOOT=$'\xff' ienv vllm").exits(69);
    assert_eq!(refused(&output), ["vllm AUTO_INFER_VLLM_ON_BOOT", "vllm AUTO_INFER_VLLM_CONFIG"]);
    let output = sandbox.sh(r"CONDA_OVERRIDE_CUDA=$'\xff' ienv").exits(69);
    assert_eq!(refused(&output), ["vllm CONDA_OVERRIDE_CUDA", "sglang CONDA_OVERRIDE_CUDA"]);
    let output = sandbox.sh(r"AUTO_INFER_WORKSPACE_DIR=$'/\xff' ienv llama-cpp").exits(69);
    assert_eq!(refused(&output), ["llama-cpp AUTO_INFER_WORKSPACE_DIR"]);
    let output = sandbox.sh(r"env $'AUTO_INFER_\xff=1' ienv llama-cpp").exits(0);
    assert_eq!(output.one("warning")["rule"], "unknown_variable");
}

#[test]
fn a_line_break_in_a_value_does_not_break_a_message() {
    let output = Sandbox::new().sh(r"AUTO_INFER_VLLM_CONFIG=$'a\nienv: b' ienv vllm").exits(69);
    assert_eq!(output.stderr.lines().count(), 2, "{}", output.stderr);
}

#[test]
fn an_unknown_variable_warns_with_the_nearest() {
    let sandbox = with(&[
        ("SGLAN_CONFIG", "/x"),
        ("VLLM_BUNDLE", "/y"),
        ("WHATEVER", "z"),
        ("LITELLM_PROXY_SCRIPT", "s"),
    ]);
    let output = sandbox.sh("ienv llama-cpp").exits(0);
    assert_snapshot!(output.stderr, @r#"
    ienv: warning: AUTO_INFER_SGLAN_CONFIG is set, and infer-dev has no such variable
    ienv: hint: the nearest that is known is AUTO_INFER_SGLANG_CONFIG
    ienv: warning: AUTO_INFER_VLLM_BUNDLE is set, and infer-dev has no such variable
    ienv: hint: the nearest that is known is AUTO_INFER_VLLM_BUNDLE_PATH
    ienv: warning: AUTO_INFER_WHATEVER is set, and infer-dev has no such variable
    ienv: hint: infer-dev(7) lists the variables
    "#);
    let engines: Vec<Value> = output.all("warning").iter().map(|warning| warning["engine"].clone()).collect();
    assert_eq!(engines, [Value::Null, json!("vllm"), Value::Null]);
}

#[test]
fn kept_spellings_mean_the_same_and_may_not_differ() {
    let mut sandbox = with(&[
        ("VLLM_PIXI_PROJECT_DIR", "/p"),
        ("VLLM_PIXI_ENVIRONMENT", "cu128"),
        ("VLLM_PIXI_TEMPLATE_DIR", "/t"),
    ]);
    let record = env(&sandbox, "ienv vllm");
    assert_eq!((&record["project_dir"], &record["pixi_env"]), (&json!("/p"), &json!("cu128")));
    assert_eq!((&record["template_dir"], &record["road"]), (&json!("/t"), &json!("cache")));
    assert_eq!(record["origin"]["project_dir"], "variable");

    set(&mut sandbox, "VLLM_PROJECT_DIR", "/p/");
    env(&sandbox, "ienv vllm");
    set(&mut sandbox, "VLLM_PROJECT_DIR", "/q");
    let output = sandbox.sh("ienv vllm").exits(69);
    assert_eq!(refused(&output), ["vllm AUTO_INFER_VLLM_PIXI_PROJECT_DIR"]);
    assert_eq!(
        output.one("failed")["cause"],
        "AUTO_INFER_VLLM_PROJECT_DIR means the same and says otherwise"
    );

    let sandbox = with(&[("SGLANG_PIXI_PROJECT_DIR", "/p")]);
    assert_eq!(sandbox.sh("ienv sglang").one("warning")["rule"], "unknown_variable", "kept for vLLM alone");
}
