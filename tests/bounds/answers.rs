//! Servers that never come to an end: every question has one, in time and in memory.
use crate::kit::{Output, Sandbox};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// What a server does with a request for a token or a chat, once it has read its head.
type Act = fn(&mut TcpStream) -> std::io::Result<()>;

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
const MODELS: &str = "{\"object\":\"list\",\"data\":[{\"id\":\"m\"}]}";

/// A healthy server that lists one model; it ends with the process, and its connections with whoever asked.
fn server(slow: bool, act: Act) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // A client that hangs up has had enough.
            std::thread::spawn(move || serve(stream, slow, act).ok());
        }
    });
    port
}

fn serve(mut stream: TcpStream, slow: bool, act: Act) -> std::io::Result<()> {
    let mut asked = Vec::new();
    let mut buffer = [0; 4096];
    while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            count => asked.extend_from_slice(&buffer[..count]),
        }
    }
    let plain = |body: &str| {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
    };
    let text = match asked.split(|byte| *byte == b' ').nth(1).unwrap_or_default() {
        _ if slow => return drip(&mut stream),
        b"/health" => plain("{}"),
        b"/v1/models" => plain(MODELS),
        _ => return act(&mut stream),
    };
    stream.write_all(text.as_bytes())
}

/// One byte a second, head and all.
fn drip(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")?;
    loop {
        stream.write_all(b" ")?;
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn drip_head(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nX: ")?;
    loop {
        stream.write_all(b"x")?;
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// The same for ever, as fast as it goes.
fn pour(stream: &mut TcpStream, text: &str) -> std::io::Result<()> {
    stream.write_all(HEAD.as_bytes())?;
    let much = text.repeat(1 + (64 << 10) / text.len());
    loop {
        stream.write_all(much.as_bytes())?;
    }
}

/// Run with little memory, and measure: more than that would kill it.
fn within(seconds: u64, command: &str) -> Output {
    let sandbox = Sandbox::new();
    let begun = Instant::now();
    let output = sandbox.sh(&format!("ulimit -v 400000; exec {command}"));
    assert!(begun.elapsed() < Duration::from_secs(seconds), "{:?}: {}", begun.elapsed(), output.transcript());
    output
}

#[test]
fn a_byte_a_second_is_no_answer_when_time_is_up() {
    for slow in [true, false] {
        for act in [drip as Act, drip_head] {
            let url = format!("http://127.0.0.1:{}", server(slow, act));
            drop(within(12, &format!("iprobe --url {url} --timeout 5")).exits(75));
            drop(within(10, &format!("iprobe --url {url} --timeout 3 --once")).exits(1));
        }
    }
}

#[test]
fn a_chat_that_drips_ends_when_the_whole_of_it_has_taken_too_long() {
    let act: Act = |stream| {
        stream.write_all(HEAD.as_bytes())?;
        loop {
            stream.write_all(b"data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n")?;
            std::thread::sleep(Duration::from_millis(300));
        }
    };
    let url = format!("http://127.0.0.1:{}", server(false, act));
    let output = within(12, &format!("ichat --url {url} --within 3 Hello")).exits(75);
    assert!(output.stderr.contains("no answer in time"), "{}", output.transcript());
    let url = format!("http://127.0.0.1:{}", server(true, drip));
    drop(within(12, &format!("ichat --url {url} --timeout 3 Hello")).exits(75));
    drop(within(12, &format!("ichat --url {url} -m m --within 3 Hello")).exits(75));
}

#[test]
fn a_stream_an_event_or_a_line_without_end_is_refused_and_takes_no_memory() {
    let cases: [(Act, &str); 5] = [
        (
            |stream| pour(stream, "data: {\"choices\":[{\"delta\":{\"content\":\"and on and on\"}}]}\n\n"),
            "after 256 tokens",
        ),
        (|stream| pour(stream, "data: x\n"), "longer than"),
        (|stream| pour(stream, "x"), "longer than"),
        (|stream| pour(stream, ": ping\n"), "no end"),
        (|stream| pour(stream, "\n"), "no end"),
    ];
    for (act, cause) in cases {
        let url = format!("http://127.0.0.1:{}", server(false, act));
        let output = within(60, &format!("ichat --url {url} Hello")).exits(1);
        assert!(output.stderr.contains(cause), "{cause}: {}", output.transcript());
    }
}
