//! What a server answers that is none, or gone wrong.
use super::SeededRng;
use super::{rounds, run, tokens};
use crate::kit::Sandbox;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const EVENTS: &str = ": ping\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hello\"}}]}\n\n\
    data: {\"choices\":[{\"delta\":{\"content\":\" you\"},\"finish_reason\":\"stop\"}]}\n\n\
    data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
const WHOLE: &str = "{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"Hello\"}}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}";
const MODELS: &str = "{\"object\":\"list\",\"data\":[{\"id\":\"m\"}]}";

fn head(kind: &str, more: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n{more}\r\n")
}

/// Good answers: with a length, in chunks, as events, and an error.
fn answers() -> Vec<Vec<u8>> {
    let sized = |kind: &str, body: &str| head(kind, &format!("Content-Length: {}\r\n", body.len())) + body;
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let (one, two) = EVENTS.split_at(100);
    let chunked =
        head("text/event-stream", "Transfer-Encoding: chunked\r\n") + &chunk(one) + &chunk(two) + "0\r\n\r\n";
    let failed =
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 33\r\n\r\n{\"error\":{\"message\":\"too long\"}}\r\n"
            .to_owned();
    [
        sized("application/json", MODELS),
        sized("application/json", WHOLE),
        head("text/event-stream", "") + EVENTS,
        chunked,
        failed,
    ]
    .map(String::into_bytes)
    .to_vec()
}

/// Give the answer to whoever asks, until nobody holds it any more.
fn serve(listener: &TcpListener, answer: &Arc<Mutex<Vec<u8>>>) {
    for stream in listener.incoming() {
        let Ok(stream) = stream else { return };
        if Arc::strong_count(answer) == 1 {
            return;
        }
        let bytes = answer.lock().unwrap().clone();
        drop(say(stream, &bytes));
    }
}

fn say(mut stream: TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut asked: Vec<u8> = Vec::new();
    let mut buffer = [0; 4096];
    // The body that is asked with, if any, follows at once and is small.
    while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            length => asked.extend(&buffer[..length]),
        }
    }
    stream.write_all(bytes)
}

#[test]
fn answers_of_servers() {
    let sandbox = Sandbox::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = Arc::new(Mutex::new(Vec::new()));
    let server = std::thread::spawn({
        let answer = answer.clone();
        move || serve(&listener, &answer)
    });
    let (mut seeded_rng, good) = (SeededRng::new(), answers());
    let tokens = tokens(&[
        "\r\n\r\n",
        "data: ",
        "Content-Length: 9\r\n",
        "ffffffffffffffff\r\n",
        "Content-Encoding: gzip\r\n",
        "[DONE]",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "\\ud800",
    ]);
    let lines = [
        format!("ichat --url http://127.0.0.1:{port} --model m --timeout 2 Hello"),
        format!("ichat --url http://127.0.0.1:{port} --timeout 2 Hello"),
        format!("iprobe --url http://127.0.0.1:{port} --once"),
        format!("iprobe --url http://127.0.0.1:{port} --timeout 1"),
    ];
    for round in 0..rounds(40, 1500) {
        let (which, other) = (seeded_rng.below(good.len()), seeded_rng.below(good.len()));
        let bytes = seeded_rng.change(&good[which], &good[other], &tokens);
        answer.lock().unwrap().clone_from(&bytes);
        let line = seeded_rng.one(&lines);
        let what = format!("round {round}, answered with {:?}", String::from_utf8_lossy(&bytes));
        run(&sandbox, line, b"", &what).speaks(&what);
    }
    drop(answer);
    drop(TcpStream::connect((Ipv4Addr::LOCALHOST, port)));
    server.join().unwrap();
}
