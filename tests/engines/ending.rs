//! Stopping at every moment and killing every kind of process: nothing is left, and what is promised is started again.
use super::{LIMIT, Real, on, on_each};
use crate::kit::{send, wait_for};
use rustix::process::Signal;
use std::io::{BufRead, BufReader};
use std::time::Instant;

/// Stop it now; how many seconds that took.
fn stopped(real: &Real) -> u64 {
    let held = real.held();
    let start = Instant::now();
    let stopped = real.sandbox.sh("istop").exits(0).one("stopped");
    real.is_gone(&held);
    println!("stopped: {stopped}");
    start.elapsed().as_secs()
}

/// A process that works for the leader has begun.
fn wait_for_worker(real: &Real) {
    let word = if real.engine == "vllm" { "EngineCore" } else { "sglang::scheduler" };
    wait_for(word, LIMIT, || !real.named(word).is_empty());
}

#[test]
fn a_stop_while_it_starts_is_short_and_leaves_nothing() {
    on_each("stop while starting", |real| {
        real.configure("");
        drop(real.pipe("| ilaunch").exits(0));
        wait_for_worker(real);
        let seconds = stopped(real);
        assert!(seconds <= 20, "{seconds} s");
    });
}

#[test]
fn a_stop_while_it_compiles_is_short_and_leaves_nothing() {
    on(&["vllm"], "stop while compiling", |real| {
        real.configure("enforce_eager = false");
        drop(real.pipe("| ilaunch").exits(0));
        real.wait_for_log("Warming up model for the compilation");
        let seconds = stopped(real);
        assert!(seconds <= 20, "{seconds} s");
    });
}

#[test]
fn a_stop_while_it_streams_leaves_nothing() {
    on_each("stop while streaming", |real| {
        real.configure("");
        real.serve();
        let body = r#"{"model":"tiny","messages":[{"role":"user","content":"go on"}],"max_tokens":1900,"ignore_eos":true,"stream":true}"#;
        let mut lines = BufReader::new(real.asked("POST /v1/chat/completions", body)).lines();
        let first = lines.by_ref().map_while(Result::ok).find(|line| line.starts_with("data: "));
        assert!(first.is_some());
        stopped(real);
    });
}

/// Kill one process by its word, and wait until the instance was started again and answers.
fn started_again(real: &Real, word: &str) {
    let before = real.status();
    let pids = if word == "leader" {
        vec![u32::try_from(before["pid"].as_u64().unwrap()).unwrap()]
    } else {
        real.named(word)
    };
    assert!(
        !pids.is_empty(),
        "no {word}: {:?}",
        real.pids().into_iter().map(super::title).collect::<Vec<_>>()
    );
    let held = real.held();
    for pid in &pids {
        send(*pid, Signal::KILL);
    }
    let restarts = |status: &serde_json::Value| status["restarts"].as_u64().unwrap();
    let again = || restarts(&real.status()) > restarts(&before);
    wait_for(&format!("the restart after {word} was killed"), LIMIT, again);
    for path in &held.shm {
        assert!(!path.exists(), "{word}: {} is left", path.display());
    }
    let seconds = LIMIT.as_secs();
    drop(real.pipe(&format!("| ilaunch | iprobe --timeout {seconds}")).exits(0).one("ready"));
    println!("started again after {word} was killed");
}

#[test]
fn whatever_is_killed_it_is_started_again_and_in_the_end_nothing_is_left() {
    on_each("kill -9 of each kind of process", |real| {
        real.configure("[instance.a.control]\nbackoff_ms = 100\nmax_restarts = 9");
        real.serve();
        // The one that cleans up after the others is missed by nobody until the end.
        for pid in real.named("resource_tracker") {
            send(pid, Signal::KILL);
        }
        drop(real.sandbox.sh("ichat --instance a --max-tokens 8 Hello").exits(0).one("answer"));
        let kinds: &[&str] = match real.engine {
            "vllm" => &["VLLM::Worker", "VLLM::EngineCore", "leader"],
            _ => &["sglang::scheduler", "sglang::detokenizer", "leader"],
        };
        for word in kinds {
            started_again(real, word);
        }
        let held = real.held();
        send(real.keeper(), Signal::KILL);
        drop(real.sandbox.sh("istop"));
        real.is_gone(&held);
    });
}
