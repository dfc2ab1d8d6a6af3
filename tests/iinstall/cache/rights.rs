//! A cache that cannot be written, and an install for another user.
use super::{Cached, path, tree, warns};
use crate::kit::{Pixi, as_root};
use std::fs;
use std::os::unix::fs::MetadataExt;

#[test]
fn a_cache_that_cannot_be_written_is_installed_from_through_a_shadow() {
    let site = Cached::new();
    let script = "mount --bind cache cache && mount -o remount,bind,ro cache && ! touch cache/x 2>/dev/null
        ienv sglang | icache | iinstall";
    let output = site.sandbox.sh(&format!("unshare -rm bash -euo pipefail -c '{script}'")).exits(0);
    let shadow = output.all("warning").into_iter().find(|warning| warning["rule"] == "shadow_cache").unwrap();
    assert!(shadow["what"].as_str().unwrap().contains("Read-only file system"), "{shadow}");
    assert_eq!(site.imports(), "1.17.0 3.20\n");
    let folder = site.home().join(".installs").join(&site.installs()[0]);
    for (path, ..) in tree(&folder) {
        let target = fs::read_link(&path).unwrap_or_default();
        assert!(
            !target.to_string_lossy().contains(".shadow"),
            "{} leads to {}",
            path.display(),
            target.display()
        );
    }
    assert!(!folder.join(".shadow").exists());
}

#[test]
fn root_installs_for_another_user() {
    if !as_root() {
        return;
    }
    let mut site = Cached::new();
    let bin = Pixi::get().copied(&site.sandbox.path("standin"));
    site.sandbox.set("AUTO_INFER_SGLANG_USER", "nobody");
    drop(site.sandbox.sh("chmod 755 . w home tmp; chmod 1777 tmp; chown -R nobody cache").exits(0));
    drop(site.sandbox.sh("chmod 700 noting").exits(0));
    let failed = site.install().exits(69).one("failed");
    assert_eq!(
        failed["cause"], "it is not on PATH: this user cannot reach $SANDBOX/noting/pixi",
        "root's own pixi may be out of reach"
    );
    path(&mut site.sandbox, &bin);
    let output = site.install().exits(0);
    assert_eq!(output.one("installed")["checks"]["cache"], "quick");
    let owner = fs::metadata(site.home().join("current/pixi.toml")).unwrap().uid();
    assert_eq!(owner, fs::metadata(site.sandbox.path("cache")).unwrap().uid());
    assert_eq!(site.imports(), "1.17.0 3.20\n");

    // A cache of somebody else's is used through a shadow.
    site.sandbox.write("template/scripts/more", "");
    drop(site.sandbox.sh("chown -R 0:0 cache").exits(0));
    let output = site.install().exits(0);
    assert!(warns(&output, "shadow_cache"));
    assert_eq!(site.imports(), "1.17.0 3.20\n");
}
