//! Requests of the Messages API as chat completions.
use insta::assert_snapshot;
use messages::translate::request;
use serde_json::{Value, json};

/// A value's fields, one a line.
fn fields(value: &Value) -> String {
    value.as_object().unwrap().iter().map(|(name, field)| format!("{name} {field}\n")).collect()
}

/// The messages that a conversation becomes, one a line.
fn turns(messages: &Value) -> String {
    let body = json!({"model": "claude-x", "max_tokens": 10, "messages": messages});
    let chat = request(&body, "local").unwrap();
    chat["messages"].as_array().unwrap().iter().map(|message| format!("{message}\n")).collect()
}

fn refused(mut change: Value) -> String {
    let mut body =
        json!({"model": "claude-x", "max_tokens": 10, "messages": [{"role": "user", "content": "a"}]});
    body.as_object_mut().unwrap().append(change.as_object_mut().unwrap());
    let Err(refusal) = request(&body, "local") else { panic!("{body} is taken") };
    assert_eq!(refusal.status, 400);
    assert_eq!(refusal.body()["error"]["message"], refusal.to_string());
    refusal.message
}

/// What Claude Code sends, and more.
fn claude_code() -> Value {
    json!({
        "model": "claude-opus-4-6", "max_tokens": 32000, "stream": true, "temperature": 1, "top_p": 0.9, "top_k": 40,
        "metadata": {"user_id": "u"}, "service_tier": "auto", "betas": ["x"], "context_management": {"edits": []},
        "thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}, "stop_sequences": ["END", ""],
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.233; cch=00000;"},
            {"type": "text", "text": "You are Claude Code.", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "Be brief."},
        ],
        "tools": [
            {"name": "Read", "description": "Reads", "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}},
                "cache_control": {"type": "ephemeral"}, "strict": true},
            {"type": "custom", "name": "Now"},
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 8},
        ],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": true},
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello", "cache_control": {"type": "ephemeral"}}]}],
    })
}

#[test]
fn a_request_of_claude_code() {
    let chat = request(&claude_code(), "local").unwrap();
    assert_snapshot!(fields(&chat), @r#"
    model "local"
    messages [{"role":"system","content":"You are Claude Code.\nBe brief."},{"role":"user","content":"Hello"}]
    tools [{"type":"function","function":{"name":"Read","description":"Reads","parameters":{"type":"object","properties":{"path":{"type":"string"}}}}},{"type":"function","function":{"name":"Now","parameters":{"type":"object","properties":{}}}}]
    tool_choice "auto"
    parallel_tool_calls false
    max_tokens 32000
    temperature 1
    top_p 0.9
    top_k 40
    stop ["END"]
    stream true
    stream_options {"include_usage":true}
    reasoning_effort "high"
    "#);
}

#[test]
fn tool_results_follow_their_calls_before_the_text_of_their_turn() {
    let found = turns(&json!([
        {"role": "user", "content": "Read both"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "Two files.", "signature": "c2ln"},
            {"type": "redacted_thinking", "data": "xxx"},
            {"type": "text", "text": "I read."},
            {"type": "tool_use", "id": "a", "name": "Read", "input": {"path": "a"}},
            {"type": "tool_use", "id": "b", "name": "Read", "input": {}},
        ]},
        {"role": "user", "content": [
            {"type": "text", "text": "Here"},
            {"type": "tool_result", "tool_use_id": "a", "content": "A", "cache_control": {"type": "ephemeral"}},
            {"type": "tool_result", "tool_use_id": "b", "is_error": true, "content": [{"type": "text", "text": "no"}, {"type": "text", "text": "file"}]},
        ]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "Now", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c"}]},
    ]));
    assert_snapshot!(found, @r#"
    {"role":"user","content":"Read both"}
    {"role":"assistant","content":"I read.","reasoning_content":"Two files.","tool_calls":[{"id":"a","type":"function","function":{"name":"Read","arguments":"{\"path\":\"a\"}"}},{"id":"b","type":"function","function":{"name":"Read","arguments":"{}"}}]}
    {"role":"tool","tool_call_id":"a","content":"A"}
    {"role":"tool","tool_call_id":"b","content":"Error: no\nfile"}
    {"role":"user","content":"Here"}
    {"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"Now","arguments":"{}"}}]}
    {"role":"tool","tool_call_id":"c","content":""}
    "#);
}

#[test]
fn images_stand_in_the_users_turn_those_of_results_too() {
    let image =
        json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}});
    let found = turns(&json!([
        {"role": "user", "content": [image, {"type": "text", "text": "What?"},
            {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "Shot", "input": {}}, {"type": "tool_use", "id": "b", "name": "Now", "input": {}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "a", "content": [image]},
            {"type": "tool_result", "tool_use_id": "b", "content": "noon"},
            {"type": "text", "text": "Go on"},
        ]},
    ]));
    assert_snapshot!(found, @r#"
    {"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,aGk="}},{"type":"text","text":"What?"},{"type":"image_url","image_url":{"url":"https://example.org/a.png"}}]}
    {"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"Shot","arguments":"{}"}},{"id":"b","type":"function","function":{"name":"Now","arguments":"{}"}}]}
    {"role":"tool","tool_call_id":"a","content":"[the result is an image, which follows]"}
    {"role":"tool","tool_call_id":"b","content":"noon"}
    {"role":"user","content":[{"type":"text","text":"[image of the result of tool call a]"},{"type":"image_url","image_url":{"url":"data:image/png;base64,aGk="}},{"type":"text","text":"Go on"}]}
    "#);
}

