//! `ireport`: the report of a run.
mod browser;

use crate::kit::{Output, Sandbox, Tiny, free_port, root};
use serde_json::{Value, json};

/// A stream of these records, in the file `stream`.
fn stream(sandbox: &Sandbox, records: &[Value]) {
    sandbox.write("stream", records.iter().map(|record| format!("{record}\n")).collect::<String>());
}

fn report(sandbox: &Sandbox) -> String {
    sandbox.sh("ireport stream").exits(0).stdout
}

fn failed(code: u8) -> Value {
    json!({
        "kind": "failed", "engine": "vllm", "instance": "big", "by": "iprobe", "what": "vllm big is not ready",
        "cause": "it ended: exit 1", "class": "oom_gpu", "hint": "give it more GPUs", "exit": "exit 1",
        "log_tail": ["torch.OutOfMemoryError", "```", "# no heading"], "code": code
    })
}

/// A real boot of the tiny engine through the entry script, its stream kept: the file's text.
fn boot(sandbox: &mut Sandbox, port: u16) -> String {
    let tiny = Tiny::get();
    let model = tiny.model.display();
    sandbox.write(
        "llama.toml",
        format!("[instance.tiny.server]\nmodel = \"{model}\"\nalias = \"tiny\"\nport = {port}\n"),
    );
    for (name, value) in [
        ("AUTO_INFER_LLAMA_CPP_PKG_PATH", tiny.archive.to_str().unwrap()),
        ("AUTO_INFER_LLAMA_CPP_CONFIG", &sandbox.text("llama.toml")),
        ("AUTO_INFER_LLAMA_CPP_GET_PKG_ON_BOOT", "1"),
        ("AUTO_INFER_LLAMA_CPP_ON_BOOT", "1"),
        ("INFER_DEV_IMAGE_ID", "sha256:1234"),
        ("INFER_DEV_KEEP", &sandbox.text("keep")),
    ] {
        sandbox.set(name, value);
    }
    let entry = root().join("scripts/infer-dev-entry.sh");
    drop(sandbox.sh(&format!("{} true", entry.display())).exits(0));
    drop(sandbox.sh("mv keep/*.jsonl stream").exits(0));
    sandbox.read("stream")
}

