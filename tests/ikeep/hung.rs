//! Engines that were healthy and answer no more.
use super::LIMIT;
use crate::kit::{Fake, Keeping, send, untimed, wait_for};
use crate::pipeline::sandbox_with_engine;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const IDLE: &str = r#"[{"id":0,"is_processing":false}]"#;

fn fake<'a>(keeping: &'a Keeping, liveness: &str, failures: u32) -> Fake<'a> {
    let mut fake = Fake::plan(keeping, "a").says("healthy", "");
    let control = &mut fake.plan["control"];
    (control["liveness"], control["liveness_period_s"]) = (json!(liveness), json!(1));
    (control["liveness_failures"], control["backoff_ms"]) = (json!(failures), json!(1));
    fake
}

fn healthy(fake: Fake<'_>) -> Fake<'_> {
    let fake = fake.launched();
    wait_for("health", LIMIT, || fake.keeping.status("a")["healthy_unix"].is_f64());
    fake
}

fn pid(keeping: &Keeping) -> u32 {
    u32::try_from(keeping.status("a")["pid"].as_u64().unwrap()).unwrap()
}

fn wait_for_another_start(keeping: &Keeping) -> Value {
    wait_for("another start", LIMIT, || keeping.status("a")["restarts"] == 1);
    wait_for("health", LIMIT, || keeping.status("a")["healthy_unix"].is_f64());
    keeping.status("a")
}

/// How often it was asked for its health, or for a token.
fn asked(keeping: &Keeping, what: &str) -> usize {
    keeping.log("a").matches(what).count()
}

#[test]
fn an_engine_that_is_suspended_is_started_again_without_waiting_for_the_whole_grace() {
    let keeping = Keeping::new();
    let fake = healthy(fake(&keeping, "health", 2));
    let begun = Instant::now();
    send(pid(&keeping), Signal::STOP);
    let status = wait_for_another_start(&keeping);
    // Two looks a second apart, each with two seconds for an answer; the grace is 20 s.
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_eq!((&status["class"], &status["state"]), (&json!("hung"), &json!("running")), "{status}");
    assert_eq!(status["reason"], "the engine hung: 2 times in a row: /health: no answer in time");
    assert!(status["hint"].as_str().unwrap().contains("liveness"), "{status}");
    let log = untimed(&keeping.log("a"));
    assert!(log.contains("ikeep: the engine hangs and is ended: 2 times in a row: "), "{log}");
    assert_eq!(status["last_exit"], "exit 0", "it was told to end before it was killed");
    drop(fake);
}

#[test]
fn a_suspended_engine_and_a_suspended_keeper_are_stopped_without_waiting_for_the_grace() {
    let keeping = Keeping::new();
    let _fake = healthy(fake(&keeping, "off", 2));
    let begun = Instant::now();
    send(pid(&keeping), Signal::STOP);
    send(keeping.keeper("a").unwrap(), Signal::STOP);
    let stopped = keeping.sandbox.sh("istop").exits(0).one("stopped");
    assert_eq!(stopped["how"], "term", "{stopped}");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[test]
fn a_busy_engine_that_has_no_time_for_an_answer_is_left_alone() {
    let keeping = Keeping::new();
    let fake = healthy(fake(&keeping, "health", 1));
    let first = pid(&keeping);
    fake.now_says("spin", "");
    // Longer than two looks take, which is what would have ended it.
    std::thread::sleep(Duration::from_secs(7));
    fake.unsays("spin");
    let before = asked(&keeping, "GET /health");
    wait_for("more looks", LIMIT, || asked(&keeping, "GET /health") > before + 2);
    assert_eq!((pid(&keeping), &keeping.status("a")["restarts"]), (first, &json!(0)));
}

#[test]
fn with_liveness_off_nothing_is_asked_once_it_is_healthy() {
    let keeping = Keeping::new();
    let _fake = healthy(fake(&keeping, "off", 1));
    let before = asked(&keeping, "GET /health");
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(asked(&keeping, "GET /health"), before);
    assert_eq!(asked(&keeping, "asked {"), 0);
}

#[test]
fn an_idle_engine_that_generates_no_more_is_started_again() {
    let keeping = Keeping::new();
    let fake = healthy(fake(&keeping, "answer", 2).says("slots", IDLE));
    wait_for("two tokens", LIMIT, || asked(&keeping, "asked {") >= 2);
    fake.now_says("stuck", "");
    wait_for("the hang to be seen", LIMIT, || keeping.log("a").contains("the engine hangs"));
    fake.unsays("stuck");
    let status = wait_for_another_start(&keeping);
    assert_eq!(status["class"], "hung");
    assert_eq!(status["reason"], "the engine hung: it was idle, and one token took more than 10 s");
}

#[test]
fn a_busy_engine_is_asked_for_no_token_and_its_counters_have_to_move() {
    let keeping = Keeping::new();
    let busy = |number: u32| format!(r#"[{{"id":0,"is_processing":true,"n":{number}}}]"#);
    let fake = healthy(fake(&keeping, "answer", 2).says("slots", &busy(0)));
    for number in 1..12 {
        fake.now_says("slots", &busy(number));
        std::thread::sleep(Duration::from_millis(400));
    }
    assert_eq!((asked(&keeping, "asked {"), &keeping.status("a")["restarts"]), (0, &json!(0)));
    wait_for("the hang to be seen", LIMIT, || keeping.log("a").contains("the engine hangs"));
    fake.now_says("slots", IDLE);
    let reason = wait_for_another_start(&keeping)["reason"].clone();
    let expected =
        "the engine hung: 2 times in a row: requests are under way, and none of its counters moves";
    assert_eq!(reason, expected);
}

#[test]
fn an_engine_that_does_not_say_whether_it_is_busy_is_asked_for_its_health_only() {
    let keeping = Keeping::new();
    let _fake = healthy(fake(&keeping, "answer", 1));
    let note = "liveness: only /health is asked from now on: /slots: HTTP 501";
    wait_for("the note", LIMIT, || keeping.log("a").contains(note));
    let before = asked(&keeping, "GET /health");
    wait_for("more looks", LIMIT, || asked(&keeping, "GET /health") > before + 1);
    assert_eq!((asked(&keeping, "asked {"), asked(&keeping, note)), (0, 1));
    assert_eq!(keeping.status("a")["restarts"], 0);
}

#[test]
fn the_real_server_answers_while_it_is_idle_and_is_left_alone_while_it_works() {
    let sandbox = sandbox_with_engine(&[crate::kit::free_port()]);
    let control =
        "[instance.tiny0.control]\nliveness = 'answer'\nliveness_period_s = 1\nliveness_failures = 1\n";
    let config = sandbox.read("llama.toml") + control;
    sandbox.write("llama.toml", config);
    let ready = sandbox.sh("ienv llama-cpp | iinstall | iplan | ilaunch | iprobe").exits(0).one("ready");
    let url = ready["url"].as_str().unwrap().to_owned();
    let log = || sandbox.read("w/logs/llama-cpp/tiny0.log");
    let tokens = || log().matches("launch_slot_").count();
    let before = tokens();
    wait_for("tokens for liveness", LIMIT, || tokens() > before + 1);
    let body = json!({"prompt": "a", "max_tokens": 3000, "ignore_eos": true});
    let script =
        format!("for n in 1 2 3 4; do curl -s -m 60 {url}/v1/completions -d '{body}' > $n & done; wait");
    drop(sandbox.sh(&script).exits(0));
    let status: Value = serde_json::from_str(&sandbox.read("run/llama-cpp/tiny0/status.json")).unwrap();
    assert_eq!((&status["restarts"], &status["state"]), (&json!(0), &json!("running")), "{}", log());
    assert!(!log().contains("liveness:"), "{}", log());
}
