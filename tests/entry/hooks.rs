//! What boot does for SGLang and vLLM, as their variables ask.
use super::enter;
use crate::kit::{Output, Pixi, Sandbox, fixture, tools};
use serde_json::Value;

/// A machine with pixi, a real template and its cache, and a folder for the boots' records.
fn machine() -> Sandbox {
    let mut sandbox = Sandbox::new();
    fixture::tiny(&sandbox.path(""));
    let path = format!("{}:{}:/usr/local/bin:/usr/bin:/bin", tools().display(), Pixi::get().bin.display());
    sandbox.set("PATH", &path);
    sandbox.set("INFER_DEV_KEEP", &sandbox.text("kept"));
    for engine in ["SGLANG", "VLLM"] {
        sandbox.set(&format!("AUTO_INFER_{engine}_TEMPLATE_DIR"), &sandbox.text("template"));
        sandbox.set(&format!("AUTO_INFER_{engine}_CACHE_ROOT"), &sandbox.text("cache"));
        sandbox.set(&format!("AUTO_INFER_{engine}_BUNDLE_PATH"), fixture::bundle().to_str().unwrap());
    }
    sandbox
}

/// The only record of a kind about an engine.
fn about(output: &Output, engine: &str, kind: &str) -> Value {
    let mut found = output.all(kind);
    found.retain(|record| record["engine"] == engine);
    assert_eq!(found.len(), 1, "one '{kind}' of {engine} expected\n{}", output.transcript());
    found.remove(0)
}

/// Whether the one install of an engine was there before.
fn reused(output: &Output, engine: &str) -> bool {
    about(output, engine, "installed")["reused"] == true
}

/// What the environment below a project directory imports.
fn imports(sandbox: &Sandbox, python: &str) {
    let code = "import six, idna, markupsafe._speedups; print(six.__version__)";
    assert_eq!(sandbox.sh(&format!("w/{python} -c '{code}'")).exits(0).stdout, "1.17.0\n");
}

#[test]
fn install_on_boot_installs_from_the_cache_once() {
    let mut sandbox = machine();
    sandbox.set("AUTO_INFER_SGLANG_INSTALL_ON_BOOT", "1");
    for again in [false, true] {
        let output = enter(&sandbox, "exit 7").exits(7);
        assert_eq!(about(&output, "sglang", "cache")["gaps"], 0);
        assert_eq!(reused(&output, "sglang"), again);
        assert_eq!(about(&output, "vllm", "skipped")["by"], "ienv");
        assert!(output.all("plan").is_empty(), "nothing was to be served\n{}", output.transcript());
        imports(&sandbox, "sglang-infer/current/.pixi/envs/default/bin/python");
    }
    let kept = sandbox.sh("cat kept/boot-*.jsonl").exits(0);
    assert_eq!(kept.all("installed").len(), 2, "{}", kept.transcript());
}

/// The cache on a volume of its own, seen by nobody else.
pub(crate) const ON_A_VOLUME: &str = r#"
mount -t tmpfs none volume
cp -a cache/. volume
export AUTO_INFER_SGLANG_CACHE_ROOT=$PWD/volume
exec "$0" "$@"
"#;

#[test]
fn warm_on_boot_fills_what_is_installed_then() {
    let mut sandbox = machine();
    sandbox.set("AUTO_INFER_SGLANG_CACHE_WARM_ON_BOOT", "1");
    sandbox.set("AUTO_INFER_SGLANG_INSTALL_ON_BOOT", "1");
    // No cache is warmed on a container's own layer, which this folder may be on.
    drop(sandbox.sh("mkdir volume").exits(0));
    let mut command = sandbox.command("unshare");
    command.args(["--map-root-user", "--mount", "bash", "-ec", ON_A_VOLUME]).arg(super::script());
    let output = sandbox.finish(command.args(["sh", "-c", "exit 7"])).exits(7);
    let kinds = output.kinds();
    let place = |kind: &str| kinds.iter().position(|one| one == kind);
    assert!(place("warmed").is_some() && place("warmed") < place("cache"), "{}", output.transcript());
    assert!(!reused(&output, "sglang"));
    // What is warmed is read from end to end and recorded, as the helper does it.
    let cache = about(&output, "sglang", "cache");
    assert_eq!((&cache["depth"], cache["manifest"].is_string()), (&"deep".into(), true), "{cache}");
}

