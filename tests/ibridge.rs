//! The bridge before the real llama.cpp server, asked as clients ask it.
mod agents;
mod asleep;
mod litellm;
mod load;
mod looked;
mod routing;
mod safety;
mod sdks;
mod streams;
mod transcripts;

use crate::kit::{Front, Sandbox, ask, free_port, read_chunk, read_head, wait_for};
use crate::pipeline::sandbox_with_engine;
use serde_json::{Value, json};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);
/// What the model says, whatever it is asked.
const SENTENCE: &str = "The engine is up, the model loaded, and this answer came from it with no network.";
const UP: &str = "ienv llama-cpp | iinstall | iplan | ilaunch | iprobe >/dev/null";

/// The real engine, ready, and a bridge before it.
fn served(ports: &[u16], options: &[&str]) -> (Sandbox, Front) {
    let sandbox = sandbox_with_engine(ports);
    let toml = sandbox.read("llama.toml").replace("[instance.server]", "[instance.server]\nalias = \"tiny\"");
    sandbox.write("llama.toml", toml);
    drop(sandbox.sh(UP).exits(0));
    let front = Front::start(&sandbox, options);
    front.lists(1);
    (sandbox, front)
}

fn hello(model: &str) -> Value {
    json!({"model": model, "max_tokens": 12, "messages": [{"role": "user", "content": "Hello"}]})
}

fn streamed(model: &str) -> Value {
    let mut body = hello(model);
    body["stream"] = json!(true);
    body
}

/// The text of an Anthropic stream, whose events must come as the API has them.
fn text_of(events: &[(String, Value)]) -> String {
    let names: Vec<&str> =
        events.iter().map(|(name, _)| name.as_str()).filter(|name| *name != "ping").collect();
    assert_eq!((names.first(), names.last()), (Some(&"message_start"), Some(&"message_stop")), "{names:?}");
    assert_eq!(names.iter().filter(|name| **name == "message_start").count(), 1);
    events.iter().filter_map(|(_, data)| data["delta"]["text"].as_str()).collect()
}

#[test]
fn claudes_names_mean_what_is_served_and_its_messages_are_answered() {
    let (_sandbox, front) = served(&[free_port()], &[]);
    for model in ["claude-opus-4-5", "sonnet", "tiny"] {
        let message = front.post("/v1/messages?beta=true", &hello(model)).is(200).json();
        assert_eq!((&message["type"], &message["role"]), (&json!("message"), &json!("assistant")));
        let text = message["content"][0]["text"].as_str().unwrap();
        assert!(text.starts_with("The engine is up"), "{text}");
        let stream = front.post("/v1/messages", &streamed(model)).is(200);
        assert_eq!(stream.header("content-type"), Some("text/event-stream; charset=utf-8"));
        assert_eq!(text_of(&stream.events()), text);
    }
    let counted = front.post("/v1/messages/count_tokens", &hello("claude-x")).is(200).json();
    assert!(counted["input_tokens"].as_u64().unwrap() > 1, "{counted}");
    let log = front.log();
    assert!(
        log.contains("200 POST /v1/messages model=claude-opus-4-5 instance=llama-cpp/tiny0 prompt="),
        "{log}"
    );
    assert!(!log.contains("Hello") && !log.contains("The engine is up"), "content in the log: {log}");
}

#[test]
fn translated_messages_say_the_same() {
    let (_sandbox, front) = served(&[free_port()], &["--mode", "translate"]);
    let message = front.post("/v1/messages", &hello("claude-x")).is(200).json();
    assert_eq!((&message["model"], &message["stop_reason"]), (&json!("claude-x"), &json!("max_tokens")));
    let text = message["content"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("The engine is up"), "{text}");
    assert_eq!(text_of(&front.post("/v1/messages", &streamed("claude-x")).is(200).events()), text);
    let counted = front.post("/v1/messages/count_tokens", &hello("claude-x")).is(200);
    assert!(counted.header("x-ibridge-estimate").is_none());
    assert_eq!(
        counted.json()["input_tokens"],
        message["usage"]["input_tokens"].as_u64().unwrap()
            + message["usage"]["cache_read_input_tokens"].as_u64().unwrap_or(0)
    );
}

