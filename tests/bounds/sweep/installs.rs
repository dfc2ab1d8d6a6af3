//! The tools that install, plan and verify a cache.
use super::cases::{Case, Check, World, case, exactly, must, nothing, records};
use crate::kit::{Output, Sandbox, fixture};
use serde_json::Value;
use std::fs;

// Installs and plans.

pub(super) fn installing() -> Vec<Case> {
    let world = || {
        let mut sandbox = Sandbox::new();
        let script = "mkdir -p p/bin; head -c 300000 /dev/urandom > p/bin/libx.so
            printf '#!/bin/sh\\n[ \"$1\" = --help ] || exec sleep 1000\\n' > p/bin/llama-server
            chmod +x p/bin/llama-server; tar -C p -czf p.tar.gz bin
            printf '[instance.a.server]\\nhf_repo = \"x/y\"\\n' > c.toml";
        drop(sandbox.sh(script).exits(0));
        for (name, path) in [("PKG_PATH", "p.tar.gz"), ("CONFIG", "c.toml")] {
            let path = sandbox.text(path);
            sandbox.set(&format!("AUTO_INFER_LLAMA_CPP_{name}"), &path);
        }
        let root = sandbox.text("");
        let keep = |output: Output| output.exits(0).stdout.replace("$SANDBOX", root.trim_end_matches('/'));
        sandbox.write("env", keep(sandbox.sh("ienv llama-cpp")));
        sandbox.write("installed", keep(sandbox.sh("ienv llama-cpp | iinstall")));
        World::Alone(sandbox)
    };
    vec![
        case("ienv", world(), "ienv llama-cpp", nothing, |_, output| exactly(output, "env", 1), nothing),
        case("iinstall", world(), "iinstall --rehash < env", uninstall, installed, nothing),
        case("iinstall again", world(), "iinstall < env", nothing, installed, nothing),
        case("iplan", world(), "iplan < installed", nothing, |_, output| exactly(output, "plan", 1), nothing),
    ]
}

fn uninstall(world: &World) {
    drop(fs::remove_dir_all(world.sandbox().path("w/llama-cpp-pkg")));
}

fn installed(world: &World, output: &Output) -> Result<(), String> {
    exactly(output, "installed", 1)?;
    let there = |path: &str| fs::read(world.sandbox().path(path)).unwrap_or_default();
    must(there("w/llama-cpp-pkg/current/bin/libx.so") == there("p/bin/libx.so"), "a library is not whole")?;
    must(!there("w/llama-cpp-pkg/current/installed.json").is_empty(), "it has no marker")
}

// Caches.

pub(super) fn caching() -> Vec<Case> {
    let world = || {
        let mut sandbox = Sandbox::new();
        fixture::tiny(&sandbox.path(""));
        for (name, path) in [("TEMPLATE_DIR", "template"), ("CACHE_ROOT", "cache")] {
            let path = sandbox.text(path);
            sandbox.set(&format!("AUTO_INFER_SGLANG_{name}"), &path);
        }
        let env = sandbox.sh("ienv sglang").exits(0).stdout;
        let root = sandbox.text("");
        sandbox.write("env", env.replace("$SANDBOX", root.trim_end_matches('/')));
        World::Alone(sandbox)
    };
    let whole: Check = |_, output| {
        let caches = records(output, "cache")?;
        must(caches.len() == 1 && caches[0]["gaps"] == 0, "the cache was not looked at")?;
        must(records(output, "gap")?.is_empty(), "there is a gap")
    };
    vec![
        case("icache", world(), "icache < env", nothing, whole, nothing),
        case("icache --deep", world(), "icache --deep --jobs 2 < env", nothing, whole, nothing),
        case("icache --record", world(), "icache --record < env", unrecorded, recorded, nothing),
    ]
}

fn manifests(world: &World) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(world.sandbox().path("cache")).unwrap().flatten();
    // A draft that was left goes when it is ten minutes old: until then somebody may be at it.
    let ours = |name: &str| name.starts_with("infer-dev-manifest");
    entries.filter(|entry| ours(&entry.file_name().to_string_lossy())).map(|entry| entry.path()).collect()
}

fn unrecorded(world: &World) {
    let aged = "find cache -maxdepth 1 -name '.infer-dev-manifest*' -exec touch -d '20 minutes ago' {} +";
    drop(world.sandbox().sh(aged).exits(0));
    manifests(world).into_iter().for_each(|path| fs::remove_file(path).unwrap());
}

fn recorded(world: &World, output: &Output) -> Result<(), String> {
    exactly(output, "cache", 1)?;
    let found = manifests(world);
    must(found.len() == 1, &format!("the manifests are {found:?}"))?;
    let old = world.sandbox().sh("find cache -maxdepth 1 -name '.infer-dev-manifest*' -mmin +15").stdout;
    must(old.is_empty(), &format!("an old draft was left: {old}"))?;
    let manifest: Value = serde_json::from_slice(&fs::read(&found[0]).unwrap()).map_err(|e| e.to_string())?;
    let packages = manifest["packages"].as_array().map_or(0, Vec::len);
    must(packages == 6, &format!("{packages} packages of 6 are recorded"))?;
    let deep = world.sandbox().sh("icache --deep < env");
    must(deep.code == 0, &format!("a good cache is called damaged: {}", deep.transcript()))
}
