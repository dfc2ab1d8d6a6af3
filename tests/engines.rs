//! The real vLLM and SGLang, on a CPU. Only where INFER_DEV_TEST_VLLM and INFER_DEV_TEST_SGLANG name interpreters that have
//! them, which `scripts/test --engines` sees to.
mod addresses;
mod asleep;
mod ending;
mod failing;
mod flags;
mod nodes;
mod ranks;
mod serving;

use crate::kit::{Output, Sandbox, alive, free_port, left_out, root, send, started_in, wait_for};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The longest that a machine with two busy cores needs for a start.
const LIMIT: Duration = Duration::from_mins(15);

/// An engine needs a machine of this size for itself.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// One of the engines, with a model, in a sandbox.
struct Real {
    engine: &'static str,
    sandbox: Sandbox,
    port: u16,
    _alone: MutexGuard<'static, ()>,
}

/// Run a test on both engines, each where it is there, and say how it went and how long it took.
fn on_each(what: &str, test: fn(&Real)) {
    on(&["vllm", "sglang"], what, test);
}

fn on(engines: &[&'static str], what: &str, test: fn(&Real)) {
    let mut panic = None;
    for engine in engines {
        let Some(real) = Real::get(engine) else { continue };
        let start = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| test(&real)));
        let word = if result.is_ok() { "passed" } else { "FAILED" };
        println!("\n| {what} | {engine} | {word} | {} s |", start.elapsed().as_secs());
        panic = result.err().or(panic);
    }
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
}

impl Real {
    /// The engine, where the run of the tests has one.
    fn get(engine: &'static str) -> Option<Self> {
        let part = engine.to_uppercase();
        let Ok(python) = std::env::var(format!("INFER_DEV_TEST_{part}")) else {
            left_out(&format!("there is no {engine} for the tests (--engines)"));
            return None;
        };
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sandbox = Sandbox::new();
        sandbox.set(&format!("AUTO_INFER_{part}_CONFIG"), &sandbox.text("engine.toml"));
        sandbox.set(&format!("AUTO_INFER_{part}_PYTHON"), &python);
        sandbox.set("PYTHON", &python);
        let maker = root().join("tests/engines/model.py");
        drop(sandbox.sh(&format!("python3 {} m", maker.display())).exits(0));
        let real = Self { engine, sandbox, port: free_port(), _alone: alone };
        if real.said().is_dir() {
            drop(real.sandbox.sh(&format!("cp -a {} run/vocabulary", real.said().display())).exits(0));
        }
        Some(real)
    }

