//! Streams of every kind through the running bridge, as they leave it, read by the strict reader.
use super::{hello, served};
use crate::kit::{Front, Sandbox, Stub, answer, begin_events, free_port};
use crate::strict;
use serde_json::{Value, json};
use std::io::Write;

/// A bridge that translates, before an engine that sends these bytes.
fn translated(chunks: &[Value], done: bool) -> String {
    let mut events: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    if done {
        events.push_str("data: [DONE]\n\n");
    }
    let stub = Stub::start(move |request, _, stream| match request {
        "POST /v1/chat/completions" => {
            begin_events(stream);
            // Cut where no event ends.
            for piece in events.as_bytes().chunks(53) {
                drop(stream.write_all(piece));
                drop(stream.flush());
            }
        }
        _ => answer(stream, "404 Not Found", "application/json", "{}"),
    });
    let sandbox = Sandbox::new();
    let front = Front::start(&sandbox, &["--upstream", &stub.url(), "--mode", "translate"]);
    front.lists(1);
    let asked = json!({"model": "claude-x", "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "Hello"}]});
    let body = front.post("/v1/messages?beta=true", &asked).is(200).body;
    strict::read(&body).unwrap().transcript
}

fn delta(delta: &Value) -> Value {
    json!({"id": "chatcmpl-1", "choices": [{"index": 0, "delta": delta}]})
}

fn finish(reason: &str) -> Value {
    json!({"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

#[test]
fn thinking_text_and_parallel_calls_leave_the_bridge_in_order() {
    let call = |index: u64, text: &str| json!({"index": index, "function": {"arguments": text}});
    let begin = |index: u64, id: &str| json!({"index": index, "id": id, "function": {"name": "Read", "arguments": ""}});
    let found = translated(
        &[
            delta(&json!({"role": "assistant", "content": null})),
            delta(&json!({"reasoning_content": "Hm"})),
            delta(&json!({"content": "I r\u{e9}ad"})),
            delta(&json!({"tool_calls": [begin(0, "a"), begin(1, "b")]})),
            delta(&json!({"tool_calls": [call(1, "{\"n\":"), call(0, "{\"n\":")]})),
            delta(&json!({"tool_calls": [call(1, "2}"), call(0, "1}")]})),
            finish("tool_calls"),
            json!({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}}),
        ],
        true,
    );
    insta::assert_snapshot!(found, @r#"
    message_start claude-x
    0 thinking
    0 + "Hm"
    0 signature "unsigned"
    0 end
    1 text
    1 + "I réad"
    1 end
    2 tool_use Read a
    2 + "{\"n\":"
    2 + "1}"
    2 end
    3 tool_use Read b
    3 + "{\"n\":2}"
    3 end
    message_delta tool_use in 5 cached 4 out 5
    message_stop
    "#);
}

#[test]
fn an_error_in_the_middle_and_a_cut_reach_the_client_as_errors() {
    let error = json!({"error": {"message": "CUDA out of memory", "type": "server_error", "code": 500}});
    let found = translated(&[delta(&json!({"content": "Hel"})), error], true);
    insta::assert_snapshot!(found, @r#"
    message_start claude-x
    0 text
    0 + "Hel"
    error "api_error" "CUDA out of memory"
    "#);
    let found = translated(&[delta(&json!({"content": "Hel"}))], false);
    insta::assert_snapshot!(found, @r#"
    message_start claude-x
    0 text
    0 + "Hel"
    error "api_error" "the engine closed the stream before its answer had ended"
    "#);
}

#[test]
fn an_engine_at_a_foreign_address_counts_tokens_as_a_kept_one_does() {
    let port = free_port();
    let (sandbox, kept) = served(&[port], &[]);
    let url = format!("http://127.0.0.1:{port}");
    let foreign = Front::start(&sandbox, &["--upstream", &url, "--mode", "translate"]);
    foreign.lists(1);
    let counted = |front: &Front| front.post("/v1/messages/count_tokens", &hello("claude-x")).is(200).json();
    assert!(counted(&kept)["input_tokens"].as_u64().unwrap() > 1);
    assert_eq!(counted(&foreign), counted(&kept));
}
