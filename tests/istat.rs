//! What is running, told as it is.
mod log;
mod measures;
mod why;

use crate::kit::{Fake, Keeping, Sandbox, alive, tools, wait_for};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);
const PATIENT: &str = "echo up; while :; do sleep 1000 & wait; done";

fn status(keeping: &Keeping, code: i32) -> Value {
    keeping.sandbox.sh("istat").exits(code).one("status")
}

#[test]
fn without_instances_there_is_no_record_and_an_unknown_name_fails() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.sh("istat").transcript(), "");
    drop(sandbox.sh("istat vllm").exits(1));
    drop(sandbox.sh("istat tiny").exits(65));
    insta::assert_snapshot!(sandbox.sh("istat --table").transcript(), @"ENGINE  INSTANCE  STATE  RUNG  URL  PID  RESTARTS  UP  MEMORY  GPU MEMORY");
}

#[test]
fn one_that_loads_is_not_ready_and_one_that_lists_its_model_is() {
    let keeping = Keeping::new();
    let fake = Fake::plan(&keeping, "a").says("early", "").launched();
    let loading = status(&keeping, 1);
    assert_eq!((&loading["state"], &loading["rung"]), (&json!("running"), &json!("alive")));
    fake.now_says("healthy", "");
    let ready = status(&keeping, 0);
    assert_eq!((&ready["rung"], &ready["url"]), (&json!("listed"), &json!(fake.url())));
    assert_eq!((&ready["restarts"], &ready["pid"]), (&json!(0), &keeping.status("a")["pid"]));
    assert!(ready["rss_bytes"].as_u64().unwrap() > 1 << 20 && ready["up_s"].as_f64().unwrap() >= 0.0);
    assert!(ready.get("stale").is_none() && ready.get("gpu_bytes").is_none_or(Value::is_u64), "{ready}");
}

#[test]
fn nothing_is_generated_to_find_out() {
    let keeping = Keeping::new();
    Fake::plan(&keeping, "a").says("healthy", "").launched();
    drop(status(&keeping, 0));
    assert!(!keeping.log("a").contains("asked "), "{}", keeping.log("a"));
}

#[test]
fn the_wanted_rung_decides_and_the_served_name_is_looked_for() {
    let keeping = Keeping::new();
    let mut fake = Fake::plan(&keeping, "a").says("healthy", "");
    fake.plan["served_name"] = json!("glm4");
    let mut fake = fake.launched();
    assert_eq!(status(&keeping, 1)["rung"], "healthy");
    keeping.stop("a");
    fake.plan["control"]["ready_rung"] = json!("healthy");
    fake.launched();
    assert_eq!(status(&keeping, 0)["rung"], "healthy");
}

#[test]
fn stopped_failed_and_lost_are_distinguished() {
    let keeping = Keeping::new();
    keeping.start("stopped", PATIENT);
    keeping.stop("stopped");
    drop(keeping.launch(&[keeping.plan("failed", "exit 3")]).exits(0));
    keeping.wait_for_state("failed", "failed");
    keeping.start("lost", "trap '' TERM; echo up; while :; do sleep 1000; done");
    keeping.signal_keeper("lost", Signal::KILL);
    keeping.wait_until_left("lost");
    let all = keeping.sandbox.sh("istat").exits(1).all("status");
    let told: Vec<_> =
        all.iter().map(|s| (s["instance"].as_str().unwrap(), s["state"].as_str().unwrap())).collect();
    assert_eq!(told, [("failed", "failed"), ("lost", "lost"), ("stopped", "stopped")]);
    assert_eq!((&all[0]["last_exit"], all[0].get("pid")), (&json!("exit 3"), None));
    // What a killed keeper left is still there, and is told.
    let left = u32::try_from(all[1]["pid"].as_u64().unwrap()).unwrap();
    assert!(alive(left) && all[1]["rss_bytes"].as_u64().unwrap() > 0);
    drop(keeping.sandbox.sh("istop lost").exits(0));
    let gone = keeping.sandbox.sh("istat lost").exits(1).one("status");
    assert_eq!((&gone["state"], gone.get("pid")), (&json!("lost"), None));
}

