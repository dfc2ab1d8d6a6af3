//! The same files, given to those that load them: what we pass they load, and what they load we pass.
use super::compared::{Named, corpus, with_a_number};
use super::{gguf, look};
use crate::fuzz::SeededRng;
use crate::kit::{Sandbox, Tiny, free_port, full, wait_for};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Stdio;
use std::time::Duration;

/// Whether the real llama-server serves a file; else what it said.
fn serves(sandbox: &Sandbox, path: &str) -> Result<(), String> {
    let port = free_port();
    let mut server = sandbox.command(sandbox.path("engine/bin/llama-server"));
    server.args(["--model", path, "--host", "127.0.0.1", "--ctx-size", "512", "--no-warmup", "--port"]);
    let log = std::fs::File::create(sandbox.path("server.log")).unwrap();
    let mut server = server
        .arg(port.to_string())
        .stdout(log.try_clone().unwrap())
        .stderr(Stdio::from(log))
        .spawn()
        .unwrap();
    let mut healthy = false;
    wait_for("a verdict of llama-server", Duration::from_secs(60), || {
        healthy = is_healthy(port);
        healthy || server.try_wait().unwrap().is_some()
    });
    server.kill().unwrap();
    server.wait().unwrap();
    // A name that was changed is no text any more.
    let log = || std::fs::read(sandbox.path("server.log")).unwrap();
    if healthy { Ok(()) } else { Err(String::from_utf8_lossy(&log()).into_owned()) }
}

fn is_healthy(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return false };
    let mut answer = String::new();
    stream.write_all(b"GET /health HTTP/1.0\r\n\r\n").is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.lines().next().is_some_and(|line| line.contains(" 200 "))
}

fn with_engine() -> Sandbox {
    let sandbox = Sandbox::new();
    let archive = &Tiny::get().archive;
    drop(sandbox.sh(&format!("mkdir engine; tar xf '{}' -C engine", archive.display())).exits(0));
    sandbox
}

#[test]
fn llama_server_loads_what_passes_and_nothing_that_is_refused() {
    let sandbox = with_engine();
    let whole =
        gguf::valid().into_iter().map(|(name, bytes)| (name, vec![("x.gguf".to_owned(), bytes)], true));
    let broken =
        gguf::damaged().into_iter().map(|(name, bytes, _)| (name, vec![("x.gguf".to_owned(), bytes)], false));
    let splits = gguf::splits().into_iter().map(|(name, files, what)| (name, files, what.is_none()));
    for (at, (name, files, passes)) in whole.chain(broken).chain(splits).enumerate() {
        let first = format!("{at}/{}", files[0].0);
        for (file, bytes) in files {
            sandbox.write(&format!("{at}/{file}"), bytes);
        }
        look(&sandbox, &first, i32::from(!passes));
        let served = serves(&sandbox, &sandbox.text(&first));
        assert_eq!(served.is_ok(), passes, "{name}: {served:?}");
        std::fs::remove_dir_all(sandbox.path(&at.to_string())).unwrap();
    }
}

/// The tiny model with numbers of its header changed.
fn changed_headers(count: usize) -> Named {
    let (mut seeded_rng, whole) = (SeededRng::new(), gguf::Gguf::tiny().bytes());
    let head = whole.len() - gguf::Gguf::tiny().tensors.iter().map(|tensor| tensor.data.len()).sum::<usize>();
    let changed = |round| {
        let mut bytes = whole.clone();
        // The keys stand first, the tensors last.
        let within = if seeded_rng.once_in(2) { 2048 } else { head };
        let skipped = if within == head { head.saturating_sub(1024) } else { 0 };
        with_a_number(&mut seeded_rng, &mut bytes[skipped..], within - skipped);
        (format!("round {round}"), bytes)
    };
    (0..count).map(changed).collect()
}

#[test]
fn llama_server_loads_nothing_that_is_refused_however_it_was_changed() {
    if !full() {
        return;
    }
    let sandbox = with_engine();
    let combined = corpus(&gguf::valid(), &gguf::damaged());
    let mut loaded = 0;
    for (at, (name, bytes)) in combined.into_iter().chain(changed_headers(200)).enumerate() {
        sandbox.write("x.gguf", bytes);
        let output = sandbox.sh("imodel x.gguf 2>err || test $? = 1");
        let model = output.exits(0).one("model");
        let served = serves(&sandbox, &sandbox.text("x.gguf"));
        let passes = model["complete"] == true;
        println!("| {at} | {name} | {passes} {} | {} |", model["problems"], served.is_ok());
        assert!(passes || served.is_err(), "{name}: it is served, and refused: {}", model["problems"]);
        loaded += usize::from(served.is_ok());
    }
    assert!(loaded > 5, "{loaded}");
}
