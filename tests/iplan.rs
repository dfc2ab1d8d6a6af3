//! iplan: every rule of the TOML file, and everything that is checked before anything starts.
mod address;
mod changed;
mod check;
mod emit;
mod named;
mod offline;
mod spoken;
pub(crate) mod walk;
mod walk_llama;

use crate::kit::{Output, Sandbox, free_port, root, speaking};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;

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

#[test]
#[expect(clippy::too_many_lines, reason = "a table of wrong files")]
fn a_file_that_is_wrong_is_refused_with_file_line_column_and_the_nearest_name() {
    let sandbox = machine();
    let server = "[instance.a.server]\nmodel = '$M/m.gguf'\n";
    for (toml, place, cause, hint) in [
        ("[instance\n", ":1:10", "unclosed table, expected `]`", ""),
        ("[master]\nenable = yes\n", ":2:10", "string values must be quoted, expected literal string", ""),
        ("[a]\nx = 1\nx = 2\n", ":3:1", "duplicate key", ""),
        ("[master]\nenabel = true\n", ":2:1", "unknown key 'enabel' in [master]", "did you mean 'enable'?"),
        ("[maste]\n", ":1:2", "unknown key 'maste' in the file", "did you mean 'master'?"),
        (
            "[master]\nproject_dir = '/x'\n",
            ":2:1",
            "unknown key 'project_dir' in [master]",
            "its keys are enable, llama_cpp_path",
        ),
        (
            "[master]\nenable = 1\n",
            ":2:10",
            "master.enable is a number, not true or false",
            "write it as true",
        ),
        (
            "[master]\nllama_cpp_path = 'x'\n",
            ":2:18",
            "master.llama_cpp_path is not an absolute path",
            "write the whole path, from /",
        ),
        ("[instance.a.contrl]\n", ":1:13", "unknown key 'contrl' in [instance.a]", "did you mean 'control'?"),
        (
            "[instance.control]\nlog_kep = 1\n",
            ":2:1",
            "unknown key 'log_kep' in control",
            "did you mean 'log_keep'?",
        ),
        (
            "[instance]\nb = 1\n",
            ":2:1",
            "instance.b is a number, not a table",
            "an instance is a table: [instance.b.server]",
        ),
        ("[instance.a]\nserver = 1\n", ":2:1", "'server' is a number, not a table", ""),
        (
            "[instance.server.server]\n",
            ":1:18",
            "'server' cannot be the name of an instance",
            "[instance.server] holds defaults for all instances: choose another name",
        ),
        (
            "[instance.'a b'.server]\n",
            ":1:11",
            "'a b' cannot be the name of an instance",
            "a name has up to 64 letters, digits, '_', '.' and '-', and begins with a letter, digit or '_'",
        ),
        (
            "[instance.a.control]\nmax_restarts = '5'\n",
            ":2:16",
            "control.max_restarts is a string, not a number",
            "write it without quotes; it is a whole number from 0 to 1000000",
        ),
        (
            "[instance.a.control]\nlog_keep = -1\n",
            ":2:12",
            "control.log_keep is -1",
            "it is a whole number from 0 to 1000",
        ),
        (
            "[instance.a.control]\nrestart = 'sometimes'\n",
            ":2:11",
            "control.restart is 'sometimes'",
            "it is one of on-failure, always, never",
        ),
        (
            "[instance.a.control]\nliveness = 'pulse'\n",
            ":2:12",
            "control.liveness is 'pulse'",
            "it is one of off, health, answer",
        ),
        (
            "[instance.a.control]\nliveness_failures = 0\n",
            ":2:21",
            "control.liveness_failures is 0",
            "it is a whole number from 1 to 1000",
        ),
        (
            "[instance.a.control]\nready_rung = 'alive'\n",
            ":2:14",
            "control.ready_rung is 'alive'",
            "it is one of answering, correct, listed, healthy",
        ),
        (
            "[instance.a.control]\ngpu_ids = '0;1'\n",
            ":2:11",
            "control.gpu_ids is '0;1'",
            "it is \"all\", \"none\", or ids joined by commas: \"0,1\" or \"GPU-…,GPU-…\"",
        ),
        ("[instance.a.control]\ngpu_ids = '0, 0'\n", ":2:11", "control.gpu_ids names '0' twice", ""),
        (
            "[instance.a.control]\ngpu_ids = [0]\n",
            ":2:11",
            "control.gpu_ids is a list, not a string",
            "write it as \"0\"",
        ),
        (
            "[instance.a.control]\nallow = ['port_in_us']\n",
            ":2:10",
            "control.allow names no rule 'port_in_us'",
            "did you mean 'port_in_use'?",
        ),
        (
            "[instance.a.control]\nlog_dir = 'logs'\n",
            ":2:11",
            "control.log_dir is not an absolute path",
            "write the whole path, from /",
        ),
        (
            "[instance.a.server]\nport = 'http'\n",
            ":2:8",
            "server.port is 'http'",
            "it is a whole number from 1 to 65535",
        ),
        (
            "[instance.a.server]\nport = 70000\n",
            ":2:8",
            "server.port is '70000'",
            "it is a whole number from 1 to 65535",
        ),
        (
            "[instance.a.server]\nport = 0\n",
            ":2:8",
            "server.port is '0'",
            "it is a whole number from 1 to 65535",
        ),
        (
            "[instance.a.server]\nextra_args = '--x'\n",
            ":2:14",
            "server.extra_args is a string, not a list of strings",
            "write it as [\"--x\"]",
        ),
        (
            "[instance.a.server]\nextra_args = ['-c', 512]\n",
            ":2:21",
            "server.extra_args holds a number, not a string",
            "write it in quotes: \"512\"",
        ),
        (
            "[instance.a.control]\nliveness = true\n",
            ":2:12",
            "control.liveness is a boolean, not a string",
            "it is one of off, health, answer",
        ),
        (
            "[instance.a.server]\n'--model' = 'x'\n",
            ":2:1",
            "'--model' cannot be the name of an argument",
            "write it as model_path, without dashes in front",
        ),
        (
            "[instance.a.server]\nctx_size = 1\nctx-size = 2\n",
            ":3:1",
            "'ctx-size' is there twice, spelt differently",
            "",
        ),
        (
            "[instance.a.env]\nX = true\n",
            ":2:5",
            "env.X is a boolean, not a string",
            "write it as a string: X = \"1\"",
        ),
        ("[instance.a.server]\nmodel = \"a\\u0000b\"\n", ":2:9", "server.model holds a zero byte", ""),
        ("", "", "there is no table [instance.NAME.server]", ""),
    ] {
        let toml = if toml.contains("server") || toml.is_empty() {
            toml.to_owned()
        } else {
            format!("{toml}{server}")
        };
        let output = plan(&sandbox, "llama-cpp", &toml).exits(65);
        let what = if place.is_empty() { " defines no instance" } else { place };
        let mut expected = format!("iplan: $SANDBOX/llama-cpp.toml{what}: {cause}\n");
        if !hint.is_empty() {
            expected.push_str(&format!("iplan: hint: {hint}\n"));
        }
        assert_eq!(output.stderr, expected, "{toml}");
        assert_eq!((output.all("plan").len(), output.one("failed")["code"].as_u64()), (0, Some(65)));
    }
}

