//! Why an instance does not run, told where it is looked at.
use super::LIMIT;
use crate::kit::{Keeping, as_root};
use rustix::process::Signal;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;

const BAD_FLAG: &str = "echo 'error: invalid argument: --x'; exit 1";

fn failed(keeping: &Keeping, name: &str, script: &str) {
    drop(keeping.launch(&[keeping.plan(name, script)]).exits(0));
    keeping.wait_for_state(name, "failed");
    keeping.wait_until_left(name);
}

#[test]
fn a_failed_instance_says_why_in_its_record_and_below_its_row() {
    let keeping = Keeping::new();
    failed(&keeping, "a", BAD_FLAG);
    keeping.start("b", super::PATIENT);
    let told = &keeping.sandbox.sh("istat a").exits(1).one("status");
    assert_eq!((&told["class"], &told["last_exit"]), (&json!("bad_flag"), &json!("exit 1")));
    assert_eq!(told["reason"], "the engine ended by itself: exit 1, before it was ever healthy");
    assert_eq!(told["evidence"], "error: invalid argument: --x");
    assert!(told["hint"].as_str().unwrap().starts_with("correct the argument"), "{told}");
    let table = keeping.sandbox.sh("istat --table").exits(1).stdout;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 4, "{table}");
    let why = format!(
        "  bad_flag: {}: error: invalid argument: --x; hint: {}",
        told["reason"].as_str().unwrap(),
        told["hint"].as_str().unwrap()
    );
    assert!(lines[1].starts_with("llama-cpp  a") && lines[2] == why, "{table}");
    assert!(lines[3].starts_with("llama-cpp  b         running"), "{table}");
    // One that runs explains nothing.
    let runs = keeping.sandbox.sh("istat b").exits(1).one("status");
    for field in ["class", "reason", "evidence", "hint"] {
        assert_eq!(runs.get(field), None, "{runs}");
    }
}

#[test]
fn a_program_that_could_not_be_started_has_its_reason_and_hint_too() {
    let keeping = Keeping::new();
    let mut plan = keeping.plan("a", "");
    plan["program"] = json!(keeping.sandbox.text("gone"));
    drop(keeping.launch(&[plan]).exits(69));
    keeping.wait_until_left("a");
    let told = keeping.sandbox.sh("istat a").exits(1).one("status");
    assert_eq!((&told["class"], told.get("evidence")), (&json!("missing_file"), None));
    assert_eq!(told["reason"], "cannot start $SANDBOX/gone: No such file or directory");
}

#[test]
fn why_it_ended_is_kept_through_backoff_and_the_next_start_until_a_stop_that_was_asked_for() {
    let keeping = Keeping::new();
    let fake = crate::kit::Fake::plan(&keeping, "a").says("healthy", "").launched();
    crate::kit::wait_for("health", LIMIT, || keeping.status("a")["healthy_unix"].is_f64());
    let pid = || keeping.status("a")["pid"].as_u64().map(|pid| u32::try_from(pid).unwrap());
    let first = pid().unwrap();
    crate::kit::send(first, Signal::SEGV);
    crate::kit::wait_for("another start", LIMIT, || pid().is_some_and(|pid| pid != first));
    let told = keeping.sandbox.sh("istat a || true").one("status");
    assert_eq!(told["reason"], "the engine ended by itself: signal 11");
    assert_eq!((&told["class"], &told["restarts"]), (&json!("crash"), &json!(1)));
    drop(keeping.sandbox.sh("istop a").exits(0));
    let told = keeping.sandbox.sh("istat a").exits(1).one("status");
    assert_eq!((told.get("class"), told.get("reason"), told.get("hint")), (None, None, None));
    drop(fake);
}

#[test]
fn one_whose_keeper_was_killed_says_so() {
    let keeping = Keeping::new();
    keeping.start("a", super::PATIENT);
    keeping.signal_keeper("a", Signal::KILL);
    keeping.wait_until_left("a");
    let told = keeping.sandbox.sh("istat a").exits(1).one("status");
    assert_eq!(told["reason"], "its keeper is gone and left no last word");
    let table = keeping.sandbox.sh("istat --table").exits(1).stdout;
    assert!(table.contains("\n  its keeper is gone and left no last word; hint: "), "{table}");
}

