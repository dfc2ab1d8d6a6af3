//! A stream of chat completion chunks as a stream of messages.
use super::answer;
use super::queue::Queue;
use super::write;
use crate::errors;
use crate::native::PING;
use crate::sse::{Event, Events};
use crate::usage::Usage;
use serde_json::Value;

/// Translates one stream. What is written depends on the bytes alone, not on where the chunks were cut.
#[derive(Debug)]
pub struct Stream {
    events: Events,
    queue: Queue,
    /// The message's id, once it is known.
    id: Option<String>,
    model: String,
    stops: Vec<String>,
    finish: Option<String>,
    sequence: Option<String>,
    usage: Usage,
    started: bool,
    ended: bool,
}

impl Stream {
    /// A stream of which nothing has come. `asked_model` is the name by which the client asked.
    #[must_use]
    pub fn new(asked_model: &str) -> Self {
        Self {
            events: Events::new(),
            queue: Queue::default(),
            id: None,
            model: asked_model.to_owned(),
            stops: Vec::new(),
            finish: None,
            sequence: None,
            usage: Usage::default(),
            started: false,
            ended: false,
        }
    }

    /// The same, for the request that the client sent: with its stop sequences at hand, the one that ended the answer is named.
    #[must_use]
    pub fn for_request(request: &Value) -> Self {
        Self { stops: answer::stop_sequences(request), ..Self::new(answer::asked_model(request)) }
    }

    /// Take bytes of the engine's stream and write what they give.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        let mut events = std::mem::take(&mut self.events);
        let result = events.push(bytes, |event| self.take(&event, out));
        self.events = events;
        if let Err(error) = result {
            self.failed(502, &error.to_string(), out);
        }
    }

    /// The engine has closed the stream. Where that was too early, an error ends it and no `message_stop`.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if let Some(event) = self.events.finish() {
            self.take(&event, out);
        }
        if self.finish.is_some() {
            self.end(out);
        } else {
            self.failed(502, "the engine closed the stream before its answer had ended", out);
        }
    }

    /// Write a ping, for a client that has heard nothing for some time, with `message_start` before it where that has not
    /// been written. After the end it writes nothing.
    pub fn ping(&mut self, out: &mut Vec<u8>) {
        if !self.ended {
            self.start(out);
            out.extend_from_slice(PING.as_bytes());
        }
    }

    /// End the stream with an error: an HTTP status and the engine's words. After the end it writes nothing.
    pub fn failed(&mut self, status: u16, text: &str, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.ended, true) {
            out.extend_from_slice(&errors::event(status, text));
        }
    }

    /// `message_start` has been written.
    #[must_use]
    pub fn started(&self) -> bool {
        self.started
    }

    /// `message_stop` or an error has been written.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// The counts so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.usage
    }

    fn take(&mut self, event: &Event, out: &mut Vec<u8>) {
        let data = event.data.trim_ascii();
        if self.ended || data.is_empty() {
            return;
        }
        if data == b"[DONE]" {
            return self.end(out);
        }
        let chunk: Value = match serde_json::from_slice(data) {
            Ok(chunk) => chunk,
            Err(error) => {
                return self.failed(502, &format!("the engine sent an event that is no JSON: {error}"), out);
            }
        };
        let error = chunk.get("error").is_some_and(|error| !error.is_null());
        if error || event.name == "error" || chunk.get("object").is_some_and(|object| object == "error") {
            let text = errors::error_text(&chunk).unwrap_or_else(|| chunk.to_string());
            return self.failed(errors::status_of(&chunk).unwrap_or(500), &text, out);
        }
        self.take_chunk(&chunk, out);
    }

    fn take_chunk(&mut self, chunk: &Value, out: &mut Vec<u8>) {
        self.usage.take(chunk);
        let Some(choices) = chunk.get("choices").and_then(Value::as_array) else { return };
        if !self.started {
            self.id.get_or_insert_with(|| answer::message_id(chunk));
            self.start(out);
        }
        for choice in choices {
            // Nobody asked for a second one.
            if choice.get("index").and_then(Value::as_u64).unwrap_or(0) == 0 {
                self.take_choice(choice);
            }
        }
        self.flush(out, false);
    }

    fn take_choice(&mut self, choice: &Value) {
        let whole = choice.get("message").unwrap_or(&Value::Null);
        let delta = choice.get("delta").filter(|delta| delta.is_object()).unwrap_or(whole);
        self.queue.thinking(answer::reasoning(delta));
        self.queue.text(&answer::text(delta));
        for call in answer::calls(delta) {
            self.queue.call(call);
        }
        if let Some(finish) = choice.get("finish_reason").and_then(Value::as_str).filter(|f| !f.is_empty()) {
            self.finish = Some(finish.to_owned());
        }
        if let Some(sequence) = answer::stopped_by(choice, &self.stops) {
            self.sequence = Some(sequence.to_owned());
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.started, true) {
            let id = self.id.get_or_insert_with(answer::unique_id);
            write::message_start(out, id, &self.model, self.usage);
        }
    }

    fn flush(&mut self, out: &mut Vec<u8>, ended: bool) {
        let id = self.id.clone().unwrap_or_default();
        if let Err(problem) = self.queue.flush(out, &id, ended) {
            self.failed(502, problem, out);
        }
    }

    /// The answer is complete.
    fn end(&mut self, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        if let Some(problem) = answer::interrupted_by_shutdown(self.finish.as_deref()) {
            return self.failed(502, &problem, out);
        }
        if !self.started && self.finish.is_none() || self.finish.is_none() && !self.queue.has_blocks() {
            return self.failed(502, "the engine ended the stream without an answer", out);
        }
        self.flush(out, true);
        if !std::mem::replace(&mut self.ended, true) {
            let stop = answer::stop_reason(
                self.finish.as_deref(),
                self.queue.has_tool_call(),
                self.sequence.as_deref(),
            );
            write::message_end(out, stop, self.usage);
        }
    }
}
