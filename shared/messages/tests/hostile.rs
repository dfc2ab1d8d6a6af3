//! Input that nobody should send.
use super::{calls_chunk, delta, finish, stream, strict, translated};
use messages::translate::{self, Stream};
use messages::{count, native, prefix};
use serde_json::{Value, json};

/// Chance that can be repeated (xorshift); `INFER_DEV_TEST_SEED` sets it, `INFER_DEV_TEST_FULL` makes the run long.
struct SeededRng(u64);

impl SeededRng {
    fn new() -> Self {
        let seed =
            std::env::var("INFER_DEV_TEST_SEED").map_or(0x9e37_79b9_7f4a_7c15, |seed| seed.parse().unwrap());
        println!("INFER_DEV_TEST_SEED={seed}");
        Self(seed | 1)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % bound.max(1)
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// Something in the value is of another type, or gone.
    fn change(&mut self, value: &mut Value) {
        match value {
            Value::Object(fields) if !fields.is_empty() && self.below(10) > 0 => {
                let name = fields.keys().nth(self.below(fields.len())).cloned().unwrap();
                if self.below(8) == 0 {
                    fields.remove(&name);
                } else {
                    self.change(&mut fields[&name]);
                }
            }
            Value::Array(items) if !items.is_empty() && self.below(8) > 0 => {
                let at = self.below(items.len());
                self.change(&mut items[at]);
            }
            other => {
                let was = other.take();
                *other = self.any(was);
            }
        }
    }

    fn any(&mut self, was: Value) -> Value {
        let texts = ["", "\u{0}\u{1f600}\n\n\"}", "tool_result", "system", "base64"];
        match self.below(14) {
            0 => json!(null),
            1 => json!(true),
            2 => json!(-1),
            3 => json!(u64::MAX),
            4 => json!(1e308),
            5 => json!([]),
            6 => json!({}),
            7 => json!([was]),
            8 => json!({"type": "tool_use", "text": was}),
            9 => (0..DEPTH).fold(was, |inner, _| json!([inner])),
            10 => json!("x".repeat(5000)),
            11 => json!([null, 7, {"type": "text"}]),
            _ => json!(self.one(&texts)),
        }
    }
}

const DEPTH: usize = 100;

fn rounds(few: usize) -> usize {
    if std::env::var_os("INFER_DEV_TEST_FULL").is_some() { few * 100 } else { few }
}

fn bodies() -> Vec<Value> {
    let image =
        json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}});
    vec![
        json!({"model": "claude-x", "max_tokens": 9, "stream": true, "stop_sequences": ["END"], "thinking": {"type": "enabled", "budget_tokens": 9},
            "system": [{"type": "text", "text": "x-anthropic-billing-header: a"}, {"type": "text", "text": "S"}],
            "tools": [{"name": "T", "description": "d", "input_schema": {"type": "object"}}], "tool_choice": {"type": "tool", "name": "T"},
            "messages": [{"role": "user", "content": [image, {"type": "document", "source": {"type": "text", "data": "d"}}]},
                {"role": "system", "content": "note"},
                {"role": "assistant", "content": [{"type": "thinking", "thinking": "t"}, {"type": "tool_use", "id": "a", "name": "T", "input": {"a": 1}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "is_error": true, "content": [{"type": "text", "text": "r"}, image]}, {"type": "text", "text": "u"}]},
                {"role": "system", "content": [{"type": "text", "text": "note"}]}]}),
        json!({"model": "m", "input": "a", "instructions": "i", "messages": [{"role": "user", "content": "a", "tool_calls": [1]}]}),
    ]
}

#[test]
fn requests_of_any_form_are_translated_or_refused() {
    let (mut jitter, bodies) = (SeededRng::new(), bodies());
    let mut translated = 0;
    for _ in 0..rounds(1000) {
        let mut body = jitter.one(&bodies).clone();
        for _ in 0..=jitter.below(4) {
            jitter.change(&mut body);
        }
        match translate::request(&body, "local") {
            Ok(chat) => {
                translated += 1;
                assert!(chat["messages"].as_array().is_some_and(|messages| !messages.is_empty()), "{body}");
                well_formed(&chat["messages"], &body);
            }
            Err(refusal) => assert!(refusal.message.contains(": "), "{refusal}"),
        }
        drop((count::estimate(&body), prefix::keys(&prefix::blocks(&body))));
        native::adapt(&mut body, "local", native::Options::default());
    }
    assert!(translated > 100, "{translated}");
}

