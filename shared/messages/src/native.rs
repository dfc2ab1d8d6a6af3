//! Requests and streams of an engine that has `/v1/messages` itself: passed on with as few changes as they need.
use crate::sse::{Event, EventTooLong, Events};
use crate::system;
use crate::usage::Usage;
use serde_json::{Value, json};

/// What is left as it comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Keep the block `x-anthropic-billing-header`, although it changes between turns.
    pub keep_billing: bool,
}

/// Make a request one that engines take: the model's name is the engine's; the billing block is dropped; system messages
/// within the conversation are folded where they stand; tool results stand in a message of their own, before the text of
/// their turn. What has another form than the API's is left for the engine to refuse.
pub fn adapt(body: &mut Value, upstream_model: &str, options: Options) {
    let Some(fields) = body.as_object_mut() else { return };
    fields.insert("model".to_owned(), json!(upstream_model));
    if !options.keep_billing {
        drop_billing(fields);
    }
    if let Some(messages) = fields.get_mut("messages").and_then(Value::as_array_mut) {
        system::fold(messages);
        split_tool_results(messages);
    }
}

fn drop_billing(fields: &mut serde_json::Map<String, Value>) {
    let empty = match fields.get_mut("system") {
        Some(Value::Array(blocks)) => {
            blocks.retain(|block| !system::is_billing_block(block));
            blocks.is_empty()
        }
        Some(Value::String(text)) => system::is_billing(text) && !text.trim().contains('\n'),
        _ => false,
    };
    if empty {
        fields.shift_remove("system");
    }
}

/// llama.cpp writes the text of a user turn before its tool results, which then no longer follow the calls.
fn split_tool_results(messages: &mut Vec<Value>) {
    let is_result = |block: &Value| block["type"] == "tool_result";
    let is_mixed = |message: &Value| {
        let blocks = message.get("content").and_then(Value::as_array);
        blocks.is_some_and(|blocks| blocks.iter().any(is_result) && !blocks.iter().all(is_result))
    };
    if !messages.iter().any(is_mixed) {
        return;
    }
    let mut parted = Vec::with_capacity(messages.len() + 1);
    for mut message in messages.drain(..) {
        if !is_mixed(&message) {
            parted.push(message);
            continue;
        }
        let blocks = message["content"].as_array_mut().map(std::mem::take).unwrap_or_default();
        let (results, others): (Vec<_>, Vec<_>) = blocks.into_iter().partition(is_result);
        let role = message["role"].clone();
        message["content"] = Value::Array(results);
        parted.push(message);
        parted.push(json!({"role": role, "content": others}));
    }
    *messages = parted;
}

/// Watches an Anthropic stream that is passed on byte for byte: whether a ping may stand here, whether the stream ended as
/// it should, and what it counted.
#[derive(Clone, Debug, Default)]
pub struct StreamWatch {
    events: Events,
    usage: Usage,
    started: bool,
    ended: bool,
}

impl StreamWatch {
    /// A stream of which nothing has come.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Take note of a chunk that is passed on.
    ///
    /// # Errors
    /// [`EventTooLong`]: the stream can no longer be watched, and no ping may be put into it.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), EventTooLong> {
        let Self { events, usage, started, ended } = self;
        events.push(bytes, |event| {
            match event.name.as_str() {
                "message_start" => *started = true,
                "message_stop" | "error" => *ended = true,
                _ => {}
            }
            if counts(&event)
                && let Ok(value) = serde_json::from_slice::<Value>(&event.data)
            {
                usage.take(&value);
            }
        })
    }

    /// `event: ping` may be put here: the message has started and not ended, and no event is half written.
    #[must_use]
    pub fn may_ping(&self) -> bool {
        self.started && !self.ended && self.events.at_boundary()
    }

    /// `message_start` has passed.
    #[must_use]
    pub fn started(&self) -> bool {
        self.started
    }

    /// `message_stop` or an error has passed. An engine that closes before that has broken off.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// The stream can be completed by an error event here; if not, a blank line has to end the event that was cut.
    #[must_use]
    pub fn at_boundary(&self) -> bool {
        self.events.at_boundary()
    }

    /// The counts so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.usage
    }
}

/// Only these two events count tokens; the many others are not parsed.
fn counts(event: &Event) -> bool {
    matches!(event.name.as_str(), "message_start" | "message_delta")
}

/// A ping of the Anthropic API. It stands between two events and never before `message_start`.
pub const PING: &str = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
