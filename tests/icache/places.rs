//! What a lock file names by a path, and in words that pixi does not take.
use super::{gaps, real, verify};
use serde_json::Value;

#[test]
fn files_elsewhere_are_said_as_pixi_takes_them() {
    let sandbox = real();
    let own = sandbox.text("own");
    // A channel and an index of files are locked by the path of each file.
    let lock = sandbox.read("template/pixi.lock");
    let http = "http://127.0.0.1:8899/conda-forge/linux-64/tinylib";
    let lock = lock.replace(http, &format!("file://{own}/linux-64/tinylib"));
    let lock = lock.replace("  sha256: 79e7babd", "  subdir: linux-64\n  sha256: 79e7babd");
    let wheel = format!("file://{own}/here-1.0-py3-none-any.whl");
    let gone = format!("file://{own}/gone-1.0-py3-none-any.whl");
    let more = |location: &str, name: &str| {
        format!("- pypi: {location}\n  name: {name}\n  version: '1.0'\n  index: file://{own}/simple\n")
    };
    let named = format!("      - pypi: {wheel}\n      - pypi: {gone}\npackages:\n");
    let lock = lock.replacen("packages:\n- ", &format!("{named}- "), 1);
    sandbox.write("template/pixi.lock", format!("{lock}{}{}", more(&wheel, "here"), more(&gone, "gone")));
    assert_eq!(sandbox.sh("mkdir own; : > own/here-1.0-py3-none-any.whl").exits(0).stderr, "");
    let output = verify(&sandbox, "").exits(1);
    // Of the conda package the cache has all that pixi needs.
    assert_eq!(gaps(&output), ["here unprovable?", "gone missing"], "{}", output.transcript());
    let detail = |at: usize| output.all("gap")[at]["detail"].clone();
    assert_eq!(
        [detail(0), detail(1)],
        [
            Value::from("it is a file or folder elsewhere, looked at only at install"),
            Value::from("it is a file or folder elsewhere, and not there")
        ]
    );
}

#[test]
fn a_version_that_is_no_text_is_refused_as_pixi_refuses_it() {
    let sandbox = real();
    let lock = super::locks::older(4);
    for (text, number) in [
        ("version: '1.0'", "version: 1.0"),
        ("version: 1.17.0", "version: 1"),
        ("build: h1111111_0", "build: 0"),
    ] {
        assert!(lock.contains(text));
        sandbox.write("template/pixi.lock", lock.replace(text, number));
        let failed = verify(&sandbox, "").exits(65).one("failed");
        assert!(failed["cause"].as_str().unwrap().contains("expected a string"), "{failed}");
    }
}

#[test]
fn a_lock_file_leads_nowhere_out_of_the_cache() {
    let sandbox = real();
    let lock = sandbox.read("template/pixi.lock");
    let tinylib = "  sha256: 79e7babd";
    for field in ["subdir: ../../x", "subdir: ..", "build: ../../x", "version: 1/2", "name: ../x"] {
        sandbox.write("template/pixi.lock", lock.replace(tinylib, &format!("  {field}\n{tinylib}")));
        let failed = verify(&sandbox, "--repair").exits(65).one("failed");
        assert!(
            failed["cause"].as_str().unwrap().ends_with("has a path where a name should be"),
            "{field}: {failed}"
        );
    }
    sandbox.write("template/pixi.lock", lock.replace("  name: six\n", "  name: ../six\n"));
    drop(verify(&sandbox, "--repair").exits(65));
}
