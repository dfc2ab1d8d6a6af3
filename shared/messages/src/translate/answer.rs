//! A whole chat completion as a message.
use super::arguments;
use super::write::{self, SIGNATURE};
use crate::usage::Usage;
use crate::{errors, system};
use serde_json::{Value, json};

/// The message for a whole chat completion. `asked_model` is the name by which the client asked.
///
/// A value that is no chat completion becomes an error body of status 502, which has `"type": "error"`.
#[must_use]
pub fn response(chat: &Value, asked_model: &str) -> Value {
    answer(chat, asked_model, &[], "")
}

/// The same, for the request that the client sent: the stop sequence that ended the answer is named, and a beginning that
/// the client gave is not said again.
#[must_use]
pub fn response_to(chat: &Value, request: &Value) -> Value {
    answer(chat, asked_model(request), &stop_sequences(request), &prefill(request))
}

/// The beginning of the answer, where the client gave one: the text of a last message that is the assistant's. llama.cpp
/// repeats it in a whole answer, and not in a stream.
fn prefill(request: &Value) -> String {
    let last = request.get("messages").and_then(Value::as_array).and_then(|messages| messages.last());
    let last = last.filter(|last| last["role"] == "assistant").and_then(|last| last.get("content"));
    last.map_or_else(String::new, |content| system::texts(content).join("\n"))
}

/// The name by which a request asks for a model.
pub(super) fn asked_model(request: &Value) -> &str {
    request.get("model").and_then(Value::as_str).unwrap_or_default()
}

/// The stop sequences of a request.
pub(super) fn stop_sequences(request: &Value) -> Vec<String> {
    let stops = request.get("stop_sequences").and_then(Value::as_array);
    stops.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn answer(chat: &Value, asked_model: &str, stops: &[String], prefill: &str) -> Value {
    let Some(choice) = chat.pointer("/choices/0").filter(|choice| choice.is_object()) else {
        let status = errors::status_of(chat).unwrap_or(502);
        let text = chat.get("error").and_then(|_| errors::error_text(chat));
        return errors::anthropic(
            status,
            &text.unwrap_or_else(|| "the engine's answer has no choice".to_owned()),
        );
    };
    let finish = choice.get("finish_reason").and_then(Value::as_str);
    if let Some(problem) = interrupted_by_shutdown(finish) {
        return errors::anthropic(502, &problem);
    }
    let id = message_id(chat);
    let message = choice.get("message").unwrap_or(&Value::Null);
    let content = match content(message, &id, prefill) {
        Ok(content) => content,
        Err(problem) => return errors::anthropic(502, problem),
    };
    let called = content.iter().any(|block| block["type"] == "tool_use");
    let (reason, sequence) = stop_reason(finish, called, stopped_by(choice, stops));
    json!({
        "id": id, "type": "message", "role": "assistant", "model": asked_model, "content": content,
        "stop_reason": reason, "stop_sequence": sequence, "usage": write::counts(Usage::of(chat)),
    })
}

/// A server that is being stopped ends its answer in good form; only the finish reason shows it.
pub(super) fn interrupted_by_shutdown(finish: Option<&str>) -> Option<String> {
    let reason = finish.filter(|finish| matches!(*finish, "abort" | "error"))?;
    Some(format!("the engine broke off, its finish_reason is {reason}"))
}

/// The message's id: the chat completion's own, in Anthropic's form.
pub(super) fn message_id(chat: &Value) -> String {
    let id = chat.get("id").and_then(Value::as_str).unwrap_or_default();
    let id = id.strip_prefix("chatcmpl-").unwrap_or(id);
    let letters: String = id.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
    if letters.is_empty() { unique_id() } else { format!("msg_{letters}") }
}

/// An id that no other message has: clients count a message once by it.
pub(super) fn unique_id() -> String {
    use std::hash::{BuildHasher, RandomState};
    // Each state has keys of its own, from the system's randomness.
    let word = || RandomState::new().hash_one(0);
    format!("msg_{:016x}{:016x}", word(), word())
}

/// The id of a call to which the engine gave none, or one that another call has.
pub(super) fn call_id(message_id: &str, number: usize) -> String {
    format!("toolu_{}_{number}", message_id.trim_start_matches("msg_"))
}

fn content(message: &Value, id: &str, prefill: &str) -> Result<Vec<Value>, &'static str> {
    let mut content = Vec::new();
    let thinking = reasoning(message);
    if !thinking.is_empty() {
        content.push(json!({"type": "thinking", "thinking": thinking, "signature": SIGNATURE}));
    }
    let whole = text(message);
    let text = whole.strip_prefix(prefill).unwrap_or(&whole);
    if !text.trim().is_empty() {
        content.push(json!({"type": "text", "text": text}));
    }
    for (number, call) in calls(message).enumerate() {
        let function = call.get("function").filter(|function| function.is_object()).unwrap_or(call);
        let name = function.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
        let name = name.ok_or("the engine sent a tool call without a name")?;
        let own = call.get("id").and_then(Value::as_str).filter(|id| !id.is_empty());
        let own = own.filter(|own| content.iter().all(|block: &Value| block["id"] != *own));
        let call_id = own.map_or_else(|| call_id(id, number), str::to_owned);
        let input = arguments::input(&arguments::text(function.get("arguments")));
        content.push(json!({"type": "tool_use", "id": call_id, "name": name, "input": input}));
    }
    Ok(content)
}

/// The thinking of a message or delta: llama.cpp and SGLang call it `reasoning_content`, vLLM `reasoning`, and some both.
pub(super) fn reasoning(message: &Value) -> &str {
    let fields = ["reasoning_content", "reasoning"];
    let mut texts = fields.iter().filter_map(|field| message.get(field).and_then(Value::as_str));
    texts.find(|text| !text.is_empty()).unwrap_or_default()
}

/// The text of a message or delta: a string, or parts; a model's refusal is its answer.
pub(super) fn text(message: &Value) -> String {
    let mut text = match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect()
        }
        _ => String::new(),
    };
    text.push_str(message.get("refusal").and_then(Value::as_str).unwrap_or_default());
    text
}

/// The tool calls of a message or delta, in today's form or the oldest.
pub(super) fn calls(message: &Value) -> impl Iterator<Item = &Value> {
    let calls = message.get("tool_calls").and_then(Value::as_array);
    let oldest =
        message.get("function_call").filter(|call| call.is_object() && calls.is_none_or(Vec::is_empty));
    calls.into_iter().flatten().chain(oldest).filter(|call| call.is_object())
}

/// The stop sequence that ended the answer: vLLM names it in `stop_reason`, SGLang in `matched_stop`. Both fields also hold
/// tokens that end a turn, so only the request's own sequences count.
pub(super) fn stopped_by<'a>(choice: &Value, stops: &'a [String]) -> Option<&'a str> {
    let names = ["stop_reason", "matched_stop"];
    let found = names.iter().find_map(|name| choice.get(name).and_then(Value::as_str))?;
    stops.iter().map(String::as_str).find(|stop| *stop == found)
}

/// Anthropic's name for why an answer ended. Some servers say `stop` after a tool call; without `tool_use` the client would
/// not run it. An answer that was cut at its length is said to be so, whatever it was writing.
pub(super) fn stop_reason<'a>(
    finish: Option<&str>,
    called: bool,
    sequence: Option<&'a str>,
) -> (&'static str, Option<&'a str>) {
    match finish {
        Some("length") => ("max_tokens", None),
        Some("content_filter") => ("refusal", None),
        _ if called => ("tool_use", None),
        _ if sequence.is_some() => ("stop_sequence", sequence),
        _ => ("end_turn", None),
    }
}
