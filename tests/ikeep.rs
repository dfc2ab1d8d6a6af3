//! One instance, from its start to its end, whatever the engine does.
mod asleep;
mod cause;
mod egress;
mod faults;
mod healthy;
mod hung;
mod life;
mod log;
mod removed;
mod restart;
mod shared;
mod successor;

use crate::kit::{Keeping, alive, send, untimed, wait_for};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(30);
/// Says `up` and then waits for signals only.
const PATIENT: &str = "echo up; while :; do sleep 1000 & wait; done";

/// Answers `/health` with 503 first and 200 afterwards; its argument is the port.
const SERVER: &str = "echo up; exec python3 -u -c '
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    asked = 0
    def do_GET(self):
        Handler.asked += 1
        self.send_response(503 if Handler.asked < 2 else 200)
        self.end_headers()
http.server.HTTPServer((\"127.0.0.1\", int(sys.argv[1])), Handler).serve_forever()' \"$1\"";

/// The process ids that a script wrote to a file, one a line.
fn pids(keeping: &Keeping, file: &str) -> Vec<u32> {
    keeping.sandbox.read(file).lines().map(|line| line.parse().unwrap()).collect()
}

#[test]
fn the_engine_gets_the_environment_and_nothing_else_of_ours() {
    let keeping = Keeping::new();
    let out = keeping.sandbox.text("seen");
    let mut plan = keeping.plan(
        "a",
        &format!(
            "env > {out}; ls -l /proc/$$/fd > {out}.fds; cat /proc/$$/stat > {out}.stat; echo up; exec sleep 1000"
        ),
    );
    plan["env_set"] = json!({"ADDED": "1"});
    plan["env_dropped"] = json!(["LANG"]);
    keeping.launch(&[plan]).exits(0).one("instance");
    keeping.wait_for_log("a", "up\n");
    let environment = keeping.sandbox.read("seen");
    let status = keeping.status("a");
    let mark = status["mark"].as_str().unwrap();
    let state_dir = format!("INFER_DEV_STATE_DIR={}", keeping.state_dir("a").display());
    for line in ["ADDED=1", "SPT_NOENV=1", &format!("INFER_DEV_INSTANCE={mark}"), &state_dir, "HOME="] {
        assert!(environment.lines().any(|seen| seen.starts_with(line)), "no {line} in {environment}");
    }
    assert!(!environment.contains("LANG="), "{environment}");
    let fds = keeping.sandbox.read("seen.fds");
    let open: Vec<&str> = fds.lines().filter_map(|line| line.split_once(" -> ").map(|(_, to)| to)).collect();
    assert_eq!(open[0], "/dev/null", "{fds}");
    assert!(open[1].starts_with("pipe:") && open[1] == open[2], "{fds}");
    // bash holds its script at 255; there is nothing of the keeper's.
    assert!(open[3..].iter().all(|to| to.ends_with("engines/a")), "{fds}");
    let stat = keeping.sandbox.read("seen.stat");
    let fields: Vec<&str> = stat.split(' ').collect();
    let keeper = keeping.keeper("a").unwrap().to_string();
    assert_eq!(fields[3], keeper, "its parent is the keeper");
    assert_eq!(fields[4], fields[0], "it leads a process group");
    assert_eq!(fields[5], keeper, "in the keeper's session");
}

#[test]
fn the_keeper_holds_nothing_of_its_callers() {
    let keeping = Keeping::new();
    let plan = keeping.plan("a", PATIENT);
    keeping.sandbox.write("plans.jsonl", format!("{plan}\n"));
    keeping.sandbox.sh("exec 17>held; ilaunch < plans.jsonl").exits(0).one("instance");
    let keeper = keeping.keeper("a").unwrap();
    let fds = fs::read_dir(format!("/proc/{keeper}/fd")).unwrap().flatten();
    // One that the keeper closes between the two calls is no longer there to be read.
    let open: Vec<_> = fds.filter_map(|fd| fs::read_link(fd.path()).ok()).collect();
    let held = keeping.sandbox.path("held");
    assert!(!open.contains(&held), "{open:?}");
    assert_eq!(open.iter().filter(|to| to.ends_with("lock")).count(), 1, "{open:?}");
}

#[test]
fn a_signal_gives_the_engine_one_term_and_the_status_says_how_it_went() {
    let keeping = Keeping::new();
    let script = "trap 'echo term; exit 3' TERM; echo up; while :; do sleep 1000 & wait; done";
    keeping.start("a", script);
    let status = keeping.stop("a");
    assert_eq!(status["state"], "stopped");
    assert_eq!((status["last_exit"].as_str(), status["how"].as_str()), (Some("exit 3"), Some("term")));
    assert_eq!(status.get("pid"), None);
    assert_eq!(keeping.log("a").matches("term\n").count(), 1);
    assert_eq!(keeping.marked("a"), Vec::<u32>::new());
}

#[test]
fn an_engine_that_dies_hard_on_a_second_term_gets_only_one_however_many_signals_we_get() {
    let keeping = Keeping::new();
    let go = keeping.sandbox.text("go");
    let script = format!(
        "terms=0; trap '((++terms > 1)) && kill -KILL $$; echo term' TERM; echo up
        until [[ -e {go} ]]; do sleep 0.02; done; echo drained; exit 0"
    );
    keeping.start("a", &script);
    keeping.signal_keeper("a", Signal::TERM);
    keeping.wait_for_log("a", "term\n");
    assert_eq!(keeping.status("a")["state"], "stopping");
    keeping.signal_keeper("a", Signal::TERM);
    keeping.signal_keeper("a", Signal::INT);
    keeping.sandbox.write("go", "");
    keeping.wait_until_left("a");
    assert!(keeping.log("a").contains("drained\n"), "{}", keeping.log("a"));
    assert_eq!(keeping.status("a")["last_exit"], "exit 0");
}

#[test]
fn an_engine_that_ignores_term_is_killed_after_the_grace() {
    let keeping = Keeping::new();
    let mut plan = keeping.plan("a", "trap '' TERM; echo up; while :; do sleep 1; done");
    plan["control"]["stop_timeout_s"] = json!(1);
    keeping.launch(&[plan]).exits(0).one("instance");
    keeping.wait_for_log("a", "up\n");
    let start = Instant::now();
    let status = keeping.stop("a");
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!((status["last_exit"].as_str(), status["how"].as_str()), (Some("signal 9"), Some("kill")));
}

#[test]
fn workers_in_sessions_of_their_own_and_daemons_go_with_the_engine() {
    let keeping = Keeping::new();
    let file = keeping.sandbox.text("pids");
    // A worker in its own session, one that forked twice, and one that wiped its environment and ignores TERM.
    let script = format!(
        "setsid bash -c 'echo $$ >> {file}; exec sleep 1000' &
        (setsid bash -c 'echo $$ >> {file}; exec sleep 1000' &)
        env -i setsid bash -c 'trap \"\" TERM; echo $$ >> {file}; while :; do /bin/sleep 1; done' &
        until (( $(wc -l < {file}) == 3 )); do sleep 0.02; done; echo up; wait"
    );
    keeping.sandbox.write("pids", "");
    keeping.start("a", &script);
    let workers = pids(&keeping, "pids");
    let status = keeping.stop("a");
    assert_eq!(status["how"], "kill");
    assert!(workers.iter().all(|pid| !alive(*pid)), "{workers:?}");
}

#[test]
fn workers_that_outlive_a_killed_engine_are_ended_and_that_is_a_failure() {
    let keeping = Keeping::new();
    let file = keeping.sandbox.text("pids");
    let script = format!(
        "setsid bash -c 'echo $$ > {file}; exec sleep 1000' & until [[ -s {file} ]]; do sleep 0.02; done; echo up; wait"
    );
    keeping.start("a", &script);
    let workers = pids(&keeping, "pids");
    let leader = keeping.status("a")["pid"].as_u64().unwrap();
    send(u32::try_from(leader).unwrap(), Signal::KILL);
    keeping.wait_until_left("a");
    let status = keeping.status("a");
    assert_eq!((status["state"].as_str(), status["last_exit"].as_str()), (Some("failed"), Some("signal 9")));
    assert!(!alive(workers[0]));
}

#[test]
fn an_exit_that_nobody_asked_for_is_a_failure_exit_0_too() {
    let keeping = Keeping::new();
    let plan = keeping.plan("a", "echo up; exit 0");
    keeping.launch(&[plan]).exits(0).one("instance");
    let status = keeping.wait_for_state("a", "failed");
    assert_eq!(status["last_exit"], "exit 0");
    assert_eq!(status["reason"], "the engine ended by itself: exit 0, before it was ever healthy");
    let last = "up\nikeep: failed: the engine ended by itself: exit 0, before it was ever healthy\n";
    assert!(untimed(&keeping.log("a")).ends_with(last), "{}", keeping.log("a"));
}

#[test]
fn a_killed_keeper_takes_the_engine_with_it() {
    let keeping = Keeping::new();
    keeping.start("a", "trap 'echo term >&2; exit 0' TERM; echo up; while :; do sleep 1000 & wait; done");
    let leader = u32::try_from(keeping.status("a")["pid"].as_u64().unwrap()).unwrap();
    keeping.signal_keeper("a", Signal::KILL);
    wait_for("the engine to follow", LIMIT, || !alive(leader));
    // The engine is told when the keeper's first thread ends; what the keeper holds is free after its last.
    wait_for("the lock to be free", LIMIT, || keeping.keeper("a").is_none());
    assert_eq!(keeping.status("a")["state"], "running", "a reader concludes that it is lost");
}

#[test]
fn secrets_reach_the_engine_and_no_file_that_others_may_read() {
    use std::os::unix::fs::PermissionsExt;
    let keeping = Keeping::new();
    let script =
        "echo \"key $LLAMA_API_KEY.\"; printf 'sk-sec'; sleep 0.05; echo 'ret-1'; echo up; exec sleep 1000";
    let mut plan = keeping.plan("a", script);
    plan["secrets"] = json!(["server.api_key"]);
    fs::create_dir_all(keeping.state_dir("a")).unwrap();
    fs::create_dir_all(keeping.sandbox.path("logs")).unwrap();
    let secrets = json!({"env": {"LLAMA_API_KEY": "sk-secret-1"}, "api_key": "sk-secret-1"});
    let mut keeper = keep(&keeping, &json!({"plan": plan, "secrets": secrets}).to_string());
    keeping.wait_for_log("a", "up\n");
    let log = keeping.log("a");
    assert!(log.contains("key [secret].\n[secret]\nup\n"), "{log}");
    for (name, mode) in
        [("status.json", 0o644), ("plan.json", 0o644), ("secrets.json", 0o600), ("api-key", 0o600)]
    {
        let path = keeping.state_dir("a").join(name);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, mode, "{name}");
        let holds = fs::read_to_string(path).unwrap().contains("sk-secret-1");
        assert_eq!(holds, mode == 0o600, "{name}");
    }
    wait_for("its process", LIMIT, || keeping.status("a")["pid"].is_u64());
    let engine = keeping.status("a")["pid"].as_u64().unwrap();
    for pid in [u64::from(keeper.id()), engine] {
        let argv = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        assert!(!String::from_utf8_lossy(&argv).contains("sk-secret-1"));
    }
    keeping.stop("a");
    assert_eq!(keeper.wait().unwrap().code(), Some(0));
}

/// A keeper by hand: the start request on its stdin, no report.
fn keep(keeping: &Keeping, request: &str) -> std::process::Child {
    let mut command = keeping.sandbox.command(crate::kit::tools().join("ikeep"));
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(request.as_bytes()).unwrap();
    child
}

/// What a keeper that ends at once says, and its exit code.
fn refused(keeping: &Keeping, request: &Value) -> (String, Option<i32>) {
    let output = keep(keeping, &request.to_string()).wait_with_output().unwrap();
    let root = keeping.sandbox.text("");
    (
        String::from_utf8(output.stderr).unwrap().replace(root.trim_end_matches('/'), "$SANDBOX"),
        output.status.code(),
    )
}

#[test]
fn what_is_not_a_start_request_is_refused() {
    let keeping = Keeping::new();
    let (text, code) = refused(&keeping, &json!({"plan": {}}));
    let said = "ikeep: standard input is not a start request: missing field `engine`";
    assert!(text.starts_with(said), "{text}");
    assert_eq!(code, Some(65));
}

#[test]
fn an_instance_that_is_kept_already_is_left_alone() {
    let keeping = Keeping::new();
    let plan = keeping.start("a", PATIENT);
    let before = keeping.status("a");
    let (text, code) = refused(&keeping, &json!({"plan": plan}));
    let pid = keeping.keeper("a").unwrap();
    let expected = format!(
        "ikeep: cannot lock $SANDBOX/run/llama-cpp/a/lock: process {pid} keeps this instance already\n"
    );
    assert_eq!((text, code), (expected, Some(75)));
    assert_eq!(keeping.status("a"), before);
}

#[test]
fn an_install_that_lacks_its_record_is_refused_and_one_that_is_used_is_held() {
    let keeping = Keeping::new();
    let mut plan = keeping.plan("a", PATIENT);
    fs::create_dir_all(keeping.sandbox.path("install")).unwrap();
    plan["install_path"] = json!(keeping.sandbox.text("install"));
    let output = keeping.launch(&[plan.clone()]).exits(69);
    assert_eq!(output.one("failed")["what"], "cannot read $SANDBOX/install/installed.json");
    keeping.sandbox.write("install/installed.json", "{}");
    keeping.launch(&[plan]).exits(0).one("instance");
    drop(keeping.sandbox.sh("flock --exclusive --nonblock install true").exits(1));
    keeping.stop("a");
    drop(keeping.sandbox.sh("flock --exclusive --nonblock install true").exits(0));
}
