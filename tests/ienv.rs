//! ienv: the environment contract, rule by rule.
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
fn get_pkg_and_on_boot_are_llama_cpps_steps() {
    let sandbox = with(&[("LLAMA_CPP_GET_PKG_ON_BOOT", "1"), ("LLAMA_CPP_ON_BOOT", "1")]);
    let record = env(&sandbox, "ienv --boot llama-cpp");
    assert_eq!((&record["steps"], &record["road"]), (&json!(["install", "serve"]), &json!("archive")));
}

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

#[test]
fn the_road_is_the_options_then_the_flags_then_the_paths() {
    let mut sandbox = with(&[("SGLANG_TEMPLATE_DIR", "/t")]);
    let road = |sandbox: &Sandbox, option: &str| {
        let record = env(sandbox, &format!("ienv sglang {option}"));
        let dir = record["project_dir"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        (
            record["road"].as_str().unwrap().to_owned(),
            dir,
            record["origin"]["road"].as_str().unwrap().to_owned(),
        )
    };
    let cache = |origin: &str| ("cache".to_owned(), "sglang-infer".to_owned(), origin.to_owned());
    let bundle = |origin: &str| ("bundle".to_owned(), "sglang-pixi-offline".to_owned(), origin.to_owned());
    assert_eq!(road(&sandbox, ""), cache("variable"));
    set(&mut sandbox, "SGLANG_BUNDLE_PATH", "/b.tar");
    assert_eq!(road(&sandbox, ""), bundle("variable"));
    set(&mut sandbox, "SGLANG_INSTALL_ON_BOOT", "1");
    assert_eq!(road(&sandbox, ""), cache("variable"));
    assert_eq!(road(&sandbox, "--road bundle"), bundle("option"));
    assert_eq!(env(&sandbox, "ienv sglang").get("bundle"), None, "only what the road uses");

    set(&mut sandbox, "SGLANG_BUNDLE_ON_BOOT", "1");
    let output = sandbox.sh("ienv sglang").exits(69);
    assert_eq!(refused(&output), ["sglang AUTO_INFER_SGLANG_BUNDLE_ON_BOOT"]);
    assert_eq!(road(&sandbox, "--road cache"), cache("option"));

    assert_snapshot!(sandbox.sh("ienv --road archive").exits(2).stderr, @r#"
    error: invalid value 'archive' for '--road <ROAD>': the roads are bundle and cache

    For more information, try '--help'.
    "#);
    assert_snapshot!(sandbox.sh("ienv --road cache llama-cpp bridge").exits(2).stderr, @r#"ienv: cannot use --road: only vllm and sglang have a choice of roads"#);
}

#[test]
fn with_no_road_chosen_the_disk_says() {
    let sandbox = Sandbox::new();
    let record = env(&sandbox, "ienv vllm");
    assert_eq!((record.get("road"), &record["project_dir"]), (None, &json!("$SANDBOX/w/vllm-infer")));
    assert_eq!(record["origin"]["project_dir"], "default");

    sandbox.write("w/vllm-pixi-offline/env/bin/python", "");
    let record = env(&sandbox, "ienv vllm");
    assert_eq!(
        (&record["road"], &record["project_dir"]),
        (&json!("bundle"), &json!("$SANDBOX/w/vllm-pixi-offline"))
    );
    assert_eq!(
        (&record["origin"]["road"], &record["origin"]["project_dir"]),
        (&json!("disk"), &json!("disk"))
    );

    sandbox.write("w/vllm-infer/.pixi/envs/default/bin/python", "");
    let output = sandbox.sh("ienv vllm").exits(69);
    assert_snapshot!(output.stderr, @r#"
    ienv: cannot choose between two installs of vllm: there is one in $SANDBOX/w/vllm-infer and one in $SANDBOX/w/vllm-pixi-offline
    ienv: hint: set AUTO_INFER_VLLM_PROJECT_DIR to one of them, or choose with --road
    "#);
    assert_eq!(env(&sandbox, "ienv vllm --road cache")["project_dir"], "$SANDBOX/w/vllm-infer");
}

#[test]
fn a_named_directory_says_its_own_road() {
    let sandbox = with(&[("SGLANG_PROJECT_DIR", "$p")]);
    let road = || env(&sandbox, "ienv sglang").get("road").cloned();
    assert_eq!(road(), None);
    sandbox.write("p/.pixi/envs/default/x", "");
    assert_eq!(road(), Some(json!("cache")));
    sandbox.write("p/.installed-from.json", r#"{"bundle_sha256":"00","archive_name":"b.tar"}"#);
    assert_eq!(road(), Some(json!("bundle")), "the older marker is understood");
    sandbox.write("p/.installed-from.json", r#"{"format":1,"road":"cache"}"#);
    assert_eq!(road(), Some(json!("cache")));
}

/// An `env` record's layout and stores.
fn layout(sandbox: &Sandbox) -> [String; 4] {
    let record = env(sandbox, "ienv vllm");
    let text = |value: &Value| value.as_str().unwrap().replace("$SANDBOX/c/", "");
    let fields = ["cache_layout", "conda_pkgs_dir", "uv_cache_dir"].map(|field| text(&record[field]));
    let [name, pkgs, uv] = fields;
    let environment = &record["environment"];
    let root = pkgs.strip_suffix("/pkgs").unwrap();
    for (name, expected) in [
        ("PIXI_CACHE_DIR", root),
        ("RATTLER_CACHE_DIR", root),
        ("PIXI_CACHE_CONDA_PACKAGES_DIR", &pkgs),
        ("PIXI_CACHE_PYPI_WHEELS_DIR", &uv),
        ("UV_CACHE_DIR", &uv),
        ("PIP_CACHE_DIR", "pypi/pip"),
        ("XDG_CACHE_HOME", "xdg"),
    ] {
        assert_eq!(text(&environment[name]), expected, "{name}");
    }
    [name, pkgs, uv, text(&record["origin"]["cache_layout"])]
}

#[test]
fn a_cache_is_used_as_it_is_laid_out() {
    for (folders, expected) in [
        ("", ["split", "conda/rattler/pkgs", "pypi/uv", "default"]),
        ("conda/rattler/pkgs/six-1-0 pypi/uv/wheels-v6", ["split", "conda/rattler/pkgs", "pypi/uv", "disk"]),
        ("pixi/pkgs/six-1-0 pixi/uv-cache/wheels-v6", ["pixi", "pixi/pkgs", "pixi/uv-cache", "disk"]),
        (
            "conda/rattler/pkgs/six-1-0 conda/rattler/uv-cache/wheels-v5",
            ["rattler", "conda/rattler/pkgs", "conda/rattler/uv-cache", "disk"],
        ),
    ] {
        let sandbox = with(&[("VLLM_CACHE_ROOT", "$c")]);
        sandbox.sh(&format!("mkdir c; cd c; mkdir -p . {folders}")).exits(0).transcript();
        assert_eq!(layout(&sandbox), expected);
    }
}

#[test]
fn two_layouts_in_one_cache_warn_unless_no_install_looks_there() {
    let mut sandbox = with(&[("VLLM_CACHE_ROOT", "$c")]);
    sandbox
        .sh("mkdir -p c/pypi/uv/wheels-v6 c/pixi/pkgs/six-1-0 c/pixi/uv-cache/wheels-v6")
        .exits(0)
        .transcript();
    let output = sandbox.sh("ienv vllm").exits(0);
    assert_snapshot!(output.stderr, @r#"
    ienv: warning: $SANDBOX/c holds more than one cache layout; not used: $SANDBOX/c/pixi/pkgs, $SANDBOX/c/pixi/uv-cache
    ienv: hint: move what is missing to where the used layout has it, or delete the rest
    "#);
    assert_eq!(output.kinds(), ["warning", "env"]);
    set(&mut sandbox, "VLLM_BUNDLE_PATH", "/b.tar");
    assert_eq!(sandbox.sh("ienv vllm").exits(0).kinds(), ["env"]);
}

#[test]
fn a_store_that_cannot_be_read_is_named() {
    let sandbox = with(&[("VLLM_CACHE_ROOT", "$c")]);
    sandbox.sh("mkdir -p c/pypi; ln -s uv c/pypi/uv").exits(0).transcript();
    let output = sandbox.sh("ienv vllm").exits(0);
    assert_snapshot!(output.stderr, @r#"
    ienv: warning: cannot read $SANDBOX/c/pypi/uv: Too many levels of symbolic links
    ienv: hint: the cache is taken to have our own layout; let this user read it
    "#);
    assert_eq!(output.one("env")["cache_layout"], "split");
}

#[test]
fn what_conda_is_told_of_the_machine_goes_on_to_pixi() {
    let output = Sandbox::new().sh("CONDA_OVERRIDE_CUDA=12.8 CONDA_OVERRIDE_GLIBC= ienv sglang").exits(0);
    let environment = &output.one("env")["environment"];
    assert_eq!(environment["CONDA_OVERRIDE_CUDA"], "12.8");
    assert_eq!(environment["CONDA_OVERRIDE_GLIBC"], "", "says that there is none");
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
fn the_bridge_takes_the_kept_names() {
    let mut sandbox = with(&[
        ("LITELLM_ON_BOOT", "1"),
        ("LITELLM_CONFIG", "/etc/litellm.yaml"),
        ("LITELLM_PROXY_PORT", "11900"),
        ("LITELLM_BACKEND_BASE", "http://127.0.0.1:8080/v1/"),
        ("LITELLM_BACKEND_MODEL", "glm4"),
        ("LITELLM_MASTER_KEY", "hunter2"),
        ("LITELLM_LOG_FILE", "/var/log/litellm.log"),
        ("LITELLM_PROXY_LOG_FILE", "/var/log/bridge.log"),
        ("LITELLM_USER", "root"),
    ]);
    assert_snapshot!(sandbox.sh("ienv --boot bridge").transcript(), @r#"{"kind":"bridge","listen":"127.0.0.1:11900","mode":"litellm","steps":["serve"],"workspace":"$SANDBOX/w","run_dir":"$SANDBOX/run","log_dir":"$SANDBOX/w/logs","litellm_config":"/etc/litellm.yaml","litellm_listen":"127.0.0.1:8010","litellm_backend_base":"http://127.0.0.1:8080/v1","litellm_backend_model":"glm4","key_variable":"AUTO_INFER_LITELLM_MASTER_KEY","litellm_log":"/var/log/litellm.log","log_file":"/var/log/bridge.log","user":"root","origin":{"key_variable":"variable","listen":"variable","litellm_backend_base":"variable","litellm_backend_model":"variable","litellm_config":"variable","litellm_listen":"default","litellm_log":"variable","log_dir":"default","log_file":"variable","mode":"variable","run_dir":"variable","user":"variable","workspace":"variable"}}"#);
    assert!(!sandbox.sh("ienv --explain bridge; ienv --export bridge").exits(0).stdout.contains("hunter2"));

    set(&mut sandbox, "BRIDGE_LISTEN", "0.0.0.0:11900");
    assert_eq!(sandbox.sh("ienv bridge").exits(0).one("bridge")["listen"], "0.0.0.0:11900");
    set(&mut sandbox, "BRIDGE_LISTEN", "0.0.0.0:11899");
    set(&mut sandbox, "BRIDGE_MODE", "native");
    let output = sandbox.sh("ienv bridge").exits(69);
    assert_eq!(
        refused(&output),
        ["bridge AUTO_INFER_LITELLM_PROXY_PORT", "bridge AUTO_INFER_LITELLM_ON_BOOT"]
    );
}

#[test]
fn the_bridge_stands_alone_with_its_own_names() {
    let sandbox = with(&[
        ("BRIDGE_LISTEN", "[::1]:11899"),
        ("BRIDGE_UPSTREAM", "http://10.0.0.1:8000"),
        ("BRIDGE_KEY_FILE", "/run/secrets/key"),
        ("BRIDGE_MODEL", "glm4"),
    ]);
    let output = sandbox.sh("ienv bridge").exits(0);
    let record = output.one("bridge");
    assert_eq!((&record["mode"], &record["upstream"]), (&json!("auto"), &json!("http://10.0.0.1:8000")));
    assert_eq!(record.get("litellm_listen"), None, "only in its mode");
    assert_eq!(record["origin"]["key_file"], "variable");

    let sandbox = with(&[
        ("BRIDGE_LISTEN", "11899"),
        ("BRIDGE_UPSTREAM", "http://me:hunter2@h"),
        ("BRIDGE_MODE", "proxy"),
        ("LITELLM_PORT", "0"),
    ]);
    let output = sandbox.sh("ienv bridge").exits(69);
    let expected = ["BRIDGE_UPSTREAM", "BRIDGE_LISTEN", "BRIDGE_MODE", "LITELLM_PORT"];
    assert_eq!(refused(&output), expected.map(|name| format!("bridge AUTO_INFER_{name}")));
    assert!(!output.transcript().contains("hunter2"));
}

#[test]
fn explain_shows_value_origin_and_what_was_overridden_and_no_secret() {
    let sandbox = with(&[
        ("SGLANG_BUNDLE_PATH", "/media/sglang.tar"),
        ("SGLANG_PROJECT_DIR", "/srv/sglang"),
        ("SGLANG_OVERRIDES", r#"{"instance":{"server":{"api_key":"hunter2"}}}"#),
        ("SGLANG_CACHE_ROOT", "/cache"),
        ("SGLANG_ON_BOOT", "1"),
        ("BOOT_FAILURE", "stop"),
        ("WORKSPACE_DIR", "/srv/w"),
        ("RUN_DIR", "/srv/run"),
    ]);
    // What the run directory overrode, and the user, are this machine's.
    let command = "ienv --boot --explain --road cache sglang llama-cpp | grep -v -e run_dir -e ' user '";
    assert_snapshot!(sandbox.sh(command).transcript(), @r#"
    all engines
      field             value                origin                                overrode
      workspace         /srv/w               AUTO_INFER_WORKSPACE_DIR              /offline-data
      log_dir           /srv/w/logs          default: AUTO_INFER_LOG_DIR
      engine_cache_dir  /srv/w/engine-cache  default: AUTO_INFER_ENGINE_CACHE_DIR
      boot_failure      stop                 AUTO_INFER_BOOT_FAILURE               continue
      lenient_config    0                    default: AUTO_INFER_LENIENT_CONFIG
      boot_wait         1                    default: AUTO_INFER_BOOT_WAIT
      log               warn                 default: INFER_DEV_LOG
      keep              -                    unset: INFER_DEV_KEEP

    llama-cpp: skipped, no ON_BOOT variable asks for it
      field            value  origin                                         overrode
      get_pkg_on_boot  0      default: AUTO_INFER_LLAMA_CPP_GET_PKG_ON_BOOT
      on_boot          0      default: AUTO_INFER_LLAMA_CPP_ON_BOOT

    sglang
      field                          value                        origin                                         overrode
      cache_warm_on_boot             0                            default: AUTO_INFER_SGLANG_CACHE_WARM_ON_BOOT
      install_on_boot                0                            default: AUTO_INFER_SGLANG_INSTALL_ON_BOOT
      bundle_on_boot                 0                            default: AUTO_INFER_SGLANG_BUNDLE_ON_BOOT
      on_boot                        1                            AUTO_INFER_SGLANG_ON_BOOT                      0
      template_dir                   -                            unset: AUTO_INFER_SGLANG_TEMPLATE_DIR
      bundle                         /media/sglang.tar            AUTO_INFER_SGLANG_BUNDLE_PATH
      sha256                         -                            unset: AUTO_INFER_SGLANG_BUNDLE_SHA256
      project_dir                    /srv/sglang                  AUTO_INFER_SGLANG_PROJECT_DIR                  /srv/w/sglang-infer
      pixi_env                       default                      default: AUTO_INFER_SGLANG_PIXI_ENV
      pixi_unpack                    -                            unset: AUTO_INFER_SGLANG_PIXI_UNPACK_BIN
      python                         -                            unset: AUTO_INFER_SGLANG_PYTHON
      force                          0                            default: AUTO_INFER_SGLANG_FORCE_RECOPY
      road                           cache                        --road                                         bundle (AUTO_INFER_SGLANG_BUNDLE_PATH)
      cache_root                     /cache                       AUTO_INFER_SGLANG_CACHE_ROOT                   /srv/w/.cache/sglang-infer
      cache_layout                   split                        default
      conda_pkgs_dir                 /cache/conda/rattler/pkgs    default
      uv_cache_dir                   /cache/pypi/uv               default
      config                         -                            unset: AUTO_INFER_SGLANG_CONFIG
      overrides_variable             AUTO_INFER_SGLANG_OVERRIDES  AUTO_INFER_SGLANG_OVERRIDES
      PIP_CACHE_DIR                  /cache/pypi/pip              for pixi
      PIXI_CACHE_CONDA_PACKAGES_DIR  /cache/conda/rattler/pkgs    for pixi
      PIXI_CACHE_DIR                 /cache/conda/rattler         for pixi
      PIXI_CACHE_PYPI_WHEELS_DIR     /cache/pypi/uv               for pixi
      RATTLER_CACHE_DIR              /cache/conda/rattler         for pixi
      UV_CACHE_DIR                   /cache/pypi/uv               for pixi
      XDG_CACHE_HOME                 /cache/xdg                   for pixi
    "#);
}

#[test]
fn explain_and_export_of_a_bad_variable_fail_without_a_record() {
    let sandbox = with(&[("VLLM_CONFIG", "relative")]);
    let output = sandbox.sh("ienv --explain vllm").exits(69);
    assert!(output.stdout.contains("\nvllm: failed\n") && !output.stdout.contains('{'), "{}", output.stdout);
    assert!(output.stdout.contains(" AUTO_INFER_VLLM_CONFIG, refused\n"), "{}", output.stdout);
    assert!(output.stderr.starts_with("ienv: cannot use AUTO_INFER_VLLM_CONFIG: "), "{}", output.stderr);
    let output = sandbox.sh("ienv --export vllm").exits(69);
    assert_eq!(output.stdout, "", "half of the exports are worse than none");
}

#[test]
fn exports_survive_eval_whatever_is_in_them() {
    let odd = "/w o'r\"k $HOME `id` \\ \n*";
    let mut sandbox = with(&[("SGLANG_OVERRIDES", r#"{"k":"hunter2"}"#), ("SGLANG_CONFIG", odd)]);
    sandbox.set("WANTED", odd);
    let check = r#"
        exports=$(ienv --export sglang)
        case $exports in *hunter2*) exit 9 ;; esac
        unset AUTO_INFER_SGLANG_CONFIG AUTO_INFER_WORKSPACE_DIR
        eval "$exports"
        [ "$AUTO_INFER_SGLANG_CONFIG" = "$WANTED" ]
        env | grep -E '^(PIXI|RATTLER|UV|PIP|XDG)_|SGLANG_PIXI_ENV|WORKSPACE' | sort
        eval "$(ienv --export --online sglang)"
        echo "${PIXI_OFFLINE-online}"
    "#;
    assert_snapshot!(sandbox.sh(check).transcript(), @r#"
    AUTO_INFER_SGLANG_PIXI_ENV=default
    AUTO_INFER_WORKSPACE_DIR=$SANDBOX/w
    PIP_CACHE_DIR=$SANDBOX/w/.cache/sglang-infer/pypi/pip
    PIXI_CACHE_CONDA_PACKAGES_DIR=$SANDBOX/w/.cache/sglang-infer/conda/rattler/pkgs
    PIXI_CACHE_DIR=$SANDBOX/w/.cache/sglang-infer/conda/rattler
    PIXI_CACHE_PYPI_WHEELS_DIR=$SANDBOX/w/.cache/sglang-infer/pypi/uv
    PIXI_NO_CONFIG=1
    PIXI_OFFLINE=1
    RATTLER_CACHE_DIR=$SANDBOX/w/.cache/sglang-infer/conda/rattler
    UV_CACHE_DIR=$SANDBOX/w/.cache/sglang-infer/pypi/uv
    XDG_CACHE_HOME=$SANDBOX/w/.cache/sglang-infer/xdg
    online
    "#);
    let again =
        sandbox.sh(r#"ienv sglang > a; eval "$(ienv --export sglang)"; ienv sglang > b; cat a b"#).exits(0);
    let fields = |line: &str| {
        let mut record: Value = serde_json::from_str(line).unwrap();
        record["origin"].take();
        record
    };
    let records: Vec<Value> = again.stdout.lines().map(fields).collect();
    assert_eq!(records[0], records[1], "what was exported resolves to the same");
}

#[test]
fn exports_of_two_pixi_engines_are_refused() {
    let output = Sandbox::new().sh("ienv --export").exits(2);
    assert_snapshot!(output.transcript(), @r#"
    -- stderr --
    ienv: cannot export two engines at once: pixi's variables are not the same for vllm and sglang
    ienv: hint: name one engine, as in: ienv --export sglang
    [exit 2]
    "#);
    Sandbox::new().sh("ienv --export llama-cpp vllm bridge").exits(0).transcript();
    Sandbox::new().sh("ienv --export --explain").exits(2).transcript();
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let output = Sandbox::new().sh("set +o pipefail; ienv | true; ienv --explain | true").exits(0);
    assert_eq!(output.stderr, "");
}

#[test]
fn steps_of_the_command_line_hold_whatever_boot_asks_for() {
    let sandbox = with(&[("VLLM_ON_BOOT", "1"), ("LLAMA_CPP_ON_BOOT", "0")]);
    let output = sandbox.sh("ienv --steps serve,install,serve").exits(0);
    assert_eq!(outline(&output), ["env llama-cpp", "env vllm", "env sglang"]);
    for env in output.all("env") {
        assert_eq!(env["steps"], serde_json::json!(["install", "serve"]));
    }
    assert_eq!(sandbox.sh("ienv --steps serve bridge").exits(0).one("bridge")["steps"][0], "serve");
    let refused = sandbox.sh("ienv --steps srve vllm").exits(2).stderr;
    assert!(refused.contains("no step 'srve'; the steps are warm, install, serve"), "{refused}");
    drop(sandbox.sh("ienv --steps serve --boot").exits(2));
}

#[test]
fn who_only_serves_finds_the_install_whatever_medium_is_named() {
    let sandbox = with(&[("VLLM_BUNDLE_PATH", "/gone.tar"), ("VLLM_TEMPLATE_DIR", "/gone")]);
    let road = |arguments: &str| {
        let env = sandbox.sh(&format!("ienv {arguments} vllm")).exits(0).one("env");
        (env["road"].as_str().unwrap().to_owned(), env["project_dir"].as_str().unwrap().to_owned())
    };
    let place = |road: &str, folder: &str| (road.to_owned(), format!("$SANDBOX/w/{folder}"));
    let (bundle, cache) = (place("bundle", "vllm-pixi-offline"), place("cache", "vllm-infer"));
    assert_eq!(road("--steps serve"), bundle, "nothing is installed");
    drop(sandbox.sh("mkdir -p w/vllm-infer/.pixi").exits(0));
    assert_eq!(road("--steps serve"), cache);
    for other in ["", "--steps install,serve", "--steps serve --road bundle"] {
        assert_eq!(road(other), bundle, "{other}");
    }
    drop(sandbox.sh("mkdir -p w/vllm-pixi-offline/env").exits(0));
    assert_eq!(road("--steps serve"), bundle, "both are there");
}
