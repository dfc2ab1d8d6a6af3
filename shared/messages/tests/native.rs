//! Requests and streams that pass on, counting, and how far a prompt is the same.
use insta::assert_snapshot;
use messages::native::{Options, StreamWatch, adapt};
use messages::{count, prefix};
use serde_json::{Value, json};

fn shaped(mut body: Value) -> Value {
    adapt(&mut body, "local", Options::default());
    body
}

fn lines(messages: &Value) -> String {
    messages.as_array().unwrap().iter().map(|message| format!("{message}\n")).collect()
}

#[test]
fn the_model_is_the_engines_and_the_billing_block_goes_unless_it_is_kept() {
    let body = json!({"model": "claude-x", "thinking": {"type": "adaptive"}, "system": [
        {"type": "text", "text": "x-anthropic-billing-header: cch=1;"}, {"type": "text", "text": "S", "cache_control": {"type": "ephemeral"}}]});
    let found = shaped(body.clone());
    assert_eq!(found["model"], "local");
    assert_eq!(
        found["system"],
        json!([{"type": "text", "text": "S", "cache_control": {"type": "ephemeral"}}])
    );
    assert_eq!(found["thinking"], body["thinking"]);
    let mut kept = body.clone();
    adapt(&mut kept, "local", Options { keep_billing: true });
    assert_eq!(kept["system"], body["system"]);
    let alone = json!({"system": [{"type": "text", "text": "x-anthropic-billing-header: cch=1;"}]});
    assert_eq!(shaped(alone).get("system"), None);
    assert_eq!(shaped(json!({"system": "x-anthropic-billing-header: cch=1;"})).get("system"), None);
}

#[test]
fn notes_and_results_stand_where_every_engine_reads_them_in_their_order() {
    let found = shaped(json!({"messages": [
        {"role": "system", "content": "first"},
        {"role": "user", "content": "one"},
        {"role": "system", "content": [{"type": "text", "text": "left: 9"}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "Now", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "noon"}, {"type": "text", "text": "and"}]},
        {"role": "system", "content": "left: 8"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "b", "name": "Now", "input": {}}]},
        {"role": "system", "content": "early"},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "b", "content": "noon"}]},
        {"role": "system", "content": "left: 7"},
    ]}));
    assert_snapshot!(lines(&found["messages"]), @r#"
    {"role":"user","content":[{"type":"text","text":"<system-reminder>\nfirst\n</system-reminder>"},{"type":"text","text":"one"},{"type":"text","text":"<system-reminder>\nleft: 9\n</system-reminder>"}]}
    {"role":"assistant","content":[{"type":"tool_use","id":"a","name":"Now","input":{}}]}
    {"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"noon"}]}
    {"role":"user","content":[{"type":"text","text":"and"}]}
    {"role":"user","content":[{"type":"text","text":"<system-reminder>\nleft: 8\n</system-reminder>"}]}
    {"role":"assistant","content":[{"type":"tool_use","id":"b","name":"Now","input":{}}]}
    {"role":"user","content":[{"type":"tool_result","tool_use_id":"b","content":"noon"}]}
    {"role":"user","content":[{"type":"text","text":"<system-reminder>\nearly\n</system-reminder>"},{"type":"text","text":"<system-reminder>\nleft: 7\n</system-reminder>"}]}
    "#);
}

#[test]
fn what_has_another_form_is_left_to_the_engine() {
    for body in [json!([]), json!("x"), json!(null)] {
        assert_eq!(shaped(body.clone()), body);
    }
    let odd = json!({"model": "local", "system": 7, "messages": [1, {"role": "user"}, {"role": "user", "content": 5}, {"content": []}]});
    assert_eq!(shaped(odd.clone()), odd);
}

#[test]
fn each_turn_begins_with_all_of_the_one_before() {
    let mut messages =
        vec![json!({"role": "user", "content": "go"}), json!({"role": "system", "content": "left: 99"})];
    let mut before: Vec<prefix::Block> = Vec::new();
    for turn in 0..6 {
        let now = prefix::blocks(&shaped(json!({"system": "S", "messages": messages})));
        assert_eq!(prefix::first_divergence(&before, &now), None, "turn {turn}");
        before = now;
        let id = format!("t{turn}");
        messages.push(json!({"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": "Now", "input": {}}]}));
        messages.push(json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": "noon"}]}));
        messages.push(json!({"role": "system", "content": format!("left: {}", 98 - turn)}));
    }
}

