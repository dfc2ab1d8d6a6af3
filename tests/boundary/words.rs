//! Words of U's, on root's terminal.
use super::{Boundary, PATIENT};
use crate::kit::{Fake, Keeping};
use rustix::process::Signal;
use serde_json::json;

#[test]
fn control_characters_of_the_users_files_reach_no_terminal_and_forge_no_line() {
    let Some(boundary) = Boundary::new() else { return };
    boundary.start(PATIENT);
    boundary.keeping.wait_for_state("a", "running");
    boundary.keeping.signal_keeper("a", Signal::KILL);
    boundary.keeping.wait_until_left("a");
    let evil = "x\nistop: all is well\u{1b}[2J\u{9b}31m\r\u{202e}y";
    for (name, field) in [
        ("status.json", "reason"),
        ("status.json", "evidence"),
        ("status.json", "hint"),
        ("status.json", "class"),
        ("status.json", "last_exit"),
        ("plan.json", "host"),
        ("plan.json", "served_name"),
    ] {
        boundary.set(name, field, json!(evil));
    }
    boundary.set("status.json", "state", json!("failed"));
    boundary.set("status.json", "log_file", json!(format!("/{evil}")));
    let broken = |field: &str| boundary.set("status.json", field, json!(evil));
    let all_are_clean = || {
        for tool in [
            "istat --table",
            "istop",
            "iprobe < a.jsonl",
            "iprobe --state run/llama-cpp/a",
            "ichat --instance a x",
        ] {
            let output = boundary.keeping.sandbox.sh(tool);
            let text = if tool == "istat --table" { output.transcript() } else { output.stderr.clone() };
            let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert!(!text.contains(bad), "{tool}: {text:?}");
            assert!(!text.lines().any(|line| line.starts_with("istop: all is well")), "{tool}: {text}");
        }
    };
    all_are_clean();
    // Words that serde quotes.
    broken("state");
    all_are_clean();
}

#[test]
fn nothing_that_an_engine_answers_controls_the_terminal() {
    let keeping = Keeping::new();
    let words = "a\\u001b[2Jb\\u009b31m\\u202ec";
    let stream = format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{words}\"}},\"finish_reason\":\"stop\"}}]}}\n\ndata: [DONE]\n\n"
    );
    let fake = Fake::plan(&keeping, "a").says("healthy", "").says("stream", &stream).launched();
    let url = fake.url();
    let answer = keeping.sandbox.sh(&format!("ichat --url {url} hello")).exits(0);
    assert!(
        !answer.stdout.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'),
        "{answer:?}"
    );
    assert_eq!(answer.one("answer")["content"], "a\u{1b}[2Jb\u{9b}31m\u{202e}c");
    fake.now_says("chat", &format!("500\n{{\"error\":{{\"message\":\"x\\nistop: all is well {words}\"}}}}"));
    let failed = keeping.sandbox.sh(&format!("ichat --url {url} hello")).transcript();
    assert!(failed.contains("all is well"), "{failed}");
    assert!(!failed.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'), "{failed:?}");
    assert!(!failed.lines().any(|line| line.starts_with("istop:")), "{failed}");
}
