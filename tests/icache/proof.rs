//! The manifest, and the note of the last pass.
mod since;

use super::{SIX, TINYLIB, gaps, kinds, real, verify};
use crate::kit::{Sandbox, as_each};
use serde_json::{Value, json};
use std::fs;

/// The manifest, if there is one.
fn manifest(sandbox: &Sandbox) -> Option<Value> {
    let entries = fs::read_dir(sandbox.path("cache")).unwrap();
    let mut names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let name = names.find(|name| name.starts_with("infer-dev-manifest-"))?;
    Some(serde_json::from_str(&sandbox.read(&format!("cache/{name}"))).unwrap())
}

#[test]
fn the_manifest_catches_what_the_lock_file_cannot() {
    as_each();
    let sandbox = real();
    let info = format!("{TINYLIB}/info/about.json");
    let about = sandbox.read(&info);
    sandbox.write(&info, about.replace('}', " }"));
    assert!(gaps(&verify(&sandbox, "--deep").exits(0)).is_empty(), "paths.json does not have it");
    sandbox.write(&info, &about);

    let recorded = verify(&sandbox, "--record").exits(0);
    let path = recorded.one("cache")["manifest"].as_str().unwrap().to_owned();
    let lock_sha256 = recorded.one("cache")["lock_sha256"].as_str().unwrap().to_owned();
    assert_eq!(path, format!("$SANDBOX/cache/infer-dev-manifest-{lock_sha256}.json"));
    assert_eq!(lock_sha256, sandbox.sh("sha256sum < template/pixi.lock").stdout.split(' ').next().unwrap());
    let found = manifest(&sandbox).unwrap();
    assert_eq!(
        (&found["format"], &found["platform"], &found["environment"]),
        (&json!(1), &json!("linux-64"), &json!("default"))
    );
    assert_eq!((&found["lock_sha256"], found.get("pixi_version")), (&json!(lock_sha256), None));
    let packages = found["packages"].as_array().unwrap();
    assert_eq!(
        (packages.len(), &packages[5]["name"], &packages[5]["files"], &packages[5]["bytes"]),
        (6, &json!("tinylib"), &json!(5), &json!(10_575))
    );
    for options in ["", "--deep"] {
        let output = verify(&sandbox, options).exits(0);
        assert_eq!(output.one("cache")["manifest"], path.as_str());
    }

    sandbox.write(&info, about.replace('}', " }"));
    assert!(gaps(&verify(&sandbox, "").exits(0)).is_empty());
    let output = verify(&sandbox, "--deep").exits(1);
    assert_eq!(gaps(&output), ["tinylib damaged"]);
    assert!(
        output.one("gap")["detail"]
            .as_str()
            .unwrap()
            .starts_with("it is not the tree that the manifest recorded")
    );
    sandbox.write(&info, &about);
    assert_eq!(sandbox.sh(&format!("ln -s /x {TINYLIB}/extra")).exits(0).stderr, "");
    assert_eq!(gaps(&verify(&sandbox, "--deep").exits(1)), ["tinylib damaged"], "a stranger in a package");
    assert!(gaps(&verify(&sandbox, "--record").exits(0)).is_empty(), "recording replaces what was recorded");
    assert!(gaps(&verify(&sandbox, "--deep").exits(0)).is_empty());
    assert_eq!(sandbox.sh("ls -A cache").stdout.lines().count(), 3, "nothing else was left there");
}

#[test]
fn what_lies_in_a_wheels_folder_must_be_the_wheels() {
    let sandbox = real();
    sandbox.write(&format!("{TINYLIB}/more"), "not installed, as paths.json does not list it");
    let dist_info = format!("{SIX}/six-1.17.0.dist-info");
    sandbox.write(&format!("{dist_info}/RECORD.jws"), "never listed");
    assert_eq!(gaps(&verify(&sandbox, "--deep").exits(0)), [""; 0]);

    sandbox.write(&format!("{SIX}/six.pth"), "import os");
    let gap = verify(&sandbox, "--deep").exits(1).one("gap");
    assert_eq!(gap["path"], format!("$SANDBOX/{SIX}/six.pth"));
    assert_eq!(gap["detail"], "it would be installed, and RECORD does not list it");
    sandbox.write(&format!("{SIX}/more/a.py"), "");
    let gap = verify(&sandbox, "--record").exits(1).one("gap");
    assert!(gap["detail"].as_str().unwrap().ends_with(" does not list it, and 1 more files"), "{gap}");
    assert!(manifest(&sandbox).is_none());
    assert_eq!(gaps(&verify(&sandbox, "").exits(0)), [""; 0]);
}

