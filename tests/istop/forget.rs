//! The end of the memory of an instance.
use super::{LIMIT, PATIENT, STUBBORN};
use crate::kit::{Keeping, as_each, as_root, tools, wait_for};
use rustix::process::Signal;
use serde_json::json;

fn left(keeping: &Keeping, name: &str) -> Vec<String> {
    let entries = std::fs::read_dir(keeping.state_dir(name)).unwrap().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_stopped_and_a_failed_instance_are_forgotten_and_istat_is_content() {
    let keeping = Keeping::new();
    keeping.start("stopped", PATIENT);
    keeping.stop("stopped");
    drop(keeping.launch(&[keeping.plan("failed", "exit 3")]).exits(0));
    keeping.wait_for_state("failed", "failed");
    keeping.wait_until_left("failed");
    drop(keeping.sandbox.sh("istat").exits(1));
    let output = keeping.sandbox.sh("istop --forget").exits(0);
    for stopped in output.all("stopped") {
        assert_eq!((&stopped["how"], &stopped["forgotten"]), (&json!("gone"), &json!(true)), "{stopped}");
    }
    assert_eq!(output.all("stopped").len(), 2);
    // The lock is never removed: somebody may be opening it.
    assert_eq!(left(&keeping, "stopped"), ["lock"]);
    assert_eq!(keeping.sandbox.sh("istat").transcript(), "");
    for tool in ["istat", "istop", "istop --forget"] {
        drop(keeping.sandbox.sh(&format!("{tool} failed")).exits(65));
    }
    assert_eq!(keeping.sandbox.sh("istop --forget").transcript(), "");
    // The log stays, and the name can be used again.
    assert!(keeping.log("failed").contains("ikeep: "));
    keeping.start("failed", PATIENT);
    assert_eq!(keeping.status("failed")["state"], "running");
}

#[test]
fn one_that_runs_is_stopped_first_and_others_keep_their_memory() {
    let keeping = Keeping::new();
    for name in ["a", "b"] {
        keeping.start(name, PATIENT);
    }
    keeping.stop("b");
    let stopped = keeping.sandbox.sh("istop --forget a").exits(0).one("stopped");
    assert_eq!((&stopped["how"], &stopped["forgotten"]), (&json!("term"), &json!(true)));
    assert!(keeping.processes().is_empty());
    assert_eq!(keeping.sandbox.sh("istat").exits(1).one("status")["instance"], "b");
    // Without the option the memory stays.
    keeping.start("a", PATIENT);
    let stopped = keeping.sandbox.sh("istop a").exits(0).one("stopped");
    assert_eq!(stopped.get("forgotten"), None);
    assert_eq!(keeping.sandbox.sh("istat a").exits(1).one("status")["state"], "stopped");
}

#[test]
fn what_a_killed_keeper_left_is_ended_before_it_is_forgotten() {
    let keeping = Keeping::new();
    keeping.start("a", STUBBORN);
    wait_for("the worker in its own session", LIMIT, || keeping.marked("a").len() >= 4);
    keeping.signal_keeper("a", Signal::KILL);
    keeping.wait_until_left("a");
    let stopped = keeping.sandbox.sh("istop --forget a").exits(0).one("stopped");
    assert!(stopped["orphans"].as_u64().unwrap() >= 2 && stopped["forgotten"] == true, "{stopped}");
    assert!(keeping.processes().is_empty());
    assert_eq!(keeping.sandbox.sh("istat").transcript(), "");
}

#[test]
fn a_damaged_status_is_forgotten_too() {
    let keeping = Keeping::new();
    keeping.start("a", PATIENT);
    keeping.stop("a");
    keeping.sandbox.write("run/llama-cpp/a/status.json", "{\"format\"");
    drop(keeping.sandbox.sh("istop a").exits(69));
    drop(keeping.sandbox.sh("istop --forget a").exits(0));
    assert_eq!(left(&keeping, "a"), ["lock"]);
}

#[test]
fn whoever_still_runs_behind_a_damaged_state_is_stopped_before_it_is_said_to_be_gone() {
    as_each();
    for damage in ["rm lock; mkfifo lock", "rm lock; mkdir lock", "rm lock; ln -s /dev/null lock"] {
        let keeping = Keeping::new();
        keeping.start("a", PATIENT);
        keeping.wait_for_log("a", "up\n");
        drop(keeping.sandbox.sh(&format!("cd run/llama-cpp/a; {damage}")).exits(0));
        let stopped = keeping.sandbox.sh("istop --forget").exits(0).one("stopped");
        assert!(stopped["forgotten"] == true && stopped["how"] == "term", "{damage}: {stopped}");
        assert!(keeping.processes().is_empty(), "{damage}");
        assert_eq!(keeping.sandbox.sh("istat").exits(0).transcript(), "", "{damage}");
    }
}

#[test]
fn a_folder_in_the_place_of_a_file_is_named_with_the_way_out_and_forgotten_too() {
    let keeping = Keeping::new();
    for name in ["status.json", "plan.json"] {
        keeping.start("a", PATIENT);
        keeping.stop("a");
        let path = keeping.state_dir("a").join(name);
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir_all(path.join("in/it")).unwrap();
        std::fs::write(path.join("in/file"), "").unwrap();
        let failed = keeping.launch(&[keeping.plan("a", PATIENT)]).exits(69).one("failed");
        let hint = "istop --forget llama-cpp/a removes what stands there";
        assert_eq!((&failed["cause"], &failed["hint"]), (&json!("Is a directory"), &json!(hint)), "{failed}");
        let stopped = keeping.sandbox.sh("istop --forget").exits(0).one("stopped");
        assert_eq!(stopped["forgotten"], true, "{stopped}");
        assert_eq!(left(&keeping, "a"), ["lock"]);
        assert_eq!(keeping.sandbox.sh("istat").exits(0).transcript(), "");
    }
}

#[test]
fn another_users_memory_is_not_ours_to_end() {
    if !as_root() {
        return;
    }
    let keeping = Keeping::new();
    keeping.start("a", PATIENT);
    keeping.stop("a");
    keeping.sandbox.own_tool("istop", "istop");
    let weak = "setpriv --reuid=65534 --regid=65534 --clear-groups ./istop --forget";
    let output = keeping.sandbox.sh(weak).exits(69);
    assert_eq!(output.one("failed")["cause"], "Permission denied");
    assert_eq!(keeping.status("a")["state"], "stopped");
}

#[test]
fn killed_at_any_moment_it_leaves_an_instance_that_is_remembered_or_one_that_is_not() {
    let kills = if crate::kit::full() { 100 } else { 20 };
    let keeping = Keeping::new();
    for seed in 0..kills {
        keeping.start("a", PATIENT);
        keeping.stop("a");
        let mut command = keeping.sandbox.command(tools().join("istop"));
        let mut child = command.args(["--forget", "a"]).stdout(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_micros(seed * 8_000 / kills));
        child.kill().unwrap();
        child.wait().unwrap();
        let names = left(&keeping, "a");
        let remembered = names.contains(&"status.json".to_owned());
        assert!(remembered || names == ["lock"], "kill {seed}: {names:?}");
        drop(keeping.sandbox.sh("istat").exits(i32::from(remembered)));
    }
    drop(keeping.sandbox.sh("istop --forget").exits(0));
    assert_eq!(left(&keeping, "a"), ["lock"]);
}

#[test]
fn two_that_forget_and_one_that_starts_are_not_in_each_others_way() {
    let keeping = Keeping::new();
    for _ in 0..10 {
        let plan = keeping.plan("a", PATIENT);
        keeping.sandbox.write("plan.jsonl", format!("{plan}\n"));
        let script = "ilaunch < plan.jsonl > one 2> err || true & istop --forget > two 2> err || true & \
                      istop --forget > three 2> err || true & wait";
        drop(keeping.sandbox.sh(script).exits(0));
        // It runs and is told of, or it does not and is not.
        let runs = keeping.keeper("a").is_some();
        let told = keeping.sandbox.sh("istat || true").all("status");
        assert_eq!(told.iter().filter(|status| status["state"] != "stopped").count(), usize::from(runs));
        drop(keeping.sandbox.sh("istop --forget").exits(0));
        assert!(keeping.processes().is_empty());
    }
}
