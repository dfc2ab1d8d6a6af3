//! The events of an Anthropic stream, as bytes.
use crate::usage::Usage;
use serde_json::{Value, json};

/// What stands for the signature of a thinking block. Only Anthropic's service signs, and only it would check; clients leave
/// out a block that has none when they send the conversation back.
pub(super) const SIGNATURE: &str = "unsigned";

fn event(out: &mut Vec<u8>, data: &Value) {
    let name = data["type"].as_str().unwrap_or_default();
    out.extend_from_slice(format!("event: {name}\ndata: {data}\n\n").as_bytes());
}

/// Counts in Anthropic's form. Its `input_tokens` are without those that came from the cache.
pub(super) fn counts(usage: Usage) -> Value {
    let cached = usage.cached.unwrap_or(0);
    json!({
        "input_tokens": usage.prompt.unwrap_or(0).saturating_sub(cached),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "output_tokens": usage.completion.unwrap_or(0),
    })
}

pub(super) fn message_start(out: &mut Vec<u8>, id: &str, model: &str, usage: Usage) {
    let message = json!({
        "id": id, "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": counts(usage),
    });
    event(out, &json!({"type": "message_start", "message": message}));
}

/// What kind of block begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Start<'a> {
    Text,
    Thinking,
    Tool { id: &'a str, name: &'a str },
}

pub(super) fn block_start(out: &mut Vec<u8>, index: usize, start: Start<'_>) {
    let block = match start {
        Start::Text => json!({"type": "text", "text": ""}),
        Start::Thinking => json!({"type": "thinking", "thinking": "", "signature": ""}),
        Start::Tool { id, name } => json!({"type": "tool_use", "id": id, "name": name, "input": {}}),
    };
    event(out, &json!({"type": "content_block_start", "index": index, "content_block": block}));
}

/// What a block gets.
#[derive(Clone, Copy, Debug)]
pub(super) enum Delta<'a> {
    Text(&'a str),
    Thinking(&'a str),
    Signature(&'a str),
    Json(&'a str),
}

pub(super) fn delta(out: &mut Vec<u8>, index: usize, delta: Delta<'_>) {
    let (kind, field, text) = match delta {
        Delta::Text(text) => ("text_delta", "text", text),
        Delta::Thinking(text) => ("thinking_delta", "thinking", text),
        Delta::Signature(text) => ("signature_delta", "signature", text),
        Delta::Json(text) => ("input_json_delta", "partial_json", text),
    };
    // One of these for each token, so it is written without a tree of values.
    let head = format!(
        "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":{index},\
         \"delta\":{{\"type\":\"{kind}\",\"{field}\":"
    );
    out.extend_from_slice(head.as_bytes());
    // Writing a string to memory does not fail.
    drop(serde_json::to_writer(&mut *out, text));
    out.extend_from_slice(b"}}\n\n");
}

pub(super) fn block_stop(out: &mut Vec<u8>, index: usize) {
    event(out, &json!({"type": "content_block_stop", "index": index}));
}

pub(super) fn message_end(out: &mut Vec<u8>, stop: (&str, Option<&str>), usage: Usage) {
    let delta = json!({"stop_reason": stop.0, "stop_sequence": stop.1});
    event(out, &json!({"type": "message_delta", "delta": delta, "usage": counts(usage)}));
    event(out, &json!({"type": "message_stop"}));
}
