//! Tool calls of a stream, in every shape in which servers send them.
use super::{calls_chunk as calls, delta, finish, transcript};
use insta::assert_snapshot;
use serde_json::{Value, json};

#[test]
fn text_then_a_call_whose_arguments_come_in_pieces() {
    let found = transcript(&[
        delta(json!({"content": "Look"})),
        calls(
            json!([{"index": 0, "id": "call_a", "type": "function", "function": {"name": "Read", "arguments": ""}}]),
        ),
        calls(json!([{"index": 0, "function": {"arguments": "{\"path\":"}}])),
        calls(json!([{"index": 0, "function": {"arguments": " \"a}\\\"{\"}"}}])),
        finish("tool_calls"),
    ]);
    assert_snapshot!(found, @r#"
    message_start claude-x
    0 text
    0 + "Look"
    0 end
    1 tool_use Read call_a
    1 + "{\"path\":"
    1 + " \"a}\\\"{\"}"
    1 end
    message_delta tool_use in 0 cached 0 out 0
    message_stop
    "#);
}

#[test]
fn a_call_after_thinking_without_text_and_white_space_around_it() {
    let found = transcript(&[
        delta(json!({"reasoning_content": "Hm"})),
        delta(json!({"content": "\n\n"})),
        calls(json!([{"index": 0, "id": "call_a", "function": {"name": "Now", "arguments": "{}"}}])),
        delta(json!({"content": "\n"})),
        // Some servers say so after a call, and then no client runs it.
        finish("stop"),
    ]);
    assert_snapshot!(found, @r#"
    message_start claude-x
    0 thinking
    0 + "Hm"
    0 signature "unsigned"
    0 end
    1 tool_use Now call_a
    1 + "{}"
    1 end
    message_delta tool_use in 0 cached 0 out 0
    message_stop
    "#);
}

#[test]
fn parallel_calls_one_after_the_other_and_interleaved_lose_nothing() {
    let begin = |index: u64, id: &str| json!({"index": index, "id": id, "function": {"name": "Read", "arguments": ""}});
    let piece = |index: u64, text: &str| json!({"index": index, "function": {"arguments": text}});
    let found = transcript(&[
        calls(json!([begin(0, "a")])),
        calls(json!([piece(0, "{\"n\":1}")])),
        calls(json!([begin(1, "b")])),
        calls(json!([piece(1, "{\"n\":2}")])),
        finish("tool_calls"),
    ]);
    assert_snapshot!(found, @r#"
    message_start claude-x
    0 tool_use Read a
    0 + "{\"n\":1}"
    0 end
    1 tool_use Read b
    1 + "{\"n\":2}"
    1 end
    message_delta tool_use in 0 cached 0 out 0
    message_stop
    "#);
    let found = transcript(&[
        calls(json!([begin(0, "a"), begin(1, "b"), begin(2, "c")])),
        calls(json!([piece(1, "{\"n\":"), piece(0, "{\"n\"")])),
        delta(json!({"content": "And"})),
        calls(json!([piece(0, ":1}"), piece(2, "{}")])),
        calls(json!([piece(1, "2}")])),
        finish("tool_calls"),
    ]);
    assert_snapshot!(found, @r#"
    message_start claude-x
    0 tool_use Read a
    0 + "{\"n\""
    0 + ":1}"
    0 end
    1 tool_use Read b
    1 + "{\"n\":"
    1 + "2}"
    1 end
    2 tool_use Read c
    2 + "{}"
    2 end
    3 text
    3 + "And"
    3 end
    message_delta tool_use in 0 cached 0 out 0
    message_stop
    "#);
}

#[test]
fn calls_without_index_without_ids_and_with_the_name_in_every_piece() {
    let found = transcript(&[
        // Whole at once, nothing but name and arguments, twice the same tool.
        calls(json!([{"function": {"name": "Read", "arguments": "{\"n\":1}"}}])),
        calls(json!([{"function": {"name": "Read", "arguments": "{\"n\":2}"}}])),
        // In pieces, the name in each.
        calls(json!([{"function": {"name": "Write", "arguments": "{\"n\""}}])),
        calls(json!([{"function": {"name": "Write", "arguments": ":3}"}}])),
        // By ids alone.
        calls(
            json!([{"id": "x", "function": {"name": "Run", "arguments": "{"}}, {"id": "y", "function": {"name": "Run", "arguments": "{}"}}]),
        ),
        calls(json!([{"id": "x", "function": {"arguments": "}"}}])),
        finish("tool_calls"),
    ]);
    assert_snapshot!(found, @r#"
    message_start claude-x
    0 tool_use Read toolu_1_0
    0 + "{\"n\":1}"
    0 end
    1 tool_use Read toolu_1_1
    1 + "{\"n\":2}"
    1 end
    2 tool_use Write toolu_1_2
    2 + "{\"n\""
    2 + ":3}"
    2 end
    3 tool_use Run x
    3 + "{"
    3 + "}"
    3 end
    4 tool_use Run y
    4 + "{}"
    4 end
    message_delta tool_use in 0 cached 0 out 0
    message_stop
    "#);
}

#[test]
fn calls_that_all_have_index_0_are_told_apart() {
    let found = transcript(&[
        calls(json!([{"index": 0, "id": "a", "function": {"name": "Read", "arguments": "{\"n\":1}"}}])),
        calls(json!([{"index": 0, "id": "b", "function": {"name": "Read", "arguments": "{\"n\":2}"}}])),
        calls(json!([{"index": 0, "function": {"name": "Read", "arguments": "{\"n\":3}"}}])),
        // The same again, as some send it when it is complete.
        calls(json!([{"index": 0, "id": "b", "function": {"name": "Read", "arguments": "{\"n\":2}"}}])),
        finish("tool_calls"),
    ]);
    assert_snapshot!(found, @r#"
    message_start claude-x
    0 tool_use Read a
    0 + "{\"n\":1}"
    0 end
    1 tool_use Read b
    1 + "{\"n\":2}"
    1 end
    2 tool_use Read toolu_1_2
    2 + "{\"n\":3}"
    2 end
    message_delta tool_use in 0 cached 0 out 0
    message_stop
    "#);
}

#[test]
fn arguments_of_odd_shapes_become_an_object() {
    let call = |index: u64, arguments: Value| {
        calls(
            json!([{"index": index, "id": format!("c{index}"), "function": {"name": "F", "arguments": arguments}}]),
        )
    };
    let found = transcript(&[
        call(0, json!({"as": "object"})),
        call(1, json!("")),
        call(2, json!(null)),
        call(3, json!("null")),
        call(4, json!("\"{\\\"twice\\\":1}\"")),
        call(5, json!("[1]")),
        call(6, json!(" \n")),
        call(7, json!("{\"n\":1}{\"n\":1}")),
        call(8, json!("not JSON")),
        calls(json!([{"index": 9, "id": "c9", "function": {"name": "F"}}])),
        finish("tool_calls"),
    ]);
    assert_snapshot!(found, @r#"
    message_start claude-x
    0 tool_use F c0
    0 + "{\"as\":\"object\"}"
    0 end
    1 tool_use F c1
    1 end
    2 tool_use F c2
    2 end
    3 tool_use F c3
    3 + "{}"
    3 end
    4 tool_use F c4
    4 + "{\"twice\":1}"
    4 end
    5 tool_use F c5
    5 + "{\"invalid_arguments\":\"[1]\"}"
    5 end
    6 tool_use F c6
    6 end
    7 tool_use F c7
    7 + "{\"n\":1}"
    7 end
    8 tool_use F c8
    8 + "{\"invalid_arguments\":\"not JSON\"}"
    8 end
    9 tool_use F c9
    9 end
    message_delta tool_use in 0 cached 0 out 0
    message_stop
    "#);
}

#[test]
fn arguments_cut_at_the_length_are_said_to_be_cut() {
    let found = transcript(&[
        calls(
            json!([{"index": 0, "id": "a", "function": {"name": "Write", "arguments": "{\"text\":\"abc"}}]),
        ),
        finish("length"),
    ]);
    assert_snapshot!(found, @r#"
    message_start claude-x
    0 tool_use Write a
    0 + "{\"text\":\"abc"
    0 end
    message_delta max_tokens in 0 cached 0 out 0
    message_stop
    "#);
}

#[test]
fn the_oldest_form_of_a_call_is_one() {
    let found = transcript(&[
        delta(json!({"function_call": {"name": "Read", "arguments": "{\"n\""}})),
        delta(json!({"function_call": {"arguments": ":1}"}})),
        finish("function_call"),
    ]);
    assert_snapshot!(found, @r#"
    message_start claude-x
    0 tool_use Read toolu_1_0
    0 + "{\"n\""
    0 + ":1}"
    0 end
    message_delta tool_use in 0 cached 0 out 0
    message_stop
    "#);
}

#[test]
fn a_name_may_come_late_and_a_call_that_never_gets_one_is_an_error() {
    let found = transcript(&[
        calls(json!([{"index": 0, "id": "a", "function": {"arguments": "{"}}])),
        calls(json!([{"index": 0, "function": {"name": "Late", "arguments": "}"}}])),
        calls(json!([{"index": 1, "id": "b", "function": {"arguments": "{}"}}])),
        finish("tool_calls"),
    ]);
    assert_snapshot!(found, @r#"
    message_start claude-x
    0 tool_use Late a
    0 + "{}"
    0 end
    error "api_error" "the engine sent a tool call without a name"
    "#);
}
