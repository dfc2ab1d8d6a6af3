//! ienv: the environment contract, rule by rule.
mod bridge;
mod cache;
mod export;
mod refused;
mod road;

use crate::kit::{Output, Sandbox};
use insta::assert_snapshot;
use serde_json::{Value, json};

/// A sandbox with these variables; a value that begins with `$` is a path below its root.
fn with(variables: &[(&str, &str)]) -> Sandbox {
    let mut sandbox = Sandbox::new();
    for (name, value) in variables {
        set(&mut sandbox, name, value);
    }
    sandbox
}

fn set(sandbox: &mut Sandbox, name: &str, value: &str) {
    let value = value.strip_prefix('$').map_or(value.to_owned(), |relative| sandbox.text(relative));
    sandbox.set(&format!("AUTO_INFER_{name}"), &value);
}

/// The only `env` record of one engine.
#[track_caller]
fn env(sandbox: &Sandbox, command: &str) -> Value {
    sandbox.sh(command).exits(0).one("env")
}

/// The variables that the `failed` records name, with the engine.
fn refused(output: &Output) -> Vec<String> {
    let name = |failed: &Value| {
        assert_eq!((failed["code"].as_u64(), failed["by"].as_str()), (Some(69), Some("ienv")), "{failed}");
        let variable = failed["what"].as_str().unwrap().rsplit(' ').next().unwrap();
        format!("{} {variable}", failed["engine"].as_str().unwrap())
    };
    output.all("failed").iter().map(name).collect()
}

/// Kind and engine of every record.
fn outline(output: &Output) -> Vec<String> {
    let word = |record: &Value, key: &str| record[key].as_str().unwrap_or_default().to_owned();
    output.records().iter().map(|r| format!("{} {}", word(r, "kind"), word(r, "engine"))).collect()
}

