//! Whole answers of chat completions as messages.
use insta::assert_snapshot;
use messages::translate::{response, response_to};
use serde_json::{Value, json};

#[test]
fn a_whole_answer_is_a_message() {
    let message = json!({"role": "assistant", "content": "\n\nI read.", "reasoning_content": "Two files.", "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "Read", "arguments": "{\"path\": \"a\"}"}},
        {"type": "function", "function": {"name": "Now", "arguments": ""}},
    ]});
    let chat = json!({"id": "chatcmpl-B-7", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 7}}});
    assert_snapshot!(serde_json::to_string_pretty(&response(&chat, "claude-x")).unwrap(), @r#"
    {
      "id": "msg_B7",
      "type": "message",
      "role": "assistant",
      "model": "claude-x",
      "content": [
        {
          "type": "thinking",
          "thinking": "Two files.",
          "signature": "unsigned"
        },
        {
          "type": "text",
          "text": "\n\nI read."
        },
        {
          "type": "tool_use",
          "id": "a",
          "name": "Read",
          "input": {
            "path": "a"
          }
        },
        {
          "type": "tool_use",
          "id": "toolu_B7_1",
          "name": "Now",
          "input": {}
        }
      ],
      "stop_reason": "tool_use",
      "stop_sequence": null,
      "usage": {
        "input_tokens": 3,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 7,
        "output_tokens": 3
      }
    }
    "#);
}

#[test]
fn a_whole_answer_that_is_none_is_an_error() {
    let error = |chat: Value| {
        let found = response(&chat, "claude-x");
        assert_eq!(found["type"], "error");
        format!("{} {}", found["error"]["type"], found["error"]["message"])
    };
    assert_eq!(error(json!({"choices": []})), r#""api_error" "the engine's answer has no choice""#);
    assert_eq!(error(json!({"error": {"message": "no", "code": 400}})), r#""invalid_request_error" "no""#);
    let aborted = json!({"choices": [{"message": {"content": "Hel"}, "finish_reason": "abort"}]});
    assert_eq!(error(aborted), r#""api_error" "the engine broke off, its finish_reason is abort""#);
    let nameless = json!({"choices": [{"message": {"tool_calls": [{"id": "a"}]}}]});
    assert_eq!(error(nameless), r#""api_error" "the engine sent a tool call without a name""#);
}

#[test]
fn a_stop_sequence_is_named_where_the_request_had_it() {
    let chat = json!({"id": "1", "choices": [{"message": {"content": "a"}, "finish_reason": "stop", "stop_reason": "END"}]});
    let asked = json!({"model": "claude-x", "stop_sequences": ["STOP", "END"]});
    let found = response_to(&chat, &asked);
    assert_eq!((&found["stop_reason"], &found["stop_sequence"]), (&json!("stop_sequence"), &json!("END")));
    assert_eq!(response(&chat, "claude-x")["stop_reason"], "end_turn");
}

#[test]
fn a_beginning_that_the_client_gave_is_not_said_again() {
    let chat = json!({"id": "1", "choices": [{"message": {"content": "One, two, three."}, "finish_reason": "stop"}]});
    let asked = json!({"messages": [{"role": "user", "content": "Count"}, {"role": "assistant", "content": [{"type": "text", "text": "One,"}]}]});
    assert_eq!(response_to(&chat, &asked)["content"][0]["text"], " two, three.");
    let other = json!({"messages": [{"role": "user", "content": "One,"}]});
    assert_eq!(response_to(&chat, &other)["content"][0]["text"], "One, two, three.");
}
