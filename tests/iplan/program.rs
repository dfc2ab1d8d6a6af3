//! Which program a plan starts.
use super::{good, machine, plan, words};
use crate::kit::{Sandbox, free_port};
use serde_json::json;

#[test]
fn sglang_and_vllm_run_the_installs_interpreter_with_the_captured_activation() {
    let sandbox = machine();
    for (engine, module, model, port) in [
        ("sglang", "sglang.launch_server", "model_path", 30000),
        ("vllm", "vllm.entrypoints.openai.api_server", "model", 8000),
    ] {
        let toml = format!(
            "[instance.control]\nallow = ['port_in_use']\n[instance.a.server]\n{model} = '$M/folder'\n"
        );
        let plan = plan(&sandbox, engine, &toml).exits(0).one("plan");
        let install = format!("$SANDBOX/w/{engine}-infer/.installs/0123456789ab-0000");
        assert_eq!(plan["program"], format!("{install}/env/bin/python"));
        assert_eq!(plan["install_path"], install);
        let flag = model.replace('_', "-");
        let expected = format!("-m {module} --{flag} $SANDBOX/models/folder --host 127.0.0.1 --port {port}");
        assert_eq!(words(&plan), expected);
        assert_eq!(plan["env_set"]["CONDA_PREFIX"], "/p");
        assert_eq!(plan["env_set"]["PYTHONFAULTHANDLER"], "1");
        let path = plan["env_set"]["PATH"].as_str().unwrap();
        assert!(path.starts_with(&format!("{install}/env/bin:$SANDBOX/bin:")), "{path}");
        let timeouts = (&plan["control"]["stop_timeout_s"], &plan["control"]["stall_timeout_s"]);
        assert_eq!(timeouts, (&json!(30), &json!(1200)));
    }
}

#[test]
fn master_wins_over_the_variable_and_the_variable_over_the_install() {
    let mut sandbox = machine();
    let instance = format!("[instance.a.server]\nmodel_path = '$M/folder'\nport = {}\n", free_port());
    let program = |sandbox: &Sandbox, master: &str| {
        let toml = format!("[master]\n{master}\n{instance}");
        plan(sandbox, "sglang", &toml).exits(0).one("plan")
    };
    for place in [
        "variable/bin/python",
        "master/bin/python",
        "old/env/bin/python",
        "other/.pixi/envs/cu128/bin/python",
    ] {
        sandbox.script(place, "#!/bin/sh\n");
    }
    sandbox.write("old/.installed-from.json", r#"{"bundle_sha256":"ab"}"#);
    sandbox.set("AUTO_INFER_SGLANG_PYTHON", &sandbox.text("variable/bin/python"));
    let by_variable = program(&sandbox, "");
    assert_eq!(by_variable["program"], "$SANDBOX/variable/bin/python");
    assert_eq!(by_variable.get("install_path"), None);
    let python_path = format!("python_path = '{}'", sandbox.text("master/bin/python"));
    assert_eq!(program(&sandbox, &python_path)["program"], "$SANDBOX/master/bin/python");
    sandbox.unset("AUTO_INFER_SGLANG_PYTHON");
    let old = program(&sandbox, &format!("project_dir = '{}'", sandbox.text("old")));
    assert_eq!(old["program"], "$SANDBOX/old/env/bin/python");
    let other = format!("pixi_project_dir = '{}'\npixi_environment = 'cu128'", sandbox.text("other"));
    assert_eq!(program(&sandbox, &other)["program"], "$SANDBOX/other/.pixi/envs/cu128/bin/python");
    let module = program(&sandbox, "server_module = 'my.server'");
    assert!(words(&module).starts_with("-m my.server "), "{module}");
}

#[test]
fn llama_server_is_found_in_the_install_then_in_the_workspaces_build_then_on_path() {
    let sandbox = machine();
    let toml = good("a");
    let program = |sandbox: &Sandbox| plan(sandbox, "llama-cpp", &toml).exits(0).one("plan");
    assert_eq!(program(&sandbox)["program"], "$SANDBOX/bin/llama-server");
    sandbox.script("w/llama-cpp/build/bin/llama-server", "#!/bin/sh\n");
    sandbox.write("w/llama-cpp/build/bin/libllama.so", "");
    let built = program(&sandbox);
    assert_eq!(built["program"], "$SANDBOX/w/llama-cpp/build/bin/llama-server");
    assert_eq!(built["env_set"]["LD_LIBRARY_PATH"], "$SANDBOX/w/llama-cpp/build/bin");
    sandbox.script("llama/bin/llama-server", "#!/bin/sh\n");
    sandbox.write("llama/.installed-from.json", r#"{"sha256":"ab","archive_name":"x.tar"}"#);
    assert_eq!(program(&sandbox)["program"], "$SANDBOX/llama/bin/llama-server");
    let install = sandbox.text("llama/.installs/0123456789ab-0000");
    let executable = sandbox.script("llama/.installs/0123456789ab-0000/bin/llama-server", "#!/bin/sh\n");
    let record =
        json!({"engine": "llama-cpp", "path": install, "executable": executable, "library_dir": install});
    sandbox.write("llama/.installs/0123456789ab-0000/installed.json", record.to_string());
    sandbox.write("llama/.installed-from.json", record.to_string());
    let installed = program(&sandbox);
    assert_eq!(installed["install_path"], "$SANDBOX/llama/.installs/0123456789ab-0000");
    assert_eq!(installed["env_set"]["LD_LIBRARY_PATH"], "$SANDBOX/llama/.installs/0123456789ab-0000");
    let named = format!("[master]\nllama_cpp_path = '{}'\n{toml}", sandbox.text("bin/llama-server"));
    let named = plan(&sandbox, "llama-cpp", &named).exits(0).one("plan");
    assert_eq!((&named["program"], named.get("install_path")), (&json!("$SANDBOX/bin/llama-server"), None));
}

#[test]
fn via_pixi_goes_through_the_installs_manifest() {
    let sandbox = machine();
    let toml = format!(
        "[master]\npixi_environment = 'cu128'\n[instance.a.control]\nvia_pixi = true\n\
         [instance.a.server]\nmodel = '$M/folder'\nport = {}\n",
        free_port()
    );
    let refused = plan(&sandbox, "vllm", &toml).exits(69);
    assert!(
        refused.stderr.contains("control.via_pixi is set: the install has no pixi.toml"),
        "{}",
        refused.stderr
    );
    sandbox.write("w/vllm-infer/.installs/0123456789ab-0000/pixi.toml", "");
    sandbox.script("bin/pixi", "#!/bin/sh\n");
    let planned = plan(&sandbox, "vllm", &toml).exits(0).one("plan");
    assert_eq!(planned["program"], "$SANDBOX/bin/pixi");
    let manifest = "$SANDBOX/w/vllm-infer/.installs/0123456789ab-0000/pixi.toml";
    let expected = format!("run --frozen --manifest-path {manifest} --environment cu128 python -m vllm.");
    assert!(words(&planned).starts_with(&expected), "{}", words(&planned));
    let set = &planned["env_set"];
    assert_eq!((&set["PIXI_NO_CONFIG"], &set["PIXI_OFFLINE"]), (&json!("1"), &json!("1")), "{set}");
    let llama = good("a") + "[instance.a.control]\nvia_pixi = true\n";
    let refused = plan(&sandbox, "llama-cpp", &llama).exits(65);
    assert!(refused.stderr.contains("llama-cpp does not run in a pixi environment"), "{}", refused.stderr);
}
