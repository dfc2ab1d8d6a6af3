//! icache: a real cache of pixi 0.77.0, whole and damaged in every way that has been seen.
mod crossing;
mod export;
pub(crate) mod locks;
mod modes;
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

/// What is done to a cache, and the gaps that a quick and a deep pass find then.
type Damage = (&'static str, &'static [&'static str], &'static [&'static str]);

/// `B` flips the last byte of a file.
const DAMAGES: [Damage; 26] = [
    (
        "rm -r $PKGS/tinylib-1.0-h1111111_0 $PKGS/python-3.11.7-h0000000_0_cpython $UV/archive-v0/ENvm99EfOFDt5WhM",
        &["python missing", "tinylib missing", "idna missing"],
        &["python missing", "tinylib missing", "idna missing"],
    ),
    ("rm $UV/wheels-v6/pypi/idna/*.http", &["idna missing"], &["idna missing"]),
    ("B $PKGS/tinylib-1.0-h1111111_0/lib/libtiny.so.1.0", &[], &["tinylib damaged"]),
    ("B $UV/archive-v0/EaaBKbQ21Z4gSNhB/six.py", &[], &["six damaged"]),
    ("echo >> $UV/archive-v0/ENvm99EfOFDt5WhM/idna/cli.py", &[], &["idna damaged"]),
    ("rm $UV/archive-v0/ENvm99EfOFDt5WhM/idna/c*.py", &[], &["idna damaged"]),
    (
        "rm $PKGS/tinylib*/lib/libtiny.so; mkdir $PKGS/tinylib-1.0-h1111111_0/lib/libtiny.so",
        &[],
        &["tinylib damaged"],
    ),
    (": > $PKGS/cuda-version-12.8-0.lock", &["cuda-version damaged"], &["cuda-version damaged"]),
    ("rm $PKGS/cuda-version-12.8-0.lock", &["cuda-version damaged"], &["cuda-version damaged"]),
    ("truncate -s 20 $PKGS/cuda-version-12.8-0.lock", &["cuda-version damaged"], &["cuda-version damaged"]),
    ("B $PKGS/cuda-version-12.8-0.lock", &["cuda-version wrong_hash"], &["cuda-version wrong_hash"]),
    (
        "cd $UV/archive-v0; mv EaaBKbQ21Z4gSNhB x; mv ENvm99EfOFDt5WhM EaaBKbQ21Z4gSNhB; mv x ENvm99EfOFDt5WhM",
        &["idna wrong_hash", "six wrong_hash"],
        &["idna wrong_hash", "six wrong_hash"],
    ),
    (
        "cd $PKGS; mv tinylib-1.0-h1111111_0 x; mv cuda-version-12.8-0 tinylib-1.0-h1111111_0; mv x cuda-version-12.8-0",
        &["tinylib wrong_hash", "cuda-version wrong_hash"],
        &["tinylib wrong_hash", "cuda-version wrong_hash"],
    ),
    (
        "cd $UV/wheels-v6/pypi; cp six/*.http idna/3.20-py3-none-any.http",
        &["idna wrong_hash"],
        &["idna wrong_hash"],
    ),
    ("truncate -s 60 $UV/wheels-v6/pypi/markupsafe/*.http", &["markupsafe damaged"], &["markupsafe damaged"]),
    (": > $UV/wheels-v6/pypi/markupsafe/*.http", &["markupsafe damaged"], &["markupsafe damaged"]),
    // It ends in zeros, as if its policy had no length.
    ("truncate -s 274 $UV/wheels-v6/pypi/six/*.http", &["six damaged"], &["six damaged"]),
    // uv would copy the link as if it were a file.
    (
        "cd $UV/archive-v0; mv EaaBKbQ21Z4gSNhB x; ln -s x EaaBKbQ21Z4gSNhB",
        &["six damaged"],
        &["six damaged"],
    ),
    // rattler does not read it then.
    (
        "jq '.depends = null' $PKGS/tinylib*/info/index.json > x; mv x $PKGS/tinylib-1.0-h1111111_0/info/index.json",
        &["tinylib damaged"],
        &["tinylib damaged"],
    ),
    (
        "jq 'del(.build_number)' $PKGS/tinylib*/info/index.json > x; mv x $PKGS/tinylib-1.0-h1111111_0/info/index.json",
        &["tinylib damaged"],
        &["tinylib damaged"],
    ),
    ("echo { > $PKGS/tinylib-1.0-h1111111_0/info/paths.json", &["tinylib damaged"], &["tinylib damaged"]),
    ("rm -r $UV/archive-v0/EaaBKbQ21Z4gSNhB/*.dist-info", &["six damaged"], &["six damaged"]),
    // A pipe in the place of a file is not waited for.
    (
        "cd $PKGS; rm tinylib*.lock python*/info/index.json; mkfifo tinylib-1.0-h1111111_0.lock \
         python-3.11.7-h0000000_0_cpython/info/index.json",
        &["python damaged", "tinylib damaged"],
        &["python damaged", "tinylib damaged"],
    ),
    (
        "cd $UV/wheels-v6/pypi/six; rm *.http; mkfifo 1.17.0-py2.py3-none-any.http",
        &["six damaged"],
        &["six damaged"],
    ),
    ("cd $UV/archive-v0/EaaBKbQ21Z4gSNhB/*.dist-info; rm RECORD; mkfifo RECORD", &[], &["six damaged"]),
    (
        "mv $UV/wheels-v6 $UV/wheels-v5",
        &["idna missing", "markupsafe missing", "six missing"],
        &["idna missing", "markupsafe missing", "six missing"],
    ),
];

#[test]
fn what_was_damaged_is_named_and_nothing_else() {
    const FLIP: &str = r#"B() { last=$(tail -c 1 "$1" | od -An -tu1); truncate -s -1 "$1"
        printf "\\$(printf %o $((last ^ 1)))" >> "$1"; }"#;
    for (damage, quick, deep) in DAMAGES {
        let sandbox = real();
        let script = format!("PKGS=$PWD/{PKGS} UV=$PWD/{UV}; {FLIP}; {damage}");
        assert_eq!(sandbox.sh(&script).exits(0).stderr, "");
        for (options, expected) in [("", quick), ("--deep", deep)] {
            let output = verify(&sandbox, options).exits(i32::from(!expected.is_empty()));
            assert_eq!(gaps(&output), expected, "{damage} {options}\n{}", output.transcript());
            assert_eq!(output.one("cache")["gaps"], expected.len());
        }
    }
}

#[test]
fn a_package_without_a_list_of_hashes_is_not_proved_unless_the_manifest_has_it() {
    let sandbox = real();
    std::fs::remove_file(sandbox.path(&format!("{TINYLIB}/info/paths.json"))).unwrap();
    assert!(gaps(&verify(&sandbox, "").exits(0)).is_empty(), "pixi reads info/files");
    assert_eq!(gaps(&verify(&sandbox, "--deep").exits(0)), ["tinylib unprovable?"]);
    assert_eq!(gaps(&verify(&sandbox, "--deep --strict").exits(1)), ["tinylib unprovable"]);
    drop(verify(&sandbox, "--record").exits(0));
    assert!(gaps(&verify(&sandbox, "--deep --strict").exits(0)).is_empty());
    sandbox.write(&format!("{TINYLIB}/lib/libtiny.so.1.0"), "");
    assert_eq!(gaps(&verify(&sandbox, "--deep").exits(1)), ["tinylib damaged"]);
}

#[test]
fn all_of_it_at_once_is_told_in_one_run_with_what_the_connected_side_needs() {
    let sandbox = real();
    let damage = format!(
        "rm -r {TINYLIB}; : > {PKGS}/cuda-version-12.8-0.lock; echo >> {SIX}/six.py; \
         truncate -s 60 {UV}/wheels-v6/pypi/markupsafe/*.http"
    );
    assert_eq!(sandbox.sh(&damage).exits(0).stderr, "");
    let output = verify(&sandbox, "--deep").exits(1);
    assert_eq!(
        gaps(&output),
        ["tinylib missing", "cuda-version damaged", "markupsafe damaged", "six damaged"]
    );
    insta::assert_snapshot!(output.all("gap")[0], @r#"{"kind":"gap","engine":"sglang","package":"tinylib","version":"1.0","source":"conda","reason":"missing","blocks":true,"url":"http://127.0.0.1:8899/conda-forge/linux-64/tinylib-1.0-h1111111_0.tar.bz2","sha256":"79e7babd57e676d4e2ace0740b469d5a433cd3aa02ef2982cd43deea7472bd6a","size_bytes":605,"path":"$SANDBOX/cache/conda/rattler/pkgs/tinylib-1.0-h1111111_0","detail":"the package is not in the cache"}"#);
    let six = &output.all("gap")[3];
    assert_eq!(six["path"], format!("$SANDBOX/{SIX}/six.py"));
    assert_eq!(six["detail"], "it has 34704 bytes instead of 34703");
    assert_eq!(kinds(&output).last().unwrap(), "failed");
    let failed = output.one("failed");
    assert_eq!(
        (failed["code"].as_u64(), failed["cause"].as_str()),
        (Some(1), Some("4 gaps block the install"))
    );
    let list = sandbox
        .sh("ienv sglang | icache --platform linux-64 2>&- | jq -r 'select(.kind==\"gap\") | .url' || true");
    assert_eq!(list.stdout.lines().filter(|url| url.starts_with("http")).count(), 3);
}

#[test]
fn a_poisoned_cache_is_caught_whatever_its_lock_file_says() {
    // A failed fetch leaves the wanted hash beside another build, and pixi would install that.
    for (field, other) in [
        ("\"timestamp\": 1760000000000", "\"timestamp\": 1750000000000"),
        ("\"build_number\": 0", "\"build_number\": 1"),
        ("\"version\": \"1.0\"", "\"version\": \"1.1\""),
        ("\"subdir\": \"linux-64\"", "\"subdir\": \"noarch\""),
    ] {
        let sandbox = real();
        let path = format!("{TINYLIB}/info/index.json");
        let index = sandbox.read(&path);
        assert!(index.contains(field), "{index}");
        sandbox.write(&path, index.replace(field, other));
        assert_eq!(gaps(&verify(&sandbox, "").exits(1)), ["tinylib wrong_hash"], "{other}");
    }
}

#[test]
fn what_a_crash_left_behind_is_not_looked_at() {
    let sandbox = real();
    let script = format!(
        "mkdir {PKGS}/.six-1.0-0Xa12; echo > {PKGS}/.six-1.0-0Xa12/x; : > {PKGS}/gone-1.0-0.lock; \
         ln -sfn /gone {UV}/wheels-v6/pypi/six/1.17.0-py2.py3-none-any; mkdir {UV}/archive-v0/.tmpAb12"
    );
    assert_eq!(sandbox.sh(&script).exits(0).stderr, "");
    assert_eq!(kinds(&verify(&sandbox, "--deep").exits(0)), ["env", "cache"]);
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