/// No turn of a chat completion follows one of its own role, and nothing within is of a type that engines refuse.
fn well_formed(messages: &Value, body: &Value) {
    let messages = messages.as_array().unwrap();
    for pair in messages.windows(2) {
        assert!(pair[0]["role"] != pair[1]["role"] || pair[0]["role"] == "tool", "{body}");
        assert!(pair[1]["role"] != "system", "{body}");
    }
    for message in messages {
        let content = &message["content"];
        let calls = message.get("tool_calls").is_some();
        assert!(content.is_string() || content.is_array() || content.is_null() && calls, "{body}");
    }
}

fn chunks() -> Vec<Value> {
    vec![
        delta(json!({"role": "assistant", "content": ""})),
        delta(json!({"reasoning_content": "think"})),
        delta(json!({"content": "text"})),
        delta(json!({"content": "\n"})),
        calls_chunk(json!([{"index": 0, "id": "a", "function": {"name": "F", "arguments": ""}}])),
        calls_chunk(json!([{"index": 0, "function": {"arguments": "{\"n\":"}}])),
        calls_chunk(json!([{"index": 1, "id": "b", "function": {"name": "G", "arguments": "{}"}}])),
        calls_chunk(json!([{"index": 0, "function": {"arguments": "1}"}}])),
        calls_chunk(json!([{"function": {"name": "H", "arguments": "{}"}}])),
        super::usage(9, 3, 1),
        finish("stop"),
        finish("length"),
    ]
}

#[test]
fn streams_of_any_form_give_streams_that_a_strict_reader_takes() {
    let (mut jitter, good) = (SeededRng::new(), chunks());
    let asked = json!({"model": "claude-x", "stop_sequences": ["END"]});
    let mut whole = 0;
    for _ in 0..rounds(1000) {
        let mut some: Vec<Value> = (0..jitter.below(12)).map(|_| jitter.one(&good).clone()).collect();
        if jitter.below(3) > 0 {
            for _ in 0..jitter.below(3) {
                let at = jitter.below(some.len());
                some.get_mut(at).into_iter().for_each(|chunk| jitter.change(chunk));
            }
        }
        let mut input = stream(&some).into_bytes();
        if jitter.below(4) == 0 {
            let at = jitter.below(input.len());
            *input.get_mut(at).unwrap() = *jitter.one(b"\0\r\n{}\"\xff9:,");
        }
        if jitter.below(8) == 0 {
            input.truncate(jitter.below(input.len()));
        }
        let size = 1 + jitter.below(40);
        let out = translated(input.chunks(size), &asked);
        match strict::read(out.as_bytes()) {
            Ok(read) => whole += usize::from(read.message.is_some()),
            // They were passed on as they came. Clients tell the model so.
            Err(problem) if problem.starts_with("arguments that are no object") => {}
            Err(problem) => panic!("{problem}\n{}\n{out}", String::from_utf8_lossy(&input)),
        }
        drop(translate::response_to(some.first().unwrap_or(&Value::Null), &asked));
    }
    assert!(whole > 150, "{whole}");
}

