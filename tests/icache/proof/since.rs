//! `--since`: only what changed is read again.
use super::super::{SIX, TINYLIB, gaps, real, verify};
use super::lock_sha256;
use crate::kit::{Sandbox, wait_for};
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Wait until every file of the cache changed so long ago that a note may have its hash.
fn settle(sandbox: &Sandbox) {
    let changes = sandbox.sh("find cache -printf '%C@\\n'").exits(0).stdout;
    let last = changes.lines().map(|change| change.parse::<f64>().unwrap()).fold(0.0, f64::max);
    let last = UNIX_EPOCH + Duration::from_secs_f64(last);
    let old = || SystemTime::now().duration_since(last).unwrap_or_default() > Duration::from_millis(100);
    wait_for("the files' time to pass", Duration::from_secs(60), old);
}

/// The real cache, once it is that old.
fn settled() -> Sandbox {
    let sandbox = real();
    settle(&sandbox);
    sandbox
}

fn hashed(sandbox: &Sandbox, options: &str) -> u64 {
    verify(sandbox, options).one("cache")["hashed_bytes"].as_u64().unwrap()
}

#[test]
fn since_reads_again_only_what_changed() {
    let sandbox = settled();
    assert_eq!([hashed(&sandbox, "--since note"), hashed(&sandbox, "--since note")], [461_165, 0]);
    let output = verify(&sandbox, "--since note").exits(0);
    assert_eq!(
        (output.one("cache")["bytes"].as_u64(), output.one("cache")["depth"].as_str()),
        (Some(461_165), Some("deep"))
    );
    assert_eq!(hashed(&sandbox, "--deep"), 461_165);
    assert_eq!(hashed(&sandbox, "--deep --since note"), 461_165, "--deep reads all, whatever the note says");

    let path = format!("{SIX}/six.py");
    let six = sandbox.read(&path);
    let size = u64::try_from(six.len()).unwrap();
    let stamp = format!("touch -r {path} stamp");
    assert_eq!(sandbox.sh(&stamp).exits(0).stderr, "");
    sandbox.write(&path, six.replacen('#', "$", 1));
    assert_eq!(sandbox.sh(&format!("touch -r stamp {path}")).exits(0).stderr, "");
    settle(&sandbox);
    let output = verify(&sandbox, "--since note").exits(1);
    assert_eq!(
        (gaps(&output), output.one("cache")["hashed_bytes"].as_u64()),
        (vec!["six damaged".to_owned()], Some(size)),
        "size and mtime are as before, ctime is not"
    );
    let output = verify(&sandbox, "--since note").exits(1);
    assert_eq!(
        (gaps(&output), output.one("cache")["hashed_bytes"].as_u64()),
        (vec!["six damaged".to_owned()], Some(0))
    );
    assert_eq!(
        sandbox
            .sh(&format!("cp {path} x; sed -i '1s/[$]/#/' x; touch -r stamp x; mv x {path}"))
            .exits(0)
            .stderr,
        ""
    );
    settle(&sandbox);
    let output = verify(&sandbox, "--since note").exits(0);
    assert_eq!(output.one("cache")["hashed_bytes"].as_u64(), Some(size), "another inode");
}

#[test]
fn what_changed_at_the_very_time_of_a_pass_is_read_again() {
    let sandbox = settled();
    // Of the future, as from a server whose clock is ahead: it may change again under the same time.
    assert_eq!(sandbox.sh(&format!("touch -d '+1 hour' {SIX}/six.py")).exits(0).stderr, "");
    assert_eq!(hashed(&sandbox, "--since note"), 461_165);
    let size = fs::metadata(sandbox.path(&format!("{SIX}/six.py"))).unwrap().len();
    assert_eq!(hashed(&sandbox, "--since note"), size);
}

