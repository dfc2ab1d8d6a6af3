//! System text of two kinds that engines do not take as it comes: Claude Code's billing line, and system messages within
//! the conversation.
use serde_json::{Value, json};

/// The first block of Claude Code's system prompt. Its value changes between turns and would change the whole prompt.
pub(crate) fn is_billing(text: &str) -> bool {
    text.trim_start().starts_with("x-anthropic-billing-header:")
}

/// A block of text that is Claude Code's billing line.
pub(crate) fn is_billing_block(block: &Value) -> bool {
    block.get("text").and_then(Value::as_str).is_some_and(is_billing)
}

/// The text of a system message as part of a user's turn: in the form in which Claude Code itself marks what is not the
/// user's own.
pub(crate) fn as_reminder(text: &str) -> String {
    if text.contains("<system-reminder>") {
        return text.to_owned();
    }
    format!("<system-reminder>\n{text}\n</system-reminder>")
}

/// The texts of a system prompt or message: a string, or blocks of type text.
pub(crate) fn texts(content: &Value) -> Vec<&str> {
    match content {
        Value::String(text) => vec![text],
        Value::Array(blocks) => {
            blocks.iter().filter_map(|block| block.get("text").and_then(Value::as_str)).collect()
        }
        _ => Vec::new(),
    }
}

/// Fold the system messages of a conversation into user turns where they stand. Nothing that came before one of them
/// changes its place, so the engine's prefix stays what it was.
///
/// A note after a user turn of text ends this turn. After tool results it is a turn of its own: llama.cpp puts the text of a
/// turn before its tool results. A note after an assistant turn begins the user turn that follows, behind its tool results.
pub(crate) fn fold(messages: &mut Vec<Value>) {
    if !messages.iter().any(is_system) {
        return;
    }
    let mut folded: Vec<Value> = Vec::with_capacity(messages.len());
    // Notes that no user turn has taken yet.
    let mut waiting: Vec<Value> = Vec::new();
    for mut message in messages.drain(..) {
        if is_system(&message) {
            let notes = notes(&message);
            match folded.last_mut().filter(|last| waiting.is_empty() && is_user(last)) {
                Some(last) if !has_results(last) => blocks_of(last).extend(notes),
                _ => waiting.extend(notes),
            }
            continue;
        }
        if !waiting.is_empty() {
            let notes = std::mem::take(&mut waiting);
            if is_user(&message) && !has_results(&message) {
                let own = std::mem::take(blocks_of(&mut message));
                *blocks_of(&mut message) = notes.into_iter().chain(own).collect();
            } else if is_user(&message) {
                waiting = notes;
            } else {
                folded.push(json!({"role": "user", "content": notes}));
            }
        }
        folded.push(message);
        if !waiting.is_empty() {
            folded.push(json!({"role": "user", "content": std::mem::take(&mut waiting)}));
        }
    }
    if !waiting.is_empty() {
        folded.push(json!({"role": "user", "content": waiting}));
    }
    *messages = folded;
}

fn is_system(message: &Value) -> bool {
    message.get("role").and_then(Value::as_str) == Some("system")
}

fn is_user(message: &Value) -> bool {
    message.get("role").and_then(Value::as_str) == Some("user")
        && matches!(message.get("content"), Some(Value::String(_) | Value::Array(_)))
}

fn has_results(message: &Value) -> bool {
    let blocks = message.get("content").and_then(Value::as_array);
    blocks.is_some_and(|blocks| blocks.iter().any(|block| block["type"] == "tool_result"))
}

/// The notes of a system message as blocks of a user turn.
fn notes(message: &Value) -> Vec<Value> {
    let texts = texts(&message["content"]).into_iter().filter(|text| !text.is_empty());
    texts.map(|text| json!({"type": "text", "text": as_reminder(text)})).collect()
}

/// The blocks of a user message, a string made into one. Only called where the content is a string or a list.
fn blocks_of(message: &mut Value) -> &mut Vec<Value> {
    let content = &mut message["content"];
    if let Value::String(text) = content {
        *content = json!([{"type": "text", "text": std::mem::take(text)}]);
    }
    if !content.is_array() {
        *content = json!([]);
    }
    content.as_array_mut().unwrap_or_else(|| unreachable!("it was made a list"))
}
