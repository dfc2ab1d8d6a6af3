//! The program that unpacks a bundle, and what it may reach.
use super::{Site, path, rules};
use crate::kit::{Output, Pixi, fixture};
use serde_json::json;
use std::fs;
use std::net::TcpListener;
use std::path::Path;

/// The most memory that a process ever had, as long as it is there to be asked.
fn peak_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

#[test]
fn a_script_of_any_size_installs_in_little_memory() {
    let mib = if crate::kit::full() { 2048 } else { 200 };
    let mut site = Site::new();
    // A file that no index lists: pixi-unpack passes it by, and we unpack and hash it as all others.
    site.sh(&format!("head -c {mib}M /dev/urandom > members/channel/noarch/payload-1.0-0.conda"));
    let script = site.pack("b.tar");
    site.script("b.tar", "b.sh");
    site.describe("b.sh");
    fs::remove_file(script).unwrap();
    site.set("bundle", site.sandbox.text("b.sh"));
    let mut child = site.start();
    let mut peak = 0;
    // Before it becomes iinstall it is as large as we are; then its peak only grows.
    while child.try_wait().unwrap().is_none() {
        peak = peak_kib(child.id()).unwrap_or(peak);
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    println!("{mib} MiB in a script: at most {peak} KiB of memory");
    assert!((1..64 << 10).contains(&peak), "{peak} KiB");
    site.imports();
    assert_eq!(site.installs().1, [""; 0]);
}

#[test]
fn a_proxy_is_never_asked() {
    let mut site = Site::new();
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://127.0.0.1:{}", proxy.local_addr().unwrap().port());
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        site.sandbox.set(name, &url);
    }
    drop(site.install(fixture::bundle()).exits(0));
    site.imports();
    proxy.set_nonblocking(true).unwrap();
    assert_eq!(proxy.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn which_pixi_unpack_runs() {
    let mut site = Site::new();
    site.pack("b.tar");
    let fake = |name: &str| {
        let script = format!("#!/bin/sh\necho $0 {name} >&2\necho error: {name} cannot >&2\nexit 3\n");
        site.sandbox.script(&format!("{name}/pixi-unpack"), &script)
    };
    let (named, found) = (fake("named"), fake("found"));
    let cause = |output: &Output| output.one("failed")["cause"].as_str().unwrap().to_owned();

    // None at all: which file to bring, and where to.
    site.sandbox.set("PATH", &path(Path::new("/nonexistent")));
    let missing = site.install(site.sandbox.path("b.tar")).exits(69).one("failed");
    assert_eq!(missing["what"], "cannot find pixi-unpack");
    let hint = missing["hint"].as_str().unwrap();
    assert!(hint.contains("unknown-linux-musl") && hint.contains("PATH"), "{hint}");
    assert!(hint.contains("AUTO_INFER_VLLM_PIXI_UNPACK_BIN"), "{hint}");
    assert_eq!(site.installs().1, [""; 0], "nothing is unpacked for nothing");

    // The one that was named and is not there: PATH's does not stand in for it.
    site.sandbox.set("PATH", &path(&Pixi::get().bin));
    site.set("pixi_unpack", site.sandbox.text("nowhere"));
    let missing = site.run("").exits(69).one("failed");
    assert_eq!(missing["what"], "cannot find pixi-unpack");
    assert_eq!(missing["cause"], "$SANDBOX/nowhere: No such file or directory");
    assert_eq!((&missing["hint"], site.installs().1), (&hint.into(), vec![]));
    site.unset("pixi_unpack");

    // PATH's, then the one that was named; what it says last is told.
    site.sandbox.set("PATH", &path(found.parent().unwrap()));
    let failed = site.run("").exits(69);
    assert_eq!(cause(&failed), "exit 3: found cannot");
    assert_eq!(failed.one("failed")["log_tail"][1], "error: found cannot");
    site.set("pixi_unpack", named.to_str().unwrap());
    assert_eq!(cause(&site.run("").exits(69)), "exit 3: named cannot");
    assert_eq!((site.current(), site.installs().1), (None, vec![]));

    // The one inside the script goes before PATH's; the one that was named before it.
    let script = site.script("b.tar", "b.sh");
    assert_eq!(cause(&site.install(&script).exits(69)), "exit 3: named cannot");
    site.unset("pixi_unpack");
    drop(site.run("").exits(0));
    site.imports();
}

#[test]
fn a_script_of_another_make_runs_only_when_asked_and_sealed() {
    let mut site = Site::new();
    let script = format!(
        "#!/usr/bin/env bash\nset -euo pipefail\n! (echo > /dev/tcp/192.0.2.1/80) 2>/dev/null\npixi-unpack \"$@\" {}\n",
        fixture::bundle().display()
    );
    let bundle = site.sandbox.write("b.sh", script);
    let failed = site.install(&bundle).exits(65).one("failed");
    assert_eq!(failed["cause"], "it is a script without the line @@END_HEADER@@ in its first 1024 KiB");
    assert!(failed["hint"].as_str().unwrap().contains("--run-sh"), "{failed}");
    assert_eq!(site.current(), None);
    let output = site.run("--run-sh").exits(0);
    assert_eq!(rules(&output), ["unproved_bundle"]);
    assert_eq!(output.one("installed")["checks"]["proved"], json!([]));
    site.imports();
}
