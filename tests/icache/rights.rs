//! Root verifies a cache for the user who installs from it: what he may not read is a gap, and what he plants leads nowhere.
use super::{PKGS, SIX, SIX_POINTER, TINYLIB, UV, gaps, real, verify};
use crate::kit::{Sandbox, as_root};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;

/// A cache and a template that are nobody's, who installs; and a folder of root's alone.
fn nobodys() -> Option<Sandbox> {
    if !as_root() {
        return None;
    }
    let mut sandbox = real();
    sandbox.set("AUTO_INFER_SGLANG_USER", "nobody");
    let script =
        "chmod 755 .; chown -R nobody cache template; mkdir -m 700 private; echo SECRET > private/key";
    assert_eq!(sandbox.sh(script).exits(0).stderr, "");
    Some(sandbox)
}

/// Where the manifest of the template's lock file is.
fn manifest(sandbox: &Sandbox) -> PathBuf {
    let sha256 = sandbox.sh("sha256sum < template/pixi.lock | cut -c 1-64").exits(0).stdout;
    sandbox.path(&format!("cache/infer-dev-manifest-{}.json", sha256.trim()))
}

#[test]
fn what_the_installing_user_may_not_read_is_a_gap() {
    let Some(sandbox) = nobodys() else { return };
    assert!(gaps(&verify(&sandbox, "--deep").exits(0)).is_empty());
    let close = "chown root $0 $1; chmod 600 $0 $1; chmod 700 $2; chown root $2";
    let library = format!("{PKGS}/python-3.11.7-h0000000_0_cpython/lib/python3.11/this.py");
    let idna = format!("{UV}/archive-v0/ENvm99EfOFDt5WhM/idna");
    let close = format!("bash -c '{close}' {SIX_POINTER} {library} {idna}");
    assert_eq!(sandbox.sh(&close).exits(0).stderr, "");
    let output = verify(&sandbox, "").exits(1);
    assert_eq!(gaps(&output), ["six damaged"]);
    assert_eq!(output.one("gap")["detail"], "Permission denied");
    let hint = output.one("failed")["hint"].as_str().unwrap().to_owned();
    assert!(hint.starts_with("let user nobody read the cache, with chmod -R a+rX; "), "{hint}");
    let output = verify(&sandbox, "--record").exits(1);
    assert_eq!(gaps(&output), ["python damaged", "idna damaged", "six damaged"]);
    assert_eq!(output.all("gap")[0]["detail"], "it cannot be read: Permission denied");
    assert!(!manifest(&sandbox).exists());
    // A folder that he may enter and not list.
    drop(sandbox.sh(&format!("chown root {TINYLIB}; chmod 711 {TINYLIB}")).exits(0));
    let output = verify(&sandbox, "").exits(1);
    assert_eq!(gaps(&output), ["tinylib damaged", "six damaged"]);
    assert_eq!(output.all("gap")[0]["detail"], "cannot be read: Permission denied");
}

#[test]
fn a_link_that_the_user_planted_shows_him_nothing_of_roots() {
    let Some(sandbox) = nobodys() else { return };
    let key = sandbox.path("private/key");
    for planted in
        [SIX_POINTER, &format!("{TINYLIB}/info/index.json"), &format!("{SIX}/six-1.17.0.dist-info/RECORD")]
    {
        let path = sandbox.path(planted);
        let kept = path.with_extension("kept");
        fs::rename(&path, &kept).unwrap();
        symlink(&key, &path).unwrap();
        let output = verify(&sandbox, "--deep").exits(1);
        assert!(!output.transcript().contains("SECRET"), "{}", output.transcript());
        assert!(output.one("gap")["detail"].as_str().unwrap().ends_with("Permission denied"), "{planted}");
        fs::remove_file(&path).unwrap();
        fs::rename(&kept, &path).unwrap();
    }
    fs::rename(sandbox.path("template/pixi.lock"), sandbox.path("private/pixi.lock")).unwrap();
    symlink(sandbox.path("private/pixi.lock"), sandbox.path("template/pixi.lock")).unwrap();
    let failed = verify(&sandbox, "").exits(69).one("failed");
    assert_eq!(
        (&failed["what"], &failed["cause"]),
        (&"cannot read $SANDBOX/template/pixi.lock".into(), &"Permission denied".into())
    );
}

