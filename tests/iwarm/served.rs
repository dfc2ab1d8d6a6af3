//! A channel and an index on loopback, or a proxy to hosts that do not exist: the connected machine's network.
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

/// What it was asked, and what it does about that.
#[derive(Default)]
struct Shared {
    folder: PathBuf,
    /// Head of every request: its line and its headers.
    heads: Mutex<Vec<String>>,
    /// Requests whose path holds this word are answered with 403.
    failing: Mutex<Option<String>>,
    /// Requests whose path holds this word wait until it is taken back.
    holding: Mutex<Option<String>>,
    let_go: Condvar,
    over: AtomicBool,
}

/// Serves the files of a folder until it is dropped, to whoever asks for them, by whatever host.
pub(crate) struct Served {
    pub(crate) port: u16,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Served {
    pub(crate) fn new(folder: &Path) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared { folder: folder.to_owned(), ..Shared::default() });
        let answering = Arc::clone(&shared);
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if answering.over.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&answering);
                std::thread::spawn(move || drop(shared.answer(&stream)));
            }
        });
        Self { port, shared, accepting: Some(accepting) }
    }

    pub(crate) fn heads(&self) -> Vec<String> {
        self.shared.heads.lock().unwrap().clone()
    }

    pub(crate) fn fail(&self, word: Option<&str>) {
        *self.shared.failing.lock().unwrap() = word.map(str::to_owned);
    }

    pub(crate) fn hold(&self, word: Option<&str>) {
        *self.shared.holding.lock().unwrap() = word.map(str::to_owned);
        self.shared.let_go.notify_all();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.hold(None);
        self.shared.over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        self.accepting.take().unwrap().join().unwrap();
    }
}

impl Shared {
    /// One request, then the connection is closed.
    fn answer(&self, mut stream: &TcpStream) -> std::io::Result<()> {
        let mut head = String::new();
        let mut reader = BufReader::new(stream);
        while reader.read_line(&mut head)? > 2 {}
        let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let body_wanted = !head.starts_with("HEAD");
        self.heads.lock().unwrap().push(head);
        let path = match target.split_once("://") {
            Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
            None => target.trim_start_matches('/'),
        };
        let mut holding = self.holding.lock().unwrap();
        while holding.as_ref().is_some_and(|word| path.contains(word)) {
            holding = self.let_go.wait(holding).unwrap();
        }
        drop(holding);
        let fails = self.failing.lock().unwrap().as_ref().is_some_and(|word| path.contains(word));
        let (status, body) = match std::fs::read(self.folder.join(path)) {
            _ if fails => ("403 Forbidden", Vec::new()),
            Ok(body) => ("200 OK", body),
            Err(_) => ("404 Not Found", Vec::new()),
        };
        let length = body.len();
        // As an index says it: without, uv asks again whether a wheel is still the same.
        let headers = format!("Content-Length: {length}\r\nCache-Control: max-age=3600\r\nConnection: close");
        write!(stream, "HTTP/1.1 {status}\r\n{headers}\r\n\r\n")?;
        if body_wanted { stream.write_all(&body) } else { Ok(()) }
    }
}
