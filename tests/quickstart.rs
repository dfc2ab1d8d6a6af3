//! The quickstart, with the tools that are built already.
use crate::kit::{Output, Sandbox, Tiny, free_port, root, tools};
use std::net::{Ipv4Addr, TcpListener};

/// A sandbox whose folder `q` is the quickstart's, the tiny engine in it and a free port chosen.
fn sandbox() -> Sandbox {
    let tiny = Tiny::get();
    let mut sandbox = Sandbox::new();
    drop(sandbox.sh(&format!("mkdir q; cp -r {} q/tiny", tiny.model.parent().unwrap().display())).exits(0));
    sandbox.write("q/port", format!("{}\n", free_port()));
    // The quickstart has a run directory of its own; the sandbox looks there to end what is left.
    let run = sandbox.text("q/run");
    sandbox.set("AUTO_INFER_RUN_DIR", &run);
    std::fs::remove_dir(sandbox.path("run")).unwrap();
    std::os::unix::fs::symlink("q/run", sandbox.path("run")).unwrap();
    sandbox
}

fn quickstart(sandbox: &Sandbox, options: &[&str]) -> Output {
    let mut command = sandbox.command(root().join("scripts/quickstart"));
    command.arg("--dir").arg(sandbox.path("q")).arg("--tools").arg(tools()).args(options);
    sandbox.finish(&mut command)
}

#[test]
fn it_ends_with_an_answer_and_starts_no_second_server() {
    let sandbox = sandbox();
    let first = quickstart(&sandbox, &[]).exits(0);
    assert_eq!(first.kinds(), ["installed", "instance", "ready", "answer"], "{}", first.transcript());
    let second = quickstart(&sandbox, &[]).exits(0);
    assert_eq!(second.kinds(), ["installed", "instance", "ready", "answer"], "{}", second.transcript());
    assert_eq!(second.one("installed")["reused"], true);
    assert_eq!(second.one("instance")["reused"], true);
    assert_eq!(second.one("instance")["keeper_pid"], first.one("instance")["keeper_pid"]);

    // What it says about going on holds.
    let url = second.one("ready")["url"].as_str().unwrap().to_owned();
    assert!(
        second.stderr.contains(&format!("llama.cpp serves on {url}. First, in this shell: . $SANDBOX/q/env"))
    );
    assert!(second.stderr.contains(&format!("ichat --url {url} \"How are you?\"")));
    let by_hand = format!(". q/env; ichat --url {url} 'How are you?' && istop");
    let by_hand = sandbox.sh(&by_hand).exits(0);
    assert_eq!(by_hand.one("answer")["content"], first.one("answer")["content"]);
    assert_eq!(by_hand.all("stopped").len(), 1);
}

#[test]
fn of_two_at_once_one_starts_the_server_and_one_finds_it() {
    let sandbox = sandbox();
    let (one, other) = std::thread::scope(|scope| {
        let one = scope.spawn(|| quickstart(&sandbox, &[]).exits(0));
        (quickstart(&sandbox, &[]).exits(0), one.join().unwrap())
    });
    let mut reused = [&one, &other].map(|output| output.one("instance")["reused"] == true);
    reused.sort_unstable();
    assert_eq!(reused, [false, true], "{}{}", one.transcript(), other.transcript());
}

#[test]
fn stop_ends_what_it_started() {
    let sandbox = sandbox();
    let output = quickstart(&sandbox, &["--stop"]).exits(0);
    assert_eq!(output.stderr, "quickstart: nothing was started from $SANDBOX/q\n");
    drop(quickstart(&sandbox, &[]).exits(0));
    quickstart(&sandbox, &["--stop"]).exits(0).one("stopped");
    assert!(quickstart(&sandbox, &["--stop"]).exits(0).records().is_empty());
}

#[test]
fn a_port_that_a_stranger_took_is_left_to_him() {
    let sandbox = sandbox();
    // Below the range that the kernel hands out, so that the next port is nobody's.
    let first = 20_000 + u16::try_from(std::process::id() % 5_000).unwrap();
    let stranger = (first..).find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()).unwrap();
    let taken = stranger.local_addr().unwrap().port();
    sandbox.write("q/port", format!("{taken}\n"));
    let output = quickstart(&sandbox, &[]).exits(0);
    assert!(output.one("instance")["port"].as_u64().unwrap() > u64::from(taken));
}

#[test]
fn an_archive_of_ones_own_is_taken_and_a_bad_one_is_refused() {
    let mut sandbox = sandbox();
    drop(sandbox.sh("mv q/tiny/llama-server-tiny.tar.gz own.tar.gz; rm -r q/tiny").exits(0));
    sandbox.set("AUTO_INFER_LLAMA_CPP_PKG_PATH", "own.tar.gz");
    let output = quickstart(&sandbox, &[]).exits(0);
    assert_eq!(output.one("installed")["source"]["path"], "$SANDBOX/own.tar.gz");
    drop(quickstart(&sandbox, &["--stop"]).exits(0));

    sandbox.write("own.tar.gz", "not an archive");
    let output = quickstart(&sandbox, &[]).exits(65);
    assert_eq!(output.one("failed")["by"], "iinstall");
    assert!(output.stderr.contains("quickstart: failed with 65; all records are below $SANDBOX/q/boots"));
    assert!(output.all("ready").is_empty());
}

#[test]
fn what_a_bare_machine_lacks_is_named_with_its_remedy() {
    let mut sandbox = sandbox();
    drop(sandbox.sh("rm -r q/tiny").exits(0));
    sandbox.script("bin/python3", "#!/bin/sh\n[ \"$1\" = -c ] || exit 1\n");
    sandbox.set("PATH", &format!("{}:/usr/bin:/bin", sandbox.text("bin")));
    let output = quickstart(&sandbox, &[]).exits(69);
    assert_eq!(
        output.stderr,
        "prepare: $SANDBOX/bin/python3 has no pip\nprepare: hint: apt-get install python3-pip\n"
    );
    for wrong in [&["--port"][..], &["--dir"], &["extra"]] {
        drop(quickstart(&sandbox, wrong).exits(2));
    }
}
