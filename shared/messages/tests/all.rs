//! What comes out for what goes in, and what never happens whatever goes in.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![expect(clippy::needless_pass_by_value, reason = "values are written where they are given")]
#![expect(clippy::print_stdout, reason = "a test says its seed")]
mod answer;
mod calls;
mod hostile;
mod native;
mod request;
mod strict;
mod text;

use messages::translate::Stream;
use serde_json::{Value, json};

/// A chunk of a chat completion with this choice.
fn choice(choice: Value) -> Value {
    let mut whole = json!({"index": 0});
    whole.as_object_mut().unwrap().extend(choice.as_object().unwrap().clone());
    json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [whole]})
}

/// A chunk with this delta.
fn delta(delta: Value) -> Value {
    choice(json!({"delta": delta, "finish_reason": null}))
}

/// A chunk with these elements of `tool_calls`.
fn calls_chunk(calls: Value) -> Value {
    delta(json!({"tool_calls": calls}))
}

/// A chunk that ends the answer.
fn finish(reason: &str) -> Value {
    choice(json!({"delta": {}, "finish_reason": reason}))
}

fn usage(prompt: u64, cached: u64, completion: u64) -> Value {
    json!({"id": "chatcmpl-1", "choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion,
        "total_tokens": prompt + completion, "prompt_tokens_details": {"cached_tokens": cached}}})
}

/// A whole stream of these chunks.
fn stream(chunks: &[Value]) -> String {
    let events: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    events + "data: [DONE]\n\n"
}

/// The engine's bytes, given in these pieces, as the client gets them.
fn translated<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, asked: &Value) -> String {
    let (mut stream, mut out) = (Stream::for_request(asked), Vec::new());
    for piece in pieces {
        stream.push(piece, &mut out);
    }
    stream.finish(&mut out);
    assert!(stream.ended());
    String::from_utf8(out).unwrap()
}

/// The transcript of a stream, which is the same wherever its bytes are cut.
fn transcript_of(input: &str, asked: &Value) -> strict::Read {
    let bytes = input.as_bytes();
    let whole = translated([bytes], asked);
    for at in 0..=bytes.len() {
        let (one, two) = bytes.split_at(at);
        assert_eq!(translated([one, two], asked), whole, "cut at byte {at}");
    }
    assert_eq!(translated(bytes.chunks(1), asked), whole, "cut at every byte");
    strict::read(whole.as_bytes()).unwrap_or_else(|problem| panic!("{problem}\n{whole}"))
}

/// The transcript of a stream of these chunks.
fn transcript(chunks: &[Value]) -> String {
    let asked = json!({"model": "claude-x", "stop_sequences": ["END"]});
    transcript_of(&stream(chunks), &asked).transcript
}
