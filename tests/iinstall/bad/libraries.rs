//! A server that the system cannot run: libraries, interpreters, machines.
use super::super::Site;
use super::super::pack::Pack;
use super::{left_nothing, refused};
use crate::kit::tools;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// A program of ours whose need of `libgcc_s.so.1` is made a need of `other`, which is not longer.
fn program_that_needs(other: &str) -> Vec<u8> {
    let mut bytes = fs::read(tools().join("iinstall")).unwrap();
    let own = b"libgcc_s.so.1\0";
    let at = bytes.windows(own.len()).position(|window| window == own).unwrap();
    bytes[at..at + own.len()].fill(0);
    bytes[at..at + other.len()].copy_from_slice(other.as_bytes());
    bytes
}

/// A program of ours that wants a version of `libc.so.6` which no system has, and the one that it was made from.
fn program_that_wants_what_is_newer() -> (Vec<u8>, String) {
    let mut bytes = fs::read(tools().join("iinstall")).unwrap();
    let digit = |byte: &u8| byte.is_ascii_digit();
    let at =
        bytes.windows(11).position(|w| w.starts_with(b"\0GLIBC_2.") && w[9..].iter().all(digit)).unwrap();
    let own = String::from_utf8(bytes[at + 1..at + 11].to_vec()).unwrap();
    bytes[at + 9..at + 11].copy_from_slice(b"99");
    (bytes, own.replace(&own[8..], "99"))
}

#[test]
fn a_library_that_is_too_old_is_named_with_what_it_lacks_as_the_loader_would_find() {
    let mut site = Site::new();
    let (program, wanted) = program_that_wants_what_is_newer();
    site.sandbox.program("too-new", &program);
    let refused = site.sandbox.sh("./too-new --version; exit 0").stderr;
    assert!(refused.contains(&format!("version `{wanted}' not found")), "{refused}");

    let archive = site.save("a.tar", Pack::new().file("bin/llama-server", &program));
    let output = site.install(archive).exits(69);
    left_nothing(&site, &output);
    let cause = output.one("failed")["cause"].as_str().unwrap().to_owned();
    let begins = format!("bin/llama-server needs {wanted} of libc.so.6, which goes to GLIBC_2.");
    assert!(cause.starts_with(&begins) && cause.ends_with(" here"), "{cause}");

    // Only a backend is lost with it.
    let server = fs::read(tools().join("iinstall")).unwrap();
    let pack = Pack::new().file("bin/llama-server", server).file("bin/libggml-new.so", &program);
    let archive = site.save("b.tar", pack);
    let warnings = site.install(archive).exits(0).all("warning");
    let lost = |warning: &Value| {
        let what = warning["what"].as_str().unwrap();
        warning["rule"] == "backend_library" && what.starts_with("bin/libggml-new.so needs GLIBC_2.99 of ")
    };
    assert!(!warnings.is_empty() && warnings.iter().all(lost), "{warnings:?}");
}

#[test]
fn a_missing_library_is_named_with_who_needs_it() {
    let mut site = Site::new();
    let archive =
        site.save("a.tar", Pack::new().file("bin/llama-server", program_that_needs("libgcc_x.so.1")));
    let output = site.install(archive).exits(69);
    left_nothing(&site, &output);
    let cause = "bin/llama-server needs libgcc_x.so.1: neither in it nor on this machine";
    assert_eq!(output.one("failed")["cause"], cause);

    let pack = Pack::new()
        .file("bin/llama-server", program_that_needs("libgcc_x.so.1"))
        .file("bin/libgcc_x.so.1", program_that_needs("libgcc_y.so.1"));
    let archive = site.save("b.tar", pack);
    let failed = site.install(archive).exits(69).one("failed");
    assert_eq!(failed["cause"], "bin/libgcc_x.so.1 needs libgcc_y.so.1: neither in it nor on this machine");

    let pack = Pack::new()
        .file("bin/llama-server", program_that_needs("libgcc_x.so.1"))
        .file("bin/libgcc_x.so.1.0", program_that_needs("libcuda.so.1"))
        .link("bin/libgcc_x.so.1", "libgcc_x.so.1.0");
    let archive = site.save("c.tar", pack);
    let output = site.install(archive).exits(0);
    if !Path::new("/usr/lib/x86_64-linux-gnu/libcuda.so.1").exists() {
        let warning = output.one("warning");
        assert_eq!(warning["rule"], "driver_library");
        assert!(warning["what"].as_str().unwrap().contains("libcuda.so.1"), "{warning}");
    }
}

#[test]
fn a_backend_that_cannot_be_loaded_only_warns() {
    let mut site = Site::new();
    let pack = Pack::new()
        .file("bin/llama-server", fs::read(tools().join("iinstall")).unwrap())
        .file("bin/libggml-vulkan.so", program_that_needs("libvulk_x.so"));
    let archive = site.save("a.tar", pack);
    let warning = site.install(archive).exits(0).one("warning");
    assert_eq!(warning["rule"], "backend_library");
}

#[test]
fn a_program_for_another_machine_and_a_script_without_its_interpreter() {
    let mut bytes = fs::read(tools().join("iinstall")).unwrap();
    bytes[18] = 8;
    let cause = refused(Pack::new().file("bin/llama-server", bytes).end());
    assert_eq!(cause, "bin/llama-server in it is built for another kind of processor");
    for (line, name, wanted) in [
        ("#!/nonexistent/sh", "/nonexistent/sh", "sh as /nonexistent/sh"),
        ("#!/usr/bin/env -S python3.99 -x", "python3.99", "python3.99"),
    ] {
        let mut site = Site::new();
        let archive = site.save("a.tar", Pack::new().file("bin/llama-server", line));
        let output = site.install(archive).exits(69);
        left_nothing(&site, &output);
        let cause = format!("bin/llama-server in it is a script for {name}, which is not on this machine");
        assert_eq!(output.one("failed")["cause"], cause);
        let hint = format!("install {wanted}, or take a package whose llama-server is no script");
        assert_eq!(output.one("failed")["hint"], hint);
    }
}