#[test]
fn a_manifest_is_made_only_of_what_is_whole() {
    let sandbox = real();
    let script = sandbox.read(&format!("{SIX}/six.py"));
    sandbox.write(&format!("{SIX}/six.py"), script.replacen('#', "$", 1));
    let output = verify(&sandbox, "--record").exits(1);
    assert_eq!(gaps(&output), ["six damaged"]);
    assert!(manifest(&sandbox).is_none() && output.one("cache").get("manifest").is_none());
    let output = sandbox.sh("ienv sglang | icache --record --since note").exits(2);
    assert!(output.stderr.contains("cannot be used with"), "{}", output.stderr);
}

#[test]
fn the_manifest_names_the_pixi_that_filled_the_cache_and_keeps_other_environments() {
    let sandbox = real();
    let lock = sandbox.read("template/pixi.lock");
    let (head, packages) = lock.split_once("packages:\n- conda").unwrap();
    let small = "  small:\n    channels: []\n    packages:\n      linux-64:
      - conda: http://127.0.0.1:8899/conda-forge/noarch/cuda-version-12.8-0.tar.bz2\n";
    sandbox.write("template/pixi.lock", format!("{head}{small}packages:\n- conda{packages}"));
    let sha = sandbox.sh("sha256sum < template/pixi.lock | cut -c 1-64").stdout;
    let warmed = json!({"kind": "warmed", "engine": "sglang", "lock_sha256": sha.trim(), "pixi_version": "0.77.0", "seconds": 1.0});
    let command = |name: &str, tail: &str| {
        format!(
            "AUTO_INFER_SGLANG_PIXI_ENV={name} ienv sglang | {{ cat; echo '{warmed}'; }} | icache --platform linux-64 {tail}"
        )
    };
    assert_eq!(kinds(&sandbox.sh(&command("small", "--record")).exits(0)), ["env", "warmed", "cache"]);
    let found = manifest(&sandbox).unwrap();
    assert_eq!((&found["pixi_version"], &found["environment"]), (&json!("0.77.0"), &json!("small")));
    assert_eq!(found["packages"].as_array().unwrap().len(), 1);
    let alone = |name: &str, tail: &str| command(name, tail).replacen(&format!("echo '{warmed}'"), ":", 1);
    let output = sandbox.sh(&alone("default", "")).exits(0);
    let incomplete: Vec<Value> =
        output.all("warning").into_iter().filter(|w| w["rule"] == "manifest_incomplete").collect();
    assert!(
        incomplete[0]["what"].as_str().unwrap().ends_with("does not have 5 of the packages"),
        "{incomplete:?}"
    );
    // A cache that was filled just now is read and recorded without being asked to.
    let recorded = sandbox.sh(&command("default", "")).exits(0);
    assert!(recorded.all("gap").is_empty() && recorded.one("cache")["depth"] == "deep");
    assert_eq!(manifest(&sandbox).unwrap()["packages"].as_array().unwrap().len(), 6);
    assert!(!sandbox.sh(&alone("small", "--deep")).exits(0).transcript().contains("manifest_incomplete"));
}