#[test]
fn a_real_boot_becomes_a_text_and_a_page_that_a_browser_shows() {
    let mut sandbox = Sandbox::new();
    let port = free_port();
    let kept = boot(&mut sandbox, port);
    let kinds: Vec<String> = Output { stdout: kept, stderr: String::new(), code: 0 }.kinds();
    assert_eq!(kinds[0], "host", "{kinds:?}");
    let text = report(&sandbox);
    for part in [
        "# infer-dev: a run on ",
        "| `llama-cpp/tiny` | ready, rung answering |",
        "| archive | `",
        "It was made in this run.",
        &format!("--port {port}"),
        "| image | `sha256:1234` |",
        "\"choices\":",
        "| llama-cpp/tiny alive | ",
        "Seconds since the first step began.",
        "configuration and overrides",
        "| interface | up | addresses |",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    drop(sandbox.sh("ireport --html stream > page.html").exits(0));
    if !browser::is_there() {
        return;
    }
    let seen = browser::look(&sandbox, "page.html");
    assert!(seen.dom.contains("ready, rung answering"), "{}", seen.dom);
    assert!(seen.count("svg") == 1 && seen.count("rect") >= 5, "{}", seen.dom);
    assert_eq!((seen.count("script"), seen.count("img"), seen.count("h2")), (0, 0, 12));
    for way_out in ["src=", "url(", "@import", "<link", "href=\"h"] {
        assert!(!seen.dom.contains(way_out), "{way_out} in {}", seen.dom);
    }
    // An empty page of this size is a few kilobytes.
    assert!(seen.picture.starts_with(b"\x89PNG") && seen.picture.len() > 50_000, "{}", seen.picture.len());
    if let Some(keep) = std::env::var_os("INFER_DEV_TEST_PICTURE") {
        std::fs::write(keep, &seen.picture).unwrap();
    }
}

/// Every text of this record would do something where it is not escaped.
fn hostile() -> [Value; 4] {
    let evil = "<script>alert(1)</script><img src=http://x.invalid/a onerror=alert(2)>`|**[b](http://x.invalid)\n# c\u{202e}\u{1b}[31m";
    [
        json!({"kind": "weather", "note": evil}),
        json!({"kind": "answer", "engine": "vllm", "instance": "</pre><h1>", "content": evil, "prompt": evil, "raw": evil, "ttft_ms": 1}),
        json!({"kind": "failed", "engine": "vllm", "instance": evil, "by": evil, "what": evil, "cause": evil, "hint": evil, "log_tail": [evil], "code": 1}),
        json!({"kind": "warning", "rule": evil, "what": "see https://me:hunter2@x.invalid", "hint": "--"}),
    ]
}

/// A line of Markdown without its code spans: a run of backticks, up to the next as long, a backslash before the first being
/// none of it.
fn outside_code(line: &str) -> String {
    let (mut outside, mut rest) = (String::new(), line);
    while let Some(at) = rest.find('`') {
        let run = rest[at..].chars().take_while(|c| *c == '`').count();
        outside.push_str(&rest[..at]);
        let after = &rest[at + run..];
        let escaped = rest[..at].ends_with('\\');
        let ticks = "`".repeat(run);
        let closing = after.match_indices(&ticks).map(|(found, _)| found);
        let whole = |found: &usize| !after[..*found].ends_with('`') && !after[found + run..].starts_with('`');
        rest = match closing.filter(|_| !escaped).find(whole) {
            Some(found) => &after[found + run..],
            None => after,
        };
    }
    outside + rest
}

#[test]
fn nothing_in_a_record_is_markup_or_a_secret() {
    let sandbox = Sandbox::new();
    let mut records = hostile().to_vec();
    records.push(json!({"kind": "noise", "HF_TOKEN": "hunter3", "args": ["--api-key", "hunter4"], "x": {"my_secret": ["hunter5"]}}));
    stream(&sandbox, &records);
    let text = report(&sandbox);
    // Where it stands in a line of its own it is in a fence, and the fence is longer than any in it.
    let mut fence = String::new();
    for line in text.lines() {
        let ticks = "`".repeat(line.chars().take_while(|c| *c == '`').count());
        if fence.is_empty() && ticks.len() >= 3 {
            fence = ticks;
        } else if line == fence {
            fence = String::new();
        } else if fence.is_empty() {
            // In a code span it is code, else a backslash stands before it.
            let outside = outside_code(line);
            assert_eq!(outside.matches("<script").count(), outside.matches("\\<script").count(), "{line}");
            assert!(!line.starts_with("# c"), "{line}");
        }
    }
    assert!(
        text.contains("(hidden)") && !text.contains("hunter") && !text.contains(['\u{202e}', '\u{1b}']),
        "{text}"
    );
    let page = sandbox.sh("ireport --html stream | tee page.html").exits(0).stdout;
    assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("hunter"), "{page}");
    if browser::is_there() {
        let seen = browser::look(&sandbox, "page.html");
        assert_eq!((seen.count("script"), seen.count("img"), seen.count("h1")), (0, 0, 1), "{}", seen.dom);
        assert!(seen.dom.contains("&lt;script&gt;alert(1)"), "{}", seen.dom);
        assert_eq!(seen.asked, [""; 0]);
    }
}

#[test]
fn a_failure_is_reported_with_its_log_and_the_code_is_the_pipes() {
    let sandbox = Sandbox::new();
    stream(&sandbox, &[failed(75)]);
    let text = report(&sandbox);
    for part in [
        "| `vllm/big` | failed, by iprobe: vllm big is not ready |",
        "it ended: exit 1. Exit code 75: a retry may help.",
        "| class | `oom_gpu` |",
        "````text\ntorch.OutOfMemoryError\n```\n# no heading\n````",
        "The stream has no 'host' record",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert_eq!(sandbox.sh("ireport < stream").exits(75).stdout, text, "a pipe and a file are told alike");
}

#[test]
fn half_a_stream_is_reported_as_far_as_it_goes_and_none_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("stream", format!("{}\n{{\"kind\":\"rea", failed(1)));
    let output = sandbox.sh("ireport stream").exits(65);
    assert!(output.stdout.contains("`vllm/big`"), "{}", output.transcript());
    assert!(output.stdout.contains("The stream is not whole: line 2 is not a record: it is cut off."));
    assert!(output.stderr.contains("not of the whole stream: line 2"), "{}", output.stderr);
    for empty in ["", "\n"] {
        sandbox.write("stream", empty);
        let output = sandbox.sh("ireport stream").exits(65);
        assert!(output.stderr.contains("nothing to report on"), "{}", output.stderr);
    }
    let output = sandbox.sh("ireport none").exits(69);
    assert!(output.stderr.contains("cannot read none: No such file or directory"), "{}", output.stderr);
}

