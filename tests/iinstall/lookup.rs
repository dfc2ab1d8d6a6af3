//! An engine that is not to be installed: its install is looked up.
use super::pack::Pack;
use super::{Site, current, id};
use crate::kit::Sandbox;
use serde_json::json;
use std::fs;

#[test]
fn without_step_or_source_it_looks_up_what_is_there() {
    let mut site = Site::new();
    insta::assert_snapshot!(site.run("").exits(0).stdout.lines().last().unwrap(), @r#"{"kind":"skipped","engine":"llama-cpp","by":"iinstall","why":"AUTO_INFER_LLAMA_CPP_PKG_PATH is not set, and nothing is installed in $SANDBOX/home/llama"}"#);
    assert!(!site.home().exists(), "looking makes nothing");
    // Boot asked for an install: it does not go on as if it had one.
    site.set("steps", json!(["install", "serve"]));
    site.set("origin", json!({"get_pkg_on_boot": "variable"}));
    let failed = site.run("").exits(69).one("failed");
    assert_eq!(failed["cause"], "AUTO_INFER_LLAMA_CPP_PKG_PATH is not set");
    assert!(failed["hint"].as_str().unwrap().contains("ON_BOOT"), "{failed}");
    let archive = site.save("a.tar", Pack::good());
    site.set("steps", json!(["serve"]));
    let skipped = site.install(&archive).exits(0).one("skipped");
    assert_eq!(
        skipped["why"],
        "step install was not asked for, and nothing is installed in $SANDBOX/home/llama"
    );
    site.set("steps", json!(["install", "serve"]));
    let first = id(&site.run("").exits(0));
    site.set("steps", json!(["serve"]));
    fs::remove_file(&archive).unwrap();
    let found = site.run("").exits(0);
    assert_eq!((id(&found), found.one("installed")["reused"].as_bool()), (first, Some(true)));
}

#[test]
fn an_install_on_a_volume_that_moved_is_found_where_it_is() {
    let mut site = Site::new();
    let archive = site.save("a.tar", Pack::good());
    drop(site.install(&archive).exits(0));
    let moved = site.sandbox.path("elsewhere");
    fs::rename(site.home(), &moved).unwrap();
    site.set("install_dir", moved.to_str().unwrap());
    let found = site.run("").exits(0).one("installed");
    assert_eq!(found["reused"], true);
    let executable = format!("$SANDBOX/elsewhere/.installs/{}/bin/llama-server", current(&site));
    assert_eq!(found["executable"], executable);
}

#[test]
fn the_pixi_engines_are_looked_up_where_nothing_is_to_be_installed() {
    let sandbox = Sandbox::new();
    let mut env = json!({"kind": "env", "engine": "vllm", "origin": {}, "workspace": "/w", "run_dir": "/r",
        "log_dir": "/l", "project_dir": sandbox.path("vllm")});
    sandbox.write("env.jsonl", format!("{env}\n"));
    assert_eq!(sandbox.sh("iinstall < env.jsonl").exits(0).kinds(), ["env", "skipped"]);
    let marker = json!({"format": 1, "engine": "vllm", "id": "ab", "path": "/p", "python": "/p/python", "seal": "none", "seconds": 1.5});
    sandbox.write("vllm/.installed-from.json", marker.to_string());
    env["road"] = json!("cache");
    for steps in [json!(["serve"]), json!(["install"])] {
        env["steps"] = steps;
        sandbox.write("env.jsonl", format!("{env}\n"));
        let found = sandbox.sh("iinstall < env.jsonl").exits(0).one("installed");
        assert_eq!((found["python"].as_str(), found["reused"].as_bool()), (Some("/p/python"), Some(true)));
    }
}

#[test]
fn an_engine_that_failed_before_is_left_alone_and_no_env_at_all_is_an_error() {
    let site = Site::new();
    let failed =
        json!({"kind": "failed", "engine": "llama-cpp", "by": "ienv", "what": "w", "cause": "c", "code": 69});
    site.sandbox.write("in.jsonl", format!("{failed}\n{}\n", site.env));
    assert_eq!(site.sandbox.sh("iinstall < in.jsonl").exits(69).kinds(), ["failed", "env"]);
    insta::assert_snapshot!(site.sandbox.sh("iinstall < /dev/null").transcript(), @r"
    -- stderr --
    iinstall: no 'env' record on standard input: the stream ended without one, or the tool before this one died
    iinstall: hint: the whole pipeline is: ienv llama-cpp | iinstall
    [exit 65]
    ");
}
