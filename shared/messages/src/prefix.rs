//! How far a request extends the one before it: what an engine's prefix cache can use again.
use serde_json::Value;
use std::hash::{DefaultHasher, Hash, Hasher};

/// One block of a request, in the order in which a prompt has them: system prompt, tools, messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Where it stands, as `system.1`, `tools.4 (Read)` or `messages.7.content.0 (tool_result)`.
    pub place: String,
    /// A digest of what it holds, `cache_control` left out. For comparing within one process of this version.
    pub digest: u64,
    /// The length of what it holds as JSON, bytes.
    pub bytes: u64,
}

/// The block at which a turn stopped extending the one before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The block's place in the request before.
    pub before: String,
    /// What stands there now; absent where the request ends before it.
    pub now: Option<String>,
    /// Bytes of the blocks before it, which are the same.
    pub same_bytes: u64,
    /// Bytes of the request before from this block on, which the engine reads again.
    pub lost_bytes: u64,
}

/// The blocks of a request of messages, chat completions or responses.
#[must_use]
pub fn blocks(request: &Value) -> Vec<Block> {
    let mut blocks = Vec::new();
    for name in ["instructions", "system"] {
        match request.get(name) {
            Some(Value::Array(parts)) => {
                blocks.extend(parts.iter().enumerate().map(|(at, part)| block(format!("{name}.{at}"), part)));
            }
            None | Some(Value::Null) => {}
            Some(other) => blocks.push(block(name.to_owned(), other)),
        }
    }
    for (at, tool) in list(request, "tools").iter().enumerate() {
        let name = tool.get("name").or_else(|| tool.pointer("/function/name")).and_then(Value::as_str);
        blocks.push(block(format!("tools.{at} ({})", name.unwrap_or("no name")), tool));
    }
    for name in ["messages", "input"] {
        for (at, message) in list(request, name).iter().enumerate() {
            message_blocks(&format!("{name}.{at}"), message, &mut blocks);
        }
    }
    blocks
}

fn message_blocks(place: &str, message: &Value, blocks: &mut Vec<Block>) {
    let Some(parts) = message.get("content").and_then(Value::as_array) else {
        let role = message.get("role").and_then(Value::as_str).unwrap_or("no role");
        blocks.push(block(format!("{place} ({role})"), message));
        return;
    };
    let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
    for (at, part) in parts.iter().enumerate() {
        let kind = part.get("type").and_then(Value::as_str).unwrap_or("no type");
        let mut found = block(format!("{place}.content.{at} ({role} {kind})"), part);
        let mut hasher = DefaultHasher::new();
        (role, found.digest).hash(&mut hasher);
        found.digest = hasher.finish();
        blocks.push(found);
    }
    // A chat completion's calls stand beside the content.
    if let Some(calls) = message.get("tool_calls").filter(|calls| calls.is_array()) {
        blocks.push(block(format!("{place}.tool_calls"), calls));
    }
}

fn list<'a>(request: &'a Value, name: &str) -> &'a [Value] {
    request.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn block(place: String, value: &Value) -> Block {
    let mut hasher = DefaultHasher::new();
    let bytes = digest(value, &mut hasher);
    Block { place, digest: hasher.finish(), bytes }
}

/// Hash a value without its `cache_control` marks, which move on with every turn; returns about its length as JSON.
fn digest(value: &Value, hasher: &mut DefaultHasher) -> u64 {
    match value {
        Value::Null => 0_u8.hash(hasher),
        Value::Bool(truth) => (1_u8, truth).hash(hasher),
        Value::Number(number) => (2_u8, number.to_string()).hash(hasher),
        Value::String(text) => {
            (3_u8, text).hash(hasher);
            return text.len() as u64 + 2;
        }
        Value::Array(items) => {
            (4_u8, items.len()).hash(hasher);
            return items.iter().map(|item| digest(item, hasher) + 1).sum::<u64>() + 2;
        }
        Value::Object(fields) => {
            5_u8.hash(hasher);
            let mut bytes = 2;
            for (name, field) in fields.iter().filter(|(name, _)| *name != "cache_control") {
                name.hash(hasher);
                bytes += name.len() as u64 + 4 + digest(field, hasher);
            }
            6_u8.hash(hasher);
            return bytes;
        }
    }
    4
}

/// Where a request stops extending the one before it; `None` where it extends the whole of it.
#[must_use]
pub fn first_divergence(before: &[Block], now: &[Block]) -> Option<Divergence> {
    let same = before.iter().zip(now).take_while(|(old, new)| old.digest == new.digest).count();
    let lost = before.get(same)?;
    Some(Divergence {
        before: lost.place.clone(),
        now: now.get(same).map(|block| block.place.clone()),
        same_bytes: before[..same].iter().map(|block| block.bytes).sum(),
        lost_bytes: before[same..].iter().map(|block| block.bytes).sum(),
    })
}

/// One key for each beginning of a request, the shortest first. The instance that was given a request with the same key has
/// that beginning in its cache: look for the last of these that is known.
#[must_use]
pub fn keys(blocks: &[Block]) -> Vec<u64> {
    let mut hasher = DefaultHasher::new();
    let key = |block: &Block| {
        block.digest.hash(&mut hasher);
        hasher.finish()
    };
    blocks.iter().map(key).collect()
}
