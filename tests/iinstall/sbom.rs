//! `iinstall --sbom`: what is installed, told by its lock file or its bundle, as CycloneDX's own library reads it.
use super::bundle::{Site as BundleSite, WHEEL};
use super::cache::Cached;
use crate::kit::{Output, Sandbox, Tiny, clients, root};
use lock::LockFile;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Hold the document against its schema, and give what the library reads: the subject, then each component.
fn read(sandbox: &Sandbox, sbom: &Output) -> Option<Vec<Value>> {
    let python = clients("cyclonedx")?.join("bin/python");
    sandbox.write("sbom.json", &sbom.stdout);
    let script = root().join("tests/data/sbom.py");
    Some(sandbox.sh(&format!("{} {} <sbom.json", python.display(), script.display())).exits(0).records())
}

#[test]
fn an_environment_of_the_cache_is_described_by_its_lock_file_with_no_network_and_no_source() {
    let cached = Cached::new();
    let sandbox = &cached.sandbox;
    let lock = LockFile::parse(sandbox.read("template/pixi.lock").as_bytes()).unwrap();
    let expected: BTreeSet<_> = lock.environments["default"].platforms["linux-64"]
        .packages
        .iter()
        .map(|one| (one.name().to_owned(), one.version().map(str::to_owned), one.sha256().map(str::to_owned)))
        .collect();
    let none = sandbox.sh("ienv sglang | iinstall --sbom").exits(69);
    assert!(
        none.stdout.is_empty() && none.stderr.contains("nothing of ours is installed in"),
        "{}",
        none.stderr
    );
    drop(cached.install().exits(0));
    drop(sandbox.sh("rm -r template cache").exits(0));
    let sbom = sandbox.sh("ienv sglang | iseal -- iinstall --sbom").exits(0);
    assert_eq!(
        sandbox.sh("ienv sglang | iinstall --sbom").exits(0).stdout,
        sbom.stdout,
        "the same bytes twice"
    );
    let Some(read) = read(sandbox, &sbom) else { return };
    assert_eq!(read[0][1], "sglang");
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let told: BTreeSet<_> =
        read[1..].iter().map(|one| (text(&one[1]).unwrap(), text(&one[2]), text(&one[3][0]))).collect();
    assert_eq!(told, expected);
    let six = read.iter().find(|one| one[1] == "six").unwrap();
    assert_eq!(six[4], json!(["pypi", "six", six[2], {}]));
    let conda = read.iter().find(|one| one[4][0] == "conda").unwrap();
    assert_eq!(conda[4][3]["channel"], "conda-forge");
    assert!(conda[4][3]["subdir"].is_string() && conda[4][3]["build"].is_string(), "{conda}");
    // Of what somebody has edited nobody knows whether it is what was installed.
    drop(sandbox.sh("echo '# edited' >>w/sglang-infer/current/pixi.lock").exits(0));
    let edited = sandbox.sh("ienv sglang | iinstall --sbom").exits(69);
    assert!(edited.stderr.contains("somebody edited it"), "{}", edited.stderr);
}

#[test]
fn a_bundle_is_recognised_by_its_members() {
    let mut site = BundleSite::quick();
    let bundle = site.pack("bundle.tar");
    let installed = site.install(&bundle).exits(0).one("installed");
    std::fs::remove_file(bundle).unwrap();
    let sbom = site.run("--sbom").exits(0);
    let Some(read) = read(&site.sandbox, &sbom) else { return };
    assert_eq!((&read[0][1], &read[0][3][0]), (&"vllm".into(), &installed["id"]));
    let wheel = read.iter().find(|one| one[1] == "six").unwrap();
    let hash = site.sandbox.sh(&format!("sha256sum members/{WHEEL}")).exits(0).stdout;
    assert_eq!(wheel[2], "1.17.0");
    assert!(hash.starts_with(wheel[3][0].as_str().unwrap()), "{wheel} {hash}");
    let python = read.iter().find(|one| one[1] == "python").unwrap();
    let qualifiers = json!({ "build": "h0000000_0_cpython", "subdir": "linux-64", "type": "tar.bz2" });
    assert_eq!(python[4], json!(["conda", "python", "3.11.7", qualifiers]));
    let packages =
        "find members/channel members/pypi -name '*.conda' -o -name '*.bz2' -o -name '*.whl' | wc -l";
    let packages = site.sandbox.sh(packages).exits(0).stdout;
    assert_eq!((read.len() - 1).to_string(), packages.trim());
}

#[test]
fn an_archive_is_one_component_and_several_engines_are_a_wrong_call() {
    let mut sandbox = Sandbox::new();
    sandbox.set("AUTO_INFER_LLAMA_CPP_PKG_PATH", &Tiny::get().archive.display().to_string());
    let installed = sandbox.sh("ienv llama-cpp | iinstall").exits(0).one("installed");
    let sbom = sandbox.sh("ienv llama-cpp | iinstall --sbom").exits(0);
    let several = sandbox.sh("ienv | iinstall --sbom").exits(2);
    assert!(several.stdout.is_empty() && several.stderr.contains("name one engine"), "{}", several.stderr);
    drop(sandbox.sh("ienv llama-cpp | iinstall --sbom --rollback").exits(2));
    let Some(read) = read(&sandbox, &sbom) else { return };
    assert_eq!(read, [json!(["application", "llama.cpp", null, [installed["id"]], null])]);
}
