//! What verifies a bundle that is installed already, and which environment it was packed of.
use super::bundle::{Site, WHEEL};
use crate::kit::{Output, fixture};
use serde_json::{Value, json};
use std::fs;

/// A site with the bundle `b.tar` and the template that it was packed from.
fn site() -> Site {
    let mut site = Site::quick();
    fixture::tiny(&site.sandbox.path("tiny"));
    let bundle = site.pack("b.tar");
    site.set("template_dir", site.sandbox.text("tiny/template"));
    site.set("bundle", bundle.to_str().unwrap());
    site
}

fn lock_sha256(site: &Site) -> String {
    let output = site.sandbox.sh("sha256sum < tiny/template/pixi.lock").exits(0);
    output.stdout.split(' ').next().unwrap().to_owned()
}

fn marker(site: &Site) -> Value {
    serde_json::from_slice(&fs::read(site.home().join("current/installed.json")).unwrap()).unwrap()
}

/// The record's `checks`, and that it is the very install of before.
#[track_caller]
fn reused(output: Output) -> Value {
    let installed = output.exits(0).one("installed");
    assert_eq!(installed["reused"], true, "{installed}");
    installed["checks"].clone()
}

#[test]
fn another_lock_file_is_compared_with_what_is_installed() {
    let site = site();
    let first = site.run("").exits(0).one("installed");
    assert_eq!(first["checks"]["proved"], json!(["lock"]));
    assert_eq!(first["checks"]["lock_sha256"], lock_sha256(&site));
    assert_eq!(first["checks"]["pixi_env"], "default");
    let written = fs::metadata(site.home().join("current/installed.json")).unwrap().modified().unwrap();
    assert_eq!(reused(site.run("")), first["checks"]);
    let again = fs::metadata(site.home().join("current/installed.json")).unwrap().modified().unwrap();
    assert_eq!(again, written, "nothing changed, and nothing is written");

    // Other bytes with the same packages: that lock file verifies the bundle too, and by its own hash.
    let lock = site.sandbox.read("tiny/template/pixi.lock");
    site.sandbox.write("tiny/template/pixi.lock", format!("{lock}\n# the same\n"));
    let checks = reused(site.run(""));
    assert_eq!(checks["proved"], json!(["lock"]));
    assert_ne!(checks["lock_sha256"], first["checks"]["lock_sha256"]);
    assert_eq!(checks["lock_sha256"], lock_sha256(&site));
    assert_eq!(marker(&site)["checks"], checks);

    // Other packages: refused as a new install of it would be, and what was current stays.
    let current = site.current();
    let (_, entry) = lock.rsplit_once(WHEEL.strip_prefix("pypi/").unwrap()).unwrap();
    let sha256 = entry.lines().find_map(|line| line.trim().strip_prefix("sha256: ")).unwrap();
    site.sandbox.write("tiny/template/pixi.lock", lock.replace(sha256, &"ab".repeat(32)));
    for options in ["", "--rehash"] {
        let failed = site.run(options).exits(65).one("failed");
        let cause = format!("by $SANDBOX/tiny/template/pixi.lock, {WHEEL} has sha256 ");
        assert!(failed["cause"].as_str().unwrap().starts_with(&cause), "{failed}");
        assert!(failed["hint"].as_str().unwrap().contains("AUTO_INFER_VLLM_TEMPLATE_DIR"), "{failed}");
        assert_eq!((site.current(), marker(&site)["checks"].clone()), (current.clone(), checks.clone()));
    }

    // A template that is not there says nothing, and takes nothing back.
    fs::remove_file(site.sandbox.path("tiny/template/pixi.lock")).unwrap();
    assert_eq!(reused(site.run("")), checks);
}

#[test]
fn a_trust_source_that_comes_later_is_said_then() {
    let mut site = site();
    site.unset("template_dir");
    let first = site.run("").exits(0);
    assert_eq!(first.one("installed")["checks"]["proved"], json!([]));
    let again = site.run("");
    assert!(again.all("warning").iter().any(|warning| warning["rule"] == "unproved_bundle"), "{again:?}");
    assert_eq!(reused(again)["proved"], json!([]));
    site.describe("b.tar");
    assert_eq!(reused(site.run(""))["proved"], json!(["manifest"]));
    site.set("template_dir", site.sandbox.text("tiny/template"));
    assert_eq!(reused(site.run(""))["proved"], json!(["manifest", "lock"]));
    site.set("sha256", first.one("installed")["id"].clone());
    assert_eq!(reused(site.run(""))["proved"], json!(["sha256", "manifest", "lock"]));

    // A manifest that agrees about the whole, and not about what was in it.
    let manifest = site.sandbox.read("b.tar.json");
    site.sandbox.write("b.tar.json", manifest.replace(WHEEL, "pypi/seven.whl"));
    let failed = site.run("").exits(65).one("failed");
    assert!(failed["cause"].as_str().unwrap().contains("pypi/seven.whl is missing"), "{failed}");
    site.sandbox.write("b.tar.json", &manifest);

    // An install whose members nobody noted: a lock file cannot be compared with it.
    let path = site.home().join("current/installed.json");
    let mut noted = marker(&site);
    noted.as_object_mut().unwrap().remove("bundle_members").unwrap();
    fs::write(path, noted.to_string()).unwrap();
    let checks = reused(site.run(""));
    assert_eq!((&checks["proved"], checks.get("lock_sha256")), (&json!(["sha256", "manifest"]), None));
}