#[test]
fn all_that_is_wrong_with_a_file_is_said_at_once_and_a_default_only_once() {
    let sandbox = machine();
    let toml =
        "[instance.control]\nlog_keep = 'x'\n[instance.a.server]\n[instance.b.server]\n[instance.c.servr]\n";
    let output = plan(&sandbox, "llama-cpp", toml).exits(65);
    let expected = "iplan: $SANDBOX/llama-cpp.toml:5:13: unknown key 'servr' in [instance.c]\n\
                    iplan: hint: did you mean 'server'?\n";
    assert!(output.stderr.ends_with(expected), "{}", output.stderr);
    assert_eq!(output.all("failed").len(), 2, "{}", output.stderr);
}

#[test]
fn a_file_that_is_not_there_or_not_text_is_named() {
    let mut sandbox = machine();
    let output = sandbox.sh("ienv llama-cpp | iplan").exits(69);
    assert_eq!(
        output.stderr,
        "iplan: cannot read $SANDBOX/llama-cpp.toml: No such file or directory\n\
         iplan: hint: AUTO_INFER_LLAMA_CPP_CONFIG names it\n"
    );
    sandbox.write("llama-cpp.toml", b"a = 'x'\nb = '\xff'\n");
    let output = sandbox.sh("ienv llama-cpp | iplan").exits(65);
    assert_eq!(output.stderr, "iplan: $SANDBOX/llama-cpp.toml:2:6: not UTF-8\n");
    sandbox.unset("AUTO_INFER_LLAMA_CPP_CONFIG");
    let output = sandbox.sh("ienv llama-cpp | iplan").exits(69);
    assert_eq!(
        output.stderr,
        "iplan: cannot plan llama-cpp: AUTO_INFER_LLAMA_CPP_CONFIG is not set\n\
         iplan: hint: set AUTO_INFER_LLAMA_CPP_CONFIG to the TOML file, or leave llama-cpp out: ienv ENGINE\n"
    );
}