#[test]
fn a_manifest_that_cannot_be_read_or_written_is_named() {
    let sandbox = real();
    let path = verify(&sandbox, "--record").exits(0).one("cache")["manifest"].as_str().unwrap().to_owned();
    let relative = path.strip_prefix("$SANDBOX/").unwrap();
    let good = sandbox.read(relative);
    for (bad, cause) in [
        ("{", "EOF while parsing"),
        (&*good.replace("\"format\": 1", "\"format\": 2"), "it has format 2; 1 is understood"),
        (&*good.replace("\"lock_sha256\": \"", "\"lock_sha256\": \"0"), "it is for the lock file 0"),
    ] {
        sandbox.write(relative, bad);
        for options in ["", "--deep"] {
            let failed = verify(&sandbox, options).exits(65).one("failed");
            assert!(failed["cause"].as_str().unwrap().starts_with(cause), "{failed}");
            assert!(failed["what"].as_str().unwrap().ends_with(&path), "{failed}");
        }
    }
    // What is missing or damaged is told in the same run.
    let (lib, kept) = (sandbox.path(TINYLIB), sandbox.path("kept"));
    fs::rename(&lib, &kept).unwrap();
    let file = sandbox.path(SIX).join("six.py");
    let six = fs::read(&file).unwrap();
    fs::write(&file, "x").unwrap();
    for (options, depth, expected) in
        [("", "quick", &["tinylib missing"][..]), ("--deep", "deep", &["six damaged", "tinylib missing"][..])]
    {
        let output = verify(&sandbox, options).exits(65);
        let mut found = gaps(&output);
        found.sort();
        assert_eq!(found, expected, "{}", output.transcript());
        let cache = output.one("cache");
        assert_eq!((&cache["depth"], &cache["gaps"]), (&depth.into(), &expected.len().into()));
        assert!(cache.get("manifest").is_none() && output.one("failed")["code"] == 65, "{cache}");
    }
    fs::write(&file, six).unwrap();
    fs::rename(&kept, &lib).unwrap();
    verify(&sandbox, "--record").exits(0).one("cache");
    assert_eq!(sandbox.read(relative).lines().count(), good.lines().count());

    // Written for all to read, whoever records; and where it is not, that is no fault of what is in it.
    assert_eq!(sandbox.sh(&format!("rm {relative}; mkfifo {relative}")).exits(0).stderr, "");
    let failed = verify(&sandbox, "").exits(65).one("failed");
    assert_eq!(failed["cause"], "it is not a regular file");
    assert_eq!(
        sandbox.sh(&format!("rm {relative}; ln -s $(basename {relative}) {relative}")).exits(0).stderr,
        ""
    );
    let failed = verify(&sandbox, "").exits(69).one("failed");
    assert!(failed["cause"].as_str().unwrap().starts_with("Too many levels") && failed.get("hint").is_none());
    let mode = format!(
        "rm {relative}; umask 077; ienv sglang | icache --platform linux-64 --record >&2; stat -c %a {relative}"
    );
    assert_eq!(sandbox.sh(&mode).exits(0).stdout, "644\n");

    assert_eq!(sandbox.sh(&format!("rm {relative}; mkdir -p {relative}/x")).exits(0).stderr, "");
    let failed = verify(&sandbox, "--record").exits(69).one("failed");
    assert!(failed["what"].as_str().unwrap().starts_with("cannot write the manifest "), "{failed}");
    assert_eq!(sandbox.sh("ls -A cache").stdout.lines().count(), 3, "nothing half written is left");
}

/// sha256 of the template's lock file, hex.
fn lock_sha256(sandbox: &Sandbox) -> String {
    sandbox.sh("sha256sum < template/pixi.lock").exits(0).stdout.split(' ').next().unwrap().to_owned()
}

#[test]
fn what_was_fetched_just_now_and_is_not_there_was_not_to_be_kept() {
    let sandbox = real();
    let sha256 = lock_sha256(&sandbox);
    let warmed = json!({"kind": "warmed", "engine": "sglang", "lock_sha256": sha256, "pixi_version": "0.77.0", "seconds": 1.0});
    let script = format!(
        "rm cache/pypi/uv/wheels-v6/pypi/six/*.http
         {{ ienv sglang; echo '{warmed}'; }} | icache --platform linux-64"
    );
    let failed = sandbox.sh(&script).exits(1).one("failed");
    assert!(failed["hint"].as_str().unwrap().contains("'Cache-Control: no-store'"), "{failed}");
    let failed = verify(&sandbox, "").exits(1).one("failed");
    assert!(!failed["hint"].as_str().unwrap().contains("no-store"), "{failed}");
}