#[test]
fn one_whose_install_is_no_longer_current_is_stale() {
    let keeping = Keeping::new();
    for id in ["old", "new"] {
        keeping.sandbox.write(&format!("home/.installs/{id}/installed.json"), "{}");
    }
    let link = |id: &str| {
        let (draft, current) = (keeping.sandbox.path("home/draft"), keeping.sandbox.path("home/current"));
        std::os::unix::fs::symlink(format!(".installs/{id}"), &draft).unwrap();
        std::fs::rename(draft, current).unwrap();
    };
    link("old");
    let mut plan = keeping.plan("a", PATIENT);
    plan["install_path"] = json!(keeping.sandbox.path("home/.installs/old"));
    drop(keeping.launch(&[plan]).exits(0));
    assert_eq!(status(&keeping, 1).get("stale"), None);
    link("new");
    assert_eq!(status(&keeping, 1)["stale"], true);
    assert!(keeping.sandbox.sh("istat --table").exits(1).stdout.contains("running (stale)"));
}

#[test]
fn a_table_has_one_aligned_line_each() {
    let keeping = Keeping::new();
    keeping.start("a", PATIENT);
    keeping.start("long-name", PATIENT);
    let table = keeping.sandbox.sh("istat --table").exits(1).stdout;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    for column in ["STATE", "RUNG", "URL"] {
        let at = lines[0].find(column).unwrap();
        assert!(
            lines[1..].iter().all(|line| line.as_bytes()[at - 1] == b' ' && line.as_bytes()[at] != b' '),
            "{table}"
        );
    }
    assert!(lines[1].starts_with("llama-cpp  a          running  alive"), "{table}");
}

#[test]
fn a_table_is_written_anew_until_nobody_reads_it() {
    let keeping = Keeping::new();
    keeping.start("a", PATIENT);
    let mut command = keeping.sandbox.command(tools().join("istat"));
    let mut watch = command.arg("--watch").stdout(Stdio::piped()).spawn().unwrap();
    let mut heads = BufReader::new(watch.stdout.take().unwrap()).lines().map_while(Result::ok);
    for _ in 0..2 {
        assert!(heads.any(|line| line.starts_with("ENGINE")));
    }
    drop(heads);
    wait_for("the watch to end", LIMIT, || watch.try_wait().unwrap().is_some());
}

#[test]
fn a_log_is_followed_to_its_end() {
    let keeping = Keeping::new();
    let go = keeping.sandbox.path("go");
    let script = format!(
        "for i in $(seq 30); do echo line $i; done; echo up; while [ ! -e {} ]; do sleep 0.01; done; echo more; trap 'echo bye; exit 0' TERM; while :; do sleep 0.01; done",
        go.display()
    );
    keeping.start("a", &script);
    let mut command = keeping.sandbox.command(tools().join("istat"));
    let mut follow = command.args(["--log", "a"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "line 12");
    assert!(lines.any(|line| line == "up"));
    std::fs::write(go, "").unwrap();
    assert_eq!(lines.next().unwrap(), "more");
    keeping.stop("a");
    let rest: Vec<String> = lines.collect();
    assert!(rest.iter().any(|line| line == "bye"), "{rest:?}");
    assert!(follow.wait().unwrap().success());
    drop(keeping.sandbox.sh("istat --log b").exits(65));
}

#[test]
fn which_log_is_meant_has_to_be_said_where_there_are_several() {
    let keeping = Keeping::new();
    keeping.start("a", PATIENT);
    keeping.start("b", PATIENT);
    let output = keeping.sandbox.sh("istat --log").exits(2);
    assert!(output.stderr.contains("llama-cpp/a, llama-cpp/b"), "{output:?}");
}

#[test]
fn one_that_cannot_be_read_hides_no_other() {
    let keeping = Keeping::new();
    keeping.start("a", PATIENT);
    keeping.sandbox.write("run/llama-cpp/broken/status.json", "{");
    let output = keeping.sandbox.sh("istat").exits(69);
    assert_eq!(output.one("failed")["instance"], "broken");
    assert_eq!(output.one("status")["instance"], "a");
}
