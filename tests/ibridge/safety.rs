//! What strangers may not do.
use crate::kit::{Front, Sandbox, ask, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::io::Write;
use std::time::Duration;

/// Send a head that begins with these lines to /v1/messages.
fn head(front: &Front, lines: &str, body: &str) -> u16 {
    let text = format!("POST /v1/messages HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n{body}");
    ask(front.connect(), &text, b"").status
}

#[test]
fn a_key_is_wanted_of_everybody_but_those_who_ask_whether_we_live() {
    let sandbox = Sandbox::new();
    let key = sandbox.write("key", "s3cret\n");
    let front = Front::start(&sandbox, &["--key-file", key.to_str().unwrap()]);
    for path in ["/", "/metrics", "/v1/models"] {
        let refused = front.get(path).is(401);
        assert!(refused.header("www-authenticate").unwrap().starts_with("Basic "));
    }
    drop(front.get("/health").is(200));
    let body = json!({"model": "x"}).to_string();
    assert_eq!(
        front.post_with("/v1/messages", &[], body.as_bytes()).is(401).json()["error"]["type"],
        "authentication_error"
    );
    for header in ["x-api-key: s3cret", "Authorization: Bearer s3cret", "Authorization: Basic bWU6czNjcmV0"] {
        drop(front.post_with("/v1/messages", &[header], body.as_bytes()).is(404));
        let text =
            format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{header}\r\n\r\n");
        drop(ask(front.connect(), &text, b"").is(200));
    }
    assert!(!front.log().contains("s3cret"));
}

#[test]
fn another_address_than_loopback_gets_a_key_of_its_own() {
    let sandbox = Sandbox::new();
    let port = crate::kit::free_port();
    let mut child = sandbox
        .command(crate::kit::tools().join("ibridge"))
        .args(["--listen", &format!("0.0.0.0:{port}")])
        .spawn()
        .unwrap();
    let file = sandbox.path("w/bridge-key");
    wait_for("the key", Duration::from_secs(10), || file.exists());
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let key = sandbox.read("w/bridge-key");
    assert_eq!(key.trim().len(), 48);
    let curl = |header: &str| {
        let text =
            format!("GET /v1/models HTTP/1.1\r\nHost: gpu7.lan\r\nConnection: close\r\n{header}\r\n\r\n");
        let stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
        Some(ask(stream, &text, b"").status)
    };
    wait_for("it to listen", Duration::from_secs(10), || curl("X-A: b").is_some());
    assert_eq!(curl("X-A: b"), Some(401));
    assert_eq!(curl(&format!("x-api-key: {}", key.trim())), Some(200));
    child.kill().unwrap();
    child.wait().unwrap();
    // The next start takes the same one.
    let again = sandbox.sh(&format!("timeout 1 ibridge --listen 0.0.0.0:{port} || true"));
    assert!(again.stderr.contains("with a key"), "{again:?}");
    assert_eq!(sandbox.read("w/bridge-key"), key);
}

#[test]
fn a_name_that_was_made_to_lead_here_is_refused() {
    let sandbox = Sandbox::new();
    let front = Front::start(&sandbox, &[]);
    let get = |lines: &str| {
        ask(front.connect(), &format!("GET /v1/models HTTP/1.1\r\nConnection: close\r\n{lines}\r\n\r\n"), b"")
            .status
    };
    assert_eq!(get("Host: evil.example"), 403);
    assert_eq!(get("Host: localhost\r\nOrigin: http://evil.example"), 403);
    assert_eq!(get("Host: localhost\r\nOrigin: http://localhost:3000"), 200);
    assert_eq!(get("Host: 127.0.0.1:1"), 200);
}

#[test]
fn a_body_with_two_lengths_is_refused_and_nothing_after_it_is_a_request() {
    let sandbox = Sandbox::new();
    let front = Front::start(&sandbox, &[]);
    let inner = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (lines, body) in [
        ("Content-Length: 4\r\nContent-Length: 5\r\n", "{}  "),
        ("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"),
        ("Content-Length: -1\r\n", ""),
        ("Content-Length: 4x\r\n", "{}  "),
        ("Content-Length : 4\r\n", "{}  "),
        ("Transfer-Encoding: gzip\r\n", "0\r\n\r\n"),
        ("A: b\r\n X-Folded: c\r\n", ""),
    ] {
        let answer = raw(
            &front,
            &format!("POST /v1/messages HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n{body}{inner}"),
        );
        assert!(answer.starts_with("HTTP/1.1 400") || answer.is_empty(), "{lines}: {answer}");
        assert!(!answer.contains("# EOF"), "{lines}: the inner request was answered");
    }
    // The length of chunks counts, and the connection ends with them.
    let lines = "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n";
    let answer =
        raw(&front, &format!("POST /v1/messages HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n0\r\n\r\n{inner}"));
    assert!(!answer.contains("# EOF"), "{answer}");
}

/// Send bytes, and read until the bridge closes.
fn raw(front: &Front, text: &str) -> String {
    use std::io::Read;
    let mut stream = front.connect();
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn heads_and_bodies_have_limits() {
    let sandbox = Sandbox::new();
    let front = Front::start(&sandbox, &["--max-body", "1"]);
    assert_eq!(head(&front, &format!("A: {}\r\n", "x".repeat(300 << 10)), ""), 431);
    assert_eq!(head(&front, &"A: b\r\n".repeat(200), ""), 431);
    let large = vec![b' '; (1 << 20) + 1];
    let refused = front.post_with("/v1/messages", &[], &large).is(413).json();
    assert_eq!(refused["error"]["type"], "request_too_large");
    let chunk = "x".repeat(0x8000);
    let chunks = format!("8000\r\n{chunk}\r\n").repeat(40);
    assert_eq!(head(&front, "Transfer-Encoding: chunked\r\n", &chunks), 413);
    for garbage in [
        "\0\0\0\0\r\n\r\n",
        "GET\r\n\r\n",
        "\x16\x03\x01\x02\0\x01\0\x01\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let answer = raw(&front, garbage);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 5"),
            "{answer}"
        );
    }
    drop(front.get("/health").is(200));
}

#[test]
fn a_port_that_is_taken_and_words_that_mean_nothing_are_reported() {
    let sandbox = Sandbox::new();
    let front = Front::start(&sandbox, &[]);
    let taken = sandbox.sh(&format!("ibridge --listen 127.0.0.1:{}", front.port)).exits(75);
    assert!(taken.stderr.contains("Address already in use"), "{taken:?}");
    drop(sandbox.sh("ibridge --upstream https://example.org").exits(2));
    drop(sandbox.sh("ibridge --mode other").exits(2));
    let litellm = sandbox.sh("ibridge --mode litellm --workspace w").exits(69);
    assert!(litellm.stderr.contains("where LiteLLM listens is not said"), "{litellm:?}");
    drop(sandbox.sh("ibridge --key-file /nothing/here").exits(69));
    drop(sandbox.sh("AUTO_INFER_BRIDGE_MODE=other ibridge").exits(69));
}

#[test]
fn a_signal_ends_it_once_what_is_under_way_has_ended() {
    let sandbox = Sandbox::new();
    let mut front = Front::start(&sandbox, &[]);
    let child = front.child.as_mut().unwrap();
    kill_process(Pid::from_child(child), Signal::TERM).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(front.log().contains("was told to stop"), "{}", front.log());
}
