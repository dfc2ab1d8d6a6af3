//! An engine that nobody asks is ended, and a request through the bridge is held until it is up again.
use super::{LIMIT, Real, on_each};
use crate::kit::{Front, ask, wait_for};
use serde_json::{Value, json};
use std::time::Instant;

/// A request that waits for a whole start.
fn asked(front: &Front, path: &str, body: &Value) -> crate::kit::Answer {
    let body = body.to_string();
    let stream = front.connect();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    ask(stream, &head, body.as_bytes()).is(200)
}

fn sleeps(real: &Real) {
    let held = real.held();
    wait_for("sleep", LIMIT, || {
        let status = real.status();
        status["state"] == "asleep" && status.get("pid").is_none()
    });
    // Its keeper stays.
    let gone = |path: &std::path::PathBuf| !path.exists();
    assert!(held.shm.iter().all(gone), "{:?}", held.shm);
    assert!(real.named("EngineCore").is_empty() && real.named("sglang::").is_empty());
}

#[test]
fn one_that_nobody_asks_sleeps_and_a_request_through_the_bridge_waits_for_it() {
    on_each("idle stop and wake", |real| {
        let metrics = if real.engine == "sglang" { "enable_metrics = true\n" } else { "" };
        real.configure(&format!("{metrics}[instance.a.control]\nidle_stop_s = 15"));
        real.serve();
        let front = Front::start(&real.sandbox, &[]);
        drop(real.sandbox.sh("ichat --instance a --max-tokens 8 Hello").exits(0).one("answer"));
        sleeps(real);
        let messages = json!([{"role": "user", "content": "Hello"}]);
        for (path, body) in [
            ("/v1/chat/completions", json!({"model": "tiny", "max_tokens": 8, "messages": messages})),
            ("/v1/messages", json!({"model": "tiny", "max_tokens": 8, "messages": messages, "stream": true})),
        ] {
            let start = Instant::now();
            let answer = asked(&front, path, &body);
            let text = answer.text();
            println!("woken by {path} in {} s", start.elapsed().as_secs());
            assert!(text.contains("\"content\"") || text.contains("message_stop"), "{text}");
            assert!(!text.contains("\"error\""), "{text}");
            let status = real.status();
            assert_eq!((&status["state"], &status["restarts"]), (&json!("running"), &json!(0)), "{status}");
            sleeps(real);
        }
        drop(front);
        let held = real.held();
        drop(real.sandbox.sh("istop").exits(0).one("stopped"));
        real.is_gone(&held);
    });
}