#[test]
fn an_engine_set_up_is_one_record_with_every_origin() {
    let sandbox = with(&[
        ("LLAMA_CPP_PKG_PATH", "/media/llama.tar.gz"),
        ("LLAMA_CPP_PKG_SHA256", "ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789"),
        ("LLAMA_CPP_INSTALL_DIR", "/opt/llama"),
        ("LLAMA_CPP_PKG_CACHE_DIR", "/opt/packages"),
        ("LLAMA_CPP_CONFIG", "/etc/glm.toml"),
        ("LLAMA_CPP_OVERRIDES", r#"{"instance":{"server":{"api_key":"hunter2"}}}"#),
        ("LLAMA_CPP_USER", "root"),
        ("LLAMA_CPP_ON_BOOT", "Yes"),
    ]);
    assert_snapshot!(sandbox.sh("ienv llama-cpp").transcript(), @r#"{"kind":"env","engine":"llama-cpp","road":"archive","workspace":"$SANDBOX/w","run_dir":"$SANDBOX/run","log_dir":"$SANDBOX/w/logs","engine_cache_dir":"$SANDBOX/w/engine-cache","install_dir":"/opt/llama","archive":"/media/llama.tar.gz","archive_cache_dir":"/opt/packages","sha256":"abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789","config":"/etc/glm.toml","overrides_variable":"AUTO_INFER_LLAMA_CPP_OVERRIDES","user":"root","origin":{"archive":"variable","archive_cache_dir":"variable","config":"variable","engine_cache_dir":"default","install_dir":"variable","log_dir":"default","overrides_variable":"variable","road":"default","run_dir":"variable","sha256":"variable","user":"variable","workspace":"variable"}}"#);
}

#[test]
fn no_name_means_the_engines_and_names_are_put_in_order() {
    let sandbox = Sandbox::new();
    assert_eq!(outline(&sandbox.sh("ienv").exits(0)), ["env llama-cpp", "env vllm", "env sglang"]);
    let output = sandbox.sh("ienv bridge sglang llama-cpp sglang").exits(0);
    assert_eq!(outline(&output), ["env llama-cpp", "env sglang", "bridge "]);
    assert_snapshot!(sandbox.sh("ienv vlm").exits(2).stderr, @r#"
    error: invalid value 'vlm' for '[ENGINE]...': no engine 'vlm'; the engines are llama-cpp, vllm, sglang

    For more information, try '--help'.
    "#);
}

#[test]
fn boot_asks_by_flags_and_the_rest_is_skipped() {
    let sandbox = with(&[
        ("VLLM_CACHE_WARM_ON_BOOT", "on"),
        ("VLLM_INSTALL_ON_BOOT", "TRUE"),
        ("VLLM_ON_BOOT", "1"),
        ("SGLANG_BUNDLE_ON_BOOT", "1"),
        ("LITELLM_ON_BOOT", "1"),
        ("LLAMA_CPP_ON_BOOT", ""),
    ]);
    let output = sandbox.sh("ienv --boot").exits(0);
    assert_eq!(outline(&output), ["skipped llama-cpp", "env vllm", "env sglang", "bridge "]);
    let records = output.records();
    assert_eq!(records[1]["steps"], json!(["warm", "install", "serve"]));
    assert_eq!(records[2]["steps"], json!(["install"]));
    assert_eq!((&records[3]["steps"], &records[3]["mode"]), (&json!(["serve"]), &json!("litellm")));
    assert_eq!(outline(&sandbox.sh("ienv --boot llama-cpp").exits(0)), ["skipped llama-cpp"]);
    assert_eq!(sandbox.sh("ienv vllm").one("env").get("steps"), None, "nothing is gated without --boot");

    let nothing = Sandbox::new().sh("ienv --boot").exits(0);
    assert_eq!(nothing.kinds(), ["skipped"; 4]);
}

#[test]
fn an_engine_that_boot_does_not_ask_for_is_not_looked_at_beyond_its_flags() {
    let sandbox = with(&[("VLLM_CONFIG", "relative"), ("SGLANG_INSTALL_ON_BOOT", "perhaps")]);
    let output = sandbox.sh("ienv --boot").exits(69);
    assert_eq!(outline(&output), ["skipped llama-cpp", "skipped vllm", "failed sglang", "skipped bridge"]);
}

#[test]
fn set_to_nothing_is_unset() {
    let names = [
        "WORKSPACE_DIR",
        "RUN_DIR",
        "BOOT_FAILURE",
        "VLLM_TEMPLATE_DIR",
        "VLLM_BUNDLE_PATH",
        "VLLM_BUNDLE_SHA256",
        "VLLM_OVERRIDES",
        "VLLM_CONFIG",
        "VLLM_USER",
        "VLLM_PIXI_ENV",
        "VLLM_PIXI_PROJECT_DIR",
        "VLLM_ON_BOOT",
    ];
    let empty = with(&names.map(|name| (name, "")));
    let mut unset = Sandbox::new();
    unset.unset("AUTO_INFER_WORKSPACE_DIR");
    unset.unset("AUTO_INFER_RUN_DIR");
    let (empty, unset) = (empty.sh("ienv vllm").exits(0).stdout, unset.sh("ienv vllm").exits(0).stdout);
    assert_eq!(empty, unset);
    assert!(unset.contains(r#""workspace":"/offline-data""#), "{unset}");
}

#[test]
fn the_run_directory_is_the_first_that_can_be_written() {
    let mut sandbox = Sandbox::new();
    sandbox.unset("AUTO_INFER_RUN_DIR");
    sandbox.write("xdg/marker", "");
    let xdg = sandbox.text("xdg");
    sandbox.set("XDG_RUNTIME_DIR", &xdg);
    let record = env(&sandbox, "ienv llama-cpp");
    let places = ["/run/infer-dev", "$SANDBOX/xdg/infer-dev"];
    assert!(places.contains(&record["run_dir"].as_str().unwrap()), "{record}");
    assert_eq!(record["origin"]["run_dir"], "default");
}

#[test]
fn the_user_is_named_only_where_there_is_one_to_change_to() {
    let mut sandbox = Sandbox::new();
    let me = sandbox.sh("id -u me >/dev/null 2>&1 && [ $(id -u) = 0 ] && echo me || true").exits(0).stdout;
    let record = env(&sandbox, "ienv llama-cpp");
    assert_eq!(record.get("user").and_then(Value::as_str), me.lines().next());
    set(&mut sandbox, "LLAMA_CPP_USER", "0");
    let record = env(&sandbox, "ienv llama-cpp");
    assert_eq!((&record["user"], &record["origin"]["user"]), (&json!("root"), &json!("variable")));
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let output = Sandbox::new().sh("set +o pipefail; ienv | true; ienv --explain | true").exits(0);
    assert_eq!(output.stderr, "");
}
