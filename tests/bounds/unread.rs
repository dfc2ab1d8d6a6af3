//! A run directory that cannot be read is no empty one.
use super::Ordinary;
use crate::kit::{Keeping, Sandbox, tools};
use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

const PATIENT: &str = "echo up; exec sleep 1000";

#[test]
fn another_users_private_run_directory_is_an_error_and_no_empty_answer() {
    let Some(user) = Ordinary::new() else { return };
    let keeping = Ordinary::guests();
    chown(keeping.sandbox.path("run"), Some(0), Some(0)).unwrap();
    keeping.start("a", PATIENT);
    for closed in ["run", "run/llama-cpp"] {
        set_permissions(keeping.sandbox.path(closed), Permissions::from_mode(0o700)).unwrap();
        for command in
            ["istat", "istat --table", "istat a", "istat --log a", "istop", "istop a", "istop llama-cpp"]
        {
            let output = user.sh(&keeping, command).exits(69);
            let named = output.stderr.contains("cannot read $SANDBOX/run/llama-cpp: Permission denied");
            assert!(named && output.stderr.contains("--run-dir"), "{command}: {}", output.transcript());
        }
        set_permissions(keeping.sandbox.path(closed), Permissions::from_mode(0o755)).unwrap();
    }
    assert_eq!(keeping.status("a")["state"], "running");
}

#[test]
fn a_run_directory_of_ours_that_others_may_write_is_an_error_and_no_empty_answer() {
    let mut keeping = Keeping::new();
    let usual = keeping.sandbox.path("xdg/infer-dev");
    std::fs::create_dir_all(&usual).unwrap();
    keeping.sandbox.unset("AUTO_INFER_RUN_DIR");
    let xdg = keeping.sandbox.text("xdg");
    keeping.sandbox.set("XDG_RUNTIME_DIR", &xdg);
    set_permissions(&usual, Permissions::from_mode(0o777)).unwrap();
    for command in ["istat", "istop"] {
        let output = keeping.sandbox.sh(command).exits(69);
        assert!(output.stderr.contains("others may write $SANDBOX/xdg/infer-dev"), "{}", output.transcript());
    }
}

#[test]
fn what_can_be_read_is_shown_and_stopped_all_the_same() {
    let Some(user) = Ordinary::new() else { return };
    let keeping = user.keeping();
    keeping.sandbox.write("plans", format!("{}\n", keeping.plan("a", PATIENT)));
    drop(user.sh(&keeping, "ilaunch < plans").exits(0));
    std::fs::create_dir(keeping.sandbox.path("run/vllm")).unwrap();
    set_permissions(keeping.sandbox.path("run/vllm"), Permissions::from_mode(0o700)).unwrap();
    assert_eq!(user.sh(&keeping, "istat").exits(69).one("status")["instance"], "a");
    // Who is asked for by name is there: what could not be read is no matter.
    assert_eq!(user.sh(&keeping, "istat a || [ $? = 1 ]").exits(0).one("status")["instance"], "a");
    assert_eq!(user.sh(&keeping, "istop").exits(69).one("stopped")["instance"], "a");
    assert!(keeping.processes().is_empty());
}

/// strace lets a system call of a tool fail, from the `when`th on.
fn injected(sandbox: &Sandbox, path: &str, inject: &str, tool: &str) -> crate::kit::Output {
    let mut command = sandbox.command("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-P", path, "-e", &format!("inject={inject}")]);
    sandbox.finish(command.arg(tools().join(tool)))
}

#[test]
fn a_folder_that_the_disk_or_a_limit_on_descriptors_keeps_from_us_is_named() {
    assert!(Command::new("strace").arg("-V").output().is_ok(), "strace is missing");
    let keeping = Keeping::new();
    keeping.start("a", PATIENT);
    let engine = keeping.sandbox.text("run/llama-cpp");
    for (inject, cause) in [
        ("openat:error=EIO", "Input/output error"),
        ("openat:error=EMFILE", "Too many open files"),
        ("getdents64:error=EIO", "Input/output error"),
    ] {
        for tool in ["istat", "istop"] {
            let output = injected(&keeping.sandbox, &engine, inject, tool).exits(69);
            let expected = format!("cannot read $SANDBOX/run/llama-cpp: {cause}");
            assert!(output.stderr.contains(&expected), "{tool} {inject}: {}", output.transcript());
        }
    }
    assert_eq!(keeping.status("a")["state"], "running");
}