#[test]
fn unknown_keys_are_warnings_when_the_operator_is_lenient() {
    let mut sandbox = machine();
    let toml = format!("[master]\nenable_all = true\n{}", good("a"));
    let strict = plan(&sandbox, "llama-cpp", &toml).exits(65);
    assert_eq!(strict.all("plan").len(), 0);
    let lenient = plan_with(&sandbox, "llama-cpp", &toml, "--lenient").exits(0);
    assert_eq!(lenient.one("warning")["rule"], "unknown_key");
    assert_eq!(
        lenient.one("warning")["what"],
        "$SANDBOX/llama-cpp.toml:2:1: unknown key 'enable_all' in [master]"
    );
    sandbox.set("AUTO_INFER_LENIENT_CONFIG", "Yes");
    assert_eq!(plan(&sandbox, "llama-cpp", &toml).exits(0).all("plan").len(), 1);
    let bad =
        sandbox.sh("ienv llama-cpp > env.jsonl; AUTO_INFER_LENIENT_CONFIG=maybe iplan < env.jsonl").exits(69);
    assert_eq!(
        bad.stderr,
        "iplan: cannot use AUTO_INFER_LENIENT_CONFIG: 'maybe' is not a boolean\n\
         iplan: hint: set it to 1, true, yes or on, or to 0, false, no or off\n"
    );
}