#[test]
fn a_note_keeps_what_other_passes_know_and_is_nobody_elses_file() {
    let sandbox = settled();
    let lock = sandbox.read("template/pixi.lock");
    let six = lock
        .lines()
        .filter(|line| line.contains("conda") || !line.contains("six-1.17.0"))
        .collect::<Vec<_>>();
    assert_eq!(hashed(&sandbox, "--since note"), 461_165);
    let (head, rest) = lock.split_once("packages:\n      linux-64:\n").unwrap();
    let (_, packages) = rest.split_once("packages:\n").unwrap();
    let one = "      - conda: http://127.0.0.1:8899/conda-forge/noarch/cuda-version-12.8-0.tar.bz2\n";
    sandbox
        .write("template/pixi.lock", format!("{head}packages:\n      linux-64:\n{one}packages:\n{packages}"));
    assert_eq!(hashed(&sandbox, "--since note"), 0);
    sandbox.write("template/pixi.lock", &lock);
    assert_eq!(hashed(&sandbox, "--since note"), 0, "the other packages were forgotten");
    assert!(six.len() < lock.lines().count());

    for (content, code) in [("somebody's diary\n", 65), ("infer-dev icache note 2\nab 1 2 3\n", 65), ("", 0)]
    {
        for options in ["--since note", "--deep --since note"] {
            sandbox.write("note", content);
            let output = verify(&sandbox, options).exits(code);
            if code != 0 {
                assert_eq!(output.one("failed")["cause"], "it is not the note of an earlier pass");
                assert_eq!(sandbox.read("note"), content);
            }
        }
    }
    // Nothing else is read to its end, or replaced.
    assert_eq!(sandbox.sh("mkfifo pipe; ln -s pipe link").exits(0).stderr, "");
    for other in ["pipe", "link", "home"] {
        let failed = verify(&sandbox, &format!("--deep --since {other}")).exits(69).one("failed");
        assert_eq!(failed["cause"], "it is not a regular file", "{other}");
    }
    assert_eq!(sandbox.sh("stat -c %F pipe link home").exits(0).stdout, "fifo\nsymbolic link\ndirectory\n");
    let failed = verify(&sandbox, "--since absent/note").exits(69).one("failed");
    assert_eq!(
        (failed["what"].as_str(), failed["cause"].as_str()),
        (Some("cannot write the note absent/note"), Some("No such file or directory"))
    );
}

#[test]
fn a_file_that_cannot_be_written_is_reported_before_anything_is_hashed() {
    let sandbox = real();
    // So much that no pass ever comes to its end.
    let output = sandbox.sh(&format!("truncate -s 1T {TINYLIB}/terabyte; mkdir -p folder/note locked"));
    assert_eq!(output.exits(0).stderr, "");
    let verify = |options: &str| sandbox.sh(&format!("ienv sglang | timeout 60 icache {options}"));
    for (note, cause) in [
        ("absent/note", "No such file or directory"),
        ("folder/note", "it is not a regular file"),
        ("template/pixi.lock/note", "Not a directory"),
    ] {
        let failed = verify(&format!("--since {note}")).exits(69).one("failed");
        assert!(failed["what"].as_str().unwrap().ends_with(&format!(" the note {note}")), "{failed}");
        assert_eq!(failed["cause"], cause, "{note}");
    }
    let name = format!("infer-dev-manifest-{}.json", lock_sha256(&sandbox));
    fs::create_dir(sandbox.path(&format!("cache/{name}"))).unwrap();
    let failed = verify("--record").exits(69).one("failed");
    assert_eq!(failed["what"], format!("cannot write the manifest $SANDBOX/cache/{name}"));
    assert_eq!(failed["cause"], "Is a directory");
    assert!(failed["hint"].as_str().unwrap().contains("--record"), "{failed}");

    fs::remove_dir(sandbox.path(&format!("cache/{name}"))).unwrap();
    let read_only = "mount --bind locked locked && mount -o remount,bind,ro locked
        mount --bind cache cache && mount -o remount,bind,ro cache";
    for (options, what) in [("--since locked/note", "the note locked/note"), ("--record", "the manifest ")] {
        let script = format!("{read_only}; ienv sglang | timeout 60 icache {options}");
        let output = sandbox.sh(&format!("unshare -rm bash -euo pipefail -c '{script}'")).exits(69);
        let failed = output.one("failed");
        assert!(failed["what"].as_str().unwrap().starts_with(&format!("cannot write {what}")), "{failed}");
        assert_eq!(failed["cause"], "Read-only file system");
    }
}
