//! Translated and native messages of the real llama.cpp server, asked the same.
use crate::kit::{Sandbox, free_port, root};
use crate::pipeline::sandbox_with_engine;
use crate::strict;
use ::messages::{count, errors, translate};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::Duration;

/// What the model says, by the words of its template: thinking, text and a tool call. No word occurs twice.
const SAYS: &str = r#"<think> Hm, look. </think> Then: <tool_call>{"name": "now", "arguments": {"zone": "UTC"}}</tool_call>"#;

/// The tiny model, made to say something else, with a template that knows thinking.
fn model(sandbox: &Sandbox) -> String {
    let script = std::fs::read_to_string(root().join("scripts/tiny/model")).unwrap();
    let line = script.lines().find(|line| line.starts_with("SENTENCE = ")).unwrap();
    let content = "{{ message.content or '' }}";
    let thinking =
        "{%- if message.reasoning_content %}<think>{{ message.reasoning_content }}</think>{% endif %}";
    let changed = script.replacen(line, &format!("SENTENCE = '{SAYS}'"), 1).replacen(
        content,
        &format!("{thinking}{content}"),
        1,
    );
    assert!(changed.contains(thinking), "the template of scripts/tiny/model has changed");
    let (maker, model) = (sandbox.write("model.py", changed), sandbox.path("says.gguf"));
    let made = sandbox.finish(Command::new("python3").arg(maker).arg(&model)).exits(0);
    drop(made);
    model.to_str().unwrap().to_owned()
}

/// The engine with this model, ready.
fn served(port: u16) -> Sandbox {
    let sandbox = sandbox_with_engine(&[port]);
    let toml = sandbox.read("llama.toml");
    let line = toml.lines().find(|line| line.starts_with("model = ")).unwrap();
    let own = format!("model = {:?}\nalias = \"tiny\"", model(&sandbox));
    sandbox.write("llama.toml", toml.replacen(line, &own, 1));
    drop(sandbox.sh("ienv llama-cpp | iinstall | iplan | ilaunch | iprobe > /dev/null").exits(0));
    sandbox
}

/// Status and body of a POST.
fn post(port: u16, path: &str, body: &Value) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let body = body.to_string();
    let length = body.len();
    let head = "Host: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length";
    write!(stream, "POST {path} HTTP/1.1\r\n{head}: {length}\r\n\r\n{body}").unwrap();
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
    }
    let mut body = Vec::new();
    if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let length = usize::from_str_radix(line.trim(), 16).unwrap();
            let mut chunk = vec![0; length + 2];
            reader.read_exact(&mut chunk).unwrap();
            body.extend_from_slice(&chunk[..length]);
            if length == 0 {
                break;
            }
        }
    } else {
        reader.read_to_end(&mut body).unwrap();
    }
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
}

fn json_of(port: u16, path: &str, body: &Value) -> Value {
    let (_, body) = post(port, path, body);
    serde_json::from_slice(&body).unwrap()
}

/// What a message says, without the ids and counts that differ from one request to the next.
fn said(message: &Value) -> Value {
    let bare = |block: &Value| {
        let mut block = block.clone();
        block["signature"].take();
        block["id"].take();
        block
    };
    let blocks: Vec<Value> = message["content"].as_array().unwrap().iter().map(bare).collect();
    json!({"content": blocks, "stop_reason": message["stop_reason"], "stop_sequence": message["stop_sequence"],
        "model": message["model"], "output_tokens": message["usage"]["output_tokens"]})
}

fn prompt_tokens(message: &Value) -> u64 {
    let usage = &message["usage"];
    usage["input_tokens"].as_u64().unwrap() + usage["cache_read_input_tokens"].as_u64().unwrap_or(0)
}

/// Translated as a whole and as a stream.
fn translated(port: u16, asked: &Value) -> (Value, strict::Read) {
    let chat = translate::request(asked, "tiny").unwrap();
    let whole = translate::response_to(&json_of(port, "/v1/chat/completions", &chat), asked);
    let mut streaming = asked.clone();
    streaming["stream"] = json!(true);
    let chat = translate::request(&streaming, "tiny").unwrap();
    let (status, bytes) = post(port, "/v1/chat/completions", &chat);
    assert_eq!(status, 200);
    let (mut stream, mut out) = (translate::Stream::for_request(&streaming), Vec::new());
    bytes.chunks(97).for_each(|chunk| stream.push(chunk, &mut out));
    stream.finish(&mut out);
    (whole, strict::read(&out).unwrap())
}

