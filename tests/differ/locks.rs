//! Lock files, read by rattler and by us.
mod generated;

use crate::icache;
use crate::icache::locks;
use crate::kit::{Pixi, Sandbox, root};
use lock::{Conda, LockFile, Origin, Package, Pypi};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What rattler reads in each file: its packages, one line for each, or why it refuses the file.
fn rattlers(paths: &[PathBuf]) -> Vec<Result<Vec<String>, String>> {
    let program = root().join("tests/standin/locked.py");
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(Pixi::get().python());
    let output = sandbox.finish(command.arg("-IB").arg(program).args(paths)).exits(0);
    let mut read: Vec<Result<Vec<String>, String>> = vec![Ok(Vec::new()); paths.len()];
    for line in output.stdout.lines() {
        let mut line: Value = serde_json::from_str(line).unwrap();
        let fields = line.as_object_mut().unwrap();
        let file = usize::try_from(fields.remove("file").unwrap().as_u64().unwrap()).unwrap();
        match fields.get("error") {
            Some(error) => read[file] = Err(error.as_str().unwrap().to_owned()),
            None => read[file].as_mut().unwrap().push(ordered(line)),
        }
    }
    read.iter_mut().flatten().for_each(|lines| lines.sort());
    read
}

/// A line with its fields in order.
fn ordered(line: Value) -> String {
    let fields: BTreeMap<String, Value> = serde_json::from_value(line).unwrap();
    json!(fields).to_string()
}

/// The same of ours.
fn ours(path: &Path) -> Result<Vec<String>, String> {
    let lock = LockFile::parse(&std::fs::read(path).unwrap()).map_err(|error| error.to_string())?;
    let mut lines = Vec::new();
    for (environment, of) in &lock.environments {
        for (platform, of) in &of.platforms {
            for package in &of.packages {
                let mut line = match package {
                    Package::Conda(package) => conda(package),
                    Package::Pypi(package) => pypi(package),
                };
                line["environment"] = json!(environment);
                line["platform"] = json!(platform);
                line["platform_subdir"] = json!(of.subdir);
                lines.push(ordered(line));
            }
        }
    }
    lines.sort();
    Ok(lines)
}

fn conda(package: &Conda) -> Value {
    if package.source {
        // Of those the name is all that is looked at.
        return json!({"kind": "conda", "source": true, "name": package.name});
    }
    let milliseconds =
        |timestamp: u64| if timestamp > 253_402_300_799 { timestamp } else { timestamp * 1000 };
    json!({
        "kind": "conda", "source": false, "location": package.location, "name": package.name, "version": package.version,
        "build": package.build, "build_number": package.build_number, "subdir": package.subdir,
        "sha256": package.sha256, "size_bytes": package.size_bytes, "timestamp": package.timestamp.map(milliseconds),
    })
}

fn pypi(package: &Pypi) -> Value {
    let (origin, location) = match &package.origin {
        Origin::Wheel { url, .. } | Origin::Sdist { url, .. } => ("index", url.clone()),
        Origin::DirectWheel { url } | Origin::DirectSdist { url } => ("direct", url.clone()),
        Origin::Git { url } => ("git", url.clone()),
        Origin::Path { path } => ("path", path.to_str().unwrap().to_owned()),
    };
    // rattler forgets what version 6 and those before say of a folder: what is in it then decides.
    let folder = origin == "path" && !location.ends_with(".whl");
    let version = package.version.as_ref().filter(|_| !folder);
    json!({
        "kind": "pypi", "origin": origin, "location": location, "name": package.name, "version": version,
        "sha256": package.sha256, "md5": package.md5,
    })
}

/// Both read the same in each of these files.
#[track_caller]
fn same(paths: &[PathBuf]) {
    for (path, theirs) in paths.iter().zip(rattlers(paths)) {
        let (ours, theirs) = (ours(path).unwrap(), theirs.unwrap());
        let only = |these: &[String], those: &[String]| {
            these.iter().filter(|line| !those.contains(line)).take(5).cloned().collect::<Vec<_>>().join("\n")
        };
        let (mine, other) = (only(&ours, &theirs), only(&theirs, &ours));
        let text = || std::fs::read_to_string(path).unwrap();
        assert!(
            ours == theirs,
            "{}:\nours {} only\n{mine}\nrattler's {} only\n{other}\n{}",
            path.display(),
            ours.len(),
            theirs.len(),
            text()
        );
        assert!(!ours.is_empty(), "{}", text());
    }
}

