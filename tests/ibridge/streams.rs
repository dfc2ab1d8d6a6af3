//! Streams that are slow, cut, or wanted by nobody any more.
use crate::kit::{Front, Sandbox, Stub, answer, begin_events, read_chunk, read_head, wait_for};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(30);
const START: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":7,\"output_tokens\":0}}}\n\n";
const STOP: &str = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\
    \"usage\":{\"output_tokens\":3}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

fn ask(stream: bool) -> Value {
    json!({"model": "claude-x", "max_tokens": 9, "stream": stream, "messages": [{"role": "user", "content": "Hello"}]})
}

/// A bridge before a stub that does this with messages.
fn before(act: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> (Sandbox, Front, Stub) {
    let stub = Stub::start(move |request, body, stream| match (request, body) {
        (_, b"{}") => answer(stream, "400 Bad Request", "application/json", "{}"),
        _ => act(stream),
    });
    let sandbox = Sandbox::new();
    let front = Front::start(&sandbox, &["--upstream", &stub.url()]);
    front.lists(1);
    (sandbox, front, stub)
}

fn names(events: &[(String, Value)]) -> Vec<&str> {
    events.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn silence_is_broken_by_pings_between_two_events_of_one_message() {
    let (_sandbox, front, _stub) = before(|stream| {
        std::thread::sleep(Duration::from_secs(17));
        begin_events(stream);
        drop(stream.write_all(START.as_bytes()));
        // In the middle of an event there is no place for a ping.
        let (first, rest) = STOP.split_at(30);
        drop(stream.write_all(first.as_bytes()));
        std::thread::sleep(Duration::from_secs(16));
        drop(stream.write_all(rest.as_bytes()));
    });
    let events = front.post("/v1/messages", &ask(true)).is(200).events();
    assert_eq!(names(&events), ["message_start", "ping", "ping", "message_delta", "message_stop"]);
    assert_eq!(events[0].1["message"]["model"], "claude-x");
    assert_eq!(events[3].1["usage"], json!({"output_tokens": 3, "input_tokens": 7}));
}

#[test]
fn an_error_after_a_ping_is_an_event_in_the_engines_words() {
    let (_sandbox, front, _stub) = before(|stream| {
        std::thread::sleep(Duration::from_secs(16));
        answer(
            stream,
            "400 Bad Request",
            "application/json",
            r#"{"error":{"message":"too long for the context"}}"#,
        );
    });
    let events = front.post("/v1/messages", &ask(true)).is(200).events();
    assert_eq!(names(&events), ["message_start", "ping", "error"]);
    assert_eq!(
        events[2].1["error"],
        json!({"type": "invalid_request_error", "message": "too long for the context"})
    );
}

#[test]
fn a_stream_that_breaks_off_ends_with_an_error() {
    for cut in [START.len(), START.len() + 20] {
        let text = format!("{START}{STOP}");
        let (_sandbox, front, _stub) = before(move |stream| {
            begin_events(stream);
            drop(stream.write_all(&text.as_bytes()[..cut]));
        });
        let events = front.post("/v1/messages", &ask(true)).is(200).events();
        let names = names(&events);
        assert_eq!((names.first(), names.last()), (Some(&"message_start"), Some(&"error")), "{names:?}");
        assert!(!names.contains(&"message_stop"));
    }
}

#[test]
fn a_stream_of_another_api_that_breaks_off_is_seen_to() {
    let (_sandbox, front, _stub) = before(|stream| {
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ndata:\r\n"));
    });
    let answer = front.post("/v1/chat/completions", &json!({"model": "stub", "stream": true})).is(200);
    assert_eq!(answer.text(), "data:[cut]");
    wait_for("the line of the request", LIMIT, || front.log().contains(" cut"));
}

#[test]
fn where_the_client_goes_before_the_first_byte_the_engine_hears_of_it() {
    let (send, gone) = channel();
    let send = std::sync::Mutex::new(send);
    let (_sandbox, front, stub) = before(move |stream| {
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let ended = stream.read(&mut [0]);
        send.lock().unwrap().send(ended.is_ok_and(|count| count == 0)).unwrap();
    });
    for body in [ask(false), ask(true)] {
        let before = stub.asked.lock().unwrap().len();
        let stream = front.begin_post("/v1/messages", &body);
        wait_for("the engine to be asked", LIMIT, || stub.asked.lock().unwrap().len() > before);
        stream.get_ref().shutdown(Shutdown::Both).unwrap();
        assert!(gone.recv_timeout(Duration::from_secs(5)).unwrap());
    }
}

#[test]
fn what_the_engine_is_asked_is_what_it_takes() {
    let (_sandbox, front, stub) =
        before(|stream| answer(stream, "200 OK", "application/json", r#"{"type":"message"}"#));
    let body = json!({"model": "claude-x", "system": [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2; cch=1a2b3;"}, {"type": "text", "text": "Be brief."}],
        "messages": [{"role": "user", "content": "Hello"}]});
    drop(
        front
            .post_with(
                "/v1/messages?beta=true",
                &["x-api-key: clients", "anthropic-beta: a"],
                body.to_string().as_bytes(),
            )
            .is(200),
    );
    let asked = stub.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].0, "POST /v1/messages?beta=true");
    let sent: Value = serde_json::from_slice(&asked[0].1).unwrap();
    assert_eq!(
        (&sent["model"], &sent["system"]),
        (&json!("stub"), &json!([{"type": "text", "text": "Be brief."}]))
    );
}

#[test]
fn a_slow_reader_gets_all_and_holds_up_nobody() {
    let (_sandbox, front, _stub) = before(|stream| {
        begin_events(stream);
        drop(stream.write_all(START.as_bytes()));
        let event = format!("event: content_block_delta\ndata: {{\"pad\":\"{}\"}}\n\n", "x".repeat(60_000));
        (0..200).for_each(|_| drop(stream.write_all(event.as_bytes())));
        drop(stream.write_all(STOP.as_bytes()));
    });
    let mut slow = front.begin_post("/v1/messages", &ask(true));
    assert!(read_head(&mut slow).starts_with("HTTP/1.1 200"));
    std::thread::sleep(Duration::from_secs(1));
    let begun = Instant::now();
    drop(front.get("/health").is(200));
    assert!(begun.elapsed() < Duration::from_secs(1));
    let mut body = Vec::new();
    while read_chunk(&mut slow, &mut body) {}
    let text = String::from_utf8(body).unwrap();
    assert_eq!(text.matches("content_block_delta").count(), 200);
    assert!(text.ends_with(STOP));
}