#[test]
fn what_the_engine_cannot_read_is_told_to_the_model() {
    let found = turns(&json!([
        {"role": "user", "content": [
            {"type": "document", "title": "notes", "source": {"type": "text", "media_type": "text/plain", "data": "N"}},
            {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "C"}]}},
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}},
            {"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}},
            {"type": "image", "source": {"type": "file", "file_id": "f"}},
            {"type": "search_result", "title": "T", "source": "S", "content": [{"type": "text", "text": "R"}]},
            {"type": "hologram", "data": "x"},
        ]},
        {"role": "assistant", "content": [{"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}]},
        {"role": "user", "content": "a"},
    ]));
    assert_snapshot!(found, @r#"
    {"role":"user","content":"[document: notes]\nN\nC\n[document (application/pdf) left out: the engine reads text and images only]\n[document (url) left out: the engine reads text and images only]\n[image with a source of type 'file' left out: the engine holds no files]\n[search result: T S]\nR\n[block of type 'hologram' left out: chat completions have no such block]"}
    {"role":"assistant","content":"[block of type 'server_tool_use' left out: chat completions have no such block]"}
    {"role":"user","content":"a"}
    "#);
}

#[test]
fn system_messages_within_the_conversation_keep_their_place() {
    let found = turns(&json!([
        {"role": "user", "content": "one"},
        {"role": "system", "content": "tokens left: 9"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "Now", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "noon"}]},
        {"role": "system", "content": [{"type": "text", "text": "<system-reminder>\ntokens left: 8\n</system-reminder>"}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "b", "name": "Now", "input": {}}]},
        {"role": "system", "content": "before a result"},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "b", "content": "noon"}]},
    ]));
    assert_snapshot!(found, @r#"
    {"role":"user","content":"one\n<system-reminder>\ntokens left: 9\n</system-reminder>"}
    {"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"Now","arguments":"{}"}}]}
    {"role":"tool","tool_call_id":"a","content":"noon"}
    {"role":"user","content":"<system-reminder>\ntokens left: 8\n</system-reminder>"}
    {"role":"assistant","content":null,"tool_calls":[{"id":"b","type":"function","function":{"name":"Now","arguments":"{}"}}]}
    {"role":"tool","tool_call_id":"b","content":"noon"}
    {"role":"user","content":"<system-reminder>\nbefore a result\n</system-reminder>"}
    "#);
}

#[test]
fn turns_of_one_role_are_joined_and_a_last_one_of_the_assistants_is_gone_on_with() {
    let messages = json!([
        {"role": "user", "content": "a"}, {"role": "user", "content": [{"type": "text", "text": "b"}]},
        {"role": "assistant", "content": "c"}, {"role": "assistant", "content": "d"},
    ]);
    assert_snapshot!(turns(&messages), @r#"
    {"role":"user","content":"a\nb"}
    {"role":"assistant","content":"c\nd"}
    "#);
    let chat = request(&json!({"messages": messages}), "local").unwrap();
    assert_eq!(
        (&chat["continue_final_message"], &chat["add_generation_prompt"]),
        (&json!(true), &json!(false))
    );
}

#[test]
fn each_turn_begins_with_all_of_the_one_before() {
    // What Claude Code sends: a note on the tokens that are left follows every turn, its result or its text.
    let mut messages =
        vec![json!({"role": "user", "content": "go"}), json!({"role": "system", "content": "left: 99"})];
    let mut before: Vec<Value> = Vec::new();
    for turn in 0..6 {
        let body = json!({"system": "S", "messages": messages});
        let now = request(&body, "local").unwrap()["messages"].as_array().unwrap().clone();
        assert_eq!(now[..before.len()], before, "turn {turn}");
        before = now;
        let id = format!("t{turn}");
        messages.push(json!({"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": "Now", "input": {}}]}));
        messages.push(json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": "noon"}]}));
        messages.push(json!({"role": "system", "content": format!("left: {}", 98 - turn)}));
    }
}

#[test]
fn choices_of_tools_and_thinking_have_the_engines_words() {
    let with = |mut change: Value| {
        let mut body = json!({"messages": [{"role": "user", "content": "a"}], "tools": [{"name": "T", "input_schema": {}}]});
        body.as_object_mut().unwrap().append(change.as_object_mut().unwrap());
        request(&body, "local").unwrap()
    };
    let choice = |choice: Value| with(json!({"tool_choice": choice}))["tool_choice"].clone();
    assert_eq!(choice(json!({"type": "any"})), "required");
    assert_eq!(choice(json!({"type": "none"})), "none");
    assert_eq!(
        choice(json!({"type": "tool", "name": "T"})),
        json!({"type": "function", "function": {"name": "T"}})
    );
    let bare = with(json!({"tools": [], "tool_choice": {"type": "auto"}}));
    assert_eq!((bare.get("tools"), bare.get("tool_choice")), (None, None));
    let thinking = with(json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}));
    assert_eq!(thinking["chat_template_kwargs"], json!({"enable_thinking": true}));
    assert_eq!(thinking["thinking_budget_tokens"], 1024);
    let without = with(json!({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}));
    assert_eq!(without["chat_template_kwargs"], json!({"enable_thinking": false}));
    assert_eq!(without.get("reasoning_effort"), None);
    let schema = json!({"type": "object"});
    let form = with(json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}}));
    assert_eq!(form["response_format"]["json_schema"]["schema"], schema);
}

