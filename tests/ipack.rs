//! Bundles made from a project on loopback, and what is left where that fails.
mod download;
mod injected;
mod interrupted;

use crate::kit::{Loopback, Pixi, Sandbox, fixture, root, tools};
use serde_json::Value;
use std::collections::BTreeMap;

/// A sandbox with the programs on PATH, a `template` of SGLang and the server of its packages.
fn connected() -> (Sandbox, Loopback) {
    let mut sandbox = Sandbox::new();
    let pixi = &Pixi::get().bin;
    let system = "/usr/local/bin:/usr/bin:/bin";
    let scripts = root().join("scripts");
    let path = format!("{}:{}:{}:{system}", tools().display(), pixi.display(), scripts.display());
    sandbox.set("PATH", &path);
    let channel = fixture::template("sglang", &sandbox.path(""));
    (sandbox, channel)
}

/// Run what must succeed.
#[track_caller]
fn ok(sandbox: &Sandbox, script: &str) {
    drop(sandbox.sh(script).exits(0));
}

/// `ipack` without installing anything, and never waiting.
const QUICK: &str = "ipack --template template -o b.tar --skip-verify --retry-sleep 0";
const CACHE: &str = "w/.cache/infer-dev/pack/pixi-pack";

fn manifest(sandbox: &Sandbox, bundle: &str) -> Value {
    serde_json::from_str(&sandbox.read(&format!("{bundle}.json"))).unwrap()
}

/// Path and sha256 of every member that the manifest names.
fn members(manifest: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let members = manifest["members"].as_array().unwrap().iter();
    members.map(|member| (text(&member["path"]), text(&member["sha256"]))).collect()
}

/// What lies in the sandbox's root beside what was there before.
fn made(sandbox: &Sandbox) -> String {
    let ours = "home|tmp|run|w|www|template";
    sandbox.sh(&format!("ls -A | grep -vxE '{ours}' || true; ls -A template")).exits(0).stdout
}

/// Requests for packages.
fn fetched(channel: &Loopback) -> usize {
    channel.requests().iter().filter(|line| line.contains(".whl") || line.contains(".tar.bz2")).count()
}

const TEMPLATE: &str = "pixi.lock\npixi.toml\nscripts\n";

#[test]
fn a_bundle_is_made_and_proved_and_the_second_run_downloads_nothing() {
    let (sandbox, channel) = connected();
    let output = sandbox.sh("ipack --template template -o b.tar --warmup").exits(65);
    assert!(output.stderr.contains("task 'smoke'"), "{}", output.stderr);
    let ipack = || sandbox.sh("ipack --template template -o b.tar").exits(0);
    let first = ipack();
    assert_eq!(first.kinds(), ["warning", "packed"]);
    assert!(first.one("warning")["what"].as_str().unwrap().contains("torch-2.9.1"), "{}", first.stdout);
    let packed = first.one("packed");
    let manifest_now = manifest(&sandbox, "b.tar");
    let sum = sandbox.sh("sha256sum < b.tar; stat -c %s b.tar; tar -tvf b.tar | grep -c ^-").exits(0);
    let facts: Vec<&str> = sum.stdout.split_whitespace().filter(|word| *word != "-").collect();
    assert_eq!(facts[0], packed["sha256"]);
    assert_eq!(facts[1..], [packed["size_bytes"].to_string(), packed["members"].to_string()]);
    for field in ["sha256", "size_bytes", "lock_sha256", "platform", "pixi_env", "downloaded_bytes"] {
        assert_eq!(packed[field], manifest_now[field], "{field}");
    }
    assert_eq!((&packed["tasks"], &packed["proved"]), (&serde_json::json!(["verify"]), &Value::from(4)));
    for (path, sha256) in members(&manifest_now) {
        let sum = sandbox.sh(&format!("tar -xOf b.tar '{path}' | sha256sum")).exits(0);
        assert_eq!(sum.stdout, format!("{sha256}  -\n"), "{path}");
    }
    assert!(packed["downloaded_bytes"].as_u64().unwrap() > 30_000_000, "Python, twice: {packed}");
    assert_eq!(made(&sandbox), format!("b.tar\nb.tar.json\n{TEMPLATE}"));

    let before = fetched(&channel);
    let second = ipack().one("packed");
    assert_eq!((&second["downloaded_bytes"], &second["sha256"]), (&Value::from(0), &packed["sha256"]));
    assert_eq!(manifest(&sandbox, "b.tar")["downloaded_bytes"], 0);
    // Where nothing says that there is a workspace, the caches are the user's own.
    ok(&sandbox, "mkdir -p home/.cache; mv w/.cache/infer-dev home/.cache");
    let third = sandbox.sh(&format!("env -u AUTO_INFER_WORKSPACE_DIR {QUICK}")).exits(0).one("packed");
    assert_eq!(third["downloaded_bytes"], 0, "{third}");
    assert_eq!(fetched(&channel), before, "{:?}", channel.requests());
}

