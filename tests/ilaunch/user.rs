//! Instances of another user.
use super::PATIENT;
use crate::kit::{Keeping, as_root};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::MetadataExt;

#[test]
fn an_instance_of_another_user_runs_as_that_user() {
    if !as_root() {
        return;
    }
    let keeping = Keeping::new();
    let out = keeping.sandbox.path("out");
    fs::create_dir(&out).unwrap();
    std::os::unix::fs::chown(&out, Some(65534), None).unwrap();
    let mut plan = keeping.plan("a", &format!("cd {}; id > id; env > env; {PATIENT}", out.display()));
    plan["user"] = json!("nobody");
    keeping.sandbox.write("plans.jsonl", format!("{plan}\n"));
    let script = "export XDG_RUNTIME_DIR=$TMPDIR; ilaunch < plans.jsonl";
    keeping.sandbox.sh(script).exits(0).one("instance");
    keeping.wait_for_log("a", "up\n");
    let seen = keeping.sandbox.read("out/id");
    assert!(seen.starts_with("uid=65534(nobody)") && !seen.contains("root"), "{seen}");
    let environment = keeping.sandbox.read("out/env");
    assert!(
        environment.contains("HOME=/nonexistent\n") && environment.contains("USER=nobody\n"),
        "{environment}"
    );
    assert!(!environment.contains("XDG_RUNTIME_DIR"), "{environment}");
    let owner = |path: &str| keeping.sandbox.path(path).metadata().unwrap().uid();
    assert_eq!((owner("run/llama-cpp"), owner("run/llama-cpp/a")), (0, 65534));
    assert_eq!(
        (owner("logs"), owner("logs/a.log"), owner("run/llama-cpp/a/status.json")),
        (65534, 65534, 65534)
    );
    let keeper = keeping.keeper("a").unwrap();
    assert_eq!(fs::metadata(format!("/proc/{keeper}")).unwrap().uid(), 65534);
}

#[test]
fn a_plan_for_another_user_than_its_env_names_is_refused_whoever_wrote_it() {
    let keeping = Keeping::new();
    let env = |user: Option<&str>| {
        let mut env = json!({
            "kind": "env", "engine": "llama-cpp", "origin": {}, "workspace": keeping.sandbox.text("w"),
            "run_dir": keeping.sandbox.text("run"), "log_dir": keeping.sandbox.text("logs")
        });
        if let Some(user) = user {
            env["user"] = user.into();
        }
        env
    };
    let run = |tool: &str, records: &[Value]| {
        let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
        keeping.sandbox.write("stream", lines);
        keeping.sandbox.sh(&format!("{tool} < stream"))
    };
    let mut plan = keeping.plan("a", PATIENT);
    let refused = |stream: &[Value], cause: &str| {
        for tool in ["ilaunch", "iplan"] {
            let output = run(tool, stream).exits(65);
            let failed = output.all("failed").remove(0);
            assert_eq!((failed["by"].as_str(), failed["cause"].as_str()), (Some(tool), Some(cause)));
            assert_eq!(failed["instance"], "a");
            assert!(output.all("instance").is_empty());
        }
        assert_eq!(keeping.keeper("a"), None);
    };
    // Root would run it as root.
    refused(
        &[env(Some("nobody")), plan.clone()],
        "its plan names no user, the 'env' record of llama-cpp user nobody",
    );
    // The last word of the stream counts, wherever it stands.
    refused(
        &[env(None), plan.clone(), env(Some("nobody"))],
        "its plan names no user, the 'env' record of llama-cpp user nobody",
    );
    plan["user"] = json!("daemon");
    refused(&[env(None), plan.clone()], "its plan names user daemon, the 'env' record of llama-cpp no user");
    plan.as_object_mut().unwrap().remove("user");
    let mut other = env(None);
    other["engine"] = json!("vllm");
    refused(
        &[other, plan.clone()],
        "its plan names no user, and the stream has no 'env' record of llama-cpp",
    );
    run("ilaunch", &[env(None), plan]).exits(0).one("instance");
}

#[test]
fn a_state_directory_goes_over_to_another_user_when_nobody_keeps_it() {
    if !as_root() {
        return;
    }
    let keeping = Keeping::new();
    let mut plan = keeping.plan("a", PATIENT);
    keeping.launch(&[plan.clone()]).exits(0).one("instance");
    plan["user"] = json!("nobody");
    plan["log_file"] = json!(keeping.sandbox.text("more/a.log"));
    keeping.launch(&[plan.clone()]).exits(75).one("failed");
    keeping.stop("a");
    let lock = || keeping.state_dir("a").join("lock").metadata().unwrap();
    let before = lock().ino();
    keeping.launch(&[plan]).exits(0).one("instance");
    assert_eq!((lock().ino(), lock().uid()), (before, 65534), "the lock is never replaced");
}

#[test]
fn a_user_who_does_not_exist_is_named() {
    let keeping = Keeping::new();
    let mut plan = keeping.plan("a", PATIENT);
    plan["user"] = json!("no-such-user");
    let failed = keeping.launch(&[plan]).exits(69).one("failed");
    assert_eq!(
        (failed["what"].as_str(), failed["cause"].as_str()),
        (Some("cannot run as user no-such-user"), Some("there is no such user"))
    );
}
