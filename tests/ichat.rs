//! One real chat completion, and what a server that gives none is said to have done.
mod bench;
mod known;
mod running;

use crate::kit::{Fake, Keeping, Output, Sandbox, free_port, wait_for};
use serde_json::{Value, json};
use std::time::Duration;

/// `ichat --url` with the fake's URL.
fn ask(fake: &Fake<'_>, args: &str) -> Output {
    fake.keeping.sandbox.sh(&format!("ichat --url {} {args}", fake.url()))
}

/// The bodies of the requests that the fake got, as JSON, once there are so many. Its log is written by its keeper, later.
fn asked(fake: &Fake<'_>, count: usize) -> Vec<Value> {
    let bodies = || -> Vec<String> {
        let log = fake.keeping.log(&fake.name);
        log.lines().filter_map(|line| line.strip_prefix("asked ")).map(str::to_owned).collect()
    };
    wait_for("the questions", Duration::from_secs(60), || bodies().len() >= count);
    bodies().iter().map(|body| serde_json::from_str(body).unwrap()).collect()
}

#[test]
fn the_answer_is_streamed_counted_and_timed_and_no_proxy_is_used() {
    let mut keeping = Keeping::new();
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        keeping.sandbox.set(name, "http://127.0.0.1:1");
    }
    let fake = Fake::plan(&keeping, "a").says("healthy", "").launched();
    let output = keeping.sandbox.sh(&format!("iprobe < {} | ichat 'How are you?'", fake.stream())).exits(0);
    let answer = output.one("answer");
    assert_eq!((&answer["engine"], &answer["instance"]), (&json!("llama-cpp"), &json!("a")));
    assert_eq!((&answer["content"], &answer["prompt_tokens"]), (&json!("Hello world"), &json!(3)));
    assert_eq!(answer["completion_tokens"], 2);
    assert!(answer["ttft_ms"].as_f64().unwrap() > 0.0, "{answer}");
    let request = asked(&fake, 2).pop().unwrap();
    assert_eq!(request["messages"], json!([{"role": "user", "content": "How are you?"}]));
    assert_eq!((&request["model"], &request["stream"]), (&json!("fake"), &json!(true)));
}

#[test]
fn a_url_is_asked_without_records_with_the_prompt_from_either_place() {
    let keeping = Keeping::new();
    let fake = Fake::plan(&keeping, "a").says("healthy", "").launched();
    let answer = ask(&fake, "Hello").exits(0).one("answer");
    assert_eq!((answer.get("engine"), answer.get("instance")), (None, None));
    drop(ask(&fake, "-m other --max-tokens 7 <<< 'from a pipe'").exits(0));
    let requests = asked(&fake, 2);
    assert_eq!(requests[0]["messages"][0]["content"], "Hello");
    assert_eq!(requests[1]["messages"][0]["content"], "from a pipe\n");
    assert_eq!((&requests[1]["model"], &requests[1]["max_tokens"]), (&json!("other"), &json!(7)));
    let empty = ask(&fake, "< /dev/null").exits(65);
    assert!(empty.stderr.contains("standard input is empty"), "{empty:?}");
}

#[test]
fn the_servers_own_words_stand_in_the_failure() {
    let keeping = Keeping::new();
    let body =
        r#"{"error":{"message":"request (15105 tokens) exceeds the available context size","code":400}}"#;
    let fake = Fake::plan(&keeping, "a").says("healthy", "").launched();
    let ready = keeping.sandbox.sh(&format!("iprobe < {}", fake.stream())).exits(0);
    keeping.sandbox.write("ready.jsonl", ready.stdout.lines().last().unwrap());
    fake.now_says("chat", &format!("400\n{body}"));
    let failed = keeping.sandbox.sh("ichat < ready.jsonl").exits(1).one("failed");
    assert_eq!(failed["cause"], "HTTP 400: request (15105 tokens) exceeds the available context size");
    fake.now_says("chat", "500\nInternal Server Error");
    let failed = keeping.sandbox.sh("ichat < ready.jsonl").exits(1).one("failed");
    assert_eq!(failed["cause"], "HTTP 500: Internal Server Error");
    keeping.stop("a");
    let failed = keeping.sandbox.sh("ichat < ready.jsonl").exits(75).one("failed");
    assert_eq!(failed["cause"], "Connection refused");
}

