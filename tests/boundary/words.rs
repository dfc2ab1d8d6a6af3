//! Words of U's, on root's terminal.
use super::{Boundary, PATIENT};
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
