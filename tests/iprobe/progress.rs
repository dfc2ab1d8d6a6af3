//! How long is waited: as long as something makes progress.
use super::text;
use crate::kit::{Fake, Keeping, as_root, free_port};
use serde_json::json;

#[test]
fn when_time_is_up_it_gives_up_with_75_and_the_instance_runs_on() {
    let keeping = Keeping::new();
    let fake = Fake::plan(&keeping, "a").launched();
    let output = keeping.sandbox.sh(&format!("iprobe --timeout 1 < {}", fake.stream())).exits(75);
    let cause = output.one("failed")["cause"].clone();
    assert_eq!(cause, "1 s are over; /health: HTTP 503: Loading model");
    assert_eq!(keeping.status("a")["state"], "running");
}

#[test]
fn the_watchdog_ends_the_wait_without_progress_and_our_own_probes_are_none() {
    let keeping = Keeping::new();
    let mut fake = Fake::plan(&keeping, "a");
    fake.plan["control"]["stall_timeout_s"] = json!(2);
    let fake = fake.launched();
    let output = keeping.sandbox.sh(&format!("iprobe < {}", fake.stream())).exits(75);
    let cause = output.one("failed")["cause"].clone();
    assert_eq!(cause, "no sign of progress for 2 s; /health: HTTP 503: Loading model");
}

#[test]
fn a_log_that_grows_is_progress() {
    let keeping = Keeping::new();
    let mut plan = keeping.plan("a", "echo up; while :; do echo loading; sleep 0.2; done");
    plan["control"]["stall_timeout_s"] = json!(1);
    plan["control"]["ready_timeout_s"] = json!(3);
    keeping.sandbox.write("plans.jsonl", format!("{plan}\n"));
    let output = keeping.sandbox.sh("ilaunch < plans.jsonl | iprobe").exits(75);
    let failed = output.one("failed");
    assert!(text(&failed, "cause").starts_with("3 s are over"), "{failed}");
}

#[test]
fn an_engine_that_reads_or_compiles_and_says_nothing_makes_progress() {
    let keeping = Keeping::new();
    let reads = "exec python3 -c '
import os, time
zeros = os.open(\"/dev/zero\", os.O_RDONLY)
while True:
    os.read(zeros, 4 << 20)
    time.sleep(0.2)'";
    let mut plans =
        [keeping.plan("reads", reads), keeping.plan("compiles", "while :; do /bin/sleep 0.5; done")];
    for plan in &mut plans {
        (plan["control"]["stall_timeout_s"], plan["control"]["ready_timeout_s"]) = (json!(2), json!(4));
    }
    let lines: String = plans.iter().map(|plan| format!("{plan}\n")).collect();
    keeping.sandbox.write("plans.jsonl", lines);
    let output = keeping.sandbox.sh("ilaunch < plans.jsonl | iprobe").exits(75);
    for failed in output.all("failed") {
        assert!(text(&failed, "cause").starts_with("4 s are over"), "{failed}");
    }
}

#[test]
fn what_another_users_engine_holds_is_seen_without_the_right_to_trace() {
    if !as_root() {
        return;
    }
    let weak = "setpriv --bounding-set=-sys_ptrace,-perfmon,-sys_admin,-checkpoint_restore --inh-caps=-all";
    let keeping = Keeping::new();
    let plan = |name| {
        let mut fake = Fake::plan(&keeping, name).says("healthy", "");
        fake.plan["user"] = json!("nobody");
        fake
    };
    let ours = plan("ours").says("bind-only", "").launched();
    let mut other = plan("other");
    let program = text(&other.plan, "program").to_owned();
    let script = std::fs::read_to_string(&program).unwrap();
    std::fs::write(&program, script.replace(&other.port().to_string(), &ours.port().to_string())).unwrap();
    other.plan["port"] = json!(free_port());
    let other = other.launched();
    let probe = format!("{weak} iprobe < {}", ours.stream());
    let failed = keeping.sandbox.sh(&probe).exits(75).one("failed");
    assert!(text(&failed, "cause").starts_with("llama-cpp/other, an instance of ours ("), "{failed}");
    keeping.stop(&other.name);
    ours.unsays("bind-only");
    keeping.sandbox.sh(&probe).exits(0).one("ready");
    let status = keeping.sandbox.sh(&format!("{weak} istat ours")).exits(0).one("status");
    assert!(status["rss_bytes"].as_u64() > Some(1 << 20), "{status}");
}
