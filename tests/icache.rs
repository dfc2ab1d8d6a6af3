//! icache: a real cache of pixi 0.77.0, whole and damaged in every way that has been seen.
mod crossing;
mod damage;
mod export;
pub(crate) mod locks;
mod modes;
mod pipeline;
mod places;
mod proof;
mod rights;
mod sdists;
mod setting;

use crate::kit::{Output, Sandbox, root};
use serde_json::Value;

const PKGS: &str = "cache/conda/rattler/pkgs";
pub(crate) const TINYLIB: &str = "cache/conda/rattler/pkgs/tinylib-1.0-h1111111_0";
pub(crate) const UV: &str = "cache/pypi/uv";
pub(crate) const SIX: &str = "cache/pypi/uv/archive-v0/EaaBKbQ21Z4gSNhB";
const SIX_POINTER: &str = "cache/pypi/uv/wheels-v6/pypi/six/1.17.0-py2.py3-none-any.http";

/// A sandbox with SGLang's variables on a template and a cache that are yet to come.
pub(crate) fn empty() -> Sandbox {
    let mut sandbox = Sandbox::new();
    let me = sandbox.sh("id -un").exits(0).stdout;
    for (name, value) in [
        ("TEMPLATE_DIR", sandbox.text("template")),
        ("CACHE_ROOT", sandbox.text("cache")),
        ("USER", me.trim().to_owned()),
    ] {
        sandbox.set(&format!("AUTO_INFER_SGLANG_{name}"), &value);
    }
    sandbox
}

/// The same with the real template and its cache.
pub(crate) fn real() -> Sandbox {
    let sandbox = empty();
    unpack(&sandbox, "pixi-cache-mini.tar.xz");
    sandbox
}

fn unpack(sandbox: &Sandbox, archive: &str) {
    let path = root().join("tests/data").join(archive);
    assert!(sandbox.sh(&format!("tar xJf '{}'", path.display())).exits(0).stdout.is_empty());
}

/// The fixture is for linux-64; verifying it runs anywhere.
fn verify(sandbox: &Sandbox, options: &str) -> Output {
    sandbox.sh(&format!("ienv sglang | icache --platform linux-64 {options}"))
}

/// Every gap: package and reason, `?` behind one that does not block.
fn gaps(output: &Output) -> Vec<String> {
    let word = |gap: &Value, key: &str| gap[key].as_str().unwrap().to_owned();
    let text = |gap: &Value| {
        let mark = if gap["blocks"] == true { "" } else { "?" };
        format!("{} {}{mark}", word(gap, "package"), word(gap, "reason"))
    };
    output.all("gap").iter().map(text).collect()
}

/// The kinds of all records but warnings: whether a test's folder is on a container's own layer is not the test's affair.
fn kinds(output: &Output) -> Vec<String> {
    output.kinds().into_iter().filter(|kind| kind != "warning").collect()
}

#[test]
fn an_untouched_cache_passes_quick_and_deep() {
    let sandbox = real();
    for (options, depth, bytes) in
        [("", "quick", 0), ("--deep", "deep", 461_165), ("--jobs 1 --deep", "deep", 461_165)]
    {
        let output = verify(&sandbox, options).exits(0);
        assert_eq!(kinds(&output), ["env", "cache"], "{}", output.transcript());
        let cache = output.one("cache");
        assert_eq!((cache["depth"].as_str(), cache["bytes"].as_u64()), (Some(depth), Some(bytes)), "{cache}");
        assert_eq!((cache["packages"].as_u64(), cache["gaps"].as_u64()), (Some(6), Some(0)));
        assert_eq!(
            (cache["platform"].as_str(), cache["pixi_env"].as_str()),
            (Some("linux-64"), Some("default"))
        );
        assert_eq!(cache.get("manifest"), None);
    }
}

/// A pointer as uv writes it: msgpack, a policy (that nobody reads), and the policy's length.
pub(crate) fn pointer(archive: &str, hashes: &[(&str, &str)], wheel: &str) -> Vec<u8> {
    let text = |bytes: &mut Vec<u8>, text: &str| {
        bytes.extend([0xd9, u8::try_from(text.len()).unwrap()]);
        bytes.extend(text.as_bytes());
    };
    let mut bytes = vec![0x94];
    text(&mut bytes, archive);
    bytes.push(0x90 + u8::try_from(hashes.len()).unwrap());
    for (kind, hash) in hashes {
        bytes.push(0x92);
        text(&mut bytes, kind);
        text(&mut bytes, hash);
    }
    text(&mut bytes, wheel);
    bytes.push(0);
    bytes.extend(b"policy");
    bytes.extend(6_u64.to_le_bytes());
    bytes
}

