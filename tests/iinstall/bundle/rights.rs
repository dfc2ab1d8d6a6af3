//! A bundle installed for another user.
use super::{Site, path};
use crate::kit::{Output, Pixi, as_root, fixture};
use serde_json::json;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

#[test]
fn root_installs_for_nobody_who_cannot_read_the_bundle() {
    if !as_root() {
        return;
    }
    let mut site = Site::new();
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(&site.sandbox.path(""), 0o755);
    let bin = Pixi::get().copied(&site.sandbox.path("pixi"));
    site.sandbox.set("PATH", &path(&bin));
    let bundle = site.pack("b.tar");
    site.describe("b.tar");
    mode(&bundle, 0o600);
    site.set("user", "nobody");
    site.set("project_dir", site.sandbox.text("new/vllm"));
    let installed = site.install(&bundle).exits(0).one("installed");
    assert_eq!(installed["checks"]["proved"], json!(["manifest"]));
    let owner = |name: &str| site.sandbox.path(name).symlink_metadata().unwrap().uid();
    let nobody = owner("new/vllm");
    assert_eq!((owner("new"), nobody == 0), (0, false));
    for name in ["current", ".installs/.lock", "current/installed.json", "current/env/bin/python"] {
        assert_eq!(owner(&format!("new/vllm/{name}")), nobody, "{name}");
    }
    site.imports();
    assert_eq!(site.run("").exits(0).one("installed")["reused"], true);
    drop(fs::remove_dir_all(site.home()));

    // Media that only root reads, the trust sources too.
    fs::create_dir(site.sandbox.path("media")).unwrap();
    fixture::tiny(&site.sandbox.path("tiny"));
    site.sh("mv b.tar b.tar.json media; mv tiny/template media; chmod -R go= media");
    site.set("template_dir", site.sandbox.text("media/template"));
    let proved = |output: Output| output.exits(0).one("installed")["checks"]["proved"].clone();
    assert_eq!(proved(site.install(site.sandbox.path("media/b.tar"))), json!(["manifest", "lock"]));
    assert_eq!(proved(site.run("")), json!(["manifest", "lock"]));
    // What is not there, is not; what is wrong, is so for him too.
    site.sh("mv media/b.tar.json kept; rm media/template/pixi.lock");
    site.set("force", true);
    assert_eq!(proved(site.run("")), json!([]));
    site.sandbox.write("media/b.tar.json", "{");
    mode(&site.sandbox.path("media/b.tar.json"), 0o600);
    assert_eq!(site.run("").exits(65).one("failed")["what"], "cannot read $SANDBOX/media/b.tar.json");
    // A link is followed as him: it could lead anywhere.
    site.sh("mv kept media/real.json; ln -sf real.json media/b.tar.json");
    let failed = site.run("").exits(69).one("failed");
    assert_eq!(failed["what"], "cannot read $SANDBOX/media/b.tar.json");
    assert_eq!(failed["cause"], "Permission denied");

    // Refused, nothing is left of the folders that were made for him.
    site.set("project_dir", site.sandbox.text("newer/still/vllm"));
    drop(site.run("").exits(69));
    assert!(!site.sandbox.path("newer").exists());
}
