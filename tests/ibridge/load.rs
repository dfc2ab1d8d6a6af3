//! Many at once, and those who mean no good. The long run has all of it, the everyday run a little.
use super::LIMIT;
use crate::kit::{Front, Sandbox, Stub, answer, begin_events, full, read_chunk, read_head, wait_for};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

/// How many streams, and how long each goes on.
fn size() -> (usize, Duration) {
    if full() { (200, Duration::from_secs(60)) } else { (40, Duration::from_secs(2)) }
}

/// Tells the client's own word again and again, each time with a number.
fn tell(body: &[u8], stream: &mut TcpStream) {
    let asked: Value = serde_json::from_slice(body).unwrap();
    let word = asked["messages"][0]["content"].as_str().unwrap();
    begin_events(stream);
    let until = Instant::now() + size().1;
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{}}}\n\n";
    let mut sent = stream.write_all(start.as_bytes());
    let mut number = 0;
    while sent.is_ok() && Instant::now() < until {
        sent = stream.write_all(format!("event: ping\ndata: {{\"is\":\"{word} {number}.\"}}\n\n").as_bytes());
        number += 1;
        thread::sleep(Duration::from_millis(100));
    }
    let stop = format!("event: message_stop\ndata: {{\"type\":\"message_stop\",\"count\":{number}}}\n\n");
    drop(stream.write_all(stop.as_bytes()));
}

fn before_a_teller(options: &[&str]) -> (Sandbox, Front, Stub) {
    let stub = Stub::start(|_, body, stream| match body {
        b"{}" => answer(stream, "400 Bad Request", "application/json", "{}"),
        body if body.len() > 1 << 20 => answer(stream, "200 OK", "text/plain", &body.len().to_string()),
        body => tell(body, stream),
    });
    let sandbox = Sandbox::new();
    let url = stub.url();
    let front = Front::start(&sandbox, &[&["--upstream", url.as_str()], options].concat());
    front.lists(1);
    (sandbox, front, stub)
}

/// One stream to its end: whole, in order, and nobody else's.
fn listen(front: &Front, at: usize) {
    let word = format!("word-{at}");
    let path = if at.is_multiple_of(2) { "/v1/messages" } else { "/v1/chat/completions" };
    let asked = json!({"model": "stub", "stream": true, "messages": [{"role": "user", "content": word}]});
    let mut stream = front.begin_post(path, &asked);
    stream.get_ref().set_read_timeout(Some(LIMIT)).unwrap();
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 200"), "{at}");
    let mut body = Vec::new();
    while read_chunk(&mut stream, &mut body) {}
    let text = String::from_utf8(body).unwrap();
    let numbers = text.split("{\"is\":\"").skip(1).enumerate();
    let mut count = 0;
    for (number, said) in numbers {
        assert!(said.starts_with(&format!("{word} {number}.\"")), "{at}: {said}");
        count += 1;
    }
    assert!(text.ends_with(&format!("\"count\":{count}}}\n\n")), "{at} was cut: {text}");
}

#[test]
fn no_stream_of_many_is_cut_or_mixed_with_another() {
    let (_sandbox, front, _stub) = before_a_teller(&[]);
    thread::scope(|scope| {
        for at in 0..size().0 {
            let (client, front) = (thread::Builder::new().stack_size(256 << 10), &front);
            client.spawn_scoped(scope, move || listen(front, at)).unwrap();
        }
    });
    wait_for("the log", LIMIT, || front.log().matches(" 200 POST ").count() == size().0);
    assert!(!front.log().contains(" cut"), "{}", front.log());
    let pid = front.child.as_ref().unwrap().id();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    let kib: u64 = peak.unwrap().parse().unwrap();
    println!("{} streams: {} MiB at most", size().0, kib >> 10);
    assert!(kib < 64 << 10, "{kib} KiB");
}

/// A body of the largest size, sent as it is allowed.
fn large(front: &Front, mib: usize) {
    let body = json!({"model": "stub", "prompt": "x".repeat((mib << 20) - 64)}).to_string();
    let answer = front.post_with("/v1/completions", &[], body.as_bytes()).is(200);
    assert_eq!(answer.text(), body.len().to_string());
}

/// Bytes that are no request, from a generator that is the same each time.
fn garbage(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..2000).map(|_| next()).collect()
}

#[test]
fn those_who_mean_no_good_keep_nobody_from_being_answered() {
    let (_sandbox, front, _stub) = before_a_teller(&[]);
    let many = if full() { 300 } else { 30 };
    // Who never ends a head, who never reads, and who sends what is no request.
    let slow: Vec<TcpStream> = (0..many)
        .map(|_| {
            let mut stream = front.connect();
            stream.write_all(b"GET /health HTTP/1.1\r\nHost: loc").unwrap();
            stream
        })
        .collect();
    let deaf: Vec<_> = (0..many / 10)
        .map(|at| {
            let asked = json!({"model": "stub", "stream": true, "messages": [{"role": "user", "content": at.to_string()}]});
            front.begin_post("/v1/messages", &asked)
        })
        .collect();
    for seed in 0..many {
        let mut stream = front.connect();
        drop(stream.write_all(&garbage(seed.try_into().unwrap())));
        stream.shutdown(std::net::Shutdown::Write).ok();
        let mut said = Vec::new();
        drop(stream.read_to_end(&mut said));
        assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 4"), "{:?}", String::from_utf8_lossy(&said));
        let mut bomb = front.connect();
        drop(bomb.write_all(b"GET / HTTP/1.1\r\n"));
        let line = [b'a'; 1000];
        (0..200).take_while(|_| bomb.write_all(&line).is_ok()).for_each(drop);
    }
    thread::scope(|scope| {
        (0..4).for_each(|_| drop(scope.spawn(|| large(&front, if full() { 64 } else { 8 }))));
        let asked: Vec<_> = (0..10)
            .map(|at| {
                scope.spawn({
                    let front = &front;
                    move || listen(front, at)
                })
            })
            .collect();
        asked.into_iter().for_each(|asked| asked.join().unwrap());
    });
    drop(front.get("/health").is(200));
    drop((slow, deaf));
}
