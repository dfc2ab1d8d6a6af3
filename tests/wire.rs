//! What the wire promises, held against every filter.
use crate::kit::{Output, Sandbox};

/// The tools that read a stream, with arguments under which they only pass it on.
const FILTERS: [&str; 7] = ["iwarm", "icache", "iinstall", "iplan", "ilaunch", "iprobe", "ichat"];

fn feed(sandbox: &Sandbox, tool: &str, stream: &[u8]) -> Output {
    sandbox.write("stream", stream);
    sandbox.sh(&format!("{tool} < stream"))
}

const SKIPPED: &str =
    r#"{"kind":"skipped","engine":"llama-cpp","by":"ienv","why":"boot did not ask for it"}"#;

#[test]
fn every_line_passes_unchanged_and_in_order_unknown_kinds_too() {
    let sandbox = Sandbox::new();
    let stream =
        format!("{{\"kind\":\"weather\",  \"x\":1.50}}\n{SKIPPED}\n\n{{ \"kind\":\"noise\",\"é\":null}}\n");
    for tool in FILTERS {
        let output = feed(&sandbox, tool, stream.as_bytes()).exits(0);
        assert!(output.stdout.starts_with(&stream), "{tool}: {}", output.transcript());
    }
}

#[test]
fn a_line_that_is_not_a_record_is_65_and_names_its_number() {
    let sandbox = Sandbox::new();
    let long = format!("{{\"kind\":\"x\",\"a\":\"{}\"}}\n", "a".repeat(16 << 20));
    for tool in FILTERS {
        let (cut, marked) = (b"{\"kind\":\"skip".as_slice(), b"\xef\xbb\xbf{\"kind\":\"x\"}\n".as_slice());
        let program = b"\x7fELF\x02\x01\x01\0\0{\n\0".as_slice();
        for bad in
            [b"hello\n".as_slice(), b"{\"kind\":\"\xff\"}\n", b"[]\n", cut, marked, program, long.as_bytes()]
        {
            let stream = [SKIPPED.as_bytes(), b"\n", bad].concat();
            let output = feed(&sandbox, tool, &stream).exits(65);
            assert!(output.stderr.contains("line 2 of standard input"), "{tool}: {}", output.stderr);
            assert_eq!(output.stdout, format!("{SKIPPED}\n"), "{tool} wrote more than it understood");
        }
    }
}

#[test]
fn an_empty_stream_is_65_and_names_the_kind_that_never_came() {
    let sandbox = Sandbox::new();
    for (tool, kind) in [
        ("iwarm", "env"),
        ("icache", "env"),
        ("iinstall", "env"),
        ("iplan", "env"),
        ("ilaunch", "plan"),
        ("iprobe", "instance"),
        ("ichat", "ready"),
    ] {
        for empty in ["", "\n", "\r\n\n"] {
            let output = feed(&sandbox, tool, empty.as_bytes()).exits(65);
            assert!(output.stderr.contains(&format!("'{kind}'")), "{tool}: {}", output.stderr);
            assert_eq!(output.stdout, empty);
        }
    }
}

#[test]
fn the_first_failed_record_decides_the_exit_code_of_every_tool_behind_it() {
    let sandbox = Sandbox::new();
    let failed = |code| {
        format!(
            "{{\"kind\":\"failed\",\"engine\":\"vllm\",\"by\":\"ienv\",\"what\":\"w\",\"cause\":\"c\",\"code\":{code}}}\n"
        )
    };
    let stream = failed(75) + &failed(69);
    for tool in FILTERS {
        let output = feed(&sandbox, tool, stream.as_bytes()).exits(75);
        assert_eq!(output.stdout, stream, "{tool} added to an engine that had ended");
    }
    let output = sandbox.sh(&format!("cat stream | {} ", FILTERS.join(" | "))).exits(75);
    assert_eq!(output.stdout, stream);
}

#[test]
fn a_known_kind_with_a_field_missing_is_named_and_newer_fields_pass() {
    let sandbox = Sandbox::new();
    for tool in FILTERS {
        let output = feed(&sandbox, tool, b"{\"kind\":\"skipped\",\"engine\":\"vllm\"}\n").exits(65);
        assert!(output.stderr.contains("missing field `by`"), "{tool}: {}", output.stderr);
        let newer = SKIPPED.replace("\"why\"", "\"moon\":\"full\",\"why\"") + "\n";
        assert_eq!(feed(&sandbox, tool, newer.as_bytes()).exits(0).stdout, newer, "{tool}");
    }
}

#[test]
fn a_reader_that_goes_away_ends_a_tool_quietly() {
    let sandbox = Sandbox::new();
    sandbox.write("stream", format!("{SKIPPED}\n").repeat(100_000));
    for tool in FILTERS {
        let output =
            sandbox.sh(&format!("set +o pipefail; {{ {tool} < stream; echo $? >&2; }} | head -n 1")).exits(0);
        assert_eq!(
            (output.stdout.as_str(), output.stderr.as_str()),
            (&*format!("{SKIPPED}\n"), "0\n"),
            "{tool}"
        );
    }
}

#[test]
fn a_full_disk_under_stdout_is_said_and_is_69() {
    let sandbox = Sandbox::new();
    sandbox.write("stream", format!("{SKIPPED}\n"));
    for tool in FILTERS {
        let output = sandbox.sh(&format!("{tool} < stream > /dev/full")).exits(69);
        assert!(
            output.stderr.contains("cannot write standard output: No space left on device"),
            "{}",
            output.stderr
        );
    }
}

#[test]
fn a_wrong_command_line_is_2_and_help_is_0_even_with_nobody_reading() {
    let sandbox = Sandbox::new();
    for tool in crate::tree::tool_names() {
        let output = sandbox.sh(&format!("{tool} --no-such-option")).exits(2);
        assert!(output.stdout.is_empty() && output.stderr.contains("--no-such-option"), "{tool}");
        let output = sandbox.sh(&format!("{tool} --help > /dev/null; {tool} --version")).exits(0);
        assert_eq!(output.stdout, format!("{tool} {}\n", env!("CARGO_PKG_VERSION")));
    }
}
