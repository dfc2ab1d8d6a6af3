//! Packages that are in no lock file, put into a bundle.
use super::{QUICK, connected, manifest, ok};
use crate::kit::Sandbox;

/// A wheel with a module, and a conda package with a file.
const MAKE: &str = r#"
import bz2, hashlib, io, json, tarfile, zipfile
with zipfile.ZipFile("extra-1.0-py3-none-any.whl", "w") as wheel:
    about = "extra-1.0.dist-info/"
    files = {"extra.py": "said = 'injected'\n", about + "METADATA": "Metadata-Version: 2.1\nName: extra\nVersion: 1.0\n",
             about + "WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    for name, text in files.items():
        wheel.writestr(name, text)
    wheel.writestr(about + "RECORD", "".join(name + ",,\n" for name in [*files, about + "RECORD"]))
content = b"injected\n"
listed = {"_path": "share/more", "path_type": "hardlink", "sha256": hashlib.sha256(content).hexdigest(), "size_in_bytes": 9}
index = {"name": "more", "version": "1.0", "build": "h0_0", "build_number": 0, "depends": [], "subdir": "linux-64"}
files = {"share/more": content, "info/index.json": json.dumps(index).encode(), "info/files": b"share/more\n",
         "info/paths.json": json.dumps({"paths": [listed], "paths_version": 1}).encode()}
with tarfile.open("more-1.0-h0_0.tar.bz2", "w:bz2") as archive:
    for name, content in files.items():
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
"#;

fn site() -> (Sandbox, crate::kit::Loopback) {
    let (sandbox, channel) = connected();
    sandbox.write("make.py", MAKE);
    ok(&sandbox, "python3 make.py");
    (sandbox, channel)
}

#[test]
fn a_wheel_and_a_conda_package_that_are_not_locked_are_installed_with_the_rest() {
    let (mut sandbox, channel) = site();
    let both = "--inject extra-1.0-py3-none-any.whl --inject more-1.0-h0_0.tar.bz2";
    ok(&sandbox, &format!("{QUICK} {both}"));
    drop(channel);
    let injected = &manifest(&sandbox, "b.tar")["injected"];
    let expected = ["channel/linux-64/more-1.0-h0_0.tar.bz2", "pypi/extra-1.0-py3-none-any.whl"];
    assert_eq!(injected, &serde_json::json!(expected));
    for (name, file) in [("BUNDLE_PATH", "b.tar"), ("TEMPLATE_DIR", "template")] {
        let path = sandbox.text(file);
        sandbox.set(&format!("AUTO_INFER_SGLANG_{name}"), &path);
    }
    let installed = sandbox.sh("ienv sglang | iinstall").exits(0).one("installed");
    let proved = &installed["checks"]["proved"];
    assert!(proved.as_array().unwrap().contains(&"lock".into()), "{installed}");
    let python = installed["python"].as_str().unwrap().trim_start_matches("$SANDBOX/");
    let script = format!(
        "'{python}' -IBc 'import extra; print(extra.said)'; cat \"$(dirname '{python}')/../share/more\""
    );
    assert_eq!(sandbox.sh(&script).exits(0).stdout, "injected\ninjected\n");
    // Without the manifest nobody says that they may be there.
    let output = sandbox.sh("rm b.tar.json; ienv sglang | iinstall").exits(65);
    assert!(output.stderr.contains("is one too many"), "{}", output.stderr);
}

#[test]
fn what_is_no_package_or_is_locked_already_is_refused() {
    let (sandbox, _channel) = site();
    for (file, code, said) in [
        ("template/pixi.toml", 2, "its name is that of no package"),
        ("none-1.0-h0_0.conda", 69, "No such file or directory"),
    ] {
        let output = sandbox.sh(&format!("{QUICK} --inject {file}")).exits(code);
        assert!(output.stderr.contains(said), "{file}: {}", output.stderr);
    }
    let locked = "cp extra-1.0-py3-none-any.whl sglang-0.5.7-py3-none-any.whl";
    drop(sandbox.sh(&format!("{locked}; {QUICK} --inject sglang-0.5.7-py3-none-any.whl")).exits(65));
    assert!(!sandbox.path("b.tar").exists());
}