#[test]
fn the_manifest_is_written_as_whoever_has_the_cache_and_over_nothing_of_roots() {
    let Some(sandbox) = nobodys() else { return };
    let path = manifest(&sandbox);
    // Every name that could be guessed leads to the file of root's, and the manifest's own does.
    let plant = format!(
        "for pid in $(seq $$ $(($$ + 5000))); do ln -s ../private/key {}.$pid; done
        ln -s ../private/key {0}; ln -s ../private/key {0}.new",
        path.display()
    );
    assert_eq!(sandbox.sh(&plant).exits(0).stderr, "");
    let before = fs::metadata(sandbox.path("private/key")).unwrap();
    drop(verify(&sandbox, "--record").exits(0));
    assert_eq!(sandbox.read("private/key"), "SECRET\n");
    let after = fs::metadata(sandbox.path("private/key")).unwrap();
    assert_eq!((after.ino(), after.uid(), after.ctime_nsec()), (before.ino(), 0, before.ctime_nsec()));
    let written = path.symlink_metadata().unwrap();
    assert_eq!((written.is_file(), written.uid(), written.mode() & 0o777), (true, 65534, 0o644));
    // In the place of the folder, too.
    assert_eq!(
        sandbox
            .sh("mkdir -m 755 roots; mv cache real; ln -s roots cache; chown -h nobody cache")
            .exits(0)
            .stderr,
        ""
    );
    assert_eq!(sandbox.sh("cp -a real/conda real/pypi roots").exits(0).stderr, "");
    drop(verify(&sandbox, "--record").exits(69));
    assert_eq!(sandbox.sh("ls roots").exits(0).stdout, "conda\npypi\n");
}

#[test]
fn what_cannot_be_read_is_not_recorded_though_no_package_lists_it() {
    let Some(sandbox) = nobodys() else { return };
    for (make, cause) in [
        ("echo > $file; chmod 600 $file", "Permission denied"),
        ("mkfifo $file", "it is neither file nor folder nor link"),
        ("mkdir -m 700 $file", "Permission denied"),
    ] {
        let file = format!("{TINYLIB}/unlisted");
        assert_eq!(sandbox.sh(&format!("file={file}; {make}")).exits(0).stderr, "");
        let failed = verify(&sandbox, "--record").exits(69).one("failed");
        assert_eq!(failed["cause"], format!("$SANDBOX/{file}: {cause}"));
        assert!(!manifest(&sandbox).exists());
        assert!(gaps(&verify(&sandbox, "--deep").exits(0)).is_empty(), "pixi does not install it");
        drop(sandbox.sh(&format!("rm -r {file}")).exits(0));
    }
    // Once recorded, what cannot be read any more is named, and not the whole tree.
    drop(verify(&sandbox, "--record").exits(0));
    let about = format!("{TINYLIB}/info/about.json");
    drop(sandbox.sh(&format!("chown root {about}; chmod 600 {about}")).exits(0));
    let gap = verify(&sandbox, "--deep").exits(1).one("gap");
    assert_eq!(gap["path"], format!("$SANDBOX/{about}"));
    assert_eq!(gap["detail"], "it cannot be read: Permission denied");
}

#[test]
fn a_pipe_or_a_file_without_end_in_the_place_of_any_file_hangs_nothing_and_takes_no_memory() {
    let sandbox = real();
    let manifest = manifest(&sandbox);
    let manifest = manifest.strip_prefix(sandbox.path("")).unwrap().to_str().unwrap();
    let record = format!("{SIX}/six-1.17.0.dist-info/RECORD");
    let (index, paths, sidecar) = (
        format!("{TINYLIB}/info/index.json"),
        format!("{TINYLIB}/info/paths.json"),
        format!("{TINYLIB}.lock"),
    );
    assert_eq!(sandbox.sh("mkdir template/.pixi").exits(0).stderr, "");
    let files: [(&str, i32); 9] = [
        ("template/pixi.lock", 69),
        (manifest, 69),
        (SIX_POINTER, 1),
        (&index, 1),
        (&paths, 1),
        (&sidecar, 1),
        (&record, 1),
        ("note", 69),
        // Only what it says would have been told.
        ("template/.pixi/config.toml", 0),
    ];
    for make in ["mkfifo $file", "truncate -s 20G $file", "ln -s /dev/zero $file"] {
        for (file, code) in files {
            let keep = format!("file={file}; mv $file kept 2> /dev/null || true; {make}");
            drop(sandbox.sh(&keep).exits(0));
            let option = if file == "note" { "--since note" } else { "--deep" };
            let script = format!(
                "ienv sglang | (ulimit -v 1000000; timeout 60 icache --platform linux-64 --jobs 2 {option})"
            );
            let output = sandbox.sh(&script);
            // What is not JSON at all and what is too large are told apart.
            let fits = output.code == code || (code == 69 && output.code == 65);
            assert!(fits, "{make} {file}: {}", output.transcript());
            drop(sandbox.sh(&format!("rm {file}; mv kept {file} 2> /dev/null || true")).exits(0));
        }
    }
}