#[test]
fn openai_paths_pass_byte_for_byte_and_both_apis_list_the_models() {
    let port = free_port();
    let (_sandbox, front) = served(&[port], &[]);
    let models = front.get("/v1/models").is(200).json();
    assert_eq!(
        (&models["object"], &models["data"][0]["id"], &models["has_more"]),
        (&json!("list"), &json!("tiny"), &json!(false))
    );
    assert_eq!(front.get("/v1/models/tiny").is(200).json()["type"], "model");
    assert_eq!(front.get("/v1/models/other").is(404).json()["error"]["code"], "not_found");
    let tokens = front.post("/tokenize", &json!({"content": "Hello"})).is(200);
    let engine = Front::at(port).post("/tokenize", &json!({"content": "Hello"})).is(200);
    assert_eq!(tokens.body, engine.body);
    let body = br#"{"model":"tiny","max_tokens":3,"messages":[{"role":"user","content":"Hello"}],"stream":true,"seed":1}"#;
    let stream = front.post_with("/v1/chat/completions", &[], body).is(200);
    assert!(
        stream.text().ends_with("data: [DONE]\n\n") && stream.text().matches("data: ").count() > 3,
        "{stream:?}"
    );
    let answer = front.post("/v1/chat/completions", &hello("tiny")).is(200).json();
    assert_eq!(answer["usage"]["completion_tokens"], 12);
    assert_eq!(
        front.post("/v1/chat/completions", &hello("claude-x")).is(200).json()["usage"]["completion_tokens"],
        12
    );
    let log = front.log();
    assert!(
        log.contains("200 POST /v1/chat/completions model=tiny instance=llama-cpp/tiny0 prompt="),
        "{log}"
    );
    assert!(!log.contains(" cut"), "{log}");
}

#[test]
fn a_name_that_nobody_serves_is_refused_in_the_callers_shape_with_those_that_are_served() {
    let (_sandbox, front) = served(&[free_port()], &[]);
    let anthropic = front.post("/v1/messages", &hello("gpt-5")).is(404).json();
    assert_eq!(
        (&anthropic["type"], &anthropic["error"]["type"]),
        (&json!("error"), &json!("not_found_error"))
    );
    let text = "the model 'gpt-5' is not served here; served are: tiny";
    assert_eq!(anthropic["error"]["message"], text);
    assert_eq!(front.post("/v1/chat/completions", &hello("gpt-5")).is(404).json()["error"]["message"], text);
    assert_eq!(front.get("/nothing").is(404).json()["error"]["message"], "this bridge has no GET /nothing");
    assert_eq!(front.post("/api/other", &json!({})).is(404).json()["type"], "error");
    assert_eq!(
        front.post("/v1/messages", &json!([])).is(400).json()["error"]["type"],
        "invalid_request_error"
    );
    let too_long = json!({"model": "tiny", "max_tokens": 1, "messages": [{"role": "user", "content": "word ".repeat(9000)}]});
    let refused = front.post("/v1/messages", &too_long).is(400).json();
    let text = refused["error"]["message"].as_str().unwrap();
    assert!(refused["type"] == "error" && text.contains("exceeds the available context size"), "{refused}");
}

#[test]
fn what_programs_ask_for_beside_their_work_is_answered() {
    let sandbox = Sandbox::new();
    let front = Front::start(&sandbox, &[]);
    assert_eq!(front.get("/health").is(200).json()["status"], "ok");
    drop(front.get("/api/hello").is(200));
    drop(front.get("/").is(200));
    assert_eq!(front.post("/api/event_logging/v2/batch", &json!({"events": []})).is(200).json(), json!({}));
    let nobody = front.post("/v1/messages", &hello("claude-x")).is(503);
    assert!(nobody.header("retry-after").is_some());
    assert_eq!(nobody.json()["error"]["message"], "no instance is ready: none was started");
    assert!(front.get("/metrics").is(200).text().ends_with("# EOF\n"));
}

