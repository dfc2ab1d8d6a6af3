//! An HTTP server on loopback that ends with the test: a conda channel with an index of wheels, or a proxy that gives
//! nothing to anybody. Both remember what they were asked.
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

#[derive(Default)]
struct State {
    requests: Vec<String>,
    failing: usize,
    ended: bool,
}

/// One such server.
pub(crate) struct Loopback {
    port: u16,
    state: Arc<Mutex<State>>,
    thread: Option<JoinHandle<()>>,
}

impl Loopback {
    /// Serve the files of a folder, `index.html` for a folder; the folder may come later.
    pub(crate) fn channel(files: &Path) -> Self {
        Self::start(Some(files.to_owned()))
    }

    /// A proxy that refuses every request.
    pub(crate) fn recorder() -> Self {
        Self::start(None)
    }

    fn start(files: Option<PathBuf>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.lock().unwrap().ended {
                    break;
                }
                let (shared, files) = (Arc::clone(&shared), files.clone());
                // A client that hangs up is its own affair.
                std::thread::spawn(move || stream.and_then(|s| answer(s, files.as_deref(), &shared)));
            }
        });
        Self { port, state, thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// First line of every request so far, as `GET /path HTTP/1.1`.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }

    /// Answer the next requests, this many, with 503.
    pub(crate) fn fail(&self, requests: usize) {
        self.state.lock().unwrap().failing = requests;
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.state.lock().unwrap().ended = true;
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// One request, one answer, and the connection is closed.
fn answer(mut stream: TcpStream, files: Option<&Path>, state: &Mutex<State>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    if request.is_empty() {
        return Ok(());
    }
    let failing = {
        let mut state = state.lock().unwrap();
        state.requests.push(request.clone());
        let failing = state.failing > 0;
        state.failing = state.failing.saturating_sub(1);
        failing
    };
    let (status, body) = match files {
        None => ("403 Forbidden", Vec::new()),
        Some(_) if failing => ("503 Service Unavailable", Vec::new()),
        Some(files) => read(files, &request).map_or(("404 Not Found", Vec::new()), |body| ("200 OK", body)),
    };
    let kind = if body.starts_with(b"<!DOCTYPE html>") { "text/html" } else { "application/octet-stream" };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    if !request.starts_with("HEAD ") {
        stream.write_all(&body)?;
    }
    Ok(())
}

/// The file of a request: its path, `%2B` and the like decoded, below the folder.
fn read(files: &Path, request: &str) -> Option<Vec<u8>> {
    let target = request.split(' ').nth(1)?.trim_start_matches('/');
    let mut parts = target.split('%');
    let mut path = parts.next()?.to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        path.push(char::from(u8::from_str_radix(code, 16).ok()?));
        path.push_str(rest);
    }
    let path = files.join(path);
    std::fs::read(if path.is_dir() { path.join("index.html") } else { path }).ok()
}
