//! Lock files of every version, and what cannot be read.
use super::{empty, gaps, kinds, real, verify};
use crate::kit::root;
use serde_json::Value;
use std::collections::BTreeMap;

/// One environment in every version's words: packages of the real cache, and one of each kind that is not in it.
const HEAD: &str = "environments:
  default:
    channels:
    - url: http://127.0.0.1:8899/conda-forge/
    packages:
      linux-64:
      - conda: http://127.0.0.1:8899/conda-forge/linux-64/tinylib-1.0-h1111111_0.tar.bz2
      - conda: http://127.0.0.1:8899/conda-forge/linux-64/absent-2.0-h2222222_7.conda
      - pypi: https://x.invalid/six-1.17.0-py2.py3-none-any.whl
      - pypi: direct+https://x.invalid/direct-1.0-py3-none-any.whl
      - pypi: https://x.invalid/source-1.0.tar.gz
      - pypi: git+https://me:word@x.invalid/checkout.git@0123456789abcdef0123456789abcdef01234567
      - pypi: ./folder
      - pypi: ./gone
";

const SIX_SHA: &str = "4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274";
const TINYLIB_SHA: &str = "79e7babd57e676d4e2ace0740b469d5a433cd3aa02ef2982cd43deea7472bd6a";

/// Versions 4 and 5: `kind`, then `url` or `path`, and every field written out.
pub(crate) fn older(version: u32) -> String {
    let mut text = format!("version: {version}\n{HEAD}packages:\n");
    for (name, number, build, hash) in
        [("tinylib", "1.0", "h1111111_0", TINYLIB_SHA), ("absent", "2.0", "h2222222_7", SIX_SHA)]
    {
        let archive = if name == "tinylib" { "tar.bz2" } else { "conda" };
        text.push_str(&format!(
            "- kind: conda\n  name: {name}\n  version: '{number}'\n  build: {build}\n  build_number: 0\n  subdir: linux-64\n  \
             url: http://127.0.0.1:8899/conda-forge/linux-64/{name}-{number}-{build}.{archive}\n  sha256: {hash}\n  \
             size: 605\n  timestamp: 1760000000000\n"
        ));
    }
    for (name, location) in PYPI {
        let key = if location.starts_with('.') { "path" } else { "url" };
        text.push_str(&format!(
            "- kind: pypi\n  name: {name}\n  version: {}\n  {key}: {location}\n",
            number(name)
        ));
        text.push_str(&hash(name));
    }
    text
}

/// Versions 6 and 7: the location's key says what it is, and what its file name says is left out.
pub(crate) fn newer(version: u32) -> String {
    let platforms = if version == 7 { "platforms:\n- name: linux-64\n" } else { "" };
    let mut text = format!(
        "version: {version}\n{platforms}{HEAD}packages:\n\
         - conda: http://127.0.0.1:8899/conda-forge/linux-64/tinylib-1.0-h1111111_0.tar.bz2\n  sha256: {TINYLIB_SHA}\n  \
         md5: da08d2e8dcb59e2069d04f783718b5f4\n  depends:\n  - cuda-version\n  size: 605\n  timestamp: 1760000000000\n\
         - conda: http://127.0.0.1:8899/conda-forge/linux-64/absent-2.0-h2222222_7.conda\n  sha256: {SIX_SHA}\n  size: 605\n"
    );
    for (name, location) in PYPI {
        text.push_str(&format!("- pypi: {location}\n  name: {name}\n"));
        if version == 6 || !location.starts_with('.') {
            text.push_str(&format!("  version: {}\n", number(name)));
        }
        text.push_str(&hash(name));
    }
    text
}

const PYPI: [(&str, &str); 6] = [
    ("six", "https://x.invalid/six-1.17.0-py2.py3-none-any.whl"),
    ("direct", "direct+https://x.invalid/direct-1.0-py3-none-any.whl"),
    ("source", "https://x.invalid/source-1.0.tar.gz"),
    ("checkout", "git+https://me:word@x.invalid/checkout.git@0123456789abcdef0123456789abcdef01234567"),
    ("folder", "./folder"),
    ("gone", "./gone"),
];

fn number(name: &str) -> &str {
    if name == "six" { "1.17.0" } else { "1.0.0" }
}

fn hash(name: &str) -> String {
    if name == "six" { format!("  sha256: {SIX_SHA}\n") } else { String::new() }
}

#[test]
fn versions_4_to_7_say_the_same() {
    let sandbox = real();
    sandbox.write("template/folder/pyproject.toml", "");
    for (version, lock) in [(4, older(4)), (5, older(5)), (6, newer(6)), (7, newer(7))] {
        sandbox.write("template/pixi.lock", lock);
        let output = verify(&sandbox, "--deep").exits(1);
        assert_eq!(
            gaps(&output),
            [
                "absent missing",
                "direct missing",
                "source missing",
                "checkout unprovable?",
                "folder unprovable?",
                "gone missing"
            ],
            "version {version}\n{}",
            output.transcript()
        );
        assert_eq!(output.one("cache")["packages"], 8);
        let urls: Vec<Value> = output.all("gap").iter().map(|gap| gap["url"].clone()).collect();
        assert_eq!(urls[1], "https://x.invalid/direct-1.0-py3-none-any.whl");
        assert_eq!(urls[3], "git+https://x.invalid/checkout.git@0123456789abcdef0123456789abcdef01234567");
        assert_eq!(urls[4], Value::Null);
        assert!(!output.transcript().contains("word"));
    }
}

