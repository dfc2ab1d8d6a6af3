//! What is around a cache: who may use it, what it lies on, what else points pixi somewhere.
use super::{PKGS, SIX, gaps, kinds, real, verify};
use crate::kit::{Output, Sandbox, as_each, as_root, not_run};
use serde_json::Value;

/// The warnings of one rule.
fn warnings(output: &Output, rule: &str) -> Vec<String> {
    let of_rule = |warning: &Value| warning["rule"] == rule;
    output
        .all("warning")
        .into_iter()
        .filter(of_rule)
        .map(|warning| warning["what"].as_str().unwrap().to_owned())
        .collect()
}

/// Everything that a file's change would change.
fn look(sandbox: &Sandbox) -> String {
    sandbox.sh("find cache -printf '%p %i %s %m %U %T@ %C@ %l\\n' | sort").exits(0).stdout
}

#[test]
fn verifying_changes_nothing_in_the_cache_and_needs_not_to() {
    let sandbox = real();
    assert_eq!(sandbox.sh("chmod -R a-w cache").exits(0).stderr, "");
    let (before, root) = (look(&sandbox), as_each());
    for options in ["", "--deep", "--since note", "--since note"] {
        let output = verify(&sandbox, options).exits(0);
        assert_eq!(kinds(&output), ["env", "cache"]);
        if !root {
            let refused = warnings(&output, "cache_not_writable");
            assert!(refused[0].starts_with("this user cannot write $SANDBOX/cache/"), "{refused:?}");
        }
    }
    assert_eq!(look(&sandbox), before);
    assert_eq!(sandbox.sh("chmod -R u+w cache").exits(0).stderr, "");
    assert!(warnings(&verify(&sandbox, ""), "cache_not_writable").is_empty());
}

#[test]
fn a_read_only_mount_is_reported_with_what_pixi_will_do() {
    let sandbox = real();
    // A mount of our own; where that is not allowed to us there is nothing to see.
    let mounted = "mount --bind cache cache && mount -o remount,bind,ro cache";
    let script = format!(
        "unshare -rm bash -c '{mounted} && ienv sglang | icache --platform linux-64 --deep' || [ $? = 0 ]"
    );
    if sandbox.sh(&format!("unshare -rm bash -c '{mounted}'")).code != 0 {
        return not_run("this user may not mount");
    }
    let output = sandbox.sh(&script).exits(0);
    let refused = warnings(&output, "cache_not_writable");
    assert_eq!(
        refused,
        [format!("this user cannot write $SANDBOX/{PKGS}, nor 5 more: Read-only file system")]
    );
    let warning =
        output.all("warning").into_iter().find(|warning| warning["rule"] == "cache_not_writable").unwrap();
    assert_eq!(
        warning["hint"],
        "pixi fails on a cache that it cannot write to, even when all is there; iinstall goes round that with a shadow of it \
         beside the install, which takes space"
    );
    assert!(gaps(&output).is_empty());
}

#[test]
fn a_cache_that_the_installing_user_cannot_write_is_a_warning() {
    if !as_root() {
        return;
    }
    let mut sandbox = real();
    sandbox.set("AUTO_INFER_SGLANG_USER", "nobody");
    assert_eq!(sandbox.sh("chmod 755 . ; chmod -R a+rX cache").exits(0).stderr, "");
    let output = verify(&sandbox, "--deep").exits(0);
    let expected = format!("user nobody cannot write $SANDBOX/{PKGS}, nor 5 more: Permission denied");
    assert_eq!(warnings(&output, "cache_not_writable"), [expected]);

    assert_eq!(sandbox.sh("chown -R nobody cache").exits(0).stderr, "");
    assert!(warnings(&verify(&sandbox, "--deep"), "cache_not_writable").is_empty());
}

#[test]
fn a_cache_on_the_containers_own_layer_is_reported() {
    let sandbox = real();
    let own = r#"{ [ -e /.dockerenv ] || [ -e /run/.containerenv ] || [ "$(stat -f -c %T /)" = overlayfs ]; } \
                 && [ "$(stat -c %d /)" = "$(stat -c %d cache)" ] && echo own || true"#;
    let own = sandbox.sh(own).exits(0).stdout == "own\n";
    let told = warnings(&verify(&sandbox, ""), "cache_on_container_layer");
    let expected = "$SANDBOX/cache is on the container's own layer".to_owned();
    assert_eq!(told, if own { vec![expected] } else { Vec::new() });

    // A volume that leads back there; where a mount of our own is not allowed to us there is nothing to see.
    let mounted =
        "mkdir volume; mount -t tmpfs none volume; cp -a cache/conda volume; ln -s $PWD/cache/pypi volume";
    let script = format!(
        "{mounted}; AUTO_INFER_SGLANG_CACHE_ROOT=$PWD/volume ienv sglang | icache --platform linux-64"
    );
    if own && sandbox.sh("unshare -rm true").code == 0 {
        let output = sandbox.sh(&format!("unshare -rm bash -euo pipefail -c '{script}'")).exits(0);
        let expected = "$SANDBOX/volume/pypi/uv is on the container's own layer";
        assert_eq!(warnings(&output, "cache_on_container_layer"), [expected]);
    }
}