#[test]
fn an_answer_is_the_same_in_pieces_and_whole() {
    let mut jitter = SeededRng::new();
    for _ in 0..rounds(200) {
        let (mut text, mut thinking, mut calls) = (String::new(), String::new(), Vec::new());
        let mut chunks = Vec::new();
        for piece in 0..jitter.below(4) {
            thinking.push_str(&format!("t{piece} "));
            chunks.push(delta(json!({"reasoning_content": format!("t{piece} ")})));
        }
        for piece in 0..jitter.below(4) {
            text.push_str(&format!("w{piece}\u{e9} "));
            chunks.push(delta(json!({"content": format!("w{piece}\u{e9} ")})));
        }
        // The arguments of all calls come mixed up, each in its own order.
        let mut left: Vec<(usize, String)> = Vec::new();
        for number in 0..jitter.below(4) {
            let arguments =
                json!({"text": "a}\"\\é{".repeat(1 + jitter.below(3)), "n": [number]}).to_string();
            calls.push(json!({"id": format!("c{number}"), "type": "function", "function": {"name": "F", "arguments": arguments}}));
            chunks.push(calls_chunk(json!([{"index": number, "id": format!("c{number}"), "function": {"name": "F", "arguments": ""}}])));
            left.push((number, arguments));
        }
        while !left.is_empty() {
            let at = jitter.below(left.len());
            let (number, rest) = &mut left[at];
            let cut = rest.char_indices().map(|(at, _)| at).nth(1 + jitter.below(5)).unwrap_or(rest.len());
            let piece: String = rest.drain(..cut).collect();
            chunks.push(calls_chunk(json!([{"index": *number, "function": {"arguments": piece}}])));
            left.retain(|(_, rest)| !rest.is_empty());
        }
        let finish_reason = if calls.is_empty() { "stop" } else { "tool_calls" };
        chunks.extend([finish(finish_reason), super::usage(9, 3, 5)]);
        let asked = json!({"model": "claude-x"});
        let streamed = strict::read(translated([stream(&chunks).as_bytes()], &asked).as_bytes())
            .unwrap()
            .message
            .unwrap();
        let chat = json!({"id": "chatcmpl-1", "choices": [{"index": 0, "finish_reason": finish_reason,
            "message": {"role": "assistant", "content": text, "reasoning_content": thinking, "tool_calls": calls}}],
            "usage": super::usage(9, 3, 5)["usage"]});
        assert_eq!(streamed, translate::response_to(&chat, &asked));
    }
}

#[test]
fn what_never_ends_is_refused_and_holds_no_memory() {
    let (mut stream, mut out) = (Stream::new("claude-x"), Vec::new());
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..64 {
        stream.push(&chunk, &mut out);
    }
    assert_eq!(
        strict::read(&out).unwrap().transcript,
        "error \"api_error\" \"an event of the stream is longer than 16777216 bytes\"\n"
    );

    // Arguments that have to wait for those of the call before them.
    let (mut stream, mut out) = (Stream::new("claude-x"), Vec::new());
    let begin = calls_chunk(
        json!([{"index": 0, "id": "a", "function": {"name": "F", "arguments": "{"}}, {"index": 1, "id": "b", "function": {"name": "F", "arguments": "{\""}}]),
    );
    stream.push(format!("data: {begin}\n\n").as_bytes(), &mut out);
    let more = calls_chunk(json!([{"index": 1, "function": {"arguments": "y".repeat(1 << 20)}}]));
    for _ in 0..64 {
        stream.push(format!("data: {more}\n\n").as_bytes(), &mut out);
    }
    assert!(stream.ended() && out.len() < 4096);
    assert!(
        strict::read(&out)
            .unwrap()
            .transcript
            .ends_with("error \"api_error\" \"the engine's tool calls are too large\"\n")
    );

    let (mut stream, mut out) = (Stream::new("claude-x"), Vec::new());
    for number in 0..2000 {
        let call = calls_chunk(
            json!([{"index": number, "id": number.to_string(), "function": {"name": "F", "arguments": "{}"}}]),
        );
        stream.push(format!("data: {call}\n\n").as_bytes(), &mut out);
    }
    assert!(stream.ended());
    drop(strict::read(&out).unwrap());
}

#[test]
fn depth_is_no_danger() {
    let deep = "[".repeat(100_000);
    let out = translated([format!("data: {{\"choices\":{deep}\n\n").as_bytes()], &json!({"model": "m"}));
    assert!(strict::read(out.as_bytes()).unwrap().transcript.contains("recursion limit"));
    let arguments = format!("{{\"a\":{deep}{}}}", "]".repeat(100_000));
    let call = json!({"id": "a", "function": {"name": "F", "arguments": arguments}});
    let chat = json!({"choices": [{"message": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]});
    let found = translate::response(&chat, "m");
    assert_eq!(found["content"][0]["input"]["invalid_arguments"].as_str().unwrap().len(), arguments.len());
}
