//! What keeps an install from a cache from being made.
use super::{Cached, path, tree};
use std::fs;

#[test]
fn a_missing_package_fails_before_pixi_starts_and_the_cache_is_as_it_was() {
    let site = Cached::new();
    fs::remove_dir_all(site.sandbox.path("cache/conda/rattler/pkgs/tinylib-1.0-h1111111_0")).unwrap();
    let before = tree(&site.sandbox.path("cache"));
    let output = site.install().exits(1);
    assert_eq!(output.one("gap")["package"], "tinylib");
    assert_eq!(output.one("failed")["by"], "icache");
    assert_eq!(site.pixi_installs(), 0);
    assert!(!site.home().exists());
    assert_eq!(tree(&site.sandbox.path("cache")), before);

    // Without icache pixi finds out, and what it says is handed on.
    let output = site.sandbox.sh("ienv sglang | iinstall").exits(69);
    let failed = output.one("failed");
    assert!(failed["cause"].as_str().unwrap().starts_with("exit 1: "), "{failed}");
    assert!(failed["log_tail"].as_array().is_some_and(|lines| !lines.is_empty()));
    assert_eq!(site.installs(), [""; 0]);
}

#[test]
fn what_is_not_there_is_named() {
    let mut site = Cached::new();
    let none = site.sandbox.path("none");
    fs::create_dir(&none).unwrap();
    path(&mut site.sandbox, &none);
    let failed = site.install().exits(69).one("failed");
    assert_eq!(
        (&failed["what"], &failed["cause"]),
        (&"cannot find pixi".into(), &"it is not on PATH".into())
    );
    assert!(!site.home().exists());

    fs::remove_file(site.sandbox.path("template/pixi.toml")).unwrap();
    let failed = site.sandbox.sh("ienv sglang | iinstall").exits(69).one("failed");
    assert_eq!(failed["cause"], "pixi.toml: No such file or directory");
}

#[test]
fn a_pixi_that_installs_elsewhere_or_nothing_is_a_failure() {
    for (does, cause) in [
        ("mkdir -p .pixi; ln -s /usr .pixi/envs; mkdir -p elsewhere", "it is not there"),
        ("mkdir -p .pixi/envs; ln -s /usr .pixi/envs/default", "that is /usr"),
        ("mkdir -p .pixi/envs/default", "there is no bin/python in it"),
    ] {
        let mut site = Cached::new();
        let script =
            format!("#!/bin/sh\nif [ \"$1\" = --version ]; then echo pixi 0.77.0; exit; fi\n{does}\n");
        let program = site.sandbox.script("fake/pixi", &script);
        path(&mut site.sandbox, program.parent().unwrap());
        let failed = site.install().exits(69).one("failed");
        assert_eq!(failed["cause"], cause, "{failed}");
        assert_eq!(site.installs(), [""; 0]);
    }
}

#[test]
fn a_lock_file_that_was_not_the_verified_one_is_75() {
    let site = Cached::new();
    let script = "ienv sglang | icache > stream; echo '# more' >> template/pixi.lock; iinstall < stream";
    let failed = site.sandbox.sh(script).exits(75).one("failed");
    assert!(failed["what"].as_str().unwrap().ends_with("pixi.lock is not the lock file that was verified"));
}

#[test]
fn a_file_system_without_locks_is_named_before_pixi_finds_out() {
    let site = Cached::new();
    // The first is the install directory's, the second the cache's.
    for (when, place) in [("1", "w/sglang-infer/.installs/.lock"), ("2", "cache/conda/rattler/pkgs")] {
        let script = format!(
            "ienv sglang | icache > stream
            strace -qq -o /dev/null -e trace=flock -e inject=flock:error=ENOLCK:when={when} iinstall < stream"
        );
        let failed = site.sandbox.sh(&script).exits(69).one("failed");
        assert_eq!(failed["cause"], "No locks available");
        assert!(failed["what"].as_str().unwrap().ends_with(place), "{failed}");
        assert!(failed["hint"].as_str().unwrap().contains("local disk"), "{failed}");
    }
    assert_eq!(site.pixi_installs(), 0);
}