fn conversation() -> Value {
    json!([
        {"role": "user", "content": "What time is it?"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "Ask the clock.", "signature": "unsigned"},
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "a", "name": "now", "input": {"zone": "CET"}},
        ]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "noon"}]}]},
    ])
}

fn tools() -> Value {
    let schema = json!({"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]});
    json!([{"name": "now", "description": "The time", "input_schema": schema}])
}

#[test]
fn translated_messages_say_what_the_engines_own_do() {
    let port = free_port();
    let _sandbox = served(port);
    let plain = json!([{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]);
    for (messages, tools, max_tokens) in
        [(plain.clone(), Value::Null, 4), (plain, tools(), 100), (conversation(), tools(), 100)]
    {
        let mut asked = json!({"model": "tiny", "max_tokens": max_tokens, "temperature": 0, "system": "Be brief.", "messages": messages});
        if !tools.is_null() {
            asked["tools"] = tools;
        }
        let native = json_of(port, "/v1/messages", &asked);
        let (whole, streamed) = translated(port, &asked);
        let streamed = streamed.message.unwrap();
        assert_eq!(said(&whole), said(&native));
        assert_eq!(said(&streamed), said(&whole));
        assert_eq!(
            (prompt_tokens(&whole), prompt_tokens(&streamed)),
            (prompt_tokens(&native), prompt_tokens(&native))
        );
        assert!(streamed["usage"]["cache_read_input_tokens"].as_u64().unwrap() > 0, "{streamed}");
    }
}

#[test]
fn thinking_text_and_a_call_of_the_real_engine_are_three_blocks() {
    let port = free_port();
    let _sandbox = served(port);
    let asked = json!({"model": "claude-x", "max_tokens": 100, "messages": conversation(), "tools": tools()});
    let (_, streamed) = translated(port, &asked);
    let transcript: String = streamed
        .transcript
        .lines()
        .map(|line| {
            let line = line.split_once(" now ").map_or(line, |(before, _)| before);
            line.split_once(" in ").map_or(line, |(before, _)| before).to_owned() + "\n"
        })
        .collect();
    insta::assert_snapshot!(transcript, @r#"
    message_start claude-x
    0 thinking
    0 + " Hm,"
    0 + " look."
    0 + " "
    0 signature "unsigned"
    0 end
    1 text
    1 + " Then:"
    1 + " "
    1 end
    2 tool_use
    2 + "{"
    2 + "\"zone\":"
    2 + " \"UTC\"}"
    2 end
    message_delta tool_use
    message_stop
    "#);
}

#[test]
fn the_engines_refusal_and_its_count_of_tokens_are_the_same_either_way() {
    let port = free_port();
    let _sandbox = served(port);
    let long = json!({"model": "tiny", "max_tokens": 9, "messages": [{"role": "user", "content": "word ".repeat(9000)}]});
    let (native, own) = post(port, "/v1/messages", &long);
    let (status, body) = post(port, "/v1/chat/completions", &translate::request(&long, "tiny").unwrap());
    assert_eq!((status, errors::text(&body)), (native, errors::text(&own)));
    assert!(errors::text(&body).contains("exceeds the available context size"));

    let asked = json!({"model": "tiny", "system": "Be brief.", "messages": conversation(), "tools": tools()});
    let counted = json_of(port, "/v1/messages/count_tokens", &asked);
    let chat = translate::request(&asked, "tiny").unwrap();
    let template = json_of(port, "/apply-template", &count::apply_template(&chat));
    let tokens = count::tokenize_text(count::prompt(&template).unwrap());
    let tokens = count::token_count(&json_of(port, "/tokenize", &tokens));
    assert_eq!(tokens, count::token_count(&counted));
    let estimate = count::estimate(&asked);
    assert!(estimate * 8 > tokens.unwrap() && tokens.unwrap() * 8 > estimate, "{estimate}, {tokens:?}");
}
