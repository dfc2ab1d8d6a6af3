//! The helper scripts under the names that set-ups know.
use crate::entry::ON_A_VOLUME;
use crate::kit::{Output, Pixi, Sandbox, fixture, free_port, root, tools};
use crate::pipeline::sandbox_with_engine;

/// Run a helper to its end.
fn help(sandbox: &Sandbox, name: &str) -> Output {
    sandbox.finish(&mut sandbox.command(root().join("scripts/helpers").join(name)))
}

#[test]
fn all_names_that_set_ups_know_are_there() {
    use std::os::unix::fs::PermissionsExt;
    for name in [
        "llama-cpp/get-llama-cpp-pkg.sh",
        "llama-cpp/install-llama-cpp-pkg.sh",
        "llama-cpp/check-and-run-llama-cpp.sh",
        "vllm/install-vllm-offline.sh",
        "vllm/check-and-run-vllm.sh",
        "sglang/install-sglang-offline.sh",
        "sglang/copy-sglang-template-into-workspace.sh",
        "sglang/warm-sglang-cache.sh",
        "sglang/install-sglang-from-cache.sh",
        "sglang/check-and-run-sglang.sh",
        "sglang/sglang-env.sh",
        "litellm/check-and-run-litellm.sh",
    ] {
        let file = std::fs::metadata(root().join("scripts/helpers").join(name)).unwrap();
        assert_eq!(file.permissions().mode() & 0o111, 0o111, "{name}");
    }
}

/// Every helper, the steps that it asks for, and the variable that it cannot do without.
const NEEDED: [(&str, &str, &str); 10] = [
    ("llama-cpp/get-llama-cpp-pkg.sh", "install", "AUTO_INFER_LLAMA_CPP_PKG_PATH"),
    ("llama-cpp/install-llama-cpp-pkg.sh", "install", "AUTO_INFER_LLAMA_CPP_PKG_PATH"),
    ("llama-cpp/check-and-run-llama-cpp.sh", "serve", "AUTO_INFER_LLAMA_CPP_CONFIG"),
    ("vllm/install-vllm-offline.sh", "install", "AUTO_INFER_VLLM_BUNDLE_PATH"),
    ("vllm/check-and-run-vllm.sh", "serve", "AUTO_INFER_VLLM_CONFIG"),
    ("sglang/install-sglang-offline.sh", "install", "AUTO_INFER_SGLANG_BUNDLE_PATH"),
    ("sglang/install-sglang-from-cache.sh", "install", "AUTO_INFER_SGLANG_TEMPLATE_DIR"),
    ("sglang/copy-sglang-template-into-workspace.sh", "install", "AUTO_INFER_SGLANG_TEMPLATE_DIR"),
    ("sglang/warm-sglang-cache.sh", "warm", "AUTO_INFER_SGLANG_TEMPLATE_DIR"),
    ("sglang/check-and-run-sglang.sh", "serve", "AUTO_INFER_SGLANG_CONFIG"),
];

#[test]
fn a_helper_whose_variable_is_unset_fails_and_names_it() {
    let mut sandbox = Sandbox::new();
    for boot in ["", "1"] {
        for (name, step, variable) in NEEDED {
            let output = help(&sandbox, name).exits(69);
            assert_eq!(output.one("env")["steps"], serde_json::json!([step]), "{name}");
            let failed = output.one("failed");
            assert_eq!(failed["cause"], format!("{variable} is not set"), "{name}");
            assert!(output.stderr.contains(variable), "{name}: {}", output.stderr);
            // What was asked for by hand is nothing of a boot's, and nobody who serves one engine leaves it out.
            let hint = failed["hint"].as_str().unwrap_or_default();
            assert!(!boot.is_empty() || !hint.contains("ON_BOOT"), "{name}: {hint}");
            assert!(!hint.contains("ienv ENGINE"), "{name}: {hint}");
            let copies = name.contains("copy-sglang-template");
            assert!(!copies || failed["what"] == "cannot copy the template of sglang", "{failed}");
        }
        for suffix in ["LLAMA_CPP_GET_PKG_ON_BOOT", "LLAMA_CPP_ON_BOOT", "VLLM_ON_BOOT", "SGLANG_ON_BOOT"] {
            sandbox.set(&format!("AUTO_INFER_{suffix}"), if boot.is_empty() { "1" } else { "0" });
        }
    }
}

#[test]
fn the_bridge_is_served_with_litellm_beside_it_or_in_the_mode_that_is_asked_for() {
    let mut sandbox = sandbox_with_engine(&[free_port()]);
    sandbox.set("AUTO_INFER_BRIDGE_LISTEN", &format!("127.0.0.1:{}", free_port()));
    let output = help(&sandbox, "litellm/check-and-run-litellm.sh").exits(69);
    assert!(output.stderr.contains("cannot find LiteLLM"), "{}", output.stderr);
    sandbox.set("AUTO_INFER_BRIDGE_MODE", "auto");
    drop(help(&sandbox, "litellm/check-and-run-litellm.sh").exits(0).one("ready"));
    drop(sandbox.sh("istop").exits(0).one("stopped"));
}