#[test]
fn instances_are_followed_as_they_go_and_come_back() {
    let (sandbox, front) = served(&[free_port()], &["--hold", "60"]);
    drop(sandbox.sh("istop").exits(0));
    let gone = || front.post("/v1/messages", &hello("claude-x")).status == 503;
    wait_for("the stop to be seen", LIMIT, gone);
    drop(sandbox.sh("ienv llama-cpp | iinstall | iplan | ilaunch >/dev/null").exits(0));
    let ready = || front.post("/v1/messages", &hello("claude-x")).status == 200;
    wait_for("the start to be seen", LIMIT, ready);
}

/// Whether the engine on this port works on something.
fn is_at_work(port: u16) -> bool {
    Front::at(port).get("/slots").json().as_array().unwrap().iter().any(|slot| slot["is_processing"] == true)
}

#[test]
fn where_the_client_goes_the_engines_work_ends() {
    let port = free_port();
    let (_sandbox, front) = served(&[port], &[]);
    let mut body = streamed("tiny");
    body["max_tokens"] = json!(3500);
    body["ignore_eos"] = json!(true);
    let mut stream = front.begin_post("/v1/chat/completions", &body);
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 200"));
    assert!(read_chunk(&mut stream, &mut Vec::new()));
    assert!(is_at_work(port), "it was done at once");
    drop(stream);
    wait_for("the engine to stop", LIMIT, || !is_at_work(port));
    wait_for("the line", LIMIT, || front.log().contains(" cut"));
}

#[test]
fn a_browser_gets_a_page_of_the_instances() {
    let (sandbox, front) = served(&[free_port()], &[]);
    drop(front.post("/v1/messages", &hello("claude-x")).is(200));
    let page = || {
        let text = "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html,*/*\r\nConnection: close\r\n\r\n";
        ask(front.connect(), text, b"").is(200)
    };
    let found = page();
    assert_eq!(found.header("content-type"), Some("text/html; charset=utf-8"));
    for text in [
        "<td>llama-cpp/tiny0</td><td class=\"ready\">ready</td><td>tiny</td>",
        "<td class=\"n\">0.2</td>",
        " MiB</td>",
    ] {
        assert!(found.text().contains(text), "{text}: {}", found.text());
    }
    drop(sandbox.sh("istop").exits(0));
    wait_for("the stop to be seen", LIMIT, || {
        page().text().contains("<td class=\"down\">down: is stopped</td>")
    });
}

#[test]
fn clients_learn_where_the_bridge_is_and_commands_find_it() {
    let (sandbox, front) = served(&[free_port()], &[]);
    let listen = format!("127.0.0.1:{}", front.port);
    let env = sandbox.sh(&format!("ibridge env --listen {listen}")).exits(0).stdout;
    for line in [
        format!("export ANTHROPIC_BASE_URL='http://{listen}';"),
        "export ANTHROPIC_MODEL='tiny';".to_owned(),
        "export CLAUDE_CODE_TOTAL_TOKENS_REMINDER='off';".to_owned(),
    ] {
        assert!(env.contains(&line), "{line}: {env}");
    }
    let run = format!("ibridge run --listen {listen} sh -c 'echo $ANTHROPIC_BASE_URL $OPENAI_MODEL; exit 3'");
    assert_eq!(sandbox.sh(&run).exits(3).stdout, format!("http://{listen} tiny\n"));
    assert_eq!(sandbox.sh(&format!("ibridge run --listen {listen} no-such-command")).exits(127).stdout, "");
    let opencode = sandbox.sh(&format!("ibridge env --opencode --listen {listen}")).exits(0).stdout;
    assert_eq!(serde_json::from_str::<Value>(&opencode).unwrap()["model"], "local/tiny");
    let codex = sandbox.sh(&format!("ibridge env --codex --listen {listen}")).exits(0).stdout;
    assert!(codex.contains(&format!("base_url = \"http://{listen}/v1\"")), "{codex}");
}