#[test]
fn no_way_out_is_said_only_where_there_was_none() {
    let sandbox = Sandbox::new();
    let sealed = sandbox.sh("iseal -- ienv --host llama-cpp | ireport").exits(0).stdout;
    let holds = sandbox.sh("iseal --report-fd 3 -- true 3>&1 >/dev/null").exits(0).stdout;
    let out = sandbox.sh("ienv --host llama-cpp | head -n 1").exits(0).one("host");
    let proof = "Nothing could leave: when the run began no interface but loopback was up";
    assert_eq!(sealed.contains(proof), holds == "namespace\n" || out["isolated"] == true, "{sealed}");
    let host = |isolated: bool, to: &str| {
        let mut host = out.clone();
        host["isolated"] = isolated.into();
        host["routes"] = json!([{"to": to, "interface": "eth0"}]);
        stream(&sandbox, &[host]);
        report(&sandbox)
    };
    assert!(host(false, "0.0.0.0/0").contains("that nothing left is not proved"));
    assert!(host(false, "::/0").contains("that nothing left is not proved"));
    assert!(host(false, "10.0.0.0/8").contains("There was no default route"));
}

#[test]
fn two_runs_are_compared_by_what_somebody_asks_for_when_it_no_longer_works() {
    let mut sandbox = Sandbox::new();
    let port = free_port();
    let kept = boot(&mut sandbox, port);
    sandbox.write("old", &kept);
    let same = sandbox.sh("ireport --diff old stream").exits(0).stdout;
    assert!(same.contains("Nothing has changed but times."), "{same}");
    let mut records = Output { stdout: kept, stderr: String::new(), code: 0 }.records();
    for record in &mut records {
        match record["kind"].as_str().unwrap() {
            "plan" => {
                record["args"].as_array_mut().unwrap().extend(["--threads".into(), "7".into()]);
                record["config_sha256"] = "0".into();
            }
            "host" => record["kernel"] = "9.9".into(),
            "ready" => record["answering_ms"] = (record["answering_ms"].as_f64().unwrap() * 2.0).into(),
            _ => {}
        }
    }
    stream(&sandbox, &records);
    let changed = sandbox.sh("ireport --diff old stream").exits(1).stdout;
    for part in [
        "| plan llama-cpp/tiny | args --threads |  | `7` |",
        "| plan llama-cpp/tiny | config\\_sha256 | `",
        "| host | kernel | `",
        "| 2.00 |",
    ] {
        assert!(changed.contains(part), "{part}\n{changed}");
    }
    let order = ["## What went in", "## Machine and versions", "## Flags", "## Times"]
        .map(|title| changed.find(title).unwrap());
    assert!(order.is_sorted(), "{changed}");
    assert!(!changed.contains("## What became of it"), "{changed}");
    assert!(
        sandbox.sh("ireport --html --diff old stream").exits(1).stdout.contains("<td>args --threads</td>")
    );
}

#[test]
fn a_table_has_a_line_for_each_thing_and_what_to_do_below_what_is_not_well() {
    let sandbox = Sandbox::new();
    let gap = |number: usize| {
        json!({
            "kind": "gap", "engine": "vllm", "source": "conda", "package": format!("p{number}"), "version": "1",
            "reason": "missing", "blocks": true, "detail": "no entry"
        })
    };
    let mut records = vec![
        json!({"kind": "skipped", "engine": "llama-cpp", "by": "icache", "why": "archive road"}),
        json!({"kind": "skipped", "engine": "sglang", "by": "iinstall", "why": "nothing is set"}),
        json!({"kind": "ready", "engine": "llama-cpp", "instance": "a", "url": "http://h:1", "rung": "answering", "answering_ms": 1500.0}),
        json!({"kind": "answer", "engine": "llama-cpp", "instance": "a", "content": "\u{1b}[31mred\nnext", "ttft_ms": 1.0}),
        json!({"kind": "answer", "engine": "llama-cpp", "instance": "b", "content": "ä".repeat(300), "ttft_ms": 1.0}),
        failed(75),
    ];
    records.extend((0..12).map(gap));
    stream(&sandbox, &records);
    let table = sandbox.sh("ireport --table stream").exits(0).stdout;
    let lines: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split("  ").filter(|cell| !cell.is_empty()).map(str::trim).collect())
        .collect();
    assert_eq!(lines[0], ["WHAT", "STATE"]);
    assert_eq!(lines[1], ["sglang", "iinstall did nothing: nothing is set"]);
    assert_eq!(lines[2], ["llama-cpp/a", "ready on http://h:1 after 1.5 s, rung answering"]);
    assert_eq!(lines[3], ["llama-cpp/a", "answers: [31mred next"]);
    assert_eq!(lines[4][1].chars().count(), 201, "cut, and an ellipsis");
    assert_eq!(lines[5], ["vllm/big iprobe", "failed: vllm big is not ready: it ended: exit 1"]);
    assert_eq!(lines[6], ["to do: give it more GPUs"]);
    assert_eq!(lines.len(), 7 + 10 + 1, "{table}");
    assert_eq!(lines[17], ["gaps", "2 more"]);
    drop(sandbox.sh("ireport --table < stream").exits(75));
    drop(sandbox.sh("ireport --table --html stream").exits(2));
}