#[test]
fn an_install_of_another_engine_in_the_folder_is_not_taken_for_ours() {
    let mut site = site();
    drop(site.run("").exits(0));
    site.set("engine", "sglang");
    let installed = site.run("").exits(0).one("installed");
    assert_eq!((&installed["engine"], installed.get("reused")), (&json!("sglang"), None));
}

#[test]
fn a_bundle_of_another_environment_or_platform_is_refused_by_name() {
    let mut site = site();
    site.describe("b.tar");
    let manifest = site.sandbox.read("b.tar.json");
    let lock = site.sandbox.read("tiny/template/pixi.lock");
    let other = manifest.replace(r#""pixi_env": "default""#, r#""pixi_env": "gpu""#);
    assert_ne!(manifest, other);
    site.sandbox.write("b.tar.json", &other);
    site.set("origin", json!({"pixi_env": "variable"}));
    let failed = site.run("").exits(65).one("failed");
    assert_eq!(failed["what"], "cannot install $SANDBOX/b.tar");
    let cause = "by $SANDBOX/b.tar.json it was packed of environment 'gpu', not of 'default'";
    assert_eq!(failed["cause"], cause);
    assert!(failed["hint"].as_str().unwrap().starts_with("unset AUTO_INFER_VLLM_PIXI_ENV or set it to gpu"));
    assert!(!site.home().exists());

    // Nobody chose: what was packed counts, and is what the lock file is asked for.
    site.set("origin", json!({"pixi_env": "default"}));
    let failed = site.run("").exits(69).one("failed");
    assert!(failed["cause"].as_str().unwrap().contains("has no environment 'gpu' for linux-"), "{failed}");
    site.sandbox.write("tiny/template/pixi.lock", lock.replacen("\n  default:", "\n  gpu:", 1));
    let checks = site.run("").exits(0).one("installed")["checks"].clone();
    assert_eq!((&checks["proved"], &checks["pixi_env"]), (&json!(["manifest", "lock"]), &json!("gpu")));

    // Chosen since: what is installed is of another.
    site.set("origin", json!({"pixi_env": "variable"}));
    assert_eq!(site.run("").exits(65).one("failed")["cause"], cause);
    site.set("pixi_env", "gpu");
    assert_eq!(reused(site.run(""))["pixi_env"], "gpu");

    site.sandbox
        .write("b.tar.json", other.replace(r#""platform": "linux-64""#, r#""platform": "osx-arm64""#));
    let failed = site.run("").exits(69).one("failed");
    let cause = "by $SANDBOX/b.tar.json it is for platform osx-arm64, and this machine is linux-";
    assert!(failed["cause"].as_str().unwrap().starts_with(cause), "{failed}");
    assert!(failed["hint"].as_str().unwrap().starts_with("pack it with --platform linux-"), "{failed}");
}

#[test]
fn nobody_waits_for_a_pipe_in_place_of_the_lock_file() {
    let site = site();
    site.sh("rm tiny/template/pixi.lock; mkfifo tiny/template/pixi.lock");
    let failed = site.run("").exits(69).one("failed");
    assert_eq!(failed["what"], "cannot read $SANDBOX/tiny/template/pixi.lock");
    assert_eq!(failed["cause"], "not a regular file");
}

#[test]
fn an_install_on_a_read_only_disk_is_used_by_whatever_verifies_it() {
    let mut site = site();
    let first = site.run("").exits(0).one("installed");
    site.set("sha256", first["id"].clone());
    let home = site.home();
    site.save();
    let script = format!(
        "mount --bind {0} {0}; mount -o remount,bind,ro {0}; ! touch {0}/x 2>/dev/null; iinstall <env.jsonl",
        home.display()
    );
    let output = site.sandbox.sh(&format!("unshare -rm bash -euo pipefail -c '{script}'"));
    assert_eq!(reused(output)["proved"], json!(["sha256", "lock"]));
    assert_eq!(marker(&site)["checks"], first["checks"]);
}
