//! Which road an engine is installed by.
use super::{env, outline, refused, set, with};
use crate::kit::Sandbox;
use insta::assert_snapshot;
use serde_json::json;

#[test]
fn get_pkg_and_on_boot_are_llama_cpps_steps() {
    let sandbox = with(&[("LLAMA_CPP_GET_PKG_ON_BOOT", "1"), ("LLAMA_CPP_ON_BOOT", "1")]);
    let record = env(&sandbox, "ienv --boot llama-cpp");
    assert_eq!((&record["steps"], &record["road"]), (&json!(["install", "serve"]), &json!("archive")));
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
