//! A server whose every byte a test decides: for what the real engines cannot be made to do when it is wanted.
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What it does with a request: method and path, body, and the connection to answer on.
type Act = dyn Fn(&str, &[u8], &mut TcpStream) + Send + Sync;

/// Method and path, and body, of each request.
type Asked = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// One such server. It lives as long as the process; nobody asks it after the test.
pub(crate) struct Stub {
    pub(crate) port: u16,
    /// Method, path and body of every request, those that it answers by itself left out.
    pub(crate) asked: Asked,
}

impl Stub {
    /// `/health` and `/v1/models` are answered: it serves `stub`. The rest is up to `act`; a connection has one request.
    pub(crate) fn start(act: impl Fn(&str, &[u8], &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Asked::default();
        let (act, log): (Arc<Act>, _) = (Arc::new(act), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (act, log) = (Arc::clone(&act), Arc::clone(&log));
                std::thread::spawn(move || serve(stream, &*act, &log));
            }
        });
        Self { port, asked }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

fn serve(mut stream: TcpStream, act: &Act, log: &Asked) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let lower = head.to_ascii_lowercase();
    let length =
        lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let request = head.split(" HTTP/").next()?.to_owned();
    match request.as_str() {
        "GET /health" => answer(&mut stream, "200 OK", "application/json", "{}"),
        "GET /v1/models" => answer(&mut stream, "200 OK", "application/json", r#"{"data":[{"id":"stub"}]}"#),
        _ => {
            // The question whether there is such a path.
            if body != b"{}" {
                log.lock().unwrap().push((request.clone(), body.clone()));
            }
            act(&request, &body, &mut stream);
        }
    }
    Some(())
}

/// A whole answer.
pub(crate) fn answer(stream: &mut TcpStream, status: &str, kind: &str, body: &str) {
    let length = body.len();
    drop(write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    ));
}

/// The head of a stream of events, which ends where the connection does.
pub(crate) fn begin_events(stream: &mut TcpStream) {
    drop(
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"),
    );
}