#[test]
fn what_has_another_form_is_refused_by_its_path() {
    let user = |content: Value| json!({"messages": [{"role": "user", "content": content}]});
    let source = |source: Value| user(json!([{"type": "image", "source": source}]));
    for (change, message) in [
        (json!({"messages": null}), "messages: not a list"),
        (json!({"messages": []}), "messages: at least one message is required"),
        (
            json!({"messages": [{"role": "developer", "content": "a"}]}),
            "messages.0.role: not user, assistant or system",
        ),
        (json!({"messages": ["a"]}), "messages.0.role: not user, assistant or system"),
        (user(json!(7)), "messages.0.content: not a string or a list of blocks"),
        (user(json!([{"text": "a"}])), "messages.0.content.0.type: not a string"),
        (user(json!([{"type": "text"}])), "messages.0.content.0.text: not a string"),
        (
            user(json!([{"type": "tool_result", "content": "a"}])),
            "messages.0.content.0.tool_use_id: not a string",
        ),
        (
            user(json!([{"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text"}]}])),
            "messages.0.content.0.content.0.text: not a string",
        ),
        (source(json!(null)), "messages.0.content.0.source.type: not a string"),
        (
            source(json!({"type": "base64", "data": "a"})),
            "messages.0.content.0.source.media_type: not a string",
        ),
        (
            source(json!({"type": "url", "url": "file:///etc/passwd"})),
            "messages.0.content.0.source.url: not an http, https or data URL",
        ),
        (
            json!({"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "b", "input": "c"}]}]}),
            "messages.0.content.0.input: not an object",
        ),
        (json!({"system": 1}), "system: not a string or a list of blocks"),
        (json!({"max_tokens": "many"}), "max_tokens: not a number"),
        (json!({"stream": "yes"}), "stream: not true or false"),
        (json!({"stop_sequences": [1]}), "stop_sequences: not a list of strings"),
        (json!({"tools": {}}), "tools: not a list"),
        (json!({"tools": [{"name": ""}]}), "tools.0.name: not a name"),
        (json!({"tools": [{"name": "a", "input_schema": []}]}), "tools.0.input_schema: not an object"),
        (
            json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
            "tools.0: not supported: the engine has no tool 'web_search_20250305'",
        ),
        (json!({"tool_choice": {"type": "any"}}), "tool_choice: there are no tools to choose"),
        (json!({"tool_choice": {"type": "some"}}), "tool_choice.type: not auto, any, tool or none"),
        (
            json!({"mcp_servers": [{"type": "url"}]}),
            "mcp_servers: not supported: the engine connects to no MCP server",
        ),
    ] {
        assert_eq!(refused(change), message);
    }
    assert_eq!(request(&json!([]), "local").unwrap_err().message, "request: not a JSON object");
}