#[test]
fn a_task_that_fails_or_is_missing_stops_it_unless_it_is_left_out() {
    let (mut sandbox, _channel) = connected();
    sandbox.set("STANDIN_BROKEN", "sglang");
    let output = sandbox.sh("ipack --template template -o b.tar").exits(69);
    assert!(output.stderr.contains("cannot perform task 'verify'"), "{}", output.stderr);
    assert!(output.stderr.contains("libcudart.so.12: cannot open shared object file"), "{}", output.stderr);
    assert_eq!((output.stdout.as_str(), made(&sandbox).as_str()), ("", TEMPLATE));
    sandbox.unset("STANDIN_BROKEN");
    ok(&sandbox, "printf 'smoke = \"touch $HOME/smoked\"\\n' >> template/pixi.toml");
    let output = sandbox.sh("ipack --template template -o b.tar --warmup; ls home").exits(0);
    let tasks = &output.stdout.lines().find(|line| line.contains(r#""kind":"packed""#)).unwrap();
    assert!(tasks.contains(r#""tasks":["verify","smoke"]"#) && output.stdout.contains("smoked"));
    ok(&sandbox, "sed -i 's/^verify/check/' template/pixi.toml");
    let output = sandbox.sh("ipack --template template -o b.tar").exits(65);
    assert!(output.stderr.contains("has none of this name"), "{}", output.stderr);
    ok(&sandbox, QUICK);
}

#[test]
fn a_lock_file_that_does_not_satisfy_the_manifest_is_refused_and_a_new_one_is_written_back() {
    let (mut sandbox, channel) = connected();
    ok(
        &sandbox,
        "cp template/pixi.lock solution; sed -i 's/^tinylib.*/tinylib = \"2.*\"/' template/pixi.toml",
    );
    let output = sandbox.sh(QUICK).exits(65);
    assert!(output.stderr.contains("lock file not up-to-date"), "{}", output.stderr);
    assert!(output.stderr.contains("hint: --update-lock solves it again"), "{}", output.stderr);
    ok(&sandbox, "sed -i 's/^tinylib.*/tinylib = \"*\"/' template/pixi.toml; rm template/pixi.lock");
    let output = sandbox.sh(QUICK).exits(69);
    assert!(output.stderr.contains("hint: --update-lock makes it"), "{}", output.stderr);
    if Pixi::get().real {
        println!("not run to its end: only the stand-in writes the lock that it is told");
        return;
    }
    let solution = sandbox.text("solution");
    sandbox.set("STANDIN_SOLUTION", &solution);
    sandbox.set("STANDIN_BROKEN", "sglang");
    drop(sandbox.sh("ipack --template template -o b.tar --update-lock").exits(69));
    assert!(!sandbox.path("template/pixi.lock").exists(), "of a lock that does not verify");
    // Where it could not be written, nothing is downloaded for it.
    sandbox.unset("STANDIN_BROKEN");
    let asked = fetched(&channel);
    let script =
        format!("mount --bind template template; mount -o remount,bind,ro template; {QUICK} --update-lock");
    let mut unshare = sandbox.command("unshare");
    let output =
        sandbox.finish(unshare.args(["--map-root-user", "--mount", "bash", "-c", &script])).exits(69);
    let said = "cannot write $SANDBOX/template/pixi.lock: Read-only file system\nipack: hint: ";
    assert!(output.stderr.contains(said), "{}", output.stderr);
    assert_eq!(fetched(&channel), asked, "{:?}", channel.requests());
    let output = sandbox.sh(&format!("{QUICK} --update-lock; cmp template/pixi.lock solution")).exits(0);
    let sum = sandbox.sh("sha256sum < solution").exits(0);
    let record: Value = serde_json::from_str(output.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(sum.stdout, format!("{}  -\n", record["lock_sha256"].as_str().unwrap()));
}

#[test]
fn a_script_carries_pixi_unpack_and_half_a_script_never_gets_the_name() {
    let (sandbox, channel) = connected();
    ok(&sandbox, QUICK);
    let program = sandbox.script("unpack", "#!/bin/sh\necho $0 \"$@\"\n");
    let quick = QUICK.replace("b.tar", "x.tar --create-executable");
    let gone = format!("{}/unpack", channel.url());
    let output = sandbox.sh(&format!("{quick} --pixi-unpack-source {gone}")).exits(69);
    assert!(output.stderr.contains("404 Not Found"), "{}", output.stderr);
    drop(sandbox.sh(&format!("{quick} --pixi-unpack-source nowhere")).exits(69));
    assert!(!sandbox.path("x.sh").exists() && !sandbox.path("x.sh.json").exists());
    let output = sandbox.sh(&format!("{quick} --pixi-unpack-source {}", program.display())).exits(0);
    let packed = output.one("packed");
    assert_eq!((&packed["bundle"], &packed["downloaded_bytes"]), (&"$SANDBOX/x.sh".into(), &0.into()));
    assert_eq!(members(&manifest(&sandbox, "x.sh")), members(&manifest(&sandbox, "b.tar")));
    let ran = sandbox.sh("bash x.sh -o elsewhere").exits(0);
    assert!(ran.stdout.contains("-o elsewhere"), "{}", ran.transcript());
    let embedded = sandbox.sh("tail -n 1 x.sh | base64 -d | cmp - unpack; test -x x.sh");
    assert_eq!(embedded.exits(0).stdout, "");
    // The one on PATH where none is named.
    let unpack = Pixi::get().unpack();
    let output = sandbox.sh(&format!("{quick} && tail -n 1 x.sh | base64 -d | cmp - {}", unpack.display()));
    assert!(output.exits(0).stdout.contains("packed"));
}

#[test]
fn one_at_a_time_makes_a_bundle_or_fills_a_cache() {
    let (sandbox, _channel) = connected();
    ok(&sandbox, &format!("mkdir -p {CACHE} .ipack-b.tar"));
    let output = sandbox.sh(&format!("flock {CACHE}/.ipack.lock {QUICK}")).exits(75);
    assert!(output.stderr.contains("another ipack is filling it"), "{}", output.stderr);
    let output = sandbox.sh(&format!("flock .ipack-b.tar {QUICK}")).exits(75);
    assert!(output.stderr.contains("another ipack is making it"), "{}", output.stderr);
    ok(&sandbox, QUICK);
}

#[test]
fn what_cannot_be_meant_is_said_before_anything_is_downloaded() {
    let (sandbox, channel) = connected();
    for (arguments, code, said) in [
        ("--template template -o b.sh", 2, "add --create-executable"),
        ("--template template -o b.tar.gz", 2, "end it with .tar"),
        ("--template template -o .", 2, "the name of a file"),
        ("--template template --pixi-unpack-source x", 2, "--create-executable"),
        ("--template nowhere", 69, "pixi.toml: No such file or directory"),
        ("--template template -o nowhere/b.tar", 69, "make the folder that --output names"),
        ("--template template --rattler-config nowhere", 69, "cannot read $SANDBOX/nowhere"),
        ("--template template -p linux-aarch64", 69, "pack it with --skip-verify"),
        ("--template template -p linux-aarch64 --skip-verify", 65, "has no platform linux-aarch64"),
        ("--template template -e gpu --skip-verify", 65, "environment"),
    ] {
        let output = sandbox.sh(&format!("ipack --retries 0 {arguments}")).exits(code);
        assert!(output.stderr.contains(said), "{arguments}: {}", output.stderr);
        assert_eq!((output.stdout.as_str(), made(&sandbox).as_str()), ("", TEMPLATE));
    }
    // What is no file stays what it is; and a pixi-unpack of another machine would be found out where none can be had.
    ok(&sandbox, "mkdir odd odd/c.tar.json; mkfifo odd/b.tar");
    drop(sandbox.sh(&QUICK.replace("b.tar", "odd/c.tar")).exits(2));
    drop(sandbox.sh(&format!("{} --skip-verify", QUICK.replace("b.tar", "odd/b.tar"))).exits(2));
    ok(
        &sandbox,
        "test -p odd/b.tar; cp $(type -P true) odd/elf; printf '\\363\\0' | dd of=odd/elf bs=1 seek=18 conv=notrunc",
    );
    let output = sandbox.sh(&format!("{QUICK} --create-executable --pixi-unpack-source odd/elf")).exits(69);
    assert!(output.stderr.contains("odd/elf: it is for another machine than linux-"), "{}", output.stderr);
    assert_eq!(fetched(&channel), 0);
}

#[test]
fn the_build_scripts_hand_their_options_on() {
    let (sandbox, _channel) = connected();
    sandbox.write("mirrors.toml", "");
    let caches = "--rattler-cache-dir r --pixi-cache-dir p --pixi-pack-cache-dir k";
    let rest = "-p linux-64 -e default --ignore-pypi-non-wheel --rattler-config mirrors.toml --retries 2 --retry-sleep 0";
    for engine in ["sglang", "vllm"] {
        let script =
            format!("build-{engine}-bundle.sh --template-dir template --skip-verify {caches} {rest}");
        ok(&sandbox, &script);
        let unpack = Pixi::get().unpack();
        ok(&sandbox, &format!("{script} --create-executable --pixi-unpack-source {}", unpack.display()));
        ok(&sandbox, &format!("{script} -o mine.tar"));
        ok(&sandbox, &format!("rm {engine}-offline-bundle.{{tar,sh}}{{,.json}} mine.tar{{,.json}}"));
    }
    assert!(sandbox.path("k/pypi").is_dir() && !sandbox.path("w/.cache/infer-dev").exists());
}

/// The whole way: packed where there is a network, carried in parts, installed where there is none.
#[test]
fn what_was_packed_arrives_in_parts_and_installs_with_no_network() {
    let (mut sandbox, channel) = connected();
    ok(&sandbox, &QUICK.replace("b.tar", "sglang-offline-bundle.tar"));
    drop(channel);
    ok(
        &sandbox,
        "isplit --size 4MiB sglang-offline-bundle.tar -d parts
        mv sglang-offline-bundle.tar.json bundle.tar.json
        rm -rf www w/.cache sglang-offline-bundle.tar
        ijoin parts > bundle.tar",
    );
    let bundle = sandbox.text("bundle.tar");
    sandbox.set("AUTO_INFER_SGLANG_BUNDLE_PATH", &bundle);
    let installed = sandbox.sh("ienv sglang | iinstall").exits(0).one("installed");
    let checks = &installed["checks"];
    assert_eq!((&checks["sglang"], &checks["torch_cuda"]), (&"0.5.7".into(), &"12.8".into()), "{installed}");
    ok(&sandbox, "printf x | dd of=bundle.tar bs=1 seek=5000 conv=notrunc");
    let output = sandbox.sh("ienv sglang | iinstall").exits(65);
    assert!(output.stderr.contains("bundle.tar"), "{}", output.stderr);
}