    /// Where the engine's answer to the question for its options is kept from one test to the next: it takes a while.
    fn said(&self) -> PathBuf {
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("vocabulary-{}", self.engine))
    }

    /// Lines of the instance's server table, and further tables after them.
    fn configure(&self, lines: &str) {
        let Self { engine, port, sandbox, .. } = self;
        let own = match *engine {
            "vllm" => "enforce_eager = true\nmax_model_len = 2048\nmodel =",
            _ => "device = 'cpu'\nmax_total_tokens = 8192\nmem_fraction_static = 0.1\nmodel_path =",
        };
        let model = sandbox.text("m");
        let mut server = format!("{own} '{model}'\nserved_model_name = 'tiny'\nport = {port}\n");
        for line in lines.lines() {
            // What a test sets, it sets in the place of ours.
            let key = line.split('=').next().unwrap_or_default();
            server =
                server.lines().filter(|own| !own.starts_with(key)).map(|own| own.to_owned() + "\n").collect();
            server += &format!("{line}\n");
        }
        let env = "[instance.a.env]\nVLLM_CPU_KVCACHE_SPACE = '1'\nOMP_NUM_THREADS = '1'\n";
        let (server, further) = server.split_at(server.find("\n[").map_or(server.len(), |at| at + 1));
        let env = if further.contains("[instance.a.env]") { "" } else { env };
        sandbox.write("engine.toml", format!("{env}[instance.a.server]\n{server}{further}"));
    }

    /// Run the stages after `iplan`.
    fn pipe(&self, stages: &str) -> Output {
        let output = self.sandbox.sh(&format!("ienv {} | iplan {stages}", self.engine));
        if !self.said().exists() && self.sandbox.path("run/vocabulary").is_dir() {
            drop(self.sandbox.sh(&format!("cp -a run/vocabulary {}", self.said().display())));
        }
        output
    }

    /// Start it, and wait until it answers.
    fn serve(&self) {
        drop(self.pipe(&format!("| ilaunch | iprobe --timeout {}", LIMIT.as_secs())).exits(0).one("ready"));
    }

    fn status(&self) -> Value {
        self.sandbox.sh("istat a").one("status")
    }

    fn log(&self) -> String {
        let path = self.sandbox.path(&format!("w/logs/{}/a.log", self.engine));
        String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
    }

    fn wait_for_log(&self, text: &str) {
        wait_for(&format!("{text:?} in the log"), LIMIT, || self.log().contains(text));
    }

    /// What its keeper has written down.
    fn kept(&self) -> Value {
        let status = std::fs::read(self.sandbox.path(&format!("run/{}/a/status.json", self.engine)));
        serde_json::from_slice(&status.unwrap_or_default()).unwrap_or_default()
    }

    fn keeper(&self) -> u32 {
        u32::try_from(self.kept()["keeper_pid"].as_u64().unwrap()).unwrap()
    }

    /// The processes of the engine: those below its keeper, and those that were started in the sandbox.
    fn pids(&self) -> BTreeSet<u32> {
        let status = self.kept();
        let leader = status["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        let mut found: BTreeSet<u32> = started_in(&self.sandbox).into_iter().chain(leader).collect();
        let parents = parents();
        loop {
            let below = |&&(pid, parent): &&(u32, u32)| found.contains(&parent) && !found.contains(&pid);
            let more: Vec<u32> = parents.iter().filter(below).map(|(pid, _)| *pid).collect();
            if more.is_empty() {
                return found.into_iter().filter(|pid| alive(*pid)).collect();
            }
            found.extend(more);
        }
    }

    /// Those whose title or command line has this word.
    fn named(&self, word: &str) -> Vec<u32> {
        self.pids().into_iter().filter(|pid| title(*pid).contains(word)).collect()
    }

    /// What the engine holds now.
    fn held(&self) -> Held {
        let pids = self.pids();
        Held { shm: pids.iter().flat_map(|pid| shared_memory(*pid)).collect(), pids }
    }

    /// Nothing of it is left: no process, no listener, no shared memory.
    fn is_gone(&self, held: &Held) {
        let left = || {
            let mut left: Vec<String> =
                held.pids.iter().filter(|pid| alive(**pid)).map(|pid| title(*pid)).collect();
            left.extend(started_in(&self.sandbox).into_iter().map(title));
            left.extend(held.shm.iter().filter(|path| path.exists()).map(|path| path.display().to_string()));
            left
        };
        let end = Instant::now() + Duration::from_secs(10);
        while !left().is_empty() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(left(), Vec::<String>::new(), "left by {}", self.engine);
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err(), "port {}", self.port);
    }

    /// Ask the server: the connection, with the request written.
    fn asked(&self, request: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let length = body.len();
        let head = "Host: localhost\r\nConnection: close\r\nContent-Type: application/json";
        write!(stream, "{request} HTTP/1.1\r\n{head}\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
        stream
    }

    /// The whole answer, its head too.
    fn answer(&self, request: &str) -> String {
        let mut text = String::new();
        self.asked(request, "").read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        drop(self.sandbox.sh("istop || true"));
        for pid in started_in(&self.sandbox) {
            send(pid, Signal::KILL);
        }
    }
}

/// What an engine holds of the machine.
struct Held {
    pids: BTreeSet<u32>,
    shm: BTreeSet<PathBuf>,
}

/// Every process with its parent.
fn parents() -> Vec<(u32, u32)> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some((pid, stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?))
    })
    .collect()
}

/// What a process calls itself.
fn title(pid: u32) -> String {
    let read = |file: &str| std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let bytes = [read("comm"), read("cmdline")].concat();
    format!("{pid} {}", String::from_utf8_lossy(&bytes).replace(['\0', '\n'], " "))
}

/// Files of /dev/shm that a process has mapped, by their inodes: a semaphore is mapped before it gets its name.
fn shared_memory(pid: u32) -> BTreeSet<PathBuf> {
    use std::os::unix::fs::DirEntryExt;
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let mapped = maps.lines().filter(|line| line.contains(" /dev/shm/"));
    let inodes: BTreeSet<u64> =
        mapped.filter_map(|line| line.split_ascii_whitespace().nth(4)?.parse().ok()).collect();
    let files = std::fs::read_dir("/dev/shm").unwrap().flatten();
    files.filter(|file| inodes.contains(&file.ino())).map(|file| file.path()).collect()
}
