//! What an environment is asked before it becomes current: that what the engine needs imports, and sees the GPUs there are.
use super::cache::path;
use crate::kit::{Output, Pixi, Sandbox, fixture, tools};

/// A sandbox with a small SGLang in a cache.
fn site() -> Sandbox {
    let mut sandbox = Sandbox::new();
    path(&mut sandbox, &Pixi::get().bin);
    for (name, folder) in [("TEMPLATE_DIR", "template"), ("CACHE_ROOT", "cache")] {
        let folder = sandbox.text(folder);
        sandbox.set(&format!("AUTO_INFER_SGLANG_{name}"), &folder);
    }
    drop(fixture::engine("sglang", &sandbox.path("")));
    sandbox
}

fn install(sandbox: &Sandbox) -> Output {
    sandbox.sh("ienv sglang | icache | iinstall")
}

#[test]
fn versions_are_noted_and_a_gpu_that_is_there_must_be_seen() {
    let mut sandbox = site();
    // No GPU is a fact.
    let output = install(&sandbox).exits(0);
    let checks = output.one("installed")["checks"].clone();
    let expected = serde_json::json!({"cache": "quick", "cuda_available": false, "cuda_devices": 0, "packages": 5,
        "sglang": "0.5.7", "torch": "2.9.1+cu128", "torch_cuda": "12.8"});
    assert_eq!(checks, expected);

    // One that answers and is not seen is a failure, and what was current stays.
    sandbox.script("gpu/nvidia-smi", "#!/bin/sh\necho '0, GPU-0, NVIDIA H200, 80000, 0, 80000'\n");
    let path = sandbox.sh("echo $PATH").exits(0).stdout.replace("$SANDBOX", &sandbox.text(""));
    let gpu = format!("{}:{}:{}", tools().display(), sandbox.text("gpu"), path.trim());
    sandbox.set("PATH", &gpu);
    sandbox.set("AUTO_INFER_SGLANG_FORCE_RECOPY", "1");
    let failed = install(&sandbox).exits(69).one("failed");
    assert_eq!(failed["cause"], "nvidia-smi lists 1, torch is built for CUDA 12.8");
    let current = std::fs::read_link(sandbox.path("w/sglang-infer/current")).unwrap();
    assert!(output.one("installed")["path"].as_str().unwrap().ends_with(current.to_str().unwrap()));

    // Hidden by the caller it is not expected, and seen it is noted.
    sandbox.set("CUDA_VISIBLE_DEVICES", "");
    drop(install(&sandbox).exits(0));
    sandbox.unset("CUDA_VISIBLE_DEVICES");
    sandbox.set("STANDIN_CUDA_DEVICES", "1");
    let checks = install(&sandbox).exits(0).one("installed")["checks"].clone();
    assert_eq!((&checks["cuda_available"], &checks["cuda_devices"]), (&true.into(), &1.into()));
}

#[test]
fn what_does_not_import_does_not_become_current() {
    let mut sandbox = site();
    sandbox.set("STANDIN_BROKEN", "torch");
    let failed = install(&sandbox).exits(69).one("failed");
    assert!(failed["what"].as_str().unwrap().ends_with("/bin/python cannot import torch"), "{failed}");
    let cause = "ImportError: libcudart.so.12: cannot open shared object file: No such file or directory";
    assert_eq!(failed["cause"], cause);
    assert!(!sandbox.path("w/sglang-infer/current").exists());
}

#[test]
fn what_is_locked_and_python_cannot_find_does_not_become_current() {
    let mut sandbox = site();
    // It says that all is installed, and one package is not.
    let pixi = Pixi::get().pixi();
    let forget = "rm -r .pixi/envs/default/lib/python3.11/site-packages/torch-*";
    let script =
        format!("#!/bin/sh\n'{}' \"$@\" || exit\n[ \"$1\" != install ] || {forget}\n", pixi.display());
    sandbox.script("forgetful/pixi", &script);
    let forgetful = sandbox.path("forgetful");
    path(&mut sandbox, &forgetful);
    let failed = install(&sandbox).exits(69).one("failed");
    assert!(failed["what"].as_str().unwrap().ends_with("/bin/python does not find torch"), "{failed}");
    assert_eq!(failed["cause"], "it is locked, and was not installed so that Python finds it");
    assert!(!sandbox.path("w/sglang-infer/current").exists());
}

#[test]
fn whoever_installs_from_the_cache_is_waited_for_and_named() {
    let sandbox = site();
    let script = "lock=cache/conda/rattler/pkgs/.cache.lock; : >> $lock
        coproc flock $lock sh -c 'echo held; exec cat'; read -r _ <&${COPROC[0]}
        ienv sglang | iinstall --wait 0";
    let failed = sandbox.sh(script).exits(75).one("failed");
    assert_eq!(failed["what"], "cannot lock $SANDBOX/cache/conda/rattler/pkgs/.cache.lock", "{failed}");
    let cause = failed["cause"].as_str().unwrap();
    assert!(cause.ends_with(" has held it for 0 s"), "{failed}");
    assert!(cause.starts_with("process ") || cause.starts_with("another program "), "{failed}");
}
