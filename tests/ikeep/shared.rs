//! What a Python engine leaves in /dev/shm: its own goes with it, by whichever hand, and nothing else does.
use super::LIMIT;
use crate::kit::{Keeping, send, wait_for};
use rustix::process::Signal;
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// With multiprocessing as vLLM uses it: a worker that is spawned, shared memory and a semaphore, which the resource tracker
/// has to remove where the engine cannot. It says their names, is deaf to TERM with `deaf`, and with `untracked` leaves
/// both to nobody, as SGLang does, which ends its tracker with the rest.
const ENGINE: &str = r#"
import multiprocessing as mp, mmap, os, signal, sys, time
from multiprocessing import resource_tracker, shared_memory
from http.server import BaseHTTPRequestHandler, HTTPServer
port, how, others = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
def work(semaphore):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    semaphore.acquire()
    time.sleep(1000)
class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
if __name__ == "__main__":
    if "deaf" in how:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    context = mp.get_context("spawn")
    memory = shared_memory.SharedMemory(create=True, size=4096)
    memory.buf[0] = 1
    semaphore = context.Semaphore()
    worker = context.Process(target=work, args=(semaphore,), daemon=True)
    worker.start()
    maps = []
    for other in others:
        with open(other, "r+b") as file:
            maps.append(mmap.mmap(file.fileno(), 0))
    if "untracked" in how:
        resource_tracker.unregister(memory._name, "shared_memory")
        resource_tracker.unregister(semaphore._semlock.name, "semaphore")
    print("memory", memory._name.lstrip("/"), flush=True)
    print("semaphore sem." + semaphore._semlock.name.lstrip("/"), flush=True)
    print("up", flush=True)
    if "healthy" in how:
        HTTPServer(("127.0.0.1", port), Handler).serve_forever()
    time.sleep(1000)
"#;

struct Python {
    keeping: Keeping,
    left: Vec<PathBuf>,
}

impl Python {
    fn start(how: &str, others: &[&Path]) -> Self {
        let keeping = Keeping::new();
        let script = keeping.sandbox.write("engine.py", ENGINE);
        let mut plan = keeping.plan("a", "");
        plan["program"] = json!("/usr/bin/python3");
        let mut args = vec![script.display().to_string(), plan["port"].to_string(), how.to_owned()];
        args.extend(others.iter().map(|other| other.display().to_string()));
        plan["args"] = json!(args);
        plan["control"]["stop_timeout_s"] = json!(30);
        keeping.launch(&[plan]).exits(0).one("instance");
        keeping.wait_for_log("a", "up\n");
        if how.contains("healthy") {
            wait_for("healthy_unix", LIMIT, || keeping.status("a").get("healthy_unix").is_some());
        }
        let log = keeping.log("a");
        let names = log
            .lines()
            .filter_map(|line| line.strip_prefix("memory ").or_else(|| line.strip_prefix("semaphore ")));
        let left: Vec<PathBuf> = names.map(|name| Path::new("/dev/shm").join(name)).collect();
        assert!(left.len() == 2 && left.iter().all(|file| file.exists()), "{left:?}\n{log}");
        Self { keeping, left }
    }

    fn nothing_is_left(&self) {
        let left: Vec<&PathBuf> = self.left.iter().filter(|file| file.exists()).collect();
        assert!(left.is_empty(), "{left:?}\n{}", self.keeping.log("a"));
        assert_eq!(self.keeping.processes(), Vec::<u32>::new());
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        for file in &self.left {
            drop(fs::remove_file(file));
        }
    }
}

#[test]
fn an_engine_that_was_never_healthy_and_hears_no_term_is_gone_soon_with_all_that_it_shares() {
    let python = Python::start("deaf", &[]);
    let start = Instant::now();
    let status = python.keeping.stop("a");
    assert_eq!(status["how"], "kill");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?} of a grace of 30 s", start.elapsed());
    python.nothing_is_left();
}

#[test]
fn the_resource_tracker_outlives_the_kill_of_a_stuck_keeper_and_the_sweep_of_a_killed_one() {
    for killed in [false, true] {
        let python = Python::start("deaf", &[]);
        let keeper = python.keeping.keeper("a").unwrap();
        let signal = if killed { Signal::KILL } else { Signal::STOP };
        send(keeper, signal);
        if killed {
            python.keeping.wait_until_left("a");
        }
        let stopped = python.keeping.sandbox.sh("istop --timeout 1").exits(0).one("stopped");
        assert_eq!(stopped["how"], if killed { "gone" } else { "kill" });
        python.nothing_is_left();
    }
}

#[test]
fn what_an_engine_leaves_to_nobody_is_removed_by_its_keeper_or_by_who_finds_it() {
    let python = Python::start("untracked healthy", &[]);
    python.keeping.stop("a");
    python.nothing_is_left();
    assert!(
        python.keeping.log("a").contains("ikeep: ")
            && python.keeping.log("a").contains("removed /dev/shm/psm_")
            && python.keeping.log("a").contains("removed /dev/shm/sem.mp-")
    );

    let python = Python::start("untracked deaf", &[]);
    let recorded = || python.keeping.status("a").get("segments").is_some();
    wait_for("what it has made to be recorded", LIMIT, recorded);
    python.keeping.signal_keeper("a", Signal::KILL);
    python.keeping.wait_until_left("a");
    assert_eq!(python.keeping.sandbox.sh("istop").exits(0).all("stopped").len(), 1);
    python.nothing_is_left();
}

#[test]
fn what_was_there_before_what_others_may_read_and_what_is_in_use_stays() {
    let name = |what: &str| PathBuf::from(format!("/dev/shm/infer-dev-test-{what}-{}", std::process::id()));
    let write = |file: &Path, mode| {
        fs::write(file, vec![7; 4096]).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
    };
    let (before, model) = (name("before"), name("model"));
    write(&before, 0o600);
    write(&model, 0o644);
    let python = Python::start("healthy", &[&before, &model]);
    python.keeping.stop("a");
    python.nothing_is_left();
    let stayed = [&before, &model].map(|file| file.exists());
    for file in [&before, &model] {
        drop(fs::remove_file(file));
    }
    assert_eq!(stayed, [true, true]);
}