#[test]
fn a_wheel_counts_only_with_the_hash_that_pixi_asks_for() {
    let wheel = "six-1.17.0-py2.py3-none-any.whl";
    let right = "4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274";
    let other = "0".repeat(64);
    let sandbox = real();
    let with = |hashes: &[(&str, &str)], wheel: &str| {
        sandbox.write(SIX_POINTER, pointer("EaaBKbQ21Z4gSNhB", hashes, wheel));
        gaps(&verify(&sandbox, ""))
    };
    assert!(with(&[("Sha256", right)], wheel).is_empty());
    assert!(with(&[("Md5", "00"), ("Sha256", right)], wheel).is_empty());
    assert_eq!(with(&[], wheel), ["six wrong_hash"], "plain uv and pixi before 0.71 check none");
    assert_eq!(with(&[("Sha256", &other)], wheel), ["six wrong_hash"]);
    assert_eq!(with(&[("Sha256", right)], "six-1.16.0-py2.py3-none-any.whl"), ["six wrong_hash"]);
    assert_eq!(with(&[("Sha256", right)], "six-1.17.0-py3-none-any.whl"), ["six wrong_hash"]);

    // Like torch's in the lock of SGLang: without a hash any will do, and it is no gap.
    let lock = sandbox.read("template/pixi.lock");
    sandbox.write("template/pixi.lock", lock.replace(&format!("  sha256: {right}\n"), ""));
    assert!(with(&[], wheel).is_empty() && with(&[("Sha256", &other)], wheel).is_empty());
    assert_eq!(kinds(&verify(&sandbox, "--deep --strict").exits(0)), ["env", "cache"]);
    sandbox.write("template/pixi.lock", lock.replace(&format!("sha256: {right}"), "md5: abcd"));
    assert_eq!(with(&[("Md5", "abce")], wheel), ["six wrong_hash"]);
    assert!(with(&[("Md5", "abcd")], wheel).is_empty());
}

#[test]
fn every_layout_that_real_caches_have_is_verified_where_it_is() {
    for (layout, script) in [
        ("split", ":"),
        (
            "pixi",
            "mkdir cache/pixi; mv cache/conda/rattler/pkgs cache/pixi; mv cache/pypi/uv cache/pixi/uv-cache",
        ),
        ("rattler", "mv cache/pypi/uv cache/conda/rattler/uv-cache"),
        (
            "split",
            "mkdir cache/pixi; ln -s ../conda/rattler/pkgs ../pypi/uv cache/pixi; mv cache/pixi/uv cache/pixi/uv-cache",
        ),
        (
            "split",
            "mv cache elsewhere; mkdir -p cache/conda cache/pypi; mv elsewhere/conda/rattler r; mv elsewhere/pypi/uv u; ln -s ../../r cache/conda/rattler; ln -s ../../u cache/pypi/uv",
        ),
    ] {
        let sandbox = real();
        assert_eq!(sandbox.sh(script).exits(0).stderr, "");
        let output = verify(&sandbox, "--deep").exits(0);
        assert_eq!(output.one("env")["cache_layout"], layout);
        assert_eq!(
            (gaps(&output).len(), output.one("cache")["bytes"].as_u64()),
            (0, Some(461_165)),
            "{script}"
        );
    }
}

#[test]
fn two_archives_for_one_place_are_a_collision() {
    let sandbox = real();
    let lock = sandbox.read("template/pixi.lock");
    let url = "http://127.0.0.1:8899/conda-forge/linux-64/tinylib-1.0-h1111111_0.tar.bz2";
    let mirror = "https://me:word@mirror.invalid/t/tk-1234/linux-64/tinylib-1.0-h1111111_0.conda";
    let entry = format!("- conda: {mirror}\n  sha256: {}\n  build_number: 0\n", "ab".repeat(32));
    let lock =
        lock.replacen(&format!("- conda: {url}\n"), &format!("- conda: {url}\n      - conda: {mirror}\n"), 1);
    sandbox.write("template/pixi.lock", lock + &entry);
    let output = verify(&sandbox, "").exits(1);
    assert_eq!(gaps(&output), ["tinylib collision"]);
    assert!(output.transcript().contains("mirror.invalid") && !output.transcript().contains("word"));
    assert!(!output.transcript().contains("tk-1234"), "{}", output.transcript());
}