#[test]
fn what_else_points_pixi_somewhere_is_named_and_followed_nowhere() {
    let mut sandbox = real();
    let elsewhere = sandbox.text("elsewhere");
    sandbox.write(
        "template/.pixi/config.toml",
        format!("[cache]\npypi-wheels = \"{elsewhere}\"\nroot = \"/r\"\n"),
    );
    sandbox.write("home/.config/pixi/config.toml", "[cache]\nrepodata = \"/r\"\n");
    sandbox.write("home/.pixi/config.toml", "[cache]\nconda-packages = \"/c\"\n");
    sandbox.set("PIXI_CACHE_PYPI_WHEELS_DIR", &elsewhere);
    sandbox.set("PIXI_CACHE_DIR", &sandbox.text("cache/conda/rattler"));
    sandbox.set("RATTLER_CACHE_DIR", "");
    let output = verify(&sandbox, "--deep").exits(0);
    assert_eq!(
        warnings(&output, "pixi_cache_config"),
        [
            "$SANDBOX/template/.pixi/config.toml has a [cache] table with root, pypi-wheels",
            "$SANDBOX/home/.pixi/config.toml has a [cache] table with conda-packages",
        ]
    );
    assert_eq!(
        warnings(&output, "pixi_cache_variable"),
        ["PIXI_CACHE_PYPI_WHEELS_DIR is set to $SANDBOX/elsewhere, the cache's is $SANDBOX/cache/pypi/uv"]
    );
    assert!(gaps(&output).is_empty());
}

#[test]
fn what_may_not_be_read_is_distinguished_from_what_is_broken() {
    if !as_root() {
        return;
    }
    let mut sandbox = real();
    sandbox.set("AUTO_INFER_SGLANG_USER", "nobody");
    sandbox.own_tool("icache", "icache");
    assert_eq!(sandbox.sh(&format!("chmod 755 .; chmod 700 {PKGS}")).exits(0).stderr, "");
    let nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups ./icache --platform linux-64";
    let output = sandbox.sh(&format!("ienv sglang | {nobody}")).exits(1);
    assert_eq!(gaps(&output), ["python damaged", "tinylib damaged", "cuda-version damaged"]);
    assert_eq!(output.all("gap")[0]["detail"], "cannot be read: Permission denied");
    let hint = output.one("failed")["hint"].as_str().unwrap().to_owned();
    assert!(hint.starts_with("let this user read the cache, with chmod -R a+rX; "), "{hint}");
    assert_eq!(sandbox.sh(&format!("chmod 755 {PKGS}; : > cache/file")).exits(0).stderr, "");

    sandbox.set("AUTO_INFER_SGLANG_CACHE_ROOT", &sandbox.text("cache/file"));
    let output = verify(&sandbox, "").exits(1);
    assert_eq!(output.one("cache")["gaps"], 6, "a file is no cache, and has nothing");
    assert!(
        output.one("failed")["hint"].as_str().unwrap().starts_with("on a connected machine: icache | iwarm;")
    );
}

#[test]
fn what_could_not_be_written_in_the_end_is_reported_before_anything_is_read() {
    let sandbox = real();
    assert_eq!(sandbox.sh(&format!("mkdir notes; echo >> {SIX}/six.py")).exits(0).stderr, "");
    // A mount of our own; where that is not allowed to us there is nothing to see.
    let read_only =
        "for folder in cache notes; do mount --bind $folder $folder; mount -o remount,bind,ro $folder; done";
    if sandbox.sh(&format!("unshare -rm bash -euc '{read_only}'")).code != 0 {
        return not_run("this user may not mount");
    }
    for (option, what) in
        [("--record", "cannot write the manifest "), ("--since notes/a", "cannot write the note ")]
    {
        let verify = format!("{read_only}; ienv sglang | icache --platform linux-64 {option}");
        let output = sandbox.sh(&format!("unshare -rm bash -euo pipefail -c '{verify}'")).exits(69);
        assert_eq!(
            (gaps(&output), kinds(&output)),
            (vec![], ["env", "cache", "failed"].map(str::to_owned).into())
        );
        assert_eq!(output.one("cache")["depth"], "quick", "nothing was read");
        let failed = output.one("failed");
        assert!(failed["what"].as_str().unwrap().starts_with(what), "{failed}");
        assert_eq!(failed["cause"], "Read-only file system");
    }
    // What is missing is told all the same: then nothing would be written.
    assert_eq!(sandbox.sh("rm -r cache/pypi").exits(0).stderr, "");
    let verify = format!("{read_only}; ienv sglang | icache --platform linux-64 --record");
    let output = sandbox.sh(&format!("unshare -rm bash -euo pipefail -c '{verify}'")).exits(1);
    assert_eq!(gaps(&output), ["idna missing", "markupsafe missing", "six missing"]);
}
