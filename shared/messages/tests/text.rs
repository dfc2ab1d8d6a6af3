//! Text, thinking, ends and errors of a stream.
use super::{choice, delta, finish, stream, strict, transcript, transcript_of, translated, usage};
use insta::assert_snapshot;
use messages::translate::Stream;
use serde_json::json;

#[test]
fn the_bytes_of_a_stream_are_these() {
    let input = stream(&[
        delta(json!({"role": "assistant", "content": null})),
        delta(json!({"content": "Hello"})),
        finish("stop"),
        usage(9, 4, 2),
    ]);
    let out = translated([input.as_bytes()], &json!({"model": "claude-x"}));
    assert_snapshot!(out, @r#"
    event: message_start
    data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}}

    event: content_block_start
    data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

    event: content_block_delta
    data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}

    event: content_block_stop
    data: {"type":"content_block_stop","index":0}

    event: message_delta
    data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"input_tokens":5,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"output_tokens":2}}

    event: message_stop
    data: {"type":"message_stop"}
    "#);
}

#[test]
fn text_comes_as_it_is_written_and_empty_deltas_are_none() {
    let found = transcript(&[
        delta(json!({"role": "assistant", "content": ""})),
        delta(json!({"content": "Hé"})),
        delta(json!({"content": ""})),
        delta(json!({})),
        delta(json!({"content": " \u{1f600}\n\"q\""})),
        finish("stop"),
        usage(9, 0, 3),
    ]);
    assert_snapshot!(found, @r#"
    message_start claude-x
    0 text
    0 + "Hé"
    0 + " 😀\n\"q\""
    0 end
    message_delta end_turn in 9 cached 0 out 3
    message_stop
    "#);
}

#[test]
fn thinking_ends_before_text_and_the_delta_that_changes_is_kept() {
    let found = transcript(&[
        delta(json!({"role": "assistant", "content": null, "reasoning_content": "Let"})),
        delta(json!({"reasoning_content": " me"})),
        delta(json!({"reasoning_content": " see.", "content": "\n\n"})),
        delta(json!({"content": "Yes"})),
        delta(json!({"reasoning": "Or"})),
        delta(json!({"content": "no"})),
        finish("stop"),
    ]);
    assert_snapshot!(found, @r#"
    message_start claude-x
    0 thinking
    0 + "Let"
    0 + " me"
    0 + " see."
    0 signature "unsigned"
    0 end
    1 text
    1 + "\n\nYes"
    1 end
    2 thinking
    2 + "Or"
    2 signature "unsigned"
    2 end
    3 text
    3 + "no"
    3 end
    message_delta end_turn in 0 cached 0 out 0
    message_stop
    "#);
}

#[test]
fn thinking_alone_and_white_space_make_no_block_of_text() {
    let found = transcript(&[
        delta(json!({"content": "\n", "reasoning": "Hm", "reasoning_content": "Hm"})),
        delta(json!({"content": " "})),
        finish("length"),
    ]);
    assert_snapshot!(found, @r#"
    message_start claude-x
    0 thinking
    0 + "Hm"
    0 signature "unsigned"
    0 end
    message_delta max_tokens in 0 cached 0 out 0
    message_stop
    "#);
}

#[test]
fn an_end_has_anthropics_reason() {
    let last =
        |chunk| transcript(&[delta(json!({"content": "a"})), chunk]).lines().nth(4).unwrap().to_owned();
    let reason = |found: String| found.split(" in ").next().unwrap().to_owned();
    for (said, wanted) in [
        (finish("stop"), "message_delta end_turn"),
        (finish("eos"), "message_delta end_turn"),
        (finish("length"), "message_delta max_tokens"),
        (finish("content_filter"), "message_delta refusal"),
        (
            choice(json!({"delta": {}, "finish_reason": "stop", "stop_reason": "END"})),
            "message_delta stop_sequence \"END\"",
        ),
        (
            choice(json!({"delta": {}, "finish_reason": "stop", "matched_stop": "END"})),
            "message_delta stop_sequence \"END\"",
        ),
        // A token of the template's, by its text or its number.
        (
            choice(json!({"delta": {}, "finish_reason": "stop", "matched_stop": "<|im_end|>"})),
            "message_delta end_turn",
        ),
        (
            choice(json!({"delta": {}, "finish_reason": "stop", "stop_reason": 151_645})),
            "message_delta end_turn",
        ),
    ] {
        assert_eq!(reason(last(said)), wanted);
    }
}

#[test]
fn the_reason_may_come_with_the_last_text_and_the_usage_with_it() {
    let mut chunk = choice(json!({"delta": {"content": "b"}, "finish_reason": "stop"}));
    chunk["usage"] = json!({"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": null});
    let found = transcript(&[delta(json!({"content": "a"})), chunk]);
    assert_snapshot!(found, @r#"
    message_start claude-x
    0 text
    0 + "a"
    0 + "b"
    0 end
    message_delta end_turn in 3 cached 0 out 2
    message_stop
    "#);
}

#[test]
fn parts_refusals_and_whole_messages_are_text_too() {
    let found = transcript(&[
        delta(json!({"content": [{"type": "text", "text": "a"}]})),
        delta(json!({"content": null, "refusal": "I won't"})),
        choice(json!({"index": 1, "delta": {"content": "a second choice"}})),
        choice(json!({"message": {"content": "whole"}, "finish_reason": "stop"})),
    ]);
    assert_snapshot!(found, @r#"
    message_start claude-x
    0 text
    0 + "a"
    0 + "I won't"
    0 + "whole"
    0 end
    message_delta end_turn in 0 cached 0 out 0
    message_stop
    "#);
}

#[test]
fn an_error_before_the_first_chunk_and_in_the_middle_ends_the_stream_with_the_engines_words() {
    let asked = json!({"model": "claude-x"});
    let read = |input: &str| transcript_of(input, &asked).transcript;
    let error = r#"data: {"error":{"message":"request (15105 tokens) exceeds the available context size","type":"exceed_context_size_error","code":400}}"#;
    assert_snapshot!(read(&format!("{error}\n\n")), @r#"error "invalid_request_error" "request (15105 tokens) exceeds the available context size""#);
    let begun = format!("data: {}\n\n", delta(json!({"content": "Hel"})));
    assert_snapshot!(read(&format!("{begun}{error}\n\ndata: [DONE]\n\n")), @r#"
    message_start claude-x
    0 text
    0 + "Hel"
    error "invalid_request_error" "request (15105 tokens) exceeds the available context size"
    "#);
    let older = "error: {\"code\":503,\"message\":\"slot is gone\",\"type\":\"unavailable_error\"}\n\n";
    assert_snapshot!(read(older), @r#"error "overloaded_error" "slot is gone""#);
    let plain = "data: {\"error\": \"CUDA out of memory\"}\n\n";
    assert_snapshot!(read(plain), @r#"error "api_error" "CUDA out of memory""#);
    let vllm = "data: {\"object\":\"error\",\"message\":\"EngineCore died\",\"type\":\"InternalServerError\",\"code\":500}\n\n";
    assert_snapshot!(read(vllm), @r#"error "api_error" "EngineCore died""#);
    assert_snapshot!(read("data: {\"choices\":\n\n"), @r#"error "api_error" "the engine sent an event that is no JSON: EOF while parsing a value at line 1 column 11""#);
}

#[test]
fn a_stream_that_is_cut_or_broken_off_ends_with_an_error_and_no_message_stop() {
    let asked = json!({"model": "claude-x"});
    let begun = format!("data: {}\n\n", delta(json!({"content": "Hel"})));
    assert_snapshot!(transcript_of(&begun, &asked).transcript, @r#"
    message_start claude-x
    0 text
    0 + "Hel"
    error "api_error" "the engine closed the stream before its answer had ended"
    "#);
    assert_snapshot!(transcript_of("", &asked).transcript, @r#"error "api_error" "the engine closed the stream before its answer had ended""#);
    assert_snapshot!(transcript_of("data: [DONE]\n\n", &asked).transcript, @r#"error "api_error" "the engine ended the stream without an answer""#);
    assert_snapshot!(transcript(&[delta(json!({"content": "Hel"})), finish("abort")]), @r#"
    message_start claude-x
    0 text
    0 + "Hel"
    error "api_error" "the engine broke off, its finish_reason is abort"
    "#);
}

#[test]
fn an_end_without_done_and_one_without_a_blank_line_are_ends() {
    let asked = json!({"model": "claude-x"});
    let (text, end) = (delta(json!({"content": "a"})), finish("stop"));
    for input in [
        format!("data: {text}\n\ndata: {end}\n\n"),
        format!("data: {text}\n\ndata: {end}"),
        format!("data: {text}\n\ndata: {end}\n\ndata: [DONE]"),
        format!("data: {text}\r\n\r\ndata: {end}\r\n\r\n: keep-alive\r\n\r\ndata: [DONE]\r\n\r\n"),
        // What comes after the end changes nothing.
        format!("data: {text}\n\ndata: {end}\n\ndata: [DONE]\n\ndata: {text}\n\ndata: {{\"error\":1}}\n\n"),
    ] {
        let read = transcript_of(&input, &asked);
        assert_eq!(read.message.unwrap()["content"], json!([{"type": "text", "text": "a"}]), "{input}");
    }
}

#[test]
fn a_ping_never_comes_before_message_start_or_after_the_end() {
    let (mut stream, mut out) = (Stream::new("claude-x"), Vec::new());
    stream.ping(&mut out);
    assert!(stream.started());
    stream.ping(&mut out);
    stream.push(format!("data: {}\n\nda", delta(json!({"content": "a"}))).as_bytes(), &mut out);
    stream.ping(&mut out);
    stream.push(format!("ta: {}\n\ndata: [DONE]\n\n", finish("stop")).as_bytes(), &mut out);
    stream.ping(&mut out);
    stream.finish(&mut out);
    stream.failed(500, "too late", &mut out);
    assert_snapshot!(strict::read(&out).unwrap().transcript, @r#"
    message_start claude-x
    ping
    ping
    0 text
    0 + "a"
    ping
    0 end
    message_delta end_turn in 0 cached 0 out 0
    message_stop
    "#);
}

#[test]
fn two_messages_have_two_ids() {
    let id = |input: &str| {
        let (mut stream, mut out) = (Stream::new("claude-x"), Vec::new());
        stream.ping(&mut out);
        stream.push(input.as_bytes(), &mut out);
        strict::read(&out).unwrap().message.unwrap()["id"].clone()
    };
    let input = stream(&[delta(json!({"content": "a"})), finish("stop")]);
    assert_ne!(id(&input), id(&input));
    let bare = stream(&[json!({"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]})]);
    let read = |input: &str| transcript_id(input);
    assert_ne!(read(&bare), read(&bare));
    assert_eq!(read(&input), json!("msg_1"));
}

fn transcript_id(input: &str) -> serde_json::Value {
    let out = translated([input.as_bytes()], &json!({"model": "claude-x"}));
    strict::read(out.as_bytes()).unwrap().message.unwrap()["id"].clone()
}
