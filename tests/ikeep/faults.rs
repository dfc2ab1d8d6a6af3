//! Keepers that are killed, and run directories that cannot be written.
use super::LIMIT;
use super::log::Small;
use crate::kit::{Fake, Keeping, alive, as_root, full, send, tools, wait_for};
use rustix::process::Signal;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

/// One process that ends at the first TERM.
const PATIENT: &str = "echo up; exec sleep 1000";

#[test]
fn whenever_a_keeper_is_killed_the_next_start_has_the_instance_for_itself() {
    let keeping = Keeping::new();
    let plan = keeping.plan("a", PATIENT);
    keeping.sandbox.write("plan.jsonl", format!("{plan}\n"));
    let kills = if full() { 100 } else { 20 };
    for seed in 0..kills {
        let mut command = keeping.sandbox.command(tools().join("ilaunch"));
        command.stdin(fs::File::open(keeping.sandbox.path("plan.jsonl")).unwrap());
        let mut ilaunch = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_for("a keeper", LIMIT, || keeping.keeper("a").is_some());
        std::thread::sleep(Duration::from_micros(seed * 6_000 / kills));
        let keeper = keeping.keeper("a").unwrap();
        send(keeper, Signal::KILL);
        keeping.wait_until_left("a");
        ilaunch.wait().unwrap();
        // It was ended by the kernel, or it is by the next start.
        let output = keeping.launch(std::slice::from_ref(&plan)).exits(0);
        assert_eq!(output.all("instance").len(), 1, "{}", output.transcript());
        // What is just being executed shows no environment for a moment.
        let alone = || keeping.marked("a").len() == 1 && keeping.processes().len() == 2;
        keeping.wait_for_log("a", "up\n");
        wait_for(&format!("a keeper and its engine, after kill {seed}"), LIMIT, alone);
        keeping.stop("a");
        // Its lock is free a moment before the keeper itself has gone.
        wait_for("the keeper to go", LIMIT, || keeping.processes().is_empty());
    }
}

#[test]
fn a_run_directory_that_cannot_be_written_is_named() {
    let keeping = Keeping::new();
    let plan = keeping.plan("a", PATIENT);
    fs::remove_dir(keeping.sandbox.path("run")).unwrap();
    keeping.sandbox.write("run", "a file, not a folder");
    let failed = keeping.launch(&[plan]).exits(69).one("failed");
    assert!(failed["what"].as_str().unwrap().contains("$SANDBOX/run/llama-cpp/a"), "{failed}");
    assert_eq!(failed["cause"], "Not a directory");
    fs::remove_file(keeping.sandbox.path("run")).unwrap();
}

/// Fill a folder's file system to the last byte.
fn fill(keeping: &Keeping, folder: &str) {
    drop(keeping.sandbox.sh(&format!("dd if=/dev/zero of={folder}/filler bs=4k 2> /dev/null || true")));
}

#[test]
fn on_a_full_run_directory_nothing_starts_and_what_runs_is_stopped_and_reported() {
    if !as_root() {
        return;
    }
    let keeping = Keeping::new();
    let run = keeping.sandbox.path("run");
    let Some(_small) = Small::mount(&run, "256k") else { return };
    keeping.start("a", PATIENT);
    fill(&keeping, "run");
    let failed = keeping.launch(&[keeping.plan("b", PATIENT)]).exits(69).one("failed");
    assert_eq!(failed["cause"], "No space left on device", "{failed}");
    wait_for("the second keeper to go", LIMIT, || keeping.processes().len() == 2);
    let status = keeping.stop("a");
    assert_eq!((status["state"].as_str(), status["how"].as_str()), (Some("stopped"), Some("term")));
    wait_for("the keeper to go", LIMIT, || keeping.processes().is_empty());
}