#[test]
fn a_stream_that_breaks_off_errs_or_says_nothing_is_no_answer() {
    let keeping = Keeping::new();
    let piece = r#"data: {"choices":[{"delta":{"content":"Hel"}}]}"#;
    let end = r#"data: {"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
    let abort = r#"data: {"choices":[{"delta":{},"finish_reason":"abort"}]}"#;
    let error = r#"data: {"error":{"message":"out of memory","code":500}}"#;
    let fake = Fake::plan(&keeping, "a").says("healthy", "").launched();
    for (stream, code, cause) in [
        (format!("{piece}\n\n"), 75, "the stream was cut"),
        (format!("{piece}\n\n{error}\n\n"), 1, "HTTP 500: out of memory"),
        (format!("{end}\n\ndata: [DONE]\n\n"), 1, "the model ended without a word"),
        (format!("{piece}\n\n{abort}\n\ndata: [DONE]\n\n"), 75, "its finish_reason is abort"),
        (format!("{piece}\n\n{abort}\n\n"), 75, "its finish_reason is abort"),
        ("data: hello\n\n".to_owned(), 1, "not the answer of an OpenAI-compatible server"),
    ] {
        fake.now_says("stream", &stream);
        let output = ask(&fake, "Hello").exits(code);
        assert!(output.stderr.contains(cause) && output.stdout.is_empty(), "{output:?}");
    }
}

#[test]
fn thinking_is_separate_from_the_answer() {
    let keeping = Keeping::new();
    let stream = r#"data: {"choices":[{"delta":{"reasoning_content":"Hm."}}]}

data: {"choices":[{"delta":{"content":"Yes"},"finish_reason":"stop"}]}

data: [DONE]
"#;
    let fake = Fake::plan(&keeping, "a").says("healthy", "").says("stream", stream).launched();
    let answer = ask(&fake, "Hello").exits(0).one("answer");
    assert_eq!((&answer["reasoning"], &answer["content"]), (&json!("Hm."), &json!("Yes")));
    assert_eq!((answer.get("completion_tokens"), answer.get("tokens_per_second")), (None, None));
}

#[test]
fn the_key_comes_from_the_state_directory_or_from_a_file_and_is_never_shown() {
    let keeping = Keeping::new();
    let fake = Fake::plan(&keeping, "a").says("healthy", "").says("key", "sesame").launched();
    std::fs::write(keeping.state_dir("a").join("api-key"), "sesame").unwrap();
    let output = keeping.sandbox.sh(&format!("iprobe < {} | ichat -vv", fake.stream())).exits(0);
    assert!(!output.transcript().contains("sesame"), "{}", output.transcript());
    let refused = ask(&fake, "Hello").exits(69);
    assert!(refused.stderr.contains("HTTP 401: Invalid API Key") && refused.stderr.contains("--key-file"));
    keeping.sandbox.write("key", "sesame\n");
    drop(ask(&fake, "Hello --key-file key").exits(0));
    keeping.sandbox.write("key", "\n");
    drop(ask(&fake, "Hello --key-file key").exits(69));
}

#[test]
fn which_model_is_meant_has_to_be_said_where_several_are_listed() {
    let keeping = Keeping::new();
    let fake = Fake::plan(&keeping, "a").says("healthy", "").says("ids", "x\ny").launched();
    let output = ask(&fake, "Hello").exits(2);
    assert!(output.stderr.contains("it lists x, y") && output.stderr.contains("--model"), "{output:?}");
    drop(ask(&fake, "Hello -m y").exits(0));
}

#[test]
fn one_that_is_not_ready_to_chat_is_skipped_and_a_failure_stops_no_other() {
    let keeping = Keeping::new();
    let fake = Fake::plan(&keeping, "a").says("healthy", "").launched();
    let ready = |instance: &str, url: &str, rung: &str| json!({"kind": "ready", "engine": "vllm", "instance": instance, "url": url, "model_id": "m", "rung": rung});
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let lines = [
        ready("embed", &nobody, "listed"),
        ready("gone", &nobody, "answering"),
        ready("a", &fake.url(), "answering"),
    ];
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    keeping.sandbox.write("ready.jsonl", lines);
    let output = keeping.sandbox.sh("ichat < ready.jsonl").exits(75);
    assert_eq!(output.one("skipped")["instance"], "embed");
    assert_eq!(output.one("failed")["instance"], "gone");
    assert_eq!(output.one("answer")["instance"], "a");
}

#[test]
fn without_a_ready_record_or_a_reason_the_input_is_wrong() {
    let sandbox = Sandbox::new();
    let output = sandbox.sh("ichat < /dev/null").exits(65);
    assert!(output.stderr.contains("no 'ready' record"), "{output:?}");
    let skipped = r#"{"kind":"skipped","engine":"vllm","by":"iplan","why":"disabled"}"#;
    drop(sandbox.sh(&format!("echo '{skipped}' | ichat")).exits(0));
    let failed = r#"{"kind":"failed","engine":"vllm","by":"iprobe","what":"a","cause":"b","code":75}"#;
    drop(sandbox.sh(&format!("echo '{failed}' | ichat")).exits(75));
    drop(sandbox.sh("ichat --url ftp://x Hello").exits(2));
    drop(sandbox.sh("ichat --max-tokens 0").exits(2));
}