#[test]
fn strict_makes_what_cannot_be_proved_block() {
    let sandbox = real();
    sandbox.write("template/folder/setup.py", "");
    let lock = sandbox.read("template/pixi.lock");
    let lock = lock.replace("      linux-64:\n", "      linux-64:\n      - pypi: ./folder\n")
        + "- pypi: ./folder\n  name: folder\n";
    sandbox.write("template/pixi.lock", &lock);
    let output = verify(&sandbox, "").exits(0);
    assert_eq!(
        (gaps(&output), kinds(&output).last().unwrap().as_str()),
        (vec!["folder unprovable?".to_owned()], "cache")
    );
    assert_eq!(output.one("gap").get("version"), None);
    assert_eq!(gaps(&verify(&sandbox, "--strict").exits(1)), ["folder unprovable"]);
    assert!(verify(&sandbox, "--strict --record").exits(1).one("cache").get("manifest").is_none());

    sandbox.write(
        "template/pixi.lock",
        lock.replace("    indexes:\n", "    find-links:\n    - path: ./links\n    indexes:\n"),
    );
    assert_eq!(gaps(&verify(&sandbox, "").exits(0)), ["folder unprovable?", "find-links unprovable?"]);
}

#[test]
fn a_source_distribution_is_missing_until_its_source_is_there_and_then_unprovable() {
    let sandbox = real();
    sandbox.write("template/pixi.lock", newer(7));
    let details = |sandbox: &crate::kit::Sandbox| {
        let all = verify(sandbox, "").exits(1).all("gap");
        let source = all.into_iter().find(|gap| gap["package"] == "source").unwrap();
        (source["reason"].as_str().unwrap().to_owned(), source["detail"].as_str().unwrap().to_owned())
    };
    assert_eq!(details(&sandbox).0, "missing");
    let place = "cache/pypi/uv/sdists-v9/pypi/source/1.0.0";
    sandbox.write(&format!("{place}/revision.http"), "");
    assert_eq!(details(&sandbox), ("damaged".to_owned(), "it is cut short".to_owned()));
    sandbox.write(&format!("{place}/revision.http"), super::sdists::revision("Ab12", &[]));
    assert_eq!(details(&sandbox).0, "missing");
    sandbox.write(&format!("{place}/Ab12/src/x.whl"), "");
    let (reason, detail) = details(&sandbox);
    assert!(reason == "unprovable" && detail.ends_with("to be built at install"), "{detail}");
    sandbox.write(&format!("{place}/Ab12/0123456789abcdef/source-1.0.0-py3-none-any.whl"), "");
    let (reason, detail) = details(&sandbox);
    assert!(reason == "unprovable" && detail.contains("a wheel built from it is in the cache"), "{detail}");
}

#[test]
fn one_location_may_stand_for_several_packages() {
    let sandbox = real();
    let lock = "version: 6
environments:
  default:
    channels: []
    packages:
      linux-64:
      - conda: .
        name: two
      - pypi: .
packages:
- conda: .
  name: one
  version: '1'
- conda: .
  name: two
  version: '2'
- pypi: .
  name: three
  version: '3'
";
    sandbox.write("template/pixi.lock", lock);
    let output = verify(&sandbox, "").exits(0);
    assert_eq!(gaps(&output), ["two unprovable?", "three unprovable?"], "{}", output.transcript());
}

#[test]
fn platforms_of_one_subdir_are_verified_together_unless_one_is_named() {
    let sandbox = real();
    let lock =
        sandbox.read("template/pixi.lock").replace("- name: linux-64\n", "- name: gpu\n  subdir: linux-64\n");
    let lock = lock.replace("environments:\n", "- name: cpu\n  subdir: linux-64\nenvironments:\n");
    let cpu = "      cpu:
      - conda: http://127.0.0.1:8899/conda-forge/noarch/cuda-version-12.8-0.tar.bz2
      - conda: http://127.0.0.1:8899/conda-forge/linux-64/absent-2.0-h2222222_7.conda
packages:\n- conda: http://127.0.0.1:8899/conda-forge/linux-64/absent-2.0-h2222222_7.conda
- conda";
    let lock = lock.replace("      linux-64:\n", "      gpu:\n").replacen("packages:\n- conda", cpu, 1);
    sandbox.write("template/pixi.lock", lock);
    let both = verify(&sandbox, "").exits(1);
    assert_eq!(
        (gaps(&both), both.one("cache")["packages"].as_u64()),
        (vec!["absent missing".to_owned()], Some(7))
    );
    assert_eq!(both.one("cache")["platform"], "cpu,gpu");
    assert!(
        both.one("failed")["hint"]
            .as_str()
            .unwrap()
            .ends_with("cpu, gpu, name the one that is installed with --platform")
    );
    let gpu = sandbox.sh("ienv sglang | icache --platform gpu").exits(0);
    assert_eq!(
        (gpu.one("cache")["packages"].as_u64(), gpu.one("cache")["platform"].as_str()),
        (Some(6), Some("gpu"))
    );
    let output = sandbox.sh("ienv sglang | icache --platform win-64").exits(65);
    assert!(output.one("failed")["cause"].as_str().unwrap().ends_with("locked for cpu, gpu, not for win-64"));
}

