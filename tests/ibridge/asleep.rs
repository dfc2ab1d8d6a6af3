//! Instances whose engine was ended because nobody asked: a request starts them.
use super::{LIMIT, hello};
use crate::kit::{Fake, Front, Keeping, ask, wait_for};
use serde_json::json;
use std::thread;

const IDLE: &str = r#"[{"id":0,"is_processing":false}]"#;
const BUSY: &str = r#"[{"id":0,"is_processing":true}]"#;

fn asleep(keeping: &Keeping) -> Fake<'_> {
    let mut fake = Fake::plan(keeping, "a").says("healthy", "").says("slots", BUSY);
    fake.plan["control"]["idle_stop_s"] = json!(1);
    let fake = fake.launched();
    sleep(&fake);
    fake
}

/// Until the bridge has seen its names, it had better not sleep.
fn sleep(fake: &Fake<'_>) {
    fake.now_says("slots", IDLE);
    wait_for("sleep", LIMIT, || fake.keeping.status("a")["state"] == "asleep");
    fake.now_says("slots", BUSY);
}

fn starts(keeping: &Keeping) -> usize {
    keeping.log("a").matches("up\n").count()
}

fn page(front: &Front) -> String {
    let text = "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\nConnection: close\r\n\r\n";
    ask(front.connect(), text, b"").is(200).text().to_owned()
}

#[test]
fn a_request_starts_one_that_sleeps_and_many_start_it_once() {
    let keeping = Keeping::new();
    let fake = asleep(&keeping);
    // It has never seen it awake, and does not know its names.
    let front = Front::start(&keeping.sandbox, &[]);
    let said = "<td class=\"asleep\">asleep: a request starts it</td>";
    wait_for("the page to tell", LIMIT, || page(&front).contains(said));
    for (model, starts_by_then) in [("fake", 2), ("claude-x", 3)] {
        thread::scope(|scope| {
            let asked: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| front.post("/v1/chat/completions", &hello(model)).is(200)))
                .collect();
            asked.into_iter().for_each(|asked| drop(asked.join().unwrap()));
        });
        assert_eq!(starts(&keeping), starts_by_then);
        assert_eq!(front.get("/v1/models").json()["data"][0]["id"], "fake");
        sleep(&fake);
    }
    assert_eq!(front.get("/v1/models").json()["data"][0]["id"], "fake");
}

#[test]
fn what_was_stopped_by_name_stays_so() {
    let keeping = Keeping::new();
    let _fake = asleep(&keeping);
    let front = Front::start(&keeping.sandbox, &[]);
    drop(keeping.sandbox.sh("istop a").exits(0));
    wait_for("the page to tell", LIMIT, || page(&front).contains("down: is stopped"));
    let refused = front.post("/v1/chat/completions", &hello("claude-x")).is(503).json();
    assert_eq!(refused["error"]["message"], "no instance is ready: llama-cpp/a is stopped");
    assert_eq!(starts(&keeping), 1);
}
