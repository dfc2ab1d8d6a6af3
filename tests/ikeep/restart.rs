//! When an engine is started again, and when it waits for another.
use super::{LIMIT, PATIENT, SERVER};
use crate::kit::{Fake, Keeping, alive, full, send, untimed, wait_for};
use rustix::process::Signal;
use serde_json::{Value, json};

/// Launch a server and wait until it is healthy.
fn healthy(keeping: &Keeping, control: &[(&str, Value)]) -> u32 {
    let mut plan = keeping.plan("a", SERVER);
    plan["args"] = json!([plan["port"].to_string()]);
    for (key, value) in control {
        plan["control"][key] = value.clone();
    }
    keeping.launch(&[plan]).exits(0).one("instance");
    wait_until_healthy(keeping);
    pid(keeping)
}

fn wait_until_healthy(keeping: &Keeping) {
    wait_for("healthy_unix", LIMIT, || keeping.status("a").get("healthy_unix").is_some());
}

fn pid(keeping: &Keeping) -> u32 {
    u32::try_from(keeping.status("a")["pid"].as_u64().unwrap()).unwrap()
}

#[test]
fn an_engine_that_was_healthy_is_started_again_until_that_was_often_enough() {
    let keeping = Keeping::new();
    let first = healthy(&keeping, &[("backoff_ms", json!(20)), ("max_restarts", json!(1))]);
    let mark = keeping.status("a")["mark"].clone();
    send(first, Signal::KILL);
    wait_for("another start", LIMIT, || {
        keeping.status("a")["pid"].as_u64().is_some_and(|pid| pid != u64::from(first))
    });
    let status = keeping.status("a");
    assert_eq!((&status["state"], &status["restarts"]), (&json!("running"), &json!(1)));
    assert_eq!(status["last_exit"], "signal 9");
    assert_ne!(status["mark"], mark, "each start has its own mark");
    // It has not been healthy again; that it was once is enough.
    send(pid(&keeping), Signal::KILL);
    let status = keeping.wait_for_state("a", "failed");
    assert_eq!(status["reason"], "the engine ended by itself: signal 9, after 1 restarts");
    assert_eq!(status["restarts"], 1);
    keeping.wait_until_left("a");
    let log = untimed(&keeping.log("a"));
    assert_eq!(log.matches("ikeep: starting ").count(), 2, "{log}");
    assert!(log.contains("ikeep: the engine ended by itself: signal 9; next start in 0.0 s\n"), "{log}");
}

#[test]
fn an_engine_that_is_killed_the_moment_that_it_was_called_ready_is_started_again() {
    let tries = if full() { 50 } else { 5 };
    for number in 0..tries {
        let keeping = Keeping::new();
        let mut fake = Fake::plan(&keeping, "a").says("healthy", "");
        fake.plan["control"]["backoff_ms"] = json!(1);
        keeping.sandbox.write("plan.jsonl", format!("{}\n", fake.plan));
        // Half of them are waited for from their start, the others are up by then.
        let script =
            if number % 2 == 0 { "ilaunch < plan.jsonl | iprobe" } else { "iprobe --state run/llama-cpp/a" };
        if number % 2 == 1 {
            fake = fake.launched();
        }
        keeping.sandbox.sh(script).exits(0).one("ready");
        let first = pid(&keeping);
        send(first, Signal::KILL);
        wait_for("another start", LIMIT, || keeping.status("a")["restarts"] == 1);
        drop(fake);
    }
}

#[test]
fn a_crash_loop_ends() {
    let keeping = Keeping::new();
    let starts = keeping.sandbox.text("starts");
    let script = format!("echo x >> {starts}; (( $(wc -l < {starts}) > 1 )) && exit 3; {SERVER}");
    let mut plan = keeping.plan("a", &script);
    plan["args"] = json!([plan["port"].to_string()]);
    (plan["control"]["backoff_ms"], plan["control"]["max_restarts"]) = (json!(1), json!(3));
    keeping.launch(&[plan]).exits(0).one("instance");
    wait_until_healthy(&keeping);
    send(pid(&keeping), Signal::KILL);
    let status = keeping.wait_for_state("a", "failed");
    assert_eq!(status["reason"], "the engine ended by itself: exit 3, after 3 restarts");
    assert_eq!(keeping.sandbox.read("starts").lines().count(), 4);
}

#[test]
fn restart_never_means_never() {
    let keeping = Keeping::new();
    send(healthy(&keeping, &[("restart", json!("never"))]), Signal::KILL);
    let status = keeping.wait_for_state("a", "failed");
    assert_eq!(status["reason"], "the engine ended by itself: signal 9, and restart is 'never'");
}

#[test]
fn a_signal_between_two_starts_stops_it_at_once() {
    let keeping = Keeping::new();
    send(healthy(&keeping, &[("backoff_ms", json!(60_000))]), Signal::KILL);
    let status = keeping.wait_for_state("a", "backoff");
    assert_eq!((status.get("pid"), &status["last_exit"]), (None, &json!("signal 9")));
    let status = keeping.stop("a");
    assert_eq!((&status["state"], &status["how"]), (&json!("stopped"), &json!("gone")));
}

#[test]
fn a_signal_while_loading_stops_it() {
    let keeping = Keeping::new();
    // No handler for TERM yet, as llama-server while it loads.
    keeping.start("a", "echo up; exec sleep 1000");
    let status = keeping.stop("a");
    assert_eq!((&status["state"], &status["last_exit"]), (&json!("stopped"), &json!("signal 15")));
}

/// Two plans, the second of which waits for the first.
fn in_order(keeping: &Keeping, first: &str) -> [Value; 2] {
    let mut plans = [keeping.plan("a", first), keeping.plan("b", PATIENT)];
    plans[0]["args"] = json!([plans[0]["port"].to_string()]);
    plans[1]["after"] = json!(keeping.state_dir("a"));
    plans
}

#[test]
fn one_that_shares_a_gpu_starts_once_the_other_is_healthy() {
    let keeping = Keeping::new();
    let go = keeping.sandbox.text("go");
    let plans = in_order(&keeping, &format!("until [[ -e {go} ]]; do sleep 0.02; done; {SERVER}"));
    assert_eq!(keeping.launch(&plans).exits(0).all("instance").len(), 2);
    let status = keeping.status("b");
    assert_eq!((&status["state"], status.get("pid")), (&json!("waiting"), None));
    keeping.sandbox.write("go", "");
    keeping.wait_for_log("b", "up\n");
    assert!(keeping.status("a").get("healthy_unix").is_some());
    assert_eq!(keeping.status("b")["state"], "running");
}

#[test]
fn one_that_shares_a_gpu_starts_when_the_other_has_failed_or_was_stopped() {
    let keeping = Keeping::new();
    keeping.launch(&in_order(&keeping, "exit 1")).exits(0).all("instance");
    keeping.wait_for_log("b", "up\n");
    let keeping = Keeping::new();
    keeping.launch(&in_order(&keeping, PATIENT)).exits(0).all("instance");
    assert_eq!(keeping.status("b")["state"], "waiting");
    keeping.stop("a");
    keeping.wait_for_log("b", "up\n");
}

#[test]
fn after_a_signal_while_waiting_it_never_starts_the_engine() {
    let keeping = Keeping::new();
    keeping.launch(&in_order(&keeping, PATIENT)).exits(0).all("instance");
    let status = keeping.stop("b");
    assert_eq!((&status["state"], &status["how"]), (&json!("stopped"), &json!("gone")));
    assert!(!keeping.log("b").contains("starting"), "{}", keeping.log("b"));
    let first = pid(&keeping);
    assert!(alive(first));
}
