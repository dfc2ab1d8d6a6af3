//! The bridge is a server: an error in one system call costs at most the requests that it met, and no answer is half of one.
use super::{CALLS, each, is_ours, most_of, wait};
use crate::fuzz::SeededRng;
use crate::kit::{Fake, Keeping, free_port, tools};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::time::{Duration, Instant};

/// What only a server calls.
const SERVING: [(&str, &[&str]); 9] = [
    ("accept4", &["EMFILE", "ECONNABORTED", "ENOMEM", "EINTR"]),
    ("bind", &["EADDRINUSE"]),
    ("epoll_create1", &["EMFILE"]),
    ("epoll_ctl", &["ENOMEM"]),
    ("epoll_wait", &["EINTR"]),
    ("eventfd2", &["EMFILE"]),
    ("getsockopt", &["ENOMEM"]),
    ("setsockopt", &["ENOMEM"]),
    ("writev", &["EIO", "EINTR"]),
];

/// All of its own limits are shorter.
const LIMIT: Duration = Duration::from_secs(60);

/// Nothing is under way when it is told to stop.
const STOPPING: Duration = Duration::from_secs(5);

const SIGNALS_RESET: &str = "Bad read on self-pipe: Connection reset by peer";

const HELLO: &str = r#"{"model":"fake","max_tokens":2,"messages":[{"role":"user","content":"Hello"}]"#;

/// What is asked: a path, a body, and what the answer to it ends with.
fn questions() -> [(&'static str, String, &'static str); 5] {
    [
        ("/v1/models", String::new(), "}"),
        ("/v1/chat/completions", format!("{HELLO}}}"), "]}"),
        ("/v1/chat/completions", format!("{HELLO},\"stream\":true}}"), "data: [DONE]"),
        ("/v1/messages", format!("{HELLO}}}"), "}"),
        ("/v1/messages", format!("{HELLO},\"stream\":true}}"), "data: {\"type\":\"message_stop\"}"),
    ]
}

#[test]
fn whatever_the_system_refuses_once_the_bridge_goes_on_and_no_answer_is_half_of_one() {
    let Some(each) = each() else { return };
    let keeping = Keeping::new();
    let fake = Fake::plan(&keeping, "fake").says("healthy", "").launched();
    // What it writes goes to the event descriptor that wakes its threads, where no kernel answers with an error.
    let calls: Vec<_> = CALLS.into_iter().filter(|(call, _)| *call != "write").chain(SERVING).collect();
    let names: Vec<&str> = calls.iter().map(|(call, _)| *call).collect();
    let trace = keeping.sandbox.text("trace");
    run(&fake, &trace, &["-e", &format!("trace={}", names.join(","))]).unwrap();
    let (trace, mut seeded_rng) = (keeping.sandbox.read("trace"), SeededRng::new());
    let (mut tried, mut broken) = (0, Vec::new());
    for (call, error) in calls.iter().flat_map(|(call, errors)| errors.iter().map(move |error| (call, error)))
    {
        let most = most_of(&trace, call);
        for _ in 0..each.min(most) {
            let inject = format!("inject={call}:error={error}:when={}", 1 + seeded_rng.below(most));
            tried += 1;
            if let Err(wrong) = run(&fake, "/dev/null", &["-e", &format!("trace={call}"), "-e", &inject]) {
                println!("ibridge: {inject}: {wrong}");
                broken.push(inject);
            }
        }
    }
    println!("ibridge: {tried} injected errors, {} held", tried - broken.len());
    assert!(broken.is_empty(), "{broken:#?}");
}

/// A bridge from its start to its end, and all questions to it; what is wrong with what came of it.
fn run(fake: &Fake<'_>, trace: &str, options: &[&str]) -> Result<(), String> {
    let (sandbox, port) = (&fake.keeping.sandbox, free_port());
    let mut command = sandbox.command("strace");
    command.args(["-D", "-f", "-qq", "-o", trace]).args(options).arg(tools().join("ibridge"));
    command.args([
        "--mode",
        "translate",
        "--listen",
        &format!("127.0.0.1:{port}"),
        "--upstream",
        &fake.url(),
    ]);
    let mut child = command.stderr(File::create(sandbox.path("err")).unwrap()).spawn().unwrap();
    let memory = options.iter().any(|option| option.contains("ENOMEM"));
    let wrong = serve(&mut child, port, memory);
    if child.try_wait().unwrap().is_none() {
        drop(sandbox.sh(&format!("kill -TERM {}", child.id())));
    }
    let mut ended = wait(&mut child, STOPPING);
    if ended.is_none() {
        // The error may have met the socket by which a signal wakes the thread that waits for signals.
        drop(sandbox.sh(&format!("kill -TERM {}", child.id())));
        ended = wait(&mut child, LIMIT);
    }
    drop(child.kill());
    drop(child.wait());
    let said = sandbox.read("err");
    let ended = ended.ok_or_else(|| format!("it hangs at its end\n{said}"))?;
    let code = ended.code().unwrap_or_else(|| 128 + ended.signal().unwrap());
    // The socket by which a signal wakes it has both of its ends in it, and no kernel resets such a one.
    let good = code == 0 || code == 128 + 15 || said.contains(SIGNALS_RESET) || is_ours(code, &said, false);
    wrong
        .and_then(|()| if good { Ok(()) } else { Err(format!("exit {code}")) })
        .map_err(|wrong| format!("{wrong}\n{said}"))
}

fn serve(child: &mut Child, port: u16, memory: bool) -> Result<(), String> {
    let begun = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if child.try_wait().unwrap().is_some() {
            return Ok(());
        }
        if begun.elapsed() > LIMIT {
            return Err("it does not listen".to_owned());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    for question in questions() {
        let mut last = ask(port, &question)?;
        // Each thread of it meets the error once, and it looks at the server only every few seconds.
        while !last && begun.elapsed() < LIMIT && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(100));
            last = ask(port, &question)?;
        }
        if child.try_wait().unwrap().is_some() {
            // Its code tells whether that was right: without memory it cannot go on.
            return if memory { Ok(()) } else { Err("it ended".to_owned()) };
        }
        if !last {
            return Err(format!("it answers {} no more", question.0));
        }
    }
    Ok(())
}

/// Whether the answer is right; an answer that says what went wrong, or none, is not. Half an answer is an error.
fn ask(port: u16, (path, body, ends): &(&str, String, &str)) -> Result<bool, String> {
    let method = if body.is_empty() { "GET" } else { "POST" };
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return Ok(false) };
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let (mut answer, begun) = (Vec::new(), Instant::now());
    let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
    let whole = sent.and_then(|()| stream.read_to_end(&mut answer));
    if begun.elapsed() >= LIMIT {
        return Err(format!("no answer to {path}"));
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|code| code.parse::<u16>().ok());
    let cut = status != Some(200) || answer.contains("event: error") || answer.contains("\"error\"");
    // A connection that breaks off before a length is reached, or a stream before its last event, is seen to be cut.
    let length = answer.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
    let (head, content) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let cut = cut || whole.is_err() || length.is_some_and(|length: usize| content.len() < length);
    let stream = head.contains("text/event-stream");
    if cut || (path.contains("message") || stream) && !content.trim_end().ends_with(ends) {
        return Ok(false);
    }
    if content.trim_end().ends_with(ends) { Ok(true) } else { Err(format!("half an answer: {answer}")) }
}
