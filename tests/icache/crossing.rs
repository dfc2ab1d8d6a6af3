//! From a connected machine to an offline one and back: what is damaged is fetched again, and only what is new crosses.
use super::{gaps, kinds};
use crate::kit::{Loopback, Output, Pixi, Sandbox, as_each, fixture, is_root, tools};
use serde_json::Value;

/// A small SGLang in a cache, its channel and index on loopback, and pixi on PATH.
pub(super) fn site() -> (Sandbox, Loopback) {
    let mut sandbox = Sandbox::new();
    let me = sandbox.sh("id -un").exits(0).stdout;
    let path = format!("{}:{}:/usr/bin:/bin", tools().display(), Pixi::get().bin.display());
    sandbox.set("PATH", &path);
    for (name, folder) in [("TEMPLATE_DIR", "template"), ("CACHE_ROOT", "cache")] {
        let folder = sandbox.text(folder);
        sandbox.set(&format!("AUTO_INFER_SGLANG_{name}"), &folder);
    }
    sandbox.set("AUTO_INFER_SGLANG_USER", me.trim());
    let channel = fixture::engine("sglang", &sandbox.path(""));
    (sandbox, channel)
}

pub(super) fn verify(sandbox: &Sandbox, options: &str) -> Output {
    sandbox.sh(&format!("ienv sglang | icache {options}"))
}

/// A wheel of an index, one whose lock has no hash, and a conda package are not there.
const FORGET: &str = "find cache/pypi/uv/wheels-v6 -name '*.http' -path '*/sglang/*' -delete
    find cache/pypi/uv/wheels-v6 -name '*.http' -path '*/torch/*' -delete
    rm -r cache/conda/rattler/pkgs/tinylib-*";

fn files(sandbox: &Sandbox, list: &str) -> Vec<Value> {
    let list: Value = serde_json::from_str(&sandbox.read(list)).unwrap();
    assert_eq!(list["format"], 1);
    list["files"].as_array().unwrap().clone()
}