#[test]
fn warm_on_boot_alone_leaves_the_manifest() {
    let mut sandbox = machine();
    sandbox.set("AUTO_INFER_SGLANG_CACHE_WARM_ON_BOOT", "1");
    drop(sandbox.sh("mkdir volume").exits(0));
    let mut command = sandbox.command("unshare");
    command.args(["--map-root-user", "--mount", "bash", "-ec", ON_A_VOLUME]).arg(super::script());
    let output = sandbox.finish(command.args(["sh", "-c", "ls volume >listed"])).exits(0);
    assert_eq!(about(&output, "sglang", "cache")["depth"], "deep");
    let listed = sandbox.read("listed");
    assert!(listed.lines().any(|name| name.starts_with("infer-dev-manifest-")), "{listed}");
    assert!(output.all("installed").is_empty(), "{}", output.transcript());
}

#[test]
fn bundle_on_boot_installs_the_bundle_once() {
    let mut sandbox = machine();
    sandbox.set("AUTO_INFER_VLLM_BUNDLE_ON_BOOT", "1");
    for again in [false, true] {
        let output = enter(&sandbox, "exit 7").exits(7);
        assert_eq!(reused(&output, "vllm"), again);
        assert!(output.all("cache").is_empty(), "{}", output.transcript());
        imports(&sandbox, "vllm-pixi-offline/current/env/bin/python");
    }
    assert_eq!(sandbox.sh("cat kept/boot-*.jsonl").exits(0).all("installed").len(), 2);
}

#[test]
fn both_engines_boot_by_both_roads_and_a_disabled_configuration_serves_nothing() {
    let mut sandbox = machine();
    sandbox.write("off.toml", "[master]\nenable = false\n[instance.a.server]\nmodel_path = '/nowhere'\n");
    for (name, value) in [
        ("SGLANG_BUNDLE_ON_BOOT", "1"),
        ("VLLM_INSTALL_ON_BOOT", "1"),
        ("SGLANG_ON_BOOT", "1"),
        ("SGLANG_CONFIG", &sandbox.text("off.toml")),
    ] {
        sandbox.set(&format!("AUTO_INFER_{name}"), value);
    }
    sandbox.set("AUTO_INFER_BOOT_FAILURE", "stop");
    let output = enter(&sandbox, "exit 7").exits(7);
    for engine in ["sglang", "vllm"] {
        assert!(!reused(&output, engine));
    }
    imports(&sandbox, "sglang-pixi-offline/current/env/bin/python");
    imports(&sandbox, "vllm-infer/current/.pixi/envs/default/bin/python");
    assert!(output.all("failed").is_empty() && output.all("instance").is_empty(), "{}", output.transcript());
}

#[test]
fn an_install_that_fails_ends_the_boot_only_where_it_is_set_to() {
    let mut sandbox = machine();
    sandbox.set("AUTO_INFER_SGLANG_INSTALL_ON_BOOT", "1");
    sandbox.set("AUTO_INFER_VLLM_BUNDLE_ON_BOOT", "1");
    drop(sandbox.sh("rm -r cache/conda/rattler/pkgs/tinylib-1.0-h1111111_0").exits(0));
    let output = enter(&sandbox, "echo ran >ran; exit 7").exits(7);
    assert_eq!(sandbox.read("ran"), "ran\n");
    assert_eq!(about(&output, "sglang", "gap")["package"], "tinylib");
    assert_eq!(about(&output, "sglang", "failed")["code"], 1);
    assert!(!reused(&output, "vllm"), "the other engine goes on");
    assert!(!sandbox.path("w/sglang-infer/current").exists());

    drop(sandbox.sh("rm ran").exits(0));
    sandbox.set("AUTO_INFER_BOOT_FAILURE", "stop");
    let output = enter(&sandbox, "echo ran >ran").exits(1);
    assert!(!sandbox.path("ran").exists());
    let last = "infer-dev-entry.sh: the boot failed with 1 and AUTO_INFER_BOOT_FAILURE is 'stop'\n";
    assert!(output.stderr.ends_with(last), "{}", output.stderr);

    sandbox.set("AUTO_INFER_SGLANG_BUNDLE_ON_BOOT", "1");
    let output = enter(&sandbox, "true").exits(69);
    assert!(about(&output, "sglang", "failed")["what"].as_str().unwrap().contains("_ON_BOOT"));
}