#[test]
fn llama_cpp_is_installed_and_served_and_the_archive_may_go() {
    let mut sandbox = sandbox_with_engine(&[free_port()]);
    drop(sandbox.sh("cp \"$AUTO_INFER_LLAMA_CPP_PKG_PATH\" pkg.tar.gz").exits(0));
    sandbox.set("AUTO_INFER_LLAMA_CPP_PKG_PATH", &sandbox.text("pkg.tar.gz"));
    for (name, again) in [("get", false), ("install", true)] {
        let installed =
            help(&sandbox, &format!("llama-cpp/{name}-llama-cpp-pkg.sh")).exits(0).one("installed");
        assert_eq!(installed["reused"] == true, again, "{installed}");
    }
    drop(sandbox.sh("rm pkg.tar.gz").exits(0));
    let served = help(&sandbox, "llama-cpp/check-and-run-llama-cpp.sh").exits(0);
    assert_eq!(served.one("ready")["instance"], "tiny0");
    sandbox.unset("AUTO_INFER_LLAMA_CPP_PKG_PATH");
    help(&sandbox, "llama-cpp/check-and-run-llama-cpp.sh").exits(0).one("ready");
    // What is installed is no answer to who wants to install something.
    let failed = help(&sandbox, "llama-cpp/get-llama-cpp-pkg.sh").exits(69).one("failed");
    assert_eq!(failed["cause"], "AUTO_INFER_LLAMA_CPP_PKG_PATH is not set");
}

#[test]
fn an_engine_is_served_from_where_it_was_installed_though_its_medium_is_gone() {
    let mut sandbox = with_pixi();
    let off = sandbox.write("off.toml", "[master]\nenable = false\n[instance.a.server]\nmodel_path = '/x'\n");
    for engine in ["SGLANG", "VLLM"] {
        sandbox.set(&format!("AUTO_INFER_{engine}_CONFIG"), off.to_str().unwrap());
    }
    // The bundle's variable would choose the bundle's road; what was installed came from the cache.
    drop(help(&sandbox, "sglang/install-sglang-from-cache.sh").exits(0));
    drop(help(&sandbox, "vllm/install-vllm-offline.sh").exits(0));
    sandbox.unset("AUTO_INFER_VLLM_BUNDLE_PATH");
    drop(sandbox.sh("chmod -R u+w cache template && rm -r cache template").exits(0));
    for (engine, folder) in [("sglang", "sglang-infer"), ("vllm", "vllm-pixi-offline")] {
        let output = help(&sandbox, &format!("{engine}/check-and-run-{engine}.sh")).exits(0);
        let path = output.one("installed")["path"].as_str().unwrap().to_owned();
        assert!(path.starts_with(&format!("$SANDBOX/w/{folder}/")), "{path}");
        assert_eq!(
            output.one("skipped")["by"],
            "iplan",
            "the configuration is disabled\n{}",
            output.transcript()
        );
    }
}

/// A sandbox whose SGLang comes from a template and a cache.
fn with_template() -> Sandbox {
    let mut sandbox = Sandbox::new();
    let archive = root().join("tests/data/pixi-cache-mini.tar.xz");
    assert_eq!(sandbox.sh(&format!("tar xJf '{}'", archive.display())).exits(0).stderr, "");
    for (name, folder) in [("TEMPLATE_DIR", "template"), ("CACHE_ROOT", "cache")] {
        let folder = sandbox.text(folder);
        sandbox.set(&format!("AUTO_INFER_SGLANG_{name}"), &folder);
    }
    sandbox
}

#[test]
fn the_template_is_copied_before_the_cache_is_warm() {
    let mut sandbox = with_template();
    sandbox.set("AUTO_INFER_SGLANG_CACHE_ROOT", &sandbox.text("empty"));
    let copy = |sandbox: &Sandbox| help(sandbox, "sglang/copy-sglang-template-into-workspace.sh");
    let same = |sandbox: &Sandbox| sandbox.sh("diff -r template w/sglang-infer/template").code == 0;
    let output = copy(&sandbox).exits(0);
    assert_eq!(output.kinds(), ["env", "skipped"]);
    let why = "the template was only to be copied: it is in $SANDBOX/w/sglang-infer/template";
    assert_eq!(output.one("skipped")["why"], why);
    assert!(same(&sandbox));
    assert_eq!(copy(&sandbox).exits(0).kinds(), ["env", "skipped"]);

    // The operator's own changes stay, until he wants the template afresh.
    drop(sandbox.sh("echo '# mine' >>w/sglang-infer/template/pixi.toml").exits(0));
    assert_eq!(copy(&sandbox).exits(0).one("warning")["rule"], "template_differs");
    assert!(!same(&sandbox));
    sandbox.set("AUTO_INFER_SGLANG_FORCE_RECOPY", "1");
    assert_eq!(copy(&sandbox).exits(0).kinds(), ["env", "skipped"]);
    assert!(same(&sandbox));
    let left = sandbox.sh("ls -A w/sglang-infer").exits(0).stdout;
    assert_eq!(left, ".installs\ntemplate\n", "no draft is left");

    // Nothing but the copy is asked of who wants to install.
    drop(sandbox.sh("rm -r template").exits(0));
    sandbox.set("AUTO_INFER_SGLANG_TEMPLATE_DIR", &sandbox.text("w/sglang-infer/template"));
    assert_eq!(help(&sandbox, "sglang/install-sglang-from-cache.sh").exits(1).all("gap").len(), 6);
    sandbox.set("AUTO_INFER_SGLANG_TEMPLATE_DIR", &sandbox.text("nowhere"));
    let failed = copy(&sandbox).exits(69).one("failed");
    assert!(failed["what"].as_str().unwrap().contains("nowhere"), "{failed}");
}

