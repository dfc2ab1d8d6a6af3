//! An engine that nobody asks is ended, and started again for whoever wants it.
use super::LIMIT;
use crate::kit::{Fake, Keeping, wait_for};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::net::TcpListener;

const IDLE: &str = r#"[{"id":0,"is_processing":false}]"#;
const BUSY: &str = r#"[{"id":0,"is_processing":true}]"#;

/// Ended after a second without a request, where `slots` says that there is none.
fn fake<'a>(keeping: &'a Keeping, slots: &str) -> Fake<'a> {
    let mut fake = Fake::plan(keeping, "a").says("healthy", "").says("slots", slots);
    fake.plan["control"]["idle_stop_s"] = json!(1);
    fake.launched()
}

fn starts(keeping: &Keeping) -> usize {
    keeping.log("a").matches("up\n").count()
}

/// Asleep, and its engine is gone.
fn wait_for_sleep(keeping: &Keeping) -> Value {
    let sleeps = || keeping.status("a")["state"] == "asleep" && keeping.status("a")["pid"].is_null();
    wait_for("sleep", LIMIT, sleeps);
    keeping.status("a")
}

#[test]
fn it_sleeps_when_nobody_asks_and_one_start_follows_however_many_want_it() {
    let keeping = Keeping::new();
    let fake = fake(&keeping, IDLE);
    let status = wait_for_sleep(&keeping);
    assert_eq!((&status["restarts"], status.get("reason")), (&json!(0), None), "{status}");
    assert!(keeping.log("a").contains("no request for 1 s: the engine is ended until one comes"));
    drop(TcpListener::bind(("127.0.0.1", fake.port())).unwrap());
    let told = keeping.sandbox.sh("istat").exits(0).one("status");
    assert_eq!((&told["state"], &told["reason"]), (&json!("asleep"), &json!("nobody asked for 1 s")));
    assert!(told.get("pid").is_none() && told.get("rung").is_none(), "{told}");
    let table = keeping.sandbox.sh("istat --table").exits(0).stdout;
    assert!(table.contains("nobody asked for 1 s; hint: a request through ibridge starts it"), "{table}");
    // What is done with it while it sleeps.
    fake.now_says("slots", BUSY);
    let probed = keeping.sandbox.sh("iprobe < a.jsonl").exits(1);
    assert!(probed.stderr.contains("it is asleep"), "{probed:?}");
    (0..20).for_each(|_| keeping.signal_keeper("a", Signal::USR1));
    wait_for("another start", LIMIT, || starts(&keeping) == 2);
    wait_for("health", LIMIT, || keeping.status("a")["healthy_unix"].is_f64());
    let status = keeping.status("a");
    assert_eq!((&status["state"], &status["restarts"]), (&json!("running"), &json!(0)), "{status}");
    let noted = keeping.sandbox.read("run/audit.jsonl");
    let count = |event: &str| noted.matches(&format!("\"event\":\"{event}\"")).count();
    assert_eq!(["start", "sleep", "wake", "restart"].map(count), [1, 1, 1, 0], "{noted}");
    // Once it runs, being wanted changes nothing, not even at its next sleep.
    keeping.signal_keeper("a", Signal::USR1);
    fake.now_says("slots", IDLE);
    wait_for_sleep(&keeping);
    assert_eq!(starts(&keeping), 2);
}

#[test]
fn one_that_is_at_work_or_does_not_say_runs_on() {
    let keeping = Keeping::new();
    let fake = fake(&keeping, BUSY);
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(keeping.status("a")["state"], "running");
    fake.unsays("slots");
    keeping.wait_for_log(
        "a",
        "idle_stop_s: whether it is idle cannot be told, and it runs on: /slots: HTTP 501",
    );
    assert_eq!(keeping.status("a")["state"], "running");
}

#[test]
fn one_that_sleeps_is_stopped_or_started_by_who_names_it() {
    let keeping = Keeping::new();
    let fake = fake(&keeping, IDLE);
    wait_for_sleep(&keeping);
    fake.now_says("slots", BUSY);
    let mut plan = fake.plan.clone();
    plan["reused"] = json!(true);
    let kept = keeping.launch(&[plan]).exits(0).one("instance");
    assert_eq!((&kept["reused"], &kept["port"]), (&json!(true), &json!(fake.port())));
    assert_eq!(keeping.status("a")["state"], "running");
    fake.now_says("slots", IDLE);
    wait_for_sleep(&keeping);
    keeping.sandbox.sh("istop a").exits(0).one("stopped");
    assert_eq!((keeping.status("a")["state"].clone(), starts(&keeping)), (json!("stopped"), 2));
}
