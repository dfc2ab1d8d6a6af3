//! The quickstart, with the tools that are built already.
mod terminal;

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
    let (_, verbs) = second.stderr.split_once("q/env\n").unwrap();
    let verbs: Vec<&str> =
        verbs.lines().filter_map(|line| line.trim_start().split_once("    ")).map(|(_, verb)| verb).collect();
    let [chat, look, stop] = verbs[..] else { panic!("{}", second.transcript()) };
    let by_hand = sandbox.sh(&format!(". q/env; {chat} && {look} && {stop}")).exits(0);
    assert_eq!(by_hand.one("answer")["content"], first.one("answer")["content"]);
    assert_eq!(by_hand.kinds(), ["answer", "status", "stopped"], "{}", by_hand.transcript());
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
fn a_port_that_a_foreign_process_holds_is_left_alone() {
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

/// Links to all programs of the system but these, as PATH.
fn all_programs_but(sandbox: &mut Sandbox, missing: &[&str]) {
    std::fs::create_dir(sandbox.path("bin")).unwrap();
    drop(sandbox.sh("ln -s /usr/bin/* bin/").exits(0));
    for name in missing {
        std::fs::remove_file(sandbox.path("bin").join(name)).ok();
    }
    let bin = sandbox.text("bin");
    sandbox.set("PATH", &bin);
}

#[test]
fn what_a_bare_machine_lacks_is_named_before_anything_is_built_all_at_once() {
    let mut sandbox = sandbox();
    drop(sandbox.sh("rm -r q/tiny").exits(0));
    all_programs_but(&mut sandbox, &["cargo", "rustc", "cc", "python3"]);
    let mut command = sandbox.command(root().join("scripts/quickstart"));
    let output = sandbox.finish(command.arg("--dir").arg(sandbox.path("q"))).exits(69);
    assert_eq!(
        output.stderr,
        "quickstart: this machine lacks: cargo and rustc (1.95 or newer), a C compiler with the C library to \
         compile for, python3 (3.10 or newer), pip for python3\n\
         quickstart: hint: install Rust from https://rustup.rs\n\
         quickstart: hint: apt-get install gcc libc6-dev python3 python3-pip\n\
         quickstart: hint: a llama.cpp archive named in AUTO_INFER_LLAMA_CPP_PKG_PATH needs neither pip nor a network\n"
    );
    // With tools that are built nothing is needed to build them; a compiler that makes no programs is none.
    sandbox.script("bin/python3", "#!/bin/sh\n[ \"$1\" = -c ] || exit 1\n");
    let output = quickstart(&sandbox, &[]).exits(69);
    let pip =
        "quickstart: this machine lacks: pip for python3\nquickstart: hint: apt-get install python3-pip\n";
    assert!(output.stderr.starts_with(pip), "{}", output.stderr);
    sandbox.script("bin/python3", "#!/bin/sh\nexit 0\n");
    sandbox.script("bin/cc", "#!/bin/sh\necho 'ld: cannot find crt1.o' >&2\nexit 1\n");
    sandbox.script("bin/cargo", "#!/bin/sh\necho cargo 1.95.0\n");
    sandbox.script("bin/rustc", "#!/bin/sh\necho rustc 1.94.1\n");
    let mut command = sandbox.command(root().join("scripts/quickstart"));
    let output = sandbox.finish(command.arg("--dir").arg(sandbox.path("q"))).exits(69);
    assert!(output.stderr.contains("hint: apt-get install gcc libc6-dev\n"), "{}", output.stderr);
    assert!(output.stderr.contains("lacks: cargo and rustc (1.95 or newer), a C"), "{}", output.stderr);
    assert!(!sandbox.path("q/env").exists());
}

/// As a package has it: the tools in `bin` beside `scripts`, and nothing to build from.
#[test]
fn in_a_package_it_takes_the_tools_that_are_there_and_builds_nothing() {
    let mut sandbox = sandbox();
    drop(sandbox.sh(&format!("mkdir package; cp -r {}/scripts package/", root().display())).exits(0));
    let in_package = |sandbox: &Sandbox| {
        let mut command = sandbox.command(sandbox.path("package/scripts/quickstart"));
        sandbox.finish(command.arg("--dir").arg(sandbox.path("q")))
    };
    assert_eq!(
        in_package(&sandbox).exits(69).stderr,
        "quickstart: there are no tools in $SANDBOX/package/bin, and no sources to build them from: name the tools' \
         folder with --tools\n"
    );
    std::os::unix::fs::symlink(tools(), sandbox.path("package/bin")).unwrap();
    all_programs_but(&mut sandbox, &["cargo", "rustc", "cc"]);
    let own = sandbox.sh("mv q/tiny/llama-server-tiny.tar.gz own.tar.gz; rm -r q/tiny; rm -f bin/pip*");
    drop(own.exits(0));
    sandbox.set("AUTO_INFER_LLAMA_CPP_PKG_PATH", "own.tar.gz");
    let output = in_package(&sandbox).exits(0);
    assert_eq!(output.kinds(), ["installed", "instance", "ready", "answer"], "{}", output.transcript());
    assert!(!output.stderr.contains("building"), "{}", output.stderr);
    sandbox.script("bin/python3", "#!/bin/sh\nexit 1\n");
    let lacking = in_package(&sandbox).exits(69);
    assert_eq!(
        lacking.stderr,
        "quickstart: this machine lacks: python3 (3.10 or newer)\nquickstart: hint: apt-get install python3\n"
    );
}

#[test]
fn a_wrong_call_is_refused_and_help_is_no_wrong_call() {
    let sandbox = sandbox();
    for wrong in [&["--port"][..], &["--dir"], &["extra"]] {
        drop(quickstart(&sandbox, wrong).exits(2));
    }
    for help in ["--help", "-h"] {
        let output = quickstart(&sandbox, &[help]).exits(0);
        for word in ["usage: scripts/quickstart", "--dir DIR", "--tools DIR", "--stop", "--help"] {
            assert!(output.stdout.contains(word), "{}", output.stdout);
        }
        assert_eq!(output.stderr, "");
    }
    for nowhere in [&["--tools", "/nonexistent"][..], &["--tools", "/nonexistent", "--stop"]] {
        let output = quickstart(&sandbox, nowhere);
        if nowhere.contains(&"--stop") {
            assert_eq!(output.exits(0).stderr, "quickstart: nothing was started from $SANDBOX/q\n");
        } else {
            assert_eq!(
                output.exits(69).stderr,
                "quickstart: there is no ienv in /nonexistent\nquickstart: hint: --tools takes the folder that cargo \
                 builds into, such as target/quick\n"
            );
        }
    }
}

#[test]
fn with_its_env_in_the_shell_it_runs_again_and_warns_of_nothing() {
    let sandbox = sandbox();
    drop(quickstart(&sandbox, &[]).exits(0));
    let before = sandbox.read("q/llama.toml");
    let script = root().join("scripts/quickstart").display().to_string();
    let again = format!(". q/env; {script} --dir q --tools {}", tools().display());
    let output = sandbox.sh(&again).exits(0);
    assert_eq!(output.kinds(), ["installed", "instance", "ready", "answer"], "{}", output.transcript());
    assert_eq!(output.one("instance")["reused"], true);
    assert!(!output.stderr.contains("warning"), "{}", output.stderr);
    assert_eq!(sandbox.read("q/llama.toml"), before);
}

/// README's way to a model of one's own, line by line, on the tiny package and model.
#[test]
fn the_readmes_five_commands_serve_a_model_of_ones_own() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let section = readme.split("## Your own model\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let lines: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    assert_eq!(lines.len(), 5, "{lines:?}");
    let (tiny, port, sandbox) = (Tiny::get(), free_port().to_string(), Sandbox::new());
    let script = lines
        .join("\n")
        .replace("/media/llama-cpp.tar.gz", tiny.archive.to_str().unwrap())
        .replace("/models/own.gguf", tiny.model.to_str().unwrap())
        .replace("8080", &port);
    let output = sandbox.sh(&script).exits(0);
    assert_eq!(output.one("ready")["instance"], "own", "{}", output.transcript());
    assert!(output.one("answer")["content"].as_str().is_some_and(|answer| !answer.is_empty()));
}
