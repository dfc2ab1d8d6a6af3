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
    ] {
        let file = std::fs::metadata(root().join("scripts/helpers").join(name)).unwrap();
        assert_eq!(file.permissions().mode() & 0o111, 0o111, "{name}");
    }
}

#[test]
fn llama_cpp_is_installed_and_served() {
    let mut sandbox = sandbox_with_engine(&[free_port()]);
    help(&sandbox, "llama-cpp/get-llama-cpp-pkg.sh").exits(0).one("skipped");
    help(&sandbox, "llama-cpp/install-llama-cpp-pkg.sh").exits(0).one("installed");
    sandbox.set("AUTO_INFER_LLAMA_CPP_ON_BOOT", "1");
    help(&sandbox, "llama-cpp/check-and-run-llama-cpp.sh").exits(0).one("ready");
}

#[test]
fn what_boot_asks_nothing_of_is_neither_installed_nor_served() {
    let sandbox = Sandbox::new();
    for (engine, name) in
        [("sglang", "sglang/check-and-run-sglang.sh"), ("vllm", "vllm/check-and-run-vllm.sh")]
    {
        let skipped = help(&sandbox, name).exits(0).one("skipped");
        assert_eq!((&skipped["engine"], &skipped["by"]), (&engine.into(), &"ienv".into()));
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
fn a_template_whose_cache_has_gaps_is_not_taken_and_why_is_said() {
    let mut sandbox = with_template();
    sandbox.set("AUTO_INFER_SGLANG_CACHE_ROOT", &sandbox.text("empty"));
    let name = "copy-sglang-template-into-workspace.sh";
    let output = help(&sandbox, &format!("sglang/{name}")).exits(1);
    assert_eq!(output.all("gap").len(), 6);
    let last = format!(
        "{name}: the template can be read and is not in the workspace: it is taken when it is installed, and the cache has gaps\n\
         {name}: hint: fill the cache on a connected machine with warm-sglang-cache.sh\n"
    );
    assert!(output.stderr.ends_with(&last), "{}", output.stderr);
    // Who only wants to install gets the tools' own words.
    let output = help(&sandbox, "sglang/install-sglang-from-cache.sh").exits(1);
    assert_eq!((output.all("gap").len(), output.stderr.contains("hint: fill")), (6, false));

    sandbox.set("AUTO_INFER_SGLANG_TEMPLATE_DIR", &sandbox.text("nowhere"));
    let output = help(&sandbox, &format!("sglang/{name}")).exits(69);
    assert!(!output.stderr.contains("the template can be read"), "{}", output.stderr);
}

/// pixi on PATH, a whole template and cache, and a bundle of it for both engines.
fn with_pixi() -> Sandbox {
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
    let copied = help(&sandbox, "sglang/copy-sglang-template-into-workspace.sh").exits(0);
    assert_ne!(copied.one("installed")["reused"], true);
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