#[test]
fn overrides_are_merged_before_the_defaults_and_bad_ones_name_their_variable() {
    let mut sandbox = machine();
    let toml = "[instance.server]\nhost = '0.0.0.0'\nextra_args = ['--verbose', '--props']\n".to_owned()
        + &good("a")
        + &good("b");
    sandbox.set(
        "AUTO_INFER_LLAMA_CPP_OVERRIDES",
        r#"{"instance":{"b":null,"server":{"host":null,"extra_args":["--metrics"]},"a":{"server":{"alias":"x","port":1}}}}"#,
    );
    let toml = toml
        .replace("[instance.a.server]", "[instance.a.control]\nallow = ['port_in_use']\n[instance.a.server]");
    let planned = plan(&sandbox, "llama-cpp", &toml);
    let planned = planned.one("plan");
    assert_eq!(
        words(&planned),
        "--model $SANDBOX/models/m.gguf --port 1 --alias x --host 127.0.0.1 --metrics"
    );
    sandbox.set("AUTO_INFER_LLAMA_CPP_OVERRIDES", r#"{"instance":{"a":{"control":{"log_kep":1}}}}"#);
    let output = plan(&sandbox, "llama-cpp", &toml).exits(69);
    assert_eq!(
        output.stderr,
        "iplan: AUTO_INFER_LLAMA_CPP_OVERRIDES: unknown key 'log_kep' in control\niplan: hint: did you mean 'log_keep'?\n"
    );
}

#[test]
fn not_running_is_skipped_and_exits_0() {
    let sandbox = machine();
    let disabled =
        format!("[master]\nenable = false\n[instance.control]\nlog_keep = 'x'\n{}{}", good("a"), good("b"));
    let output = plan(&sandbox, "llama-cpp", &disabled).exits(0);
    assert_eq!(
        (output.kinds(), output.stderr.as_str()),
        (vec!["env", "skipped", "skipped"].into_iter().map(str::to_owned).collect(), "")
    );
    let skipped = &output.all("skipped")[1];
    assert_eq!((&skipped["instance"], &skipped["why"]), (&json!("b"), &json!("master.enable is false")));
    let one = good("a") + &good("b") + "[instance.b.control]\nenabled = false\n";
    let output = plan(&sandbox, "llama-cpp", &one).exits(0);
    assert_eq!(output.one("plan")["instance"], "a");
    assert_eq!(output.one("skipped")["why"], "control.enabled is false");
    let output = plan(&sandbox, "llama-cpp", "[master]\nenable = false\n").exits(0);
    assert_eq!(output.one("skipped").get("instance"), None);
    let boot = sandbox.sh("ienv --boot llama-cpp | iplan").exits(0);
    assert_eq!(boot.all("failed").len() + boot.all("plan").len(), 0);
}

#[test]
fn what_is_not_asked_to_serve_is_skipped_and_a_dead_upstream_is_noticed() {
    let mut sandbox = machine();
    sandbox.set("AUTO_INFER_LLAMA_CPP_GET_PKG_ON_BOOT", "1");
    sandbox.set("AUTO_INFER_LLAMA_CPP_PKG_PATH", "/x.tar");
    let output = sandbox.sh("ienv --boot llama-cpp | iplan").exits(0);
    assert_eq!(output.all("skipped").last().unwrap()["why"], "step serve was not asked for");
    assert_eq!(output.all("skipped").last().unwrap()["by"], "iplan");
    let dead = sandbox.sh("iplan </dev/null").exits(65);
    assert!(dead.stderr.starts_with("iplan: no 'env' record on standard input"), "{}", dead.stderr);
    sandbox.write(
        "failed.jsonl",
        r#"{"kind":"failed","engine":"vllm","by":"ienv","what":"x","cause":"y","code":69}"#,
    );
    assert_eq!(sandbox.sh("iplan < failed.jsonl").exits(69).kinds(), ["failed"]);
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
fn two_instances_cannot_have_one_port_or_one_log_across_engines_too() {
    let sandbox = machine();
    let port = free_port();
    let toml = format!("[instance.a.server]\nmodel = '$M/m.gguf'\nport = {port}\nhost = '0.0.0.0'\n")
        .replace("$M", &sandbox.text("models"));
    sandbox.write("llama-cpp.toml", &toml);
    sandbox.write("vllm.toml", toml.replace("m.gguf", "folder").replace("0.0.0.0", "127.0.0.1"));
    let output = sandbox.sh("ienv llama-cpp vllm | iplan").exits(65);
    assert_eq!(
        output.stderr,
        format!(
            "iplan: port {port} of vllm a is taken: llama-cpp a is planned on it\n\
             iplan: hint: give each instance a port of its own\n"
        )
    );
    assert_eq!(output.one("plan")["engine"], "llama-cpp");
    let logs =
        format!("[instance.control]\nlog_file = '{}'\n{}{}", sandbox.text("x.log"), good("a"), good("b"));
    let output = plan(&sandbox, "llama-cpp", &logs).exits(65);
    assert_eq!(output.one("failed")["class"], "log_shared");
    let dirs =
        format!("[instance.control]\nlog_dir = '{}'\n{}{}", sandbox.text("logs"), good("a"), good("b"));
    let output = plan(&sandbox, "llama-cpp", &dirs).exits(0);
    assert_eq!(output.all("plan")[1]["log_file"], "$SANDBOX/logs/llama-server-b.log");
}

#[test]
fn a_port_in_use_names_its_holder_and_says_that_a_retry_may_help() {
    let sandbox = machine();
    let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = holder.local_addr().unwrap().port();
    let toml = format!("[instance.a.server]\nmodel = '$M/m.gguf'\nport = {port}\n");
    let output = plan(&sandbox, "llama-cpp", &toml).exits(75);
    let failed = output.one("failed");
    assert_eq!(
        (&failed["what"], &failed["class"]),
        (&json!(format!("port {port} is in use")), &json!("port_in_use"))
    );
    let cause = failed["cause"].as_str().unwrap();
    assert!(cause.starts_with(&format!("pid {} has it: ", std::process::id())), "{cause}");
    drop(holder);
    assert_eq!(plan(&sandbox, "llama-cpp", &toml).exits(0).stderr, "");
}

#[test]
fn an_instance_that_runs_is_reused_and_its_port_is_its_own() {
    let sandbox = machine();
    let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = holder.local_addr().unwrap().port();
    let toml = format!("[instance.a.server]\nmodel = '$M/m.gguf'\nport = {port}\n");
    let free =
        plan(&sandbox, "llama-cpp", &toml.replace(&port.to_string(), &free_port().to_string())).one("plan");
    sandbox.write("run/llama-cpp/a/lock", "");
    let lock = state::Lock::take(&sandbox.path("run/llama-cpp/a/lock")).unwrap();
    let status = |workspace: &str, hash: &Value| {
        let status = json!({
            "format": 1, "state": "running", "workspace": workspace, "keeper_pid": 1, "port": port, "restarts": 0,
            "since_unix": 1.0, "log_file": "/x", "plan_hash": hash
        });
        sandbox.write("run/llama-cpp/a/status.json", status.to_string());
    };
    status(&sandbox.text("w"), &free["hash"]);
    let stale = plan(&sandbox, "llama-cpp", &toml).exits(0);
    assert_eq!((&stale.one("plan")["reused"], &stale.one("plan")["stale"]), (&json!(true), &json!(true)));
    assert_eq!(
        stale.stderr,
        "iplan: warning: llama-cpp a runs already, from another plan\n\
         iplan: hint: only ilaunch --replace restarts it from the new plan\n"
    );
    status(&sandbox.text("w"), &stale.one("plan")["hash"]);
    let same = plan(&sandbox, "llama-cpp", &toml).exits(0);
    assert_eq!((same.one("plan").get("stale"), same.stderr.as_str()), (None, ""));
    status("/elsewhere", &free["hash"]);
    let theirs = plan(&sandbox, "llama-cpp", &toml).exits(75);
    assert!(
        theirs.stderr.contains(
            "iplan: llama-cpp a runs already: the workspace /elsewhere has an instance of this name\n"
        ),
        "{}",
        theirs.stderr
    );
    drop(lock);
    drop(holder);
    let gone = plan(&sandbox, "llama-cpp", &toml).exits(0);
    assert_eq!(gone.one("plan").get("reused"), None);
}

#[test]
fn whether_the_log_can_be_written_is_tried_as_the_instances_user() {
    let mut sandbox = machine();
    let open = std::fs::Permissions::from_mode;
    std::fs::set_permissions(sandbox.path(""), open(0o755)).unwrap();
    std::fs::create_dir_all(sandbox.path("logs")).unwrap();
    let toml = format!("[instance.control]\nlog_dir = '{}'\n{}", sandbox.text("logs"), good("a"));
    let log = "$SANDBOX/logs/llama-server-a.log";
    if rustix::process::geteuid().is_root() {
        sandbox.set("AUTO_INFER_LLAMA_CPP_USER", "nobody");
    } else {
        std::fs::set_permissions(sandbox.path("logs"), open(0o555)).unwrap();
    }
    let output = plan(&sandbox, "llama-cpp", &toml).exits(69);
    let failed = output.one("failed");
    assert_eq!(
        (&failed["what"], &failed["cause"]),
        (&json!(format!("cannot write log file {log}")), &json!("Permission denied"))
    );
    std::fs::set_permissions(sandbox.path("logs"), open(0o777)).unwrap();
    assert_eq!(plan(&sandbox, "llama-cpp", &toml).exits(0).one("plan")["log_file"], log);
    let missing = toml.replace("/logs'", "/models/m.gguf/logs'");
    let output = plan(&sandbox, "llama-cpp", &missing).exits(69);
    assert_eq!(output.one("failed")["cause"], "Not a directory");
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
fn gpus_are_checked_where_nvidia_smi_answers() {
    let mut sandbox = machine();
    let toml = |ids: &str, tp: u32| {
        format!(
            "[instance.a.control]\ngpu_ids = '{ids}'\n[instance.a.server]\nmodel_path = '$M/folder'\nport = {}\n\
             tensor_parallel_size = {tp}\nextra_args = ['--pp-size', '2']\n",
            free_port()
        )
    };
    let failed = |sandbox: &Sandbox, toml: &str| plan(sandbox, "sglang", toml).exits(69).one("failed");
    assert_eq!(plan(&sandbox, "sglang", &toml("0,9", 8)).exits(0).stderr, "");
    sandbox.script("bin/nvidia-smi", "#!/bin/sh\necho 'No devices were found'\nexit 6\n");
    assert_eq!(plan(&sandbox, "sglang", &toml("0,9", 8)).exits(0).stderr, "");
    gpus(&sandbox, 4);
    let missing = failed(&sandbox, &toml("0,9", 1));
    assert_eq!((&missing["class"], &missing["cause"]), (&json!("gpu_missing"), &json!("9")));
    let count = failed(&sandbox, &toml("all", 4));
    assert_eq!((&count["what"], &count["cause"]), (&json!("instance a needs 8 GPUs"), &json!("it sees 4")));
    let planned = plan(&sandbox, "sglang", &toml("GPU-1111, 3", 1)).exits(0).one("plan");
    assert_eq!(planned["env_set"]["CUDA_VISIBLE_DEVICES"], "GPU-1111,3");
    assert_eq!(planned["env_set"]["CUDA_DEVICE_ORDER"], "PCI_BUS_ID");
    assert_eq!(failed(&sandbox, &toml("1", 1))["cause"], "it sees 1");
    sandbox.set("CUDA_VISIBLE_DEVICES", "2");
    assert_eq!(failed(&sandbox, &toml("all", 1))["cause"], "it sees 1");
    let spread = toml("all", 8).replace("tensor_", "nnodes = 4\ntensor_");
    let first = plan(&sandbox, "sglang", &spread).exits(0);
    assert_eq!(
        (first.stderr.as_str(), &first.one("plan")["control"]["ready_rung"]),
        ("", &json!("answering"))
    );
    let second = spread.replace("nnodes", "node_rank = 1\nnnodes");
    let second = plan(&sandbox, "sglang", &second).exits(0).one("plan");
    assert_eq!(second["control"]["ready_rung"], "healthy", "it serves nothing");
    let none = plan(&sandbox, "sglang", &toml("none", 1)).exits(0).one("plan");
    assert_eq!(none["env_set"]["CUDA_VISIBLE_DEVICES"], "");
}

#[test]
fn instances_that_share_a_gpu_start_one_after_the_other() {
    let sandbox = machine();
    let instance =
        |name: &str, ids: &str| good(name) + &format!("[instance.{name}.control]\ngpu_ids = '{ids}'\n");
    let toml =
        instance("a", "0") + &instance("b", "1,2") + &instance("c", "none") + &instance("d", "GPU-0000,3");
    let after = |output: &Output| -> Vec<Value> {
        output.all("plan").iter().map(|plan| plan.get("after").cloned().unwrap_or_default()).collect()
    };
    assert_eq!(
        after(&plan(&sandbox, "llama-cpp", &toml).exits(0)),
        [Value::Null, Value::Null, Value::Null, Value::Null]
    );
    gpus(&sandbox, 4);
    let a = json!("$SANDBOX/run/llama-cpp/a");
    assert_eq!(
        after(&plan(&sandbox, "llama-cpp", &toml).exits(0)),
        [Value::Null, Value::Null, Value::Null, a]
    );
}

#[test]
fn extra_args_that_repeat_an_argument_are_a_warning() {
    let sandbox = machine();
    let toml = good("a") + "ctx_size = 5\nextra_args = ['-c', '9', '--slots']\n";
    let output = plan(&sandbox, "llama-cpp", &toml).exits(0);
    assert_eq!(
        output.stderr,
        "iplan: warning: extra_args of a repeats --ctx-size, which [server] sets already\n\
         iplan: hint: the engine sees both; set it in one place\n"
    );
    let allowed = toml + "[instance.a.control]\nallow = ['extra_args_repeat']\n";
    assert_eq!(plan(&sandbox, "llama-cpp", &allowed).exits(0).stderr, "");
}

#[test]
fn what_servers_do_not_inherit_is_said_in_one_warning() {
    let mut sandbox = machine();
    for name in ["LLAMA_ARG_PORT", "LLAMA_API_KEY", "AIP_MODE", "https_proxy", "HTTP_PROXY", "VLLM_API_KEY"] {
        sandbox.set(name, "hunter2");
    }
    // What a server gets all the same, with the value that it has here, is not lost.
    sandbox.set("LLAMA_ARG_OFFLINE", "1");
    let toml = good("a") + &good("b") + "[instance.env]\nHTTP_PROXY = 'http://own'\n";
    let output = plan(&sandbox, "llama-cpp", &toml).exits(0);
    assert_eq!(
        output.one("warning")["what"],
        "servers do not get these variables: AIP_MODE, LLAMA_API_KEY, LLAMA_ARG_PORT, VLLM_API_KEY, https_proxy"
    );
    let dropped: Vec<Value> = output.all("plan")[0]["env_dropped"].as_array().unwrap().clone();
    assert!(
        dropped.contains(&json!("AUTO_INFER_RUN_DIR")) && !dropped.contains(&json!("HTTP_PROXY")),
        "{dropped:?}"
    );
    assert!(!output.transcript().contains("hunter2"));
}

#[test]
fn offline_false_sets_no_offline_variable() {
    let sandbox = machine();
    let toml = good("a") + "[instance.a.control]\noffline = false\n";
    assert_eq!(
        plan(&sandbox, "llama-cpp", &toml).exits(0).one("plan")["env_set"],
        json!({"PYTHONUNBUFFERED": "1"})
    );
}

#[test]
fn secrets_never_leave_the_file() {
    let mut sandbox = machine();
    let config = sandbox.write("own.yaml", "tp-size: 1\n");
    let toml = format!(
        "[instance.env]\nHF_TOKEN = 'hunter2a'\n[instance.a.server]\nmodel_path = '$M/folder'\nport = {}\n\
         api_key = 'hunter2b'\nconfig = '{}'\ndefault_chat_template_kwargs = {{ draft_token = 'hunter2c' }}\n\
         extra_args = ['--admin-api-key', 'hunter2d', '--enable-metrics', '--ssl-keyfile-password=hunter2e']\n",
        free_port(),
        config.display()
    );
    sandbox.set("AUTO_INFER_SGLANG_OVERRIDES", r#"{"instance":{"a":{"env":{"MY_SECRET":"hunter2f"}}}}"#);
    for options in ["", "-vv", "--table"] {
        let output = plan_with(&sandbox, "sglang", &toml, options).exits(0);
        assert!(!output.transcript().contains("hunter2"), "{}", output.transcript());
    }
    let planned = plan(&sandbox, "sglang", &toml).one("plan");
    let expected = [
        "server.api_key",
        "server.default_chat_template_kwargs",
        "extra_args.--admin-api-key",
        "extra_args.--ssl-keyfile-password",
        "env.HF_TOKEN",
        "env.MY_SECRET",
    ];
    assert_eq!(planned["secrets"], json!(expected));
    let words = words(&planned);
    assert!(
        words.contains("--config $SANDBOX/run/sglang/a/config.yaml") && words.ends_with("--enable-metrics"),
        "{words}"
    );
    let broken = toml.replace("port =", "port ==");
    let output = plan(&sandbox, "sglang", &broken).exits(65);
    assert!(!output.transcript().contains("hunter2"), "{}", output.transcript());
    let llama = good("a") + "my_secret = 'hunter2'\n";
    let output = plan(&sandbox, "llama-cpp", &llama).exits(65);
    assert!(!output.transcript().contains("hunter2"), "{}", output.transcript());
    assert!(
        output.stderr.ends_with("server.my_secret: this llama-server has no such flag\n"),
        "{}",
        output.stderr
    );
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
