//! COMMAND at a terminal.
use super::{LIMIT, script, wait_for_file};
use crate::kit::{Sandbox, wait_for};
use std::io::Write;
use std::process::{Child, Stdio};

/// The script at a terminal of its own, with what is typed there. It hears Ctrl-C even where whoever runs the tests does not
/// (nohup, a job in the background).
fn at_a_terminal(sandbox: &Sandbox, command: &str) -> Child {
    sandbox.write("command", command);
    let line = format!("exec env --default-signal=INT,QUIT {} sh command", script().display());
    let mut terminal = sandbox.command("script");
    terminal.args(["-qec", &line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::null());
    terminal.spawn().unwrap()
}

/// Press Ctrl-C once `started` is there, and give the exit code.
fn interrupted(sandbox: &Sandbox, mut terminal: Child) -> Option<i32> {
    wait_for_file(sandbox, "started");
    let mut keys = terminal.stdin.take().unwrap();
    keys.write_all(b"\x03").unwrap();
    wait_for("the end", LIMIT, || terminal.try_wait().unwrap().is_some());
    std::fs::remove_file(sandbox.path("started")).unwrap();
    terminal.wait().unwrap().code()
}

#[test]
fn ctrl_c_at_command_shows_in_its_exit_code() {
    let mut sandbox = Sandbox::new();
    for wait in ["1", "0"] {
        sandbox.set("AUTO_INFER_BOOT_WAIT", wait);
        for _ in 0..8 {
            let dies = at_a_terminal(&sandbox, ": >started; exec sleep 1000");
            assert_eq!(interrupted(&sandbox, dies), Some(130), "AUTO_INFER_BOOT_WAIT={wait}");
            let own = at_a_terminal(&sandbox, "trap 'exit 7' INT; : >started; while :; do sleep 0.05; done");
            assert_eq!(interrupted(&sandbox, own), Some(7), "AUTO_INFER_BOOT_WAIT={wait}");
        }
    }
}

#[test]
fn ctrl_c_during_the_boot_ends_it() {
    let mut sandbox = super::booting_for_ever();
    let ilaunch = crate::kit::tools().join("ilaunch");
    sandbox.script("bin/ilaunch", &format!("#!/bin/sh\n{} \"$@\" && : >started\n", ilaunch.display()));
    let path = format!("{}:{}", sandbox.text("bin"), crate::kit::tools().display());
    sandbox.set("PATH", &format!("{path}:/usr/bin:/bin"));
    let boots = at_a_terminal(&sandbox, ": >ran");
    assert_eq!(interrupted(&sandbox, boots), Some(130));
    assert!(!sandbox.path("ran").exists());
    assert_eq!(super::states(&sandbox), ["stopped"]);
}