#[test]
fn on_a_full_run_directory_an_engine_that_dies_is_reported_and_started_again() {
    if !as_root() {
        return;
    }
    let keeping = Keeping::new();
    let run = keeping.sandbox.path("run");
    let Some(_small) = Small::mount(&run, "256k") else { return };
    let mut fake = Fake::plan(&keeping, "a").says("healthy", "");
    fake.plan["control"]["max_restarts"] = 1.into();
    fake.plan["control"]["backoff_ms"] = 100.into();
    let fake = fake.launched();
    wait_for("it to be healthy", LIMIT, || keeping.status("a")["healthy_unix"].is_f64());
    fill(&keeping, "run");
    let pid = || u32::try_from(keeping.status("a")["pid"].as_u64().unwrap_or_default()).unwrap();
    let first = pid();
    send(first, Signal::KILL);
    let again = || keeping.status("a")["restarts"] == 1 && pid() != 0 && pid() != first;
    wait_for("the second start", LIMIT, again);
    assert_eq!(keeping.sandbox.sh("istat || true").one("status")["restarts"], 1);
    wait_for("it to be healthy again", LIMIT, || keeping.status("a")["healthy_unix"].is_f64());
    send(pid(), Signal::KILL);
    keeping.wait_until_left("a");
    let status = keeping.sandbox.sh("istat").exits(1).one("status");
    assert_eq!((&status["state"], &status["last_exit"]), (&"failed".into(), &"signal 9".into()));
    assert_eq!(fake.keeping.sandbox.sh("istop").exits(0).all("stopped").len(), 0);
}

/// Writes its title over its arguments, and over its environment too unless that is forbidden, as setproctitle does; then it
/// ignores TERM.
const TITLED: &str = "exec python3 -u -c '
import ctypes, os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
fields = open(\"/proc/self/stat\").read().rsplit(\") \", 1)[1].split()
arg_start, arg_end, env_start, env_end = (int(field) for field in fields[45:49])
end = arg_end if os.environ.get(\"SPT_NOENV\") else env_end
ctypes.memset(arg_start, 0, end - arg_start)
ctypes.memmove(arg_start, b\"VLLM::Worker\", 12)
ctypes.CDLL(None).prctl(15, b\"VLLM::Worker\")
print(\"up\")
while True:
    signal.pause()'";

#[test]
fn an_engine_that_writes_over_its_title_keeps_its_instance_id() {
    let keeping = Keeping::new();
    keeping.start("a", TITLED);
    let pid = u32::try_from(keeping.status("a")["pid"].as_u64().unwrap()).unwrap();
    let title = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(title.starts_with(b"VLLM::Worker\0"), "{}", String::from_utf8_lossy(&title));
    keeping.signal_keeper("a", Signal::KILL);
    keeping.wait_until_left("a");
    assert!(alive(pid), "it ignores TERM");
    let stopped = keeping.sandbox.sh("istop a").exits(0).one("stopped");
    assert_eq!(stopped["orphans"], 1, "{stopped}");
    assert!(!alive(pid) && keeping.processes().is_empty());
}

#[test]
fn on_a_read_only_run_directory_nothing_starts() {
    if !as_root() {
        return;
    }
    let keeping = Keeping::new();
    let run = keeping.sandbox.path("run");
    let Some(small) = Small::mount(&run, "1m") else { return };
    let plan = keeping.start("a", PATIENT);
    keeping.stop("a");
    small.remount("ro");
    let failed = keeping.launch(std::slice::from_ref(&plan)).exits(69).one("failed");
    assert_eq!(failed["cause"], "Read-only file system", "{failed}");
    wait_for("the keeper to go", LIMIT, || keeping.processes().is_empty());
    let state = || keeping.sandbox.sh("istat").exits(1).one("status")["state"].clone();
    assert_eq!(state(), "stopped", "as it was left");
    small.remount("rw");
    keeping.launch(&[plan]).exits(0).one("instance");
    assert_eq!(state(), "running");
    keeping.stop("a");
}

#[test]
fn a_state_directory_that_can_be_written_no_more_keeps_no_instance_from_being_stopped() {
    use std::os::unix::fs::chown;
    if !as_root() {
        return;
    }
    let keeping = Keeping::new();
    let mut plan = keeping.plan("a", PATIENT);
    plan["user"] = serde_json::json!("nobody");
    keeping.launch(&[plan.clone()]).exits(0).one("instance");
    keeping.wait_for_log("a", "up\n");
    let state_dir = keeping.state_dir("a");
    for path in [&state_dir, &state_dir.join("status.json")] {
        chown(path, Some(0), Some(0)).unwrap();
    }
    let state = || keeping.sandbox.sh("istat").exits(1).one("status")["state"].clone();
    assert_eq!(state(), "running");
    let stopped = keeping.sandbox.sh("istop").exits(0).one("stopped");
    assert_eq!(stopped["orphans"], 0, "{stopped}");
    assert!(keeping.processes().is_empty());
    // Its last word could not be written: that it is gone is what can be told.
    assert_eq!(state(), "lost");
    keeping.launch(&[plan]).exits(0).one("instance");
    assert_eq!(keeping.status("a")["state"], "running");
}