#[test]
fn what_a_user_may_write_is_cleaned_and_cut() {
    let keeping = Keeping::new();
    failed(&keeping, "a", BAD_FLAG);
    let mut status = keeping.status("a");
    status["reason"] = json!("bad\n\u{1b}[2Kistat: all is well\r");
    status["evidence"] = json!("x".repeat(5000));
    status["class"] = json!("\u{1b}]0;title\u{7}");
    status["hint"] = json!("\u{202e}hint");
    keeping.sandbox.write("run/llama-cpp/a/status.json", status.to_string());
    let told = keeping.sandbox.sh("istat a").exits(1).one("status");
    assert_eq!((&told["reason"], told.get("class")), (&json!("bad [2Kistat: all is well "), None));
    assert_eq!((told["evidence"].as_str().unwrap().chars().count(), &told["hint"]), (1025, &json!("hint")));
    let table = keeping.sandbox.sh("istat --table").exits(1).stdout;
    let lines: Vec<&str> = table.split('\n').collect();
    assert!(lines.len() == 4 && lines[2].starts_with("  bad [2Kistat: all is well : xxx"), "{table}");
    assert!(lines[2].chars().count() < 300 && !table.contains(['\u{1b}', '\r', '\u{202e}']), "{table}");
}

#[test]
fn a_damaged_file_is_named_by_its_path_and_more_rights_are_not_advised() {
    let keeping = Keeping::new();
    keeping.start("a", super::PATIENT);
    failed(&keeping, "b", BAD_FLAG);
    for (name, content) in [("status.json", "{\"format\": "), ("plan.json", "[\u{1b}]")] {
        let path = format!("run/llama-cpp/b/{name}");
        let before = keeping.sandbox.read(&path);
        keeping.sandbox.write(&path, content);
        let output = keeping.sandbox.sh("istat --table").exits(69);
        assert!(output.stderr.contains(&format!("istat: cannot read $SANDBOX/{path}: ")), "{output:?}");
        assert!(output.stderr.contains("hint: it is damaged: istop --forget removes it"), "{output:?}");
        assert!(!output.stderr.contains("as root") && !output.stderr.contains('\u{1b}'), "{output:?}");
        assert!(output.stdout.contains("llama-cpp  a "), "{output:?}");
        keeping.sandbox.write(&path, before);
    }
}

#[test]
fn the_run_directory_is_named_where_there_are_several() {
    if !as_root() {
        return;
    }
    let mut keeping = Keeping::new();
    failed(&keeping, "a", BAD_FLAG);
    let one = keeping.sandbox.sh("istat --table").exits(1).stdout;
    assert!(!one.contains("RUN DIRECTORY"), "{one}");
    let folder = keeping.sandbox.path("x/infer-dev/llama-cpp");
    std::fs::create_dir_all(&folder).unwrap();
    for path in ["x", "x/infer-dev", "x/infer-dev/llama-cpp"] {
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(keeping.sandbox.path(path), open).unwrap();
    }
    drop(keeping.sandbox.sh("cp -a run/llama-cpp/a x/infer-dev/llama-cpp/b").exits(0));
    keeping.sandbox.unset("AUTO_INFER_RUN_DIR");
    let runtime = keeping.sandbox.text("x");
    keeping.sandbox.set("XDG_RUNTIME_DIR", &runtime);
    let script = "mount -t tmpfs -o mode=755 none /run && cp -a run /run/infer-dev && \
                  mount -t tmpfs none /tmp/infer-dev-0 2> /dev/null || true; istat --table";
    let both = keeping.sandbox.sh(&format!("unshare -m bash -c '{script}'")).exits(1).stdout;
    let lines: Vec<&str> = both.lines().collect();
    assert!(lines[0].ends_with("  GPU MEMORY  RUN DIRECTORY"), "{both}");
    let ends = |name: &str, dir: &str| {
        lines.iter().any(|l| l.starts_with(&format!("llama-cpp  {name} ")) && l.ends_with(dir))
    };
    assert!(ends("a", "  /run/infer-dev") && ends("b", "  $SANDBOX/x/infer-dev"), "{both}");
}