/// pixi on PATH, a whole template and cache, and a bundle of it for both engines.
pub(crate) fn with_pixi() -> Sandbox {
    let mut sandbox = Sandbox::new();
    fixture::tiny(&sandbox.path(""));
    let path = format!("{}:{}:/usr/local/bin:/usr/bin:/bin", tools().display(), Pixi::get().bin.display());
    sandbox.set("PATH", &path);
    for engine in ["SGLANG", "VLLM"] {
        sandbox.set(&format!("AUTO_INFER_{engine}_TEMPLATE_DIR"), &sandbox.text("template"));
        sandbox.set(&format!("AUTO_INFER_{engine}_CACHE_ROOT"), &sandbox.text("cache"));
        sandbox.set(&format!("AUTO_INFER_{engine}_BUNDLE_PATH"), fixture::bundle().to_str().unwrap());
    }
    sandbox
}

#[test]
fn sglang_is_warmed_taken_and_installed_from_the_cache() {
    let sandbox = with_pixi();
    drop(sandbox.sh("mkdir volume").exits(0));
    let mut command = sandbox.command("unshare");
    command.args(["--map-root-user", "--mount", "bash", "-ec", ON_A_VOLUME]);
    command.arg(root().join("scripts/helpers/sglang/warm-sglang-cache.sh"));
    let warmed = sandbox.finish(&mut command).exits(0);
    assert_eq!((warmed.all("warmed").len(), warmed.one("cache")["depth"].as_str()), (1, Some("deep")));
    assert!(warmed.one("cache")["manifest"].is_string(), "{}", warmed.transcript());
    let installed = help(&sandbox, "sglang/install-sglang-from-cache.sh").exits(0);
    assert_ne!(installed.one("installed")["reused"], true);
    for file in ["pixi.toml", "pixi.lock"] {
        let taken = sandbox.read(&format!("w/sglang-infer/current/{file}"));
        assert_eq!(taken, sandbox.read(&format!("template/{file}")));
    }
    let again = help(&sandbox, "sglang/install-sglang-from-cache.sh").exits(0);
    assert_eq!(again.one("installed")["reused"], true);
}

#[test]
fn bundles_are_installed_whatever_the_template_says() {
    let mut sandbox = with_pixi();
    let installed = help(&sandbox, "sglang/install-sglang-offline.sh").exits(0).one("installed");
    let path = installed["path"].as_str().unwrap();
    assert!(path.starts_with("$SANDBOX/w/sglang-pixi-offline/.installs/"), "{path}");

    sandbox.set("AUTO_INFER_VLLM_BUNDLE_PATH", "/nowhere.tar");
    let failed = help(&sandbox, "vllm/install-vllm-offline.sh").exits(69).one("failed");
    assert!(failed["what"].as_str().unwrap().contains("/nowhere.tar"), "{failed}");
}

#[test]
fn sglangs_environment_is_printed_or_exported() {
    let mut sandbox = with_template();
    let script = root().join("scripts/helpers/sglang/sglang-env.sh").display().to_string();
    let exports = sandbox.sh("ienv --export sglang").exits(0).stdout;
    assert!(exports.contains("PIXI_OFFLINE"), "{exports}");
    assert_eq!(sandbox.sh(&script).exits(0).stdout, exports);
    let online = sandbox.sh(&format!("{script} --online")).exits(0).stdout;
    assert!(!online.contains("export PIXI_OFFLINE"), "{online}");

    // Sourced with a shell's own arguments: the same variables, and nothing else is changed.
    sandbox.set("SCRIPT", &script);
    let shell = |how: &str| {
        // bash's own account of the script and the process aside.
        let text = format!("set -- a b; {how}; set | grep -v '^BASH\\|^_=\\|^P.*ID='; echo $#");
        sandbox.finish(sandbox.command("/bin/bash").args(["-c", &text])).exits(0).stdout
    };
    assert_eq!(shell(r#". "$SCRIPT""#), shell(r#"eval "$(ienv --export sglang)""#));

    sandbox.set("AUTO_INFER_SGLANG_CACHE_ROOT", "not/absolute");
    assert!(sandbox.sh(&script).exits(69).stderr.contains("AUTO_INFER_SGLANG_CACHE_ROOT"));
    let output = sandbox.sh(r#". "$SCRIPT" || { echo "failed $? ${PIXI_OFFLINE-unset}"; }"#).exits(0);
    assert_eq!(output.stdout, "failed 69 unset\n");
}
