//! A stream of messages that the engine writes itself: passed on as it is, unless the bridge had to begin the client's
//! message before the engine did.
use messages::errors;
use messages::native::{PING, StreamWatch};
use messages::sse::{Event, Events};
use messages::usage::Usage;
use serde_json::{Value, json};

/// One such stream.
#[derive(Default)]
pub(crate) struct Native {
    watch: StreamWatch,
    model: String,
    /// The client has got a `message_start` of ours.
    early: Option<Early>,
}

/// What is done to a stream whose beginning we wrote.
#[derive(Default)]
struct Early {
    events: Events,
    /// The counts of the engine's own `message_start`, which the client does not get.
    counts: Option<Value>,
}

impl Native {
    /// `model` is the name by which the client asked.
    pub(crate) fn new(model: &str) -> Self {
        Self { model: model.to_owned(), ..Self::default() }
    }

    pub(crate) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let Some(early) = &mut self.early else {
            if self.watch.push(bytes).is_err() {
                log::info!("an event of a stream is too long to be watched");
            }
            out.extend_from_slice(bytes);
            return;
        };
        let Early { events, counts } = early;
        let from = out.len();
        let taken = events.push(bytes, |event| write(event, counts, out));
        self.watch.push(&out[from..]).ok();
        if taken.is_err() {
            self.failed(502, "the engine sent an event that is too long", out);
        }
    }

    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        let last = self.early.as_mut().and_then(|early| Some((early.events.finish()?, early)));
        if let Some((event, early)) = last {
            let from = out.len();
            write(event, &mut early.counts, out);
            self.watch.push(&out[from..]).ok();
        }
        if !self.watch.ended() {
            self.failed(502, "the engine closed the stream before its answer had ended", out);
        }
    }

    /// A ping, with a `message_start` before it where the engine has not sent one.
    pub(crate) fn ping(&mut self, out: &mut Vec<u8>) {
        if !self.watch.started() && self.watch.at_boundary() && self.early.is_none() {
            let start = start(&self.model);
            self.watch.push(start.as_bytes()).ok();
            out.extend_from_slice(start.as_bytes());
            self.early = Some(Early::default());
        }
        if self.watch.may_ping() {
            out.extend_from_slice(PING.as_bytes());
        }
    }

    pub(crate) fn failed(&mut self, status: u16, text: &str, out: &mut Vec<u8>) {
        if self.watch.ended() {
            return;
        }
        let mut event = errors::event(status, text);
        if !self.watch.at_boundary() {
            event.splice(0..0, *b"\n\n");
        }
        self.watch.push(&event).ok();
        out.extend_from_slice(&event);
    }

    pub(crate) fn ended(&self) -> bool {
        self.watch.ended()
    }

    pub(crate) fn usage(&self) -> Usage {
        self.watch.usage()
    }
}

fn start(model: &str) -> String {
    let message = json!({
        "id": "msg_ibridge", "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 0, "output_tokens": 0}
    });
    format!("event: message_start\ndata: {}\n\n", json!({"type": "message_start", "message": message}))
}

/// An event of a stream whose `message_start` the client has already: the counts of the engine's go into its last delta.
fn write(event: Event, counts: &mut Option<Value>, out: &mut Vec<u8>) {
    let Event { name, mut data } = event;
    match name.as_str() {
        "message_start" => {
            let start: Option<Value> = serde_json::from_slice(&data).ok();
            *counts = start.and_then(|start| start.pointer("/message/usage").cloned());
            return;
        }
        "message_delta" => {
            if let Some(merged) = merged(&data, counts.as_ref()) {
                data = merged;
            }
        }
        _ => {}
    }
    if !name.is_empty() {
        out.extend_from_slice(format!("event: {name}\n").as_bytes());
    }
    for line in data.split(|byte| *byte == b'\n') {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.push(b'\n');
}

fn merged(data: &[u8], counts: Option<&Value>) -> Option<Vec<u8>> {
    let mut delta: Value = serde_json::from_slice(data).ok()?;
    let usage = delta.as_object_mut()?.entry("usage").or_insert_with(|| json!({})).as_object_mut()?;
    for (name, count) in counts?.as_object()? {
        if name != "output_tokens" {
            usage.entry(name.clone()).or_insert_with(|| count.clone());
        }
    }
    serde_json::to_vec(&delta).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":7,\
        \"cache_read_input_tokens\":5,\"output_tokens\":0}}}\n\nevent: content_block_start\ndata: {\"index\":0}\n\n\
        event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":3}}\n\n\
        event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

    fn through(native: &mut Native, stream: &[u8], cut: usize) -> String {
        let mut out = Vec::new();
        native.push(&stream[..cut], &mut out);
        native.push(&stream[cut..], &mut out);
        native.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_stream_passes_byte_for_byte() {
        for cut in 0..STREAM.len() {
            let mut native = Native::new("m");
            assert_eq!(through(&mut native, STREAM.as_bytes(), cut), STREAM);
            assert_eq!((native.usage().prompt, native.usage().completion), (Some(12), Some(3)));
        }
    }

    #[test]
    fn one_that_had_to_begin_early_begins_once_and_keeps_its_counts() {
        for cut in 0..STREAM.len() {
            let (mut native, mut out) = (Native::new("claude-x"), Vec::new());
            native.ping(&mut out);
            native.ping(&mut out);
            let begun = String::from_utf8(out).unwrap();
            assert_eq!(begun.matches("event: message_start").count(), 1);
            assert_eq!(begun.matches("event: ping").count(), 2);
            assert!(begun.starts_with("event: message_start") && begun.contains("claude-x"));
            let rest = through(&mut native, STREAM.as_bytes(), cut);
            assert!(!rest.contains("message_start"), "{rest}");
            assert!(
                rest.contains(r#""usage":{"output_tokens":3,"input_tokens":7,"cache_read_input_tokens":5}"#),
                "{rest}"
            );
            assert!(rest.ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"));
            assert_eq!(native.usage().prompt, Some(12));
        }
    }

    #[test]
    fn one_that_breaks_off_ends_with_an_error_and_no_stop() {
        for cut in 0..STREAM.len() - 1 {
            let text = through(&mut Native::new("m"), &STREAM.as_bytes()[..cut], cut / 2);
            if text.contains("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n") {
                continue;
            }
            assert!(
                text.contains("\n\nevent: error\ndata: ") || text.starts_with("event: error\ndata: "),
                "{text}"
            );
            assert!(text.ends_with("\n\n"));
        }
    }

    #[test]
    fn no_ping_stands_inside_an_event_or_after_the_end() {
        for cut in 0..=STREAM.len() {
            let (mut native, mut out) = (Native::new("m"), Vec::new());
            native.push(&STREAM.as_bytes()[..cut], &mut out);
            let before = out.len();
            native.ping(&mut out);
            let may = before == 0 || (out[..before].ends_with(b"\n\n") && cut < STREAM.len());
            assert_eq!(out.len() > before, may, "{cut}");
        }
    }
}
