//! icache between ienv, iwarm and iinstall, and when boot asks for it.
use super::{TINYLIB, kinds, real};
use crate::kit::root;
use serde_json::Value;

#[test]
fn a_gap_stops_the_install_and_nothing_else() {
    let sandbox = real();
    assert_eq!(sandbox.sh(&format!("rm -r {TINYLIB}")).exits(0).stderr, "");
    let output = sandbox.sh("ienv sglang | icache --platform linux-64 | iinstall").exits(1);
    assert_eq!(
        kinds(&output),
        ["env", "gap", "cache", "failed"],
        "iinstall added to an engine that had ended"
    );
    assert_eq!(output.one("failed")["by"], "icache");
    assert!(!sandbox.path("w/sglang-infer").exists());
}

#[test]
fn it_acts_only_where_boot_asks_and_on_the_cache_road() {
    let mut sandbox = real();
    for (variable, expected) in [
        ("AUTO_INFER_SGLANG_ON_BOOT", "step install was not asked for"),
        ("AUTO_INFER_SGLANG_BUNDLE_ON_BOOT", "bundle road: nothing is installed from a cache"),
    ] {
        sandbox.set(variable, "1");
        let output = sandbox.sh("ienv --boot sglang | icache").exits(0);
        assert_eq!(kinds(&output), ["env", "skipped"]);
        assert_eq!(
            (output.one("skipped")["by"].as_str(), output.one("skipped")["why"].as_str()),
            (Some("icache"), Some(expected))
        );
        sandbox.unset(variable);
    }
    let output = sandbox.sh("ienv --boot | icache").exits(0);
    assert!(output.all("skipped").iter().all(|skipped| skipped["by"] == "ienv"), "{}", output.transcript());
    let output = sandbox.sh("ienv llama-cpp | icache").exits(0);
    assert_eq!(output.one("skipped")["by"], "icache");

    sandbox.set("AUTO_INFER_SGLANG_INSTALL_ON_BOOT", "1");
    let output = sandbox.sh("ienv --boot | icache --platform linux-64 | iinstall || true").exits(0);
    assert_eq!(output.one("cache")["gaps"], 0);
    let llama_cpp: Vec<Value> =
        output.all("skipped").into_iter().filter(|s| s["engine"] == "llama-cpp").collect();
    assert_eq!(llama_cpp.len(), 1, "{llama_cpp:?}");
    assert_eq!(llama_cpp[0]["by"], "ienv", "boot asked nothing of it, and nobody behind speaks of it again");
}

#[test]
fn what_failed_before_passes_and_a_gap_of_one_engine_does_not_stop_the_other() {
    let mut sandbox = real();
    let failed = r#"{"kind":"failed","engine":"sglang","by":"iwarm","what":"w","cause":"c","code":75}"#;
    let output = sandbox.sh(&format!("{{ ienv sglang; echo '{failed}'; }} | icache")).exits(75);
    assert_eq!(kinds(&output), ["env", "failed"]);

    for name in ["TEMPLATE_DIR", "CACHE_ROOT", "USER"] {
        let value = sandbox.sh(&format!("echo $AUTO_INFER_SGLANG_{name}")).exits(0).stdout;
        let value = value.trim().replace("$SANDBOX", &sandbox.text("")).replace("/cache", "/empty");
        sandbox.set(&format!("AUTO_INFER_VLLM_{name}"), &value.replace("//", "/"));
    }
    let output = sandbox.sh("ienv vllm sglang | icache --platform linux-64").exits(1);
    let caches: Vec<(Value, Value)> =
        output.all("cache").iter().map(|cache| (cache["engine"].clone(), cache["gaps"].clone())).collect();
    assert_eq!(caches, [("vllm".into(), 6.into()), ("sglang".into(), 0.into())]);
    assert_eq!(output.one("failed")["engine"], "vllm");
}

#[test]
fn the_cache_is_looked_at_after_iwarm_has_filled_it() {
    let sandbox = real();
    let script = "mv cache cold; ienv sglang | { cat; mv cold cache; } | icache --platform linux-64 --deep";
    assert_eq!(sandbox.sh(script).exits(0).one("cache")["gaps"], 0);
}

#[test]
fn boot_verifies_before_it_installs_and_a_gap_ends_a_boot_that_must_not_fail() {
    let mut sandbox = real();
    // The entry script names no platform: take the lock for this machine's.
    let machine = if cfg!(target_arch = "x86_64") { "linux-64" } else { "linux-aarch64" };
    let lock = sandbox.read("template/pixi.lock");
    let lock = lock.replace("name: linux-64\n", &format!("name: {machine}\n"));
    sandbox.write("template/pixi.lock", lock.replace("      linux-64:\n", &format!("      {machine}:\n")));
    assert_eq!(sandbox.sh(&format!("rm -r {TINYLIB}")).exits(0).stderr, "");
    sandbox.set("AUTO_INFER_SGLANG_INSTALL_ON_BOOT", "1");
    sandbox.set("AUTO_INFER_BOOT_FAILURE", "stop");
    let entry = root().join("scripts/infer-dev-entry.sh");
    let output = sandbox.finish(sandbox.command(entry).args(["echo", "the command ran"])).exits(1);
    assert!(!output.stdout.contains("the command ran"));
    let of = |engine: &str| {
        let all = output
            .records()
            .into_iter()
            .filter(|record| record["engine"] == engine && record["kind"] != "warning");
        all.map(|record| record["kind"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of("llama-cpp"), ["skipped"]);
    // Those that serve say at once that they are not asked to.
    let sglang: Vec<String> = of("sglang").into_iter().filter(|kind| kind != "skipped").collect();
    assert_eq!(sglang, ["env", "gap", "cache", "failed"], "{}", output.transcript());
}