#[test]
fn the_block_that_broke_the_prefix_is_named_and_marks_of_the_cache_break_nothing() {
    let body = |bill: &str, text: Value| {
        json!({"system": [{"type": "text", "text": bill}, {"type": "text", "text": "S"}],
            "tools": [{"name": "Read", "input_schema": {}}],
            "messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "yes"}]})
    };
    let marked = json!([{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]);
    let before = prefix::blocks(&body("1", marked));
    let now = prefix::blocks(&body("1", json!([{"type": "text", "text": "a"}])));
    assert_eq!(prefix::first_divergence(&before, &now), None);
    assert_eq!(prefix::keys(&before), prefix::keys(&now));
    let other = prefix::blocks(&body("2", json!([{"type": "text", "text": "a"}])));
    let found = prefix::first_divergence(&before, &other).unwrap();
    assert_eq!(
        (found.before.as_str(), found.now.as_deref(), found.same_bytes),
        ("system.0", Some("system.0"), 0)
    );
    let other = prefix::blocks(&body("1", json!([{"type": "text", "text": "b"}])));
    let found = prefix::first_divergence(&before, &other).unwrap();
    assert_eq!(found.before, "messages.0.content.0 (user text)");
    assert!(found.same_bytes > 0 && found.lost_bytes > 0);
    let shared = prefix::keys(&before).iter().zip(prefix::keys(&other)).filter(|(a, b)| **a == *b).count();
    assert_eq!(shared, 3);
    let shorter = prefix::first_divergence(&before, &before[..3]).unwrap();
    assert_eq!((shorter.before.as_str(), shorter.now), ("messages.0.content.0 (user text)", None));
    let places: Vec<String> = before.into_iter().map(|block| block.place).collect();
    assert_eq!(
        places,
        [
            "system.0",
            "system.1",
            "tools.0 (Read)",
            "messages.0.content.0 (user text)",
            "messages.1 (assistant)"
        ]
    );
    let responses = prefix::blocks(
        &json!({"instructions": "I", "input": [{"role": "user", "content": [{"type": "input_text", "text": "a"}]}]}),
    );
    assert_eq!(responses.len(), 2);
}

#[test]
fn a_native_stream_may_take_a_ping_between_two_events_of_its_message() {
    let input = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3,\"cache_read_input_tokens\":6,\"output_tokens\":1}}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\"}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":17}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );
    let start = input.find("\n\n").unwrap() + 2;
    for at in 0..=input.len() {
        let mut watch = StreamWatch::new();
        watch.push(&input.as_bytes()[..at]).unwrap();
        let between = input[..at].ends_with("\n\n") && at < input.len();
        assert_eq!(watch.may_ping(), between && at >= start, "{:?}", &input[..at]);
        assert_eq!((watch.started(), watch.ended()), (at >= start, at == input.len()));
        watch.push(&input.as_bytes()[at..]).unwrap();
        let usage = watch.usage();
        assert_eq!((usage.prompt, usage.cached, usage.completion), (Some(9), Some(6), Some(17)));
    }
}

#[test]
fn tokens_are_asked_of_the_engine_or_estimated_with_system_and_tools() {
    let body = json!({"model": "claude-x", "system": "S", "tools": [{"name": "T", "input_schema": {}}], "messages": [{"role": "user", "content": "a"}]});
    let chat = messages::translate::request(&body, "local").unwrap();
    let ask = count::tokenize(&chat);
    let names: Vec<&String> = ask.as_object().unwrap().keys().collect();
    assert_eq!(names, ["model", "messages", "tools", "add_generation_prompt"]);
    assert_eq!(count::apply_template(&chat)["tools"], chat["tools"]);
    assert_eq!(count::prompt(&json!({"prompt": "p"})), Some("p"));
    assert_eq!(count::token_count(&json!({"count": 7, "tokens": [1]})), Some(7));
    assert_eq!(count::token_count(&json!({"tokens": [1, 2]})), Some(2));
    assert_eq!(count::token_count(&json!({"input_tokens": 9})), Some(9));
    assert_eq!(count::token_count(&json!({"tokens": "x"})), None);
    assert_eq!(count::token_count(&json!({"tokens": []})), None);
    assert_eq!(count::count_response(9), json!({"input_tokens": 9}));
    let long = |field: &str| count::estimate(&json!({field: [{"text": "word ".repeat(1000)}]}));
    for field in ["system", "tools", "messages"] {
        assert!((1000..2000).contains(&long(field)), "{field}: {}", long(field));
    }
    let image = json!({"messages": [{"content": [{"type": "image", "source": {"type": "base64", "data": "A".repeat(1 << 20)}}]}]});
    assert!((1600..1700).contains(&count::estimate(&image)));
}