#[test]
fn what_cannot_be_read_is_named_and_why() {
    let mut sandbox = real();
    for (content, code, cause) in [
        ("version: 3\n", 65, "it has version 3; versions 4 to 7 are understood"),
        ("version: 8\npackages: 5\n", 65, "it has version 8; versions 4 to 7 are understood"),
        ("", 65, "missing field `version`"),
        ("{", 65, "did not find expected"),
        ("version: 7\nenvironments: 5\n", 65, "invalid type"),
        (
            "version: 6\nenvironments: {default: {packages: {linux-64: [{pypi: 'https://t@x.invalid/y'}]}}}\n",
            65,
            "an environment lists https://x.invalid/y, which is not among the packages",
        ),
        (
            "version: 6\nenvironments: {cu128: {packages: {}}}\n",
            69,
            "it has no environment 'default', only cu128",
        ),
    ] {
        sandbox.write("template/pixi.lock", content);
        let output = verify(&sandbox, "").exits(code);
        let failed = output.one("failed");
        assert!(failed["cause"].as_str().unwrap().contains(cause), "{content}: {failed}");
        assert!(failed["what"].as_str().unwrap().contains("template/pixi.lock"), "{failed}");
        assert!(failed["hint"].is_string(), "{failed}");
        assert_eq!(kinds(&output), ["env", "failed"]);
    }
    assert_eq!(sandbox.sh("rm template/pixi.lock; mkfifo template/pixi.lock").exits(0).stderr, "");
    assert_eq!(verify(&sandbox, "").exits(69).one("failed")["cause"], "it is not a regular file");
    assert_eq!(sandbox.sh("rm template/pixi.lock").exits(0).stderr, "");
    let failed = verify(&sandbox, "").exits(69).one("failed");
    assert_eq!(failed["cause"], "No such file or directory");
    sandbox.unset("AUTO_INFER_SGLANG_TEMPLATE_DIR");
    let failed = sandbox.sh("ienv --road cache sglang | icache").exits(69).one("failed");
    assert_eq!(failed["cause"], "AUTO_INFER_SGLANG_TEMPLATE_DIR is not set");
}

#[test]
fn the_lock_of_sglang_lists_every_package_of_an_empty_cache_at_once() {
    let mut sandbox = empty();
    let template = root().join("scripts/templates/sglang");
    sandbox.set("AUTO_INFER_SGLANG_TEMPLATE_DIR", template.to_str().unwrap());
    let output = verify(&sandbox, "").exits(1);
    let gaps = output.all("gap");
    assert_eq!((gaps.len(), output.one("cache")["packages"].as_u64()), (211, Some(211)));
    assert!(gaps.iter().all(|gap| gap["reason"] == "missing" && gap["blocks"] == true));

    // Read a second time by other means: the locations, and the hash that follows each.
    let lock = std::fs::read_to_string(template.join("pixi.lock")).unwrap();
    let (_, packages) = lock.split_once("\npackages:\n").unwrap();
    let mut hashes: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    let mut location = "";
    for line in packages.lines() {
        if let Some(rest) = line.strip_prefix("- conda: ").or_else(|| line.strip_prefix("- pypi: ")) {
            location = rest;
            hashes.insert(location, None);
        } else if let Some(hash) = line.strip_prefix("  sha256: ") {
            hashes.insert(location, Some(hash));
        }
    }
    let told: BTreeMap<&str, Option<&str>> =
        gaps.iter().map(|gap| (gap["url"].as_str().unwrap(), gap["sha256"].as_str())).collect();
    assert_eq!(told, hashes);
    let without = gaps.iter().filter(|gap| gap.get("sha256").is_none());
    let without: Vec<&str> = without.map(|gap| gap["package"].as_str().unwrap()).collect();
    assert_eq!(without, ["torch", "torchcodec"]);
    let conda = gaps.iter().filter(|gap| gap["source"] == "conda");
    assert!(conda.clone().count() == 49 && conda.clone().all(|gap| gap["size_bytes"].is_u64()));

    // Other tests run beside this one, and it takes what the quickest of several takes.
    let seconds = || verify(&sandbox, "").exits(1).one("cache")["seconds"].as_f64().unwrap();
    let once = (0..200).map(|_| seconds()).find(|seconds| *seconds < 0.05);
    assert!(once.is_some(), "it took longer 200 times");
}
