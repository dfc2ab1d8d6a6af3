//! The page as a browser shows it, and the counts as a reader of metrics takes them.
use super::{LIMIT, hello, served};
use crate::kit::{Front, Sandbox, clients, free_port, full, left_out, not_run, wait_for};

/// What a parser of the format finds: families, and the samples that have a value.
const READ: &str = "
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
for family in text_string_to_metric_families(sys.stdin.read()):
    for sample in family.samples:
        if sample.value and not sample.name.endswith(('_bucket', '_sum')):
            print(family.type, sample.name, dict(sorted(sample.labels.items())), int(sample.value))
";

/// What Chromium writes of the page once it is loaded. Its standard flags keep it from anything but this page.
fn shown(sandbox: &Sandbox, front: &Front, more: &[&str]) -> String {
    let mut command = sandbox.command("/usr/bin/env");
    let profile = format!("--user-data-dir={}", sandbox.text("profile"));
    let quiet = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"];
    let less = ["--disable-component-update", "--disable-sync", "--headless", "--no-sandbox", &profile];
    command.arg("chromium").args(quiet).args(less).args(more);
    let output = command.arg(format!("http://127.0.0.1:{}/", front.port)).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn has_chromium(sandbox: &Sandbox) -> bool {
    let found = sandbox.command("/bin/sh").args(["-c", "command -v chromium"]).output().unwrap();
    match (found.status.success(), full()) {
        (true, _) => return true,
        // The long run installs it.
        (false, true) => not_run("no chromium"),
        (false, false) => left_out("only the long run installs chromium"),
    }
    false
}

#[test]
fn the_counts_are_what_a_parser_of_the_format_takes() {
    let Some(python) = clients("prometheus") else { return };
    let (sandbox, front) = served(&[free_port()], &[]);
    let first = front.post("/v1/messages", &hello("claude-x")).is(200).json();
    drop(front.post("/v1/messages", &hello("claude-x")).is(200));
    drop(front.post("/v1/chat/completions", &hello("gpt-5")).is(404));
    sandbox.write("metrics", front.get("/metrics").is(200).text());
    let (script, python) = (sandbox.write("read.py", READ), python.join("bin/python"));
    let read = sandbox.sh(&format!("{} {} < metrics", python.display(), script.display())).exits(0).stdout;
    let of = |name: &str| first["usage"][name].as_u64().unwrap_or(0);
    let prompt = 2 * (of("input_tokens") + of("cache_read_input_tokens"));
    let tokens = read.lines().find_map(|line| line.strip_prefix("counter ibridge_prompt_tokens_total "));
    assert!(tokens.is_some_and(|tokens| tokens.ends_with(&format!(" {prompt}"))), "{read}");
    for line in [
        "counter ibridge_requests_total {'instance': 'llama-cpp/tiny0', 'request': 'POST /v1/messages', 'status': '200'} 2",
        "counter ibridge_requests_total {'instance': '', 'request': 'POST /v1/chat/completions', 'status': '404'} 1",
        "histogram ibridge_first_byte_seconds_count {'instance': 'llama-cpp/tiny0'} 2",
        "counter ibridge_completion_tokens_total {'instance': 'llama-cpp/tiny0'} 24",
        "gauge ibridge_instances {'state': 'ready'} 1",
    ] {
        assert!(read.lines().any(|read| read == line), "{line}\n{read}");
    }
    assert!(read.contains("counter ibridge_reused_tokens_total "), "{read}");
}

#[test]
fn a_browser_shows_the_table_and_shows_the_same_without_scripts() {
    let (sandbox, front) = served(&[free_port()], &[]);
    if !has_chromium(&sandbox) {
        return;
    }
    drop(front.post("/v1/messages", &hello("claude-x")).is(200));
    let text = text_of(&shown(&sandbox, &front, &["--dump-dom"]));
    for word in ["Instance", "Tokens a second", "llama-cpp/tiny0", "ready", "tiny", " MiB"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    // A page that does not change from one second to the next.
    drop(sandbox.sh("istop --forget").exits(0));
    let empty = || text_of(&shown(&sandbox, &front, &["--dump-dom"])).contains("No instance was started.");
    wait_for("the stop to be seen", LIMIT, empty);
    let picture = |how: &str| picture(&sandbox, &front, how);
    let [usual, plain] = ["--mute-audio", "--blink-settings=scriptEnabled=false"].map(picture);
    assert!(usual == plain, "{} {}", usual.len(), plain.len());
    let [dark, light] =
        [0, 1].map(|scheme| picture(&format!("--blink-settings=preferredColorScheme={scheme}")));
    assert!(light != dark, "{} {}", light.len(), dark.len());
}

fn picture(sandbox: &Sandbox, front: &Front, how: &str) -> Vec<u8> {
    let file = sandbox.path("picture.png");
    let shot = format!("--screenshot={}", file.display());
    drop(shown(sandbox, front, &[&shot, "--window-size=1200,400", how]));
    std::fs::read(file).unwrap()
}

/// Without its tags.
fn text_of(dom: &str) -> String {
    let body = dom.split_once("<body>").unwrap_or_else(|| panic!("{dom}")).1;
    body.split('<')
        .filter_map(|piece| piece.split_once('>'))
        .map(|(_, text)| text)
        .collect::<Vec<_>>()
        .join(" ")
}