#[test]
fn after_a_change_of_three_packages_exactly_their_bytes_cross_and_the_install_passes() {
    let (sandbox, channel) = site();
    assert!(gaps(&verify(&sandbox, "--deep").exits(0)).is_empty());
    assert_eq!(sandbox.sh(FORGET).exits(0).stderr, "");
    // The offline side says what it has.
    let output = verify(&sandbox, "--have have").exits(1);
    let packages = output.one("cache")["packages"].as_u64().unwrap();
    assert_eq!(gaps(&output).len(), 3, "{}", output.transcript());
    assert_eq!(files(&sandbox, "have").len() as u64, packages - 3);

    // The connected side, which has nothing, fetches the rest.
    let none = "AUTO_INFER_SGLANG_CACHE_ROOT=$PWD/none ienv sglang | icache --missing";
    drop(sandbox.sh(&format!("{none} all")).exits(1));
    assert_eq!(files(&sandbox, "all").len() as u64, packages);
    drop(sandbox.sh(&format!("{none} get --known have")).exits(1));
    let wanted = files(&sandbox, "get");
    let mut names: Vec<&str> = wanted.iter().map(|file| file["package"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["sglang", "tinylib", "torch"]);
    let before = channel.requests().len();
    let curl = "mkdir fetched; cd fetched; curl --silent --show-error --config ../get.curl";
    assert_eq!(sandbox.sh(curl).exits(0).stderr, "");
    assert_eq!(channel.requests().len() - before, 3);
    let bytes = sandbox.sh("find fetched -type f -printf '%P\\n' | sort").exits(0).stdout;
    let mut paths: Vec<&str> = wanted.iter().map(|file| file["path"].as_str().unwrap()).collect();
    paths.sort_unstable();
    assert_eq!(bytes.lines().collect::<Vec<_>>(), paths);
    let aria2 = sandbox.read("get.aria2");
    assert_eq!(
        (aria2.matches("  out=").count(), aria2.matches("  checksum=sha-256=").count()),
        (3, 2),
        "{aria2}"
    );

    // The offline side takes it in, and nothing is missing any more.
    let output = verify(&sandbox, "--bring fetched --record").exits(0);
    assert!(gaps(&output).is_empty(), "{}", output.transcript());
    assert_eq!(kinds(&output), ["env", "cache"]);
    drop(channel);
    let installed = sandbox.sh("ienv sglang | icache --deep | iinstall").exits(0).one("installed");
    assert_eq!(
        (&installed["checks"]["sglang"], &installed["checks"]["cache"]),
        (&"0.5.7".into(), &"deep".into())
    );
    let left = sandbox.sh("find cache -name '.bring-*' -o -name '*.bring'").exits(0).stdout;
    assert_eq!(left, "");
}

#[test]
fn a_file_that_is_not_the_locked_one_is_not_taken_in() {
    let (sandbox, _channel) = site();
    assert_eq!(sandbox.sh(FORGET).exits(0).stderr, "");
    drop(verify(&sandbox, "--missing get").exits(1));
    let curl = "mkdir fetched; cd fetched; curl --silent --show-error --config ../get.curl; echo >> linux-64/tinylib*; rm pypi/torch*";
    assert_eq!(sandbox.sh(curl).exits(0).stderr, "");
    let output = verify(&sandbox, "--bring fetched").exits(1);
    let mut left = gaps(&output);
    left.sort();
    assert_eq!(left, ["tinylib missing", "torch missing"], "{}", output.transcript());
    let told: Vec<Value> =
        output.all("warning").into_iter().filter(|warning| warning["rule"] == "not_brought").collect();
    assert!(
        told.len() == 1 && told[0]["what"].as_str().unwrap().contains(", not the locked 79e7babd"),
        "{told:?}"
    );
    for (dir, code, hint) in
        [("nowhere", 69, None), ("get.curl", 69, Some("unpack it with tar, and name the folder"))]
    {
        let failed = verify(&sandbox, &format!("--bring {dir}")).exits(code).one("failed");
        assert_eq!(failed["hint"].as_str(), hint, "{failed}");
    }
    // Who installs is not disturbed.
    for options in ["--bring fetched", "--repair"] {
        let held = format!(
            "exec 9> cache/conda/rattler/pkgs/.cache.lock; flock 9; ienv sglang | icache {options} 9>&-"
        );
        let failed = sandbox.sh(&held).exits(75).one("failed");
        assert_eq!(failed["cause"], "somebody installs from it", "{failed}");
    }
    // What is whole is left as it is, and so is a list that is none.
    assert_eq!(verify(&sandbox, "--missing get --known get.curl").exits(65).one("failed")["code"], 65);
}

#[test]
fn what_is_damaged_is_moved_out_of_the_way_and_fetched_again() {
    let (sandbox, _channel) = site();
    let damage = "echo >> cache/conda/rattler/pkgs/tinylib-1.0-h1111111_0/lib/libtiny.so.1.0
        : > cache/conda/rattler/pkgs/cuda-version-12.8-0.lock
        for file in cache/pypi/uv/archive-v0/*/sglang/launch_server.py; do echo >> $file; done
        mkdir -p cache/conda/rattler/pkgs; rm -f cache/conda/rattler/pkgs/.cache.lock; mkdir cache/conda/rattler/pkgs/.cache.lock";
    assert_eq!(sandbox.sh(damage).exits(0).stderr, "");
    let found = verify(&sandbox, "--deep").exits(1);
    assert_eq!(gaps(&found).len(), 4, "{}", found.transcript());
    // pixi alone takes what lies there for whole.
    let output = verify(&sandbox, "--deep --repair").exits(0);
    assert_eq!(gaps(&output), gaps(&found));
    let told = output.all("warning").into_iter().find(|warning| warning["rule"] == "set_aside").unwrap();
    let folder = told["what"].as_str().unwrap().rsplit("$SANDBOX/").next().unwrap().to_owned();
    let moved = sandbox.sh(&format!("ls {folder}")).exits(0).stdout;
    assert!(moved.contains("conda+rattler+pkgs+tinylib-1.0-h1111111_0\n"), "{moved}");
    let missing = verify(&sandbox, "").exits(1);
    assert!(gaps(&missing).iter().all(|gap| gap.ends_with(" missing")), "{}", missing.transcript());

    // A cache is filled only where it outlives the container.
    let script = "mount --bind cache cache; ienv sglang | icache --repair | iwarm | icache | iinstall";
    let mut command = sandbox.command("unshare");
    let user: &[&str] = if is_root() { &["-m"] } else { &["-rm"] };
    let output = sandbox.finish(command.args(user).args(["bash", "-euo", "pipefail", "-c", script])).exits(0);
    assert_eq!(output.all("cache").last().unwrap()["gaps"], 0, "{}", output.transcript());
    output.one("installed");

    // What comes with the stream iwarm moves away itself, and takes back that the cache is not whole.
    let script = format!(
        "{damage}\nmount --bind cache cache; ienv sglang | icache --deep | iwarm | icache | iinstall"
    );
    let mut command = sandbox.command("unshare");
    let output = sandbox.finish(command.args(user).args(["bash", "-euc", &script])).exits(0);
    let caches: Vec<Value> = output.all("cache").iter().map(|cache| cache["gaps"].clone()).collect();
    assert_eq!(caches, [4, 0], "{}", output.transcript());
    assert_eq!(output.all("failed").len(), 0, "{}", output.transcript());
    assert!(
        output.all("warning").iter().any(|warning| warning["rule"] == "set_aside"),
        "{}",
        output.transcript()
    );
    output.one("warmed");
    output.one("installed");
}

#[test]
fn a_gap_that_nobody_mends_still_ends_the_engine() {
    let (sandbox, _channel) = site();
    assert_eq!(sandbox.sh(FORGET).exits(0).stderr, "");
    // Where boot asked for no cache iwarm passes the word on.
    let gated = r#"ienv sglang | jq -c 'if .kind == "env" then .steps = ["install"] else . end' | icache"#;
    let output = sandbox.sh(&format!("{gated} | iwarm | iinstall")).exits(1);
    assert_eq!(output.one("failed")["by"], "icache");
    assert!(output.all("warmed").is_empty() && output.all("installed").is_empty(), "{}", output.transcript());
    // Where it cannot, its own word stands in the place.
    let output = sandbox.sh("ienv sglang | icache | PATH=${PATH%%:*} iwarm").exits(69);
    assert_eq!(output.one("failed")["by"], "iwarm");
}

#[test]
fn a_pack_of_what_another_machine_lacks_holds_that_alone_and_is_taken_into_its_cache() {
    let (mut sandbox, channel) = site();
    assert_eq!(sandbox.sh(FORGET).exits(0).stderr, "");
    drop(verify(&sandbox, "--have have").exits(1));
    let pack = "ipack --template template --skip-verify --retry-sleep 0";
    drop(sandbox.sh(&format!("{pack} -o all.tar")).exits(0));
    let packed = sandbox.sh(&format!("{pack} -o new.tar --have have")).exits(0).one("packed");
    let whole: Value = serde_json::from_str(&sandbox.read("all.tar.json")).unwrap();
    let thin: Value = serde_json::from_str(&sandbox.read("new.tar.json")).unwrap();
    let members = thin["members"].as_array().unwrap();
    let path = |member: &Value| member["path"].as_str().unwrap().to_owned();
    let new = |path: &String| ["sglang-", "torch-", "tinylib-"].iter().any(|name| path.contains(name));
    let mut of_whole = whole["members"].as_array().unwrap().clone();
    of_whole.retain(|member| new(&path(member)));
    assert_eq!((members.len(), members), (3, &of_whole));
    let packages = whole["members"].as_array().unwrap().iter().map(path);
    let packages =
        packages.filter(|path| [".conda", ".bz2", ".whl"].iter().any(|end| path.ends_with(end))).count();
    assert_eq!(packed["left_out"], packages - 3);
    assert_eq!(
        (&packed["members"], &packed["proved"], &thin["left_out"]),
        (&3.into(), &2.into(), &packed["left_out"])
    );
    let listed = sandbox.sh("tar -tf new.tar").exits(0).stdout;
    assert_eq!(listed.lines().collect::<Vec<_>>(), members.iter().map(path).collect::<Vec<_>>());
    let sum = sandbox.sh("sha256sum < new.tar").exits(0).stdout;
    assert_eq!(sum, format!("{}  -\n", packed["sha256"].as_str().unwrap()));

    // It is no bundle that could be installed alone, with its manifest or without.
    drop(channel);
    let bundle = sandbox.text("new.tar");
    sandbox.set("BUNDLE", &bundle);
    let install = "AUTO_INFER_SGLANG_BUNDLE_PATH=$BUNDLE ienv sglang | iinstall";
    let refused = sandbox.sh(install).exits(65).one("failed");
    assert!(refused["hint"].as_str().unwrap().contains("icache --bring"), "{refused}");
    drop(
        sandbox
            .sh(&format!("mv new.tar.json away; unset AUTO_INFER_SGLANG_TEMPLATE_DIR; {install}"))
            .exits(65),
    );

    let script = "mkdir new; tar -xf new.tar -C new; ienv sglang | icache --deep --bring new | iinstall";
    assert_eq!(sandbox.sh(script).exits(0).one("installed")["checks"]["sglang"], "0.5.7");
    drop(sandbox.sh(&format!("{pack} -o none.tar --have get")).exits(69));
    drop(sandbox.sh(&format!("{pack} -o none.tar --have new.tar")).exits(65));
    drop(sandbox.sh(&format!("{pack} -o none.sh --have have --create-executable")).exits(2));
}

#[test]
fn what_could_not_be_looked_at_is_neither_called_damaged_nor_moved() {
    let mut sandbox = super::real();
    drop(verify(&sandbox, "--deep --platform linux-64").exits(0));
    let before = sandbox.sh("find cache | sort").exits(0).stdout;
    for options in ["--deep", "--deep --repair", "--deep --bring template"] {
        let script = format!("ienv sglang > env; ulimit -n 4; icache --platform linux-64 {options} < env");
        let output = sandbox.sh(&script).exits(75);
        assert_eq!(gaps(&output), [""; 0], "{options}");
        let cause = output.one("failed")["cause"].clone();
        assert!(cause.as_str().unwrap().contains("Too many open files"), "{cause}");
        assert_eq!(sandbox.sh("find cache | sort").exits(0).stdout, before, "{options}");
    }
    if !as_each() {
        return;
    }
    // What is closed to the user who installs may be whole.
    sandbox.set("AUTO_INFER_SGLANG_USER", "nobody");
    let close = "chmod -R a+rX,a-w . ; chmod 600 cache/conda/rattler/pkgs/tinylib-1.0-h1111111_0/lib/*";
    drop(sandbox.sh(close).exits(0));
    let told = verify(&sandbox, "--platform linux-64 --deep").exits(1);
    assert_eq!(gaps(&told), ["tinylib damaged"], "{}", told.transcript());
    let failed = verify(&sandbox, "--platform linux-64 --deep --repair").exits(69).one("failed");
    assert!(failed["hint"].as_str().unwrap().contains("what is closed may be whole"), "{failed}");
    assert_eq!(sandbox.sh("find cache | sort").exits(0).stdout, before);
}
