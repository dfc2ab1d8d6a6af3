//! A run that is killed or interrupted, or has no room left.
use super::{CACHE, QUICK, TEMPLATE, connected, made, manifest, ok};
use crate::kit::{alive, full, tools, wait_for};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

#[test]
fn a_killed_run_leaves_no_bundle_and_the_next_one_works() {
    let (sandbox, _channel) = connected();
    let rounds = if full() { 100 } else { 20 };
    let whole = sandbox.sh(&format!("time {QUICK}")).exits(0).one("packed");
    let span = whole["seconds"].as_f64().unwrap() * 1.1;
    for round in 0..rounds {
        let delay = Duration::from_secs_f64(span * f64::from(round) / f64::from(rounds));
        // The programs of the round before die with it, but not in the same moment, and may still write there.
        let gone = || sandbox.sh(&format!("rm -rf {CACHE}")).code == 0;
        wait_for("an empty cache", Duration::from_secs(30), gone);
        let mut command = sandbox.command("/bin/bash");
        command.args(["-c", &format!("exec {QUICK}")]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(delay);
        child.kill().unwrap();
        child.wait().unwrap();
        let sum = sandbox.sh("sha256sum < b.tar").exits(0).stdout;
        if sandbox.path("b.tar.json").exists() {
            assert!(
                sum.starts_with(manifest(&sandbox, "b.tar")["sha256"].as_str().unwrap()),
                "after {delay:?}"
            );
        }
        if round % 5 == 0 {
            // And in its folder.
            wait_for("the next run to work", Duration::from_secs(30), || sandbox.sh(QUICK).code == 0);
            assert_eq!(made(&sandbox), format!("b.tar\nb.tar.json\n{TEMPLATE}"));
        }
    }
}

#[test]
fn without_room_nothing_is_left() {
    let (sandbox, _channel) = connected();
    ok(&sandbox, "mkdir small");
    let script = format!(
        "mount -t tmpfs -o size=4m none small; {}; code=$?; ls -A small; exit $code",
        QUICK.replace("b.tar", "small/b.tar")
    );
    let mut unshare = sandbox.command("unshare");
    let output =
        sandbox.finish(unshare.args(["--map-root-user", "--mount", "bash", "-c", &script])).exits(69);
    assert!(output.stderr.contains("No space left on device"), "{}", output.stderr);
    assert!(!output.stderr.contains("tries left"), "{}", output.stderr);
    assert_eq!(output.stdout, "", "something is left");
}

#[test]
fn an_interrupted_run_takes_its_folder_and_its_programs_with_it() {
    let (sandbox, _channel) = connected();
    // A server that a task has started, in a session of its own.
    sandbox.write(
        "template/scripts/serve.sh",
        "setsid sleep 1000 &\necho $! >$HOME/new\nmv $HOME/{new,server}\nwait\n",
    );
    ok(&sandbox, "sed -i 's/^verify.*/verify = \"bash scripts\\/serve.sh\"/' template/pixi.toml");
    let mut command = sandbox.command(tools().join("ipack"));
    command.args(["--template", "template", "-o", "b.tar"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    wait_for("the server", Duration::from_secs(600), || sandbox.path("home/server").exists());
    let server = sandbox.read("home/server").trim().parse().unwrap();
    assert!(alive(server) && sandbox.path(".ipack-b.tar/project").exists());
    ok(&sandbox, &format!("kill -TERM {}", child.id()));
    assert_eq!(child.wait().unwrap().signal(), Some(15));
    assert!(!alive(server));
    assert_eq!(made(&sandbox), TEMPLATE);
    ok(&sandbox, QUICK);
    assert_eq!(made(&sandbox), format!("b.tar\nb.tar.json\n{TEMPLATE}"));
}

#[test]
fn what_ipack_did_not_start_is_not_ended_with_its_programs() {
    let (sandbox, _channel) = connected();
    // A child of the shell that becomes ipack, and a child of that: who writes down what ipack says is one.
    let script = format!(
        "sh -c 'sleep 1000 & echo $! >$HOME/child; wait' >/dev/null 2>&1 & echo $! >$HOME/sibling\n\
        until [ -s $HOME/child ]; do sleep 0.01; done; exec {QUICK} >$HOME/said 2>&1 </dev/null"
    );
    let ended = sandbox.sh(&script);
    let others = ["home/sibling", "home/child"].map(|file| sandbox.read(file).trim().parse().unwrap());
    let lived = others.map(alive);
    ok(&sandbox, "kill $(cat $HOME/sibling $HOME/child)");
    drop(ended.exits(0));
    assert_eq!(lived, [true, true]);
}

#[test]
fn a_task_that_waits_for_its_server_to_be_gone_does_not_wait_for_ever() {
    let (sandbox, _channel) = connected();
    // A server whose parent has ended comes to ipack, which is to be told of its end.
    sandbox.write(
        "template/scripts/serve.sh",
        "(sleep 1000 >/dev/null 2>&1 & echo $! >$HOME/server)\nkill $(cat $HOME/server)\n\
         for _ in $(seq 600); do kill -0 $(cat $HOME/server) 2>/dev/null || exit 0; sleep 0.1; done\nexit 1\n",
    );
    ok(&sandbox, "sed -i 's/^verify.*/verify = \"bash scripts\\/serve.sh\"/' template/pixi.toml");
    ok(&sandbox, "ipack --template template -o b.tar");
}
