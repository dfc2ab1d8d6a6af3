//! The bridge as a process of a test, and a plain HTTP client for it that reads what comes, byte for byte.
use super::{Sandbox, free_port, tools, wait_for};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

/// A bridge that listens on loopback and is ended with the test.
pub(crate) struct Front {
    pub(crate) port: u16,
    /// `None`: a server that is not ours to end.
    pub(crate) child: Option<Child>,
    log: std::path::PathBuf,
}

impl Front {
    /// Before the instances of a sandbox's run directory.
    pub(crate) fn start(sandbox: &Sandbox, options: &[&str]) -> Self {
        let front = Self::begin(sandbox, options);
        wait_for("the bridge to answer", LIMIT, || front.try_get("/health").is_some());
        front
    }

    /// The same, not waited for.
    pub(crate) fn begin(sandbox: &Sandbox, options: &[&str]) -> Self {
        let port = free_port();
        let log = sandbox.path(&format!("bridge-{port}.log"));
        let mut command = sandbox.command(tools().join("ibridge"));
        command.args(["--listen", &format!("127.0.0.1:{port}")]).args(options);
        let child =
            command.stderr(std::fs::File::create(&log).unwrap()).stdout(Stdio::null()).spawn().unwrap();
        Self { port, child: Some(child), log }
    }

    /// Any server on this port, to be asked in the same way.
    pub(crate) fn at(port: u16) -> Self {
        Self { port, child: None, log: "/dev/null".into() }
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
    }

    fn try_get(&self, path: &str) -> Option<Answer> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Some(ask(
            stream,
            &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
            b"",
        ))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.try_get(path).unwrap()
    }

    /// POST a body, with more header lines.
    pub(crate) fn post_with(&self, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        let more: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n{more}\r\n",
            body.len()
        );
        ask(self.connect(), &head, body)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_with(path, &[], body.to_string().as_bytes())
    }

    /// Wait until it lists this many models.
    pub(crate) fn lists(&self, count: usize) {
        let listed = || self.get("/v1/models").json()["data"].as_array().unwrap().len();
        wait_for("the models to be listed", LIMIT, || listed() == count);
    }

    /// Send a body to be answered by a stream, and read on as it comes.
    pub(crate) fn begin_post(&self, path: &str, body: &Value) -> BufReader<TcpStream> {
        let body = body.to_string();
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
        let mut stream = self.connect();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        BufReader::new(stream)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop(child.kill());
            drop(child.wait());
            if std::thread::panicking() {
                println!("-- log of the bridge\n{}", self.log());
            }
        }
    }
}

/// One HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}{}", self.head, String::from_utf8_lossy(&self.body));
        self
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let named = |line: &str| line.split_once(": ").is_some_and(|(is, _)| is.eq_ignore_ascii_case(name));
        self.head
            .lines()
            .find(|line| named(line))
            .and_then(|line| line.split_once(": "))
            .map(|(_, value)| value)
    }

    /// The data of the events of a stream, each with its name.
    pub(crate) fn events(&self) -> Vec<(String, Value)> {
        let parse = |event: &str| {
            let name = event.lines().find_map(|line| line.strip_prefix("event: ")).unwrap_or_default();
            let data = event.lines().find_map(|line| line.strip_prefix("data: "))?;
            Some((name.to_owned(), serde_json::from_str(data).unwrap_or(Value::String(data.to_owned()))))
        };
        self.text().split("\n\n").filter_map(parse).collect()
    }
}

/// Send bytes and read the answer to its end.
pub(crate) fn ask(mut stream: TcpStream, head: &str, body: &[u8]) -> Answer {
    stream.write_all(head.as_bytes()).unwrap();
    // One that is refused may be answered before it was read.
    drop(stream.write_all(body));
    read(&mut BufReader::new(stream))
}

/// Read one answer.
pub(crate) fn read(reader: &mut BufReader<TcpStream>) -> Answer {
    let head = read_head(reader);
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    let lower = head.to_ascii_lowercase();
    let length =
        lower.lines().find_map(|line| line.strip_prefix("content-length: ")).map(|n| n.parse().unwrap());
    let mut body = Vec::new();
    match length {
        Some(length) => {
            body.resize(length, 0);
            reader.read_exact(&mut body).unwrap();
        }
        None if lower.contains("transfer-encoding: chunked") => while read_chunk(reader, &mut body) {},
        None => drop(reader.read_to_end(&mut body)),
    }
    Answer { status, head, body }
}

/// The head of an answer.
pub(crate) fn read_head(reader: &mut BufReader<TcpStream>) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap_or(0) > 0 {}
    head
}

/// One chunk; `false` at the end, or where the connection breaks off.
pub(crate) fn read_chunk(reader: &mut BufReader<TcpStream>, body: &mut Vec<u8>) -> bool {
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        body.extend_from_slice(b"[cut]");
        return false;
    }
    let length = usize::from_str_radix(line.trim(), 16).unwrap();
    let from = body.len();
    body.resize(from + length + 2, 0);
    if reader.read_exact(&mut body[from..]).is_err() {
        body.extend_from_slice(b"[cut]");
        return false;
    }
    body.truncate(from + length);
    length > 0
}
