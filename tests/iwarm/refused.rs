//! What iwarm refuses, and where it has nothing to do.
use super::{Connected, cause, there};
use crate::kit::{Output, Pixi, Sandbox, is_root};

#[test]
fn it_acts_only_where_it_is_asked_and_stops_nobody_behind_it() {
    let mut sandbox = Sandbox::new();
    for name in ["TEMPLATE_DIR", "CACHE_ROOT"] {
        let path = sandbox.text(name);
        sandbox.set(&format!("AUTO_INFER_SGLANG_{name}"), &path);
    }
    let why = |output: &Output| {
        let skipped: Vec<_> = output.all("skipped").into_iter().filter(|s| s["by"] == "iwarm").collect();
        assert_eq!(skipped.len(), 1, "{}", output.transcript());
        skipped[0]["why"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        why(&sandbox.sh("ienv llama-cpp | iwarm").exits(0)),
        "archive road: nothing is installed from a cache"
    );
    sandbox.set("AUTO_INFER_SGLANG_INSTALL_ON_BOOT", "1");
    let output = sandbox.sh("ienv --boot sglang | iwarm | icache || true").exits(0);
    assert_eq!(why(&output), "step warm was not asked for");
    assert_eq!(output.one("failed")["by"], "icache", "it acted after a skipped of iwarm");
    sandbox.unset("AUTO_INFER_SGLANG_INSTALL_ON_BOOT");

    sandbox.set("AUTO_INFER_SGLANG_CACHE_WARM_ON_BOOT", "1");
    assert_eq!(sandbox.sh("ienv --boot sglang | iwarm").exits(69).one("failed")["by"], "iwarm");
    sandbox.unset("AUTO_INFER_SGLANG_CACHE_WARM_ON_BOOT");
    let bundle = sandbox.text("bundle.tar");
    sandbox.set("AUTO_INFER_SGLANG_BUNDLE_PATH", &bundle);
    assert_eq!(
        why(&sandbox.sh("ienv sglang | iwarm").exits(0)),
        "bundle road: nothing is installed from a cache"
    );
    let failed = r#"{"kind":"failed","engine":"sglang","by":"x","what":"w","cause":"c","code":75}"#;
    let output = sandbox.sh(&format!("{{ ienv sglang; echo '{failed}'; }} | iwarm")).exits(75);
    assert_eq!(output.kinds(), ["env", "failed"]);
}

#[test]
fn a_cache_on_the_containers_own_layer_is_refused_and_one_on_a_volume_is_not() {
    let mut sandbox = Sandbox::new();
    sandbox.set("AUTO_INFER_SGLANG_TEMPLATE_DIR", "/template");
    sandbox.set("AUTO_INFER_SGLANG_CACHE_ROOT", "/volume/cache");
    sandbox.set("AUTO_INFER_SGLANG_USER", "0");
    sandbox.set("PATH", "/own:/usr/bin:/bin:/usr/sbin:/sbin");
    for tool in ["ienv", "iwarm"] {
        sandbox.own_tool(tool, &format!("own/{tool}"));
    }
    // A machine of our own, whose / is nobody else's: with the mark of a container or without, the cache's folder a part of
    // it, a volume, or a volume that comes from the disk that / is on.
    let machine = |made: &str| {
        let folders =
            ["bin", "lib", "lib64", "usr"].into_iter().filter(|folder| there(&format!("/{folder}")));
        let folders = folders.collect::<Vec<_>>().join(" ");
        sandbox.write(
            "inner",
            format!(
                "mkdir -p root; mount -t tmpfs none root; mkdir -p root/own root/proc root/etc root/run root/volume root/disk root/tmp
                 for folder in {folders}; do
                     if [ -L /$folder ]; then cp -a /$folder root/; else mkdir root/$folder; mount --rbind /$folder root/$folder; fi
                 done
                 mount --bind own root/own; cp /etc/passwd /etc/group root/etc; cd root
                 {made}
                 exec chroot . sh -c 'ienv sglang | iwarm'"
            ),
        );
        let mut command = sandbox.command("unshare");
        let user: &[&str] = if is_root() { &["-m"] } else { &["-rm"] };
        sandbox.finish(command.args(user).args(["bash", "-euo", "pipefail", "inner"]))
    };
    for mark in ["touch .dockerenv", "touch run/.containerenv"] {
        let output = machine(mark).exits(69);
        let layer = "it is on the container's own layer, and would go away with the container";
        assert_eq!(cause(&output), layer, "{}", output.transcript());
        assert_eq!(
            output.one("failed")["hint"],
            "mount a volume, and set AUTO_INFER_SGLANG_CACHE_ROOT to a folder on it"
        );
        let store =
            format!("{mark}; mount -t tmpfs none volume; mkdir volume/cache; ln -s /disk volume/cache/pypi");
        assert!(cause(&machine(&store).exits(69)).starts_with("/volume/cache/pypi/uv is on the container's"));
    }
    for elsewhere in
        ["true", "touch .dockerenv; mount -t tmpfs none volume", "touch .dockerenv; mount --bind disk volume"]
    {
        let output = machine(elsewhere).exits(69);
        assert!(cause(&output).starts_with("pixi.toml: "), "{elsewhere}: {}", output.transcript());
    }
}

#[test]
fn a_cache_that_cannot_be_written_is_reported_before_pixi_starts() {
    let connected = Connected::new();
    std::fs::create_dir(connected.sandbox.path("volume/cache")).unwrap();
    let read_only = "mount --bind volume volume; mount -o remount,bind,ro volume";
    let output = connected.sandbox.finish(&mut connected.mounted(read_only, "ienv sglang | iwarm")).exits(69);
    assert_eq!(cause(&output), "Read-only file system");
    assert!(connected.served.heads().is_empty());
}

#[test]
fn a_disk_without_locks_is_reported_by_us_or_by_pixi_with_the_way_round_it() {
    let mut connected = Connected::new();
    let refusing = "strace -f -qq -o /dev/null -e trace=flock -e inject=flock:error=ENOLCK";
    let told = |output: &Output, what: &str| {
        let failed = output.one("failed");
        assert_eq!(failed["what"], what, "{failed}");
        assert!(cause(output).ends_with("No locks available"), "{failed}");
        assert!(
            failed["hint"].as_str().unwrap().contains("fill the cache on a local disk and copy it"),
            "{failed}"
        );
    };
    let output = connected.sh(&format!("ienv sglang | {refusing} iwarm")).exits(69);
    told(&output, "cannot lock $SANDBOX/volume/cache/.warm.lock");
    assert!(connected.served.heads().is_empty());

    // Only pixi's locks are refused: it has others, and other folders to have them in.
    let pixi = Pixi::get().bin.join("pixi");
    connected
        .sandbox
        .write("programs/pixi", format!("#!/bin/sh\nexec {refusing} {} \"$@\"\n", pixi.display()));
    assert_eq!(connected.sandbox.sh("chmod 755 programs/pixi").exits(0).stderr, "");
    let path = connected.sandbox.sh("echo $PATH").exits(0).stdout;
    let path = format!("{}:{}", connected.sandbox.text("programs"), path.trim());
    connected.sandbox.set("PATH", &path);
    let output = connected.warm().exits(69);
    told(&output, "cannot warm the cache $SANDBOX/volume/cache");
    assert!(output.one("failed")["exit"].is_string(), "it is pixi that ended so");
}

#[test]
fn a_pixi_that_does_not_run_here_is_reported_with_what_to_put_in_its_place() {
    let mut connected = Connected::new();
    let path = connected.sandbox.sh("echo $PATH").exits(0).stdout;
    let path = format!("{}:{}", connected.sandbox.text("programs"), path.trim());
    connected.sandbox.set("PATH", &path);
    for (script, said, hint) in [
        (
            "#!/bin/sh\nexec no-such-program\n",
            "exit 127: $SANDBOX/programs/pixi: ",
            "put a pixi for this machine, ",
        ),
        (
            "#!/nowhere/sh\n",
            "its interpreter /nowhere/sh does not exist",
            "install that, or put a program for this machine in its place",
        ),
    ] {
        connected.sandbox.script("programs/pixi", script);
        let output = connected.warm().exits(69);
        assert!(cause(&output).starts_with(said), "{}", output.transcript());
        assert!(output.one("failed")["hint"].as_str().unwrap().starts_with(hint), "{}", output.transcript());
        assert!(!connected.sandbox.path("volume/cache").exists());
    }
}

#[test]
fn a_full_disk_is_reported_with_what_is_free_and_left_as_it_was() {
    let connected = Connected::new();
    let small = "mount -t tmpfs -o size=24m none volume";
    let script = "ienv sglang | iwarm || { code=$?; ls -A volume/cache >&2; exit $code; }";
    let output = connected.sandbox.finish(&mut connected.mounted(small, script)).exits(69);
    assert!(
        cause(&output).ends_with(" MiB are free on the disk of $SANDBOX/volume/cache"),
        "{}",
        output.transcript()
    );
    assert!(!output.stderr.contains(".warm-"), "{}", output.stderr);
}

#[test]
fn a_template_that_cannot_be_used_is_refused_before_anything_is_made() {
    let connected = Connected::new();
    let lock = connected.sandbox.read("template/pixi.lock");
    for (bad, code, said) in [
        ("version: 9\n".to_owned(), 65, "it has version 9"),
        ("- [".to_owned(), 65, ""),
        (lock.replace("\n  default:\n", "\n  other:\n"), 69, "it has no environment 'default', only other"),
    ] {
        connected.sandbox.write("template/pixi.lock", bad);
        let output = connected.warm().exits(code);
        assert!(cause(&output).starts_with(said), "{}", output.transcript());
        assert!(!connected.sandbox.path("volume/cache").exists());
    }
    std::fs::remove_file(connected.sandbox.path("template/pixi.lock")).unwrap();
    assert_eq!(cause(&connected.warm().exits(69)), "pixi.lock: No such file or directory");
    let output = connected
        .sh("ienv sglang > env; AUTO_INFER_SGLANG_TEMPLATE_DIR= ienv sglang --road cache | iwarm")
        .exits(69);
    assert_eq!(cause(&output), "AUTO_INFER_SGLANG_TEMPLATE_DIR is not set");
    let output = connected.sh("ienv sglang > env; PATH=${PATH#*:}; iwarm < env");
    assert_eq!(output.code, 69, "{}", output.transcript());
}

#[test]
fn a_wheel_of_the_template_that_is_not_there_is_named_before_pixi_starts() {
    let connected = Connected::new();
    let lock = connected.sandbox.read("template/pixi.lock");
    let own = "./wheels/own-1.0-py3-none-any.whl";
    let lock = lock.replacen("      - pypi: ", &format!("      - pypi: {own}\n      - pypi: "), 1);
    connected
        .sandbox
        .write("template/pixi.lock", format!("{lock}- pypi: {own}\n  name: own\n  version: '1.0'\n"));
    let output = connected.warm().exits(69);
    let there = "$SANDBOX/template/./wheels/own-1.0-py3-none-any.whl";
    assert_eq!(cause(&output), format!("it locks {there}, which is not there"), "{}", output.transcript());
    assert!(connected.served.heads().is_empty());
}
