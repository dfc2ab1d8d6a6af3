//! Root fills a cache for another user, who plants links: nothing is read or made that the user could not.
use super::Connected;
use crate::kit::{Pixi, as_root, tools};
use std::os::unix::fs::PermissionsExt;

/// A connected machine on which the cache is nobody's.
fn connected() -> Option<Connected> {
    if !as_root() {
        return None;
    }
    let mut connected = Connected::new();
    let bin = Pixi::get().copied(&connected.sandbox.path("programs"));
    connected.sandbox.set("PATH", &format!("{}:{}:/usr/bin:/bin", tools().display(), bin.display()));
    connected.sandbox.set("AUTO_INFER_SGLANG_USER", "nobody");
    connected.sandbox.set("AUTO_INFER_VLLM_OVERRIDES", r#"{"a":{"server":{"api_key":"SECRET"}}}"#);
    assert_eq!(connected.sandbox.sh("chmod 755 . ; chmod -R a+rX template").exits(0).stderr, "");
    Some(connected)
}

/// Let a script run before each pixi, in pixi's folder; what it writes to `$TOLD` is given back.
fn before_pixi<'a>(connected: &'a Connected, script: &str) -> impl Fn() -> String + use<'a> {
    let programs = connected.sandbox.path("programs/bin");
    std::fs::rename(programs.join("pixi"), programs.join("real-pixi")).unwrap();
    let told = connected.sandbox.write("told", "");
    std::fs::set_permissions(&told, std::fs::Permissions::from_mode(0o666)).unwrap();
    let (told, programs) = (told.display(), programs.display());
    let script = format!("#!/bin/sh\nTOLD={told}\n{script}\nexec {programs}/real-pixi \"$@\"\n");
    connected.sandbox.script("programs/bin/pixi", &script);
    || connected.sandbox.read("told")
}

#[test]
fn a_template_is_read_and_copied_with_the_users_rights() {
    let Some(connected) = connected() else { return };
    let told = before_pixi(&connected, "cat scripts/key scripts/own >> $TOLD 2> /dev/null");
    let private = "mkdir -p -m 700 private; echo SECRET > private/key
        mkdir template/scripts; echo own > template/scripts/own; chown -R nobody template
        ln -s $PWD/private/key template/scripts/key";
    assert_eq!(connected.sandbox.sh(private).exits(0).stderr, "");
    // What he planted among the scripts is not copied for him.
    connected.warm().exits(0).one("warmed");
    assert_eq!(told(), "own\n");
    // Nor is it taken for the manifest.
    let planted = "rm -r volume/cache; mv template/pixi.toml private; ln -s $PWD/private/pixi.toml template";
    assert_eq!(connected.sandbox.sh(planted).exits(0).stderr, "");
    let failed = connected.warm().exits(69).one("failed");
    assert_eq!(failed["cause"], "pixi.toml: Permission denied");
    assert!(!connected.sandbox.path("volume/cache").exists());
}

#[test]
fn a_cache_is_not_made_where_a_planted_link_leads() {
    let Some(mut connected) = connected() else { return };
    connected
        .sandbox
        .set("AUTO_INFER_SGLANG_CACHE_ROOT", &connected.sandbox.text("volume/theirs/way/more/cache"));
    let planted = "cd volume; mkdir roots theirs; ln -s $PWD/roots theirs/way; chown -h nobody theirs theirs/way; cd ..";
    let output = connected.sh(&format!("{planted}; ienv sglang | iwarm")).exits(69);
    assert_eq!(output.one("failed")["cause"], "Permission denied");
    assert_eq!(connected.sandbox.sh("ls -A volume/roots").exits(0).stdout, "");
}

#[test]
fn pixi_does_not_get_what_was_set_for_other_engines() {
    let Some(connected) = connected() else { return };
    let told = before_pixi(&connected, "env >> $TOLD");
    connected.warm().exits(0).one("warmed");
    let told = told();
    assert!(told.contains("HOME=/nonexistent\n"), "{told}");
    assert!(!told.contains("SECRET") && !told.contains("AUTO_INFER_"), "{told}");
}