#[test]
fn the_locks_of_the_tests_say_to_us_what_they_say_to_rattler() {
    let sandbox = icache::real();
    let mut paths =
        vec![sandbox.path("template/pixi.lock"), root().join("scripts/templates/sglang/pixi.lock")];
    for version in [4, 5] {
        // Where no number is written, or 0, rattler takes the build string's; pixi wrote none where it was 0.
        let text =
            locks::older(version).replace("h2222222_7\n  build_number: 0", "h2222222_7\n  build_number: 7");
        paths.push(sandbox.write(&format!("{version}.lock"), text));
    }
    for version in [6, 7] {
        paths.push(sandbox.write(&format!("{version}.lock"), locks::newer(version)));
    }
    same(&paths);
}

/// pixi wrote such when it turned a lock of version 3 into one of version 4: a noarch archive once for each platform, and no
/// build strings.
#[test]
fn archives_that_an_old_lock_has_once_for_each_platform_are_distinguished_as_rattler_does() {
    let sandbox = Sandbox::new();
    let url = "https://x.invalid/forge/noarch/pip-23.2.1-pyhd8ed1ab_3.conda";
    let mut text = "version: 4\nenvironments:\n  default:\n    channels: []\n    packages:\n".to_owned();
    let subdirs = ["osx-64", "linux-64", "linux-aarch64"];
    for subdir in subdirs {
        text.push_str(&format!("      {subdir}:\n      - conda: {url}\n"));
    }
    text.push_str("packages:\n");
    for subdir in subdirs {
        text.push_str(&format!(
            "- kind: conda\n  name: pip\n  version: 23.2.1\n  subdir: {subdir}\n  url: {url}\n"
        ));
    }
    same(&[sandbox.write("old.lock", text)]);
}

/// Saved by an editor of another system.
#[test]
fn markers_and_encodings_are_read_as_rattler_reads_them() {
    let sandbox = Sandbox::new();
    let text = locks::newer(7);
    same(&[
        sandbox.write("below.lock", format!("\u{feff}\n{text}")),
        sandbox.write("windows.lock", text.replace('\n', "\r\n")),
    ]);
    let wide: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let latin = [text.as_bytes(), b"# caf\xe9\n"].concat();
    let paths = [sandbox.write("wide.lock", wide), sandbox.write("latin.lock", latin)];
    for (path, theirs) in paths.iter().zip(rattlers(&paths)) {
        assert!(theirs.unwrap_err().contains("did not contain valid UTF-8"));
        assert_eq!(ours(path).unwrap_err(), "it is not UTF-8");
    }
}

#[test]
fn what_rattler_refuses_is_refused() {
    let head = |platform: &str, location: &str| {
        format!(
            "version: 7\nplatforms:\n- name: linux-64\nenvironments:\n  default:\n    channels: []\n    packages:\n      \
             {platform}:\n      - {location}\npackages:\n"
        )
    };
    let with = |location: &str, rest: &str| format!("{}- {location}\n{rest}", head("linux-64", location));
    let sandbox = Sandbox::new();
    let wheel = "pypi: https://x.invalid/six-1.17.0-py2.py3-none-any.whl";
    let cases = [
        (with("conda: ./a-1.0-0.conda", ""), "./a-1.0-0.conda has no subdir"),
        (with("conda: file:///linux-64/a-1.0-0.conda", ""), "has no subdir"),
        (with("conda: https://x.invalid/own-channel/a-1.0-0.conda", ""), "has no subdir"),
        (
            with("conda: ./folder", "  name: a\n  version: '1'\n  subdir: noarch\n"),
            "is not an archive of a conda package",
        ),
        (with(wheel, "  version: 1.17.0\n"), "has no name"),
        (head("linux-64", wheel), "is not among the packages"),
        (
            with(wheel, "  name: six\n").replace("      linux-64", "      gpu"),
            "'gpu', which is not among the platforms",
        ),
        ("version: 8\nenvironments: {}\npackages: []\n".to_owned(), "it has version 8"),
        (
            format!("\u{feff}{}", locks::newer(7)),
            "it begins with a byte order mark, which pixi does not read",
        ),
    ];
    let paths: Vec<PathBuf> = cases
        .iter()
        .enumerate()
        .map(|(number, (text, _))| sandbox.write(&format!("{number}.lock"), text))
        .collect();
    for ((text, cause), (path, theirs)) in cases.iter().zip(paths.iter().zip(rattlers(&paths))) {
        assert!(theirs.is_err(), "{text}");
        let error = ours(path).unwrap_err();
        assert!(error.ends_with(cause) || error.starts_with(cause), "{error}\n{text}");
    }
}
