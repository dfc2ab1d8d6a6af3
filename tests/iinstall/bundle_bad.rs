//! Bundles that are refused: each by name, with nothing installed and `current` as it was.
use super::bundle::{PYTHON, Site, WHEEL};
use super::pack::Pack;
use crate::kit::fixture;
use std::fs;
use std::path::Path;

/// A site where something is installed already.
fn site() -> Site {
    let mut site = Site::quick();
    drop(site.install(fixture::bundle()).exits(0));
    site
}

/// Assert that this bundle is refused with this code and cause.
#[track_caller]
fn refused(site: &mut Site, bundle: &Path, code: i32, cause: &str) {
    let before = (site.current(), site.installs().0);
    let output = site.install(bundle).exits(code);
    let failed = output.one("failed");
    let said = failed["cause"].as_str().unwrap();
    assert!(said.contains(cause), "'{said}' has no '{cause}'");
    assert!(
        failed["what"].as_str().unwrap().contains(bundle.file_name().unwrap().to_str().unwrap()),
        "{failed}"
    );
    assert_eq!(output.all("installed").len(), 0);
    assert_eq!((site.current(), site.installs().0), before);
    assert_eq!(site.installs().1, [""; 0], "{cause}: something is left");
}

/// Flip one byte of a file in the sandbox.
fn damage(site: &Site, name: &str, at: usize) {
    let path = site.sandbox.path(name);
    let mut bytes = fs::read(&path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_bundle_that_differs_from_its_manifest() {
    let mut site = site();
    let good = site.pack("b.tar");
    let manifest = site.describe("b.tar");
    let said = fs::read_to_string(&manifest).unwrap();

    damage(&site, &format!("members/{WHEEL}"), 100);
    let bundle = site.pack("b.tar");
    refused(&mut site, &bundle, 65, &format!("{WHEEL} has sha256 "));
    damage(&site, &format!("members/{WHEEL}"), 100);

    // The same members, and something behind the end mark or between them.
    site.sh("cp members/pixi-pack.json kept");
    site.pack("b.tar");
    damage(&site, "b.tar", fs::metadata(&good).unwrap().len() as usize - 1);
    refused(&mut site, &good, 65, "its sha256 is ");

    // One too many or too few, where the manifest is made to agree about the whole.
    let whole = |site: &Site| {
        let mut manifest: serde_json::Value = serde_json::from_str(&said).unwrap();
        manifest["size_bytes"] = fs::metadata(site.sandbox.path("b.tar")).unwrap().len().into();
        site.sandbox.write("b.tar.json", manifest.to_string());
    };
    site.sh("head -c 20000 /dev/zero > members/pypi/evil-1-py3-none-any.whl");
    site.pack("b.tar");
    refused(&mut site, &good, 65, "and by $SANDBOX/b.tar.json it should have ");
    whole(&site);
    refused(&mut site, &good, 65, "pypi/evil-1-py3-none-any.whl is one too many");
    site.sh(&format!("rm members/pypi/evil-1-py3-none-any.whl; mv members/{WHEEL} wheel"));
    site.pack("b.tar");
    whole(&site);
    refused(&mut site, &good, 65, &format!("{WHEEL} is missing"));
    site.sh(&format!("mv wheel members/{WHEEL}"));
    site.pack("b.tar");

    for (text, cause) in [
        ("{\"format\": 2}", "its format is 2"),
        ("{", "it is not a bundle's manifest: EOF"),
        ("\u{feff}{}", "it is not a bundle's manifest: it begins with a byte order mark"),
    ] {
        site.sandbox.write("b.tar.json", text);
        let failed = site.install(&good).exits(65).one("failed");
        assert_eq!(failed["what"], "cannot read $SANDBOX/b.tar.json");
        assert!(failed["cause"].as_str().unwrap().contains(cause), "{failed}");
    }
    // Nobody waits for what a pipe will say.
    site.sh("rm b.tar.json; mkfifo b.tar.json");
    let failed = site.install(&good).exits(69).one("failed");
    assert_eq!(
        (&failed["what"], &failed["cause"]),
        (&"cannot read $SANDBOX/b.tar.json".into(), &"not a regular file".into())
    );
}

#[test]
fn a_bundle_that_differs_from_the_lock() {
    let mut site = site();
    fixture::tiny(&site.sandbox.path("tiny"));
    site.set("template_dir", site.sandbox.text("tiny/template"));
    for (script, undo, cause) in [
        (
            format!("printf x >> members/{PYTHON}"),
            format!("truncate -s -1 members/{PYTHON}"),
            format!("{PYTHON} has sha256 "),
        ),
        (
            format!("printf x >> members/{WHEEL}"),
            format!("truncate -s -1 members/{WHEEL}"),
            format!("{WHEEL} has sha256 "),
        ),
        (
            "cp members/pixi-pack.json members/channel/noarch/evil-1-0.conda".to_owned(),
            "rm members/channel/noarch/evil-1-0.conda".to_owned(),
            "channel/noarch/evil-1-0.conda is one too many".to_owned(),
        ),
        (format!("mv members/{WHEEL} w"), format!("mv w members/{WHEEL}"), format!("{WHEEL} is missing")),
        (
            "echo x > members/run-me".to_owned(),
            "rm members/run-me".to_owned(),
            "run-me is one too many".to_owned(),
        ),
    ] {
        site.sh(&script);
        let bundle = site.pack("b.tar");
        refused(&mut site, &bundle, 65, &cause);
        site.sh(&undo);
    }
    site.set("pixi_env", "gpu");
    let bundle = site.pack("b.tar");
    refused(&mut site, &bundle, 69, "has no environment 'gpu' for linux-64");
    site.sh("rm tiny/template/pixi.lock; mkfifo tiny/template/pixi.lock");
    let failed = site.install(&bundle).exits(69).one("failed");
    assert_eq!(
        (&failed["what"], &failed["cause"]),
        (&"cannot read $SANDBOX/tiny/template/pixi.lock".into(), &"not a regular file".into())
    );
}

#[test]
fn what_is_not_a_bundle_for_this_machine() {
    let mut site = site();
    let info = |version: &str, platform: &str| {
        format!(r#"{{"version": "{version}", "pixi-pack-version": "0.7.10", "platform": "{platform}"}}"#)
    };
    for (text, code, cause) in [
        (info("1", "osx-arm64"), 69, "it is for platform osx-arm64, and this machine is linux-"),
        (info("2", "linux-64"), 65, "it has format version \"2\"; \"1\" is understood"),
        ("nothing".to_owned(), 65, "its pixi-pack.json is malformed: "),
        (String::new(), 65, "its pixi-pack.json is malformed: EOF while parsing"),
        ("[]".to_owned(), 65, "its pixi-pack.json is malformed: invalid length 0"),
        ("{}".to_owned(), 65, "its pixi-pack.json is malformed: missing field `version`"),
        ("null".to_owned(), 65, "its pixi-pack.json is malformed: invalid type: null"),
        (info("1", "linux-64").replace("\"1\"", "1"), 65, "malformed: invalid type: integer `1`"),
        (info("1", "linux-64").replace("\"linux-64\"", "null"), 65, "malformed: invalid type: null"),
        (format!("\u{feff}{}", info("1", "linux-64")), 65, "malformed: it begins with a byte order mark"),
        (info("1", "linux-64") + "x", 65, "its pixi-pack.json is malformed: trailing characters"),
    ] {
        site.sandbox.write("members/pixi-pack.json", text);
        let bundle = site.pack("b.tar");
        refused(&mut site, &bundle, code, cause);
    }
    site.sh("rm members/pixi-pack.json; mkdir members/pixi-pack.json");
    let bundle = site.pack("b.tar");
    refused(&mut site, &bundle, 65, "it is not a pixi-pack bundle: it has no pixi-pack.json");
    site.sh("rmdir members/pixi-pack.json");
    let bundle = site.pack("b.tar");
    refused(&mut site, &bundle, 65, "it is not a pixi-pack bundle: it has no pixi-pack.json");

    site.set("sha256", "00".repeat(32));
    let wrong = site.install(fixture::bundle()).exits(65).one("failed");
    assert!(wrong["what"].as_str().unwrap().ends_with("is not the bundle that was asked for"), "{wrong}");
    site.unset("sha256");

    let other = [
        ("b.zip", Vec::from(b"PK\x03\x04".as_slice()), "it is a .zip, which no bundle is"),
        ("empty", vec![], "the file is empty"),
        ("text", b"hello".to_vec(), "it is not an archive"),
    ];
    for (name, bytes, cause) in other {
        let bundle = site.sandbox.write(name, bytes);
        refused(&mut site, &bundle, 65, cause);
    }
    for (pack, cause) in [
        (Pack::new().link("pypi/a.whl", "/etc/passwd"), "member 'pypi/a.whl': a link, which no bundle has"),
        (Pack::new().file("../x", ""), "a path that leads out of the archive"),
        (Pack::new().file("x", "1").file("x", "2"), "two members have this name"),
        (Pack::new().member("x", b'1', "y", 0o644, b""), "a link, which no bundle has"),
        (Pack::new().member("x", b'6', "", 0o644, b""), "a named pipe"),
    ] {
        let bundle = pack.save(&site.sandbox.path("odd.tar"));
        refused(&mut site, &bundle, 65, cause);
    }
}

#[test]
fn scripts_that_are_cut_short_or_full_of_noise() {
    let mut site = site();
    site.pack("b.tar");
    let script = site.script("b.tar", "b.sh");
    let good = fs::read(&script).unwrap();
    let find = |mark: &[u8]| good.windows(mark.len()).position(|window| window == mark).unwrap();
    let (payload, end) = (find(b"@@END_HEADER@@\n\n") + 16, find(b"\n@@END_ARCHIVE@@\n"));
    let with = |at: usize, text: &[u8]| [&good[..at], text, &good[at + text.len()..]].concat();
    let cut = "it is truncated: it ends before its end mark";
    for (bytes, cause) in [
        (good[..payload + (end - payload) / 2 / 4 * 4].to_vec(), cut.to_owned()),
        (good[..end].to_vec(), cut.to_owned()),
        (good[..end + 5].to_vec(), cut.to_owned()),
        (good[..end + 17].to_vec(), cut.to_owned()),
        (with(payload + 1000, b"!"), format!("byte {}: '!' is not base64", payload + 1000)),
        (with(payload + 1001, b"\n"), format!("byte {}: ", payload + 1000)),
        (with(end - 8, b"=="), "byte ".to_owned()),
        (with(end + 1, b"@@END_NOTHING@@"), format!("byte {end}: the line @@END_ARCHIVE@@ should be here")),
        (with(end + 20, b"?"), format!("byte {}: '?' is not base64", end + 20)),
        (with(payload - 16, b"@@NO_HEADER@@@"), "it is a script without the line @@END_HEADER@@".to_owned()),
        (
            [b"#!/bin/sh\n".as_slice(), &b"# more\n".repeat(200_000), &good[10..]].concat(),
            "it is a script without the line @@END_HEADER@@ in its first 1024 KiB".to_owned(),
        ),
    ] {
        fs::write(&script, bytes).unwrap();
        refused(&mut site, &script, 65, &cause);
    }
    // Half of a tar that says so itself, in a script that is whole.
    site.sh("head -c 8M b.tar > half.tar");
    site.script("half.tar", "b.sh");
    refused(&mut site, &script, 65, cut);
    fs::write(&script, &good).unwrap();
    drop(site.install(&script).exits(0));
}

#[test]
fn compressed_ones_that_are_cut_short_or_damaged() {
    let mut site = site();
    site.pack("b.tar");
    site.sh("gzip -1 b.tar; mv b.tar.gz b.tgz");
    let good = fs::read(site.sandbox.path("b.tgz")).unwrap();
    let flipped = |at: usize| [&good[..at], &[good[at] ^ 1], &good[at + 1..]].concat();
    for (bytes, cause) in [
        (good[..good.len() / 2].to_vec(), "it is truncated: it ends before its end mark"),
        (good[..good.len() - 4].to_vec(), "it is truncated: it ends before its end mark"),
        (flipped(good.len() - 6), "it is damaged: "),
    ] {
        let bundle = site.sandbox.write("b.tgz", bytes);
        refused(&mut site, &bundle, 65, cause);
    }
    let bundle = site.sandbox.write("b.tgz", good);
    drop(site.install(bundle).exits(0));
}

#[test]
fn a_script_whose_pixi_unpack_cannot_run_here() {
    let mut site = site();
    site.pack("b.tar");
    let script = site.script("b.tar", "b.sh");
    let with = |program: &str| {
        site.sh(&format!(
            "{{ cat header; echo; base64 -w0 b.tar; echo; echo @@END_ARCHIVE@@; base64 -w0 {program}; }} > b.sh"
        ));
    };
    site.sh("cp $(type -P true) elf; printf '\\363\\0' | dd of=elf bs=1 seek=18 conv=notrunc 2>/dev/null");
    with("elf");
    refused(&mut site, &script, 69, "the pixi-unpack in it is for another machine");
    let site = &mut site;
    site.sh(
        "{ cat header; echo; base64 -w0 b.tar; echo; echo @@END_ARCHIVE@@; echo text | base64 -w0; } > b.sh",
    );
    refused(site, &script, 65, "the pixi-unpack in it is not a program");
}

#[test]
fn an_environment_without_python_is_none() {
    let mut site = site();
    let idle = site.sandbox.script("idle/pixi-unpack", "#!/bin/sh\nmkdir -p \"$2/env/bin\"\n");
    site.set("pixi_unpack", idle.to_str().unwrap());
    let bundle = site.pack("b.tar");
    site.set("force", true);
    refused(&mut site, &bundle, 69, "bin/python");
}
