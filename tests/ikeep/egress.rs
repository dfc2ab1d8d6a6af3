//! What an engine tries to reach is counted, and costs nothing else.
use crate::kit::{Keeping, send, wait_for};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

/// Dials out by TCP, UDP, DNS and IPv6, then does what a server does on this machine, which is nothing to count.
const DIALS: &str = r#"exec python3 - <<'PY'
import os, socket, struct, time
def tried(act):
    try: act()
    except OSError as error: print("refused", error.errno, flush=True)
v4, v6, udp, tcp = socket.AF_INET, socket.AF_INET6, socket.SOCK_DGRAM, socket.SOCK_STREAM
query = struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + b"\1x\7invalid\0" + struct.pack(">2H", 1, 1)
tried(lambda: socket.socket(v4, tcp).connect(("198.51.100.1", 443)))
tried(lambda: socket.socket(v4, udp).sendto(b"x", ("198.51.100.2", 9999)))
tried(lambda: socket.socket(v4, udp).sendmsg([query], [], 0, ("198.51.100.3", 53)))
tried(lambda: socket.socket(v6, tcp).connect(("2001:db8::4", 443)))
server = socket.create_server(("127.0.0.1", 0))
for _ in range(100):
    here = socket.create_connection(server.getsockname())
    there, _ = server.accept()
    there.sendall(b"answer"); assert here.recv(6) == b"answer"
    here.close(); there.close()
a, b = socket.socketpair()
a.sendmsg([b"x"]); assert b.recv(1) == b"x"
tried(lambda: socket.socket(socket.AF_UNIX).connect("/nowhere"))
print("privileges", open("/proc/self/status").read().split("NoNewPrivs:")[1].split()[0], flush=True)
print("up", flush=True)
time.sleep(1000)
PY"#;

/// Launch it in a namespace from which nothing can be reached, and wait for its end of the matter. `None` where there can be
/// none.
fn dialed(keeping: &Keeping, watched: bool) -> Option<Value> {
    let sandbox = &keeping.sandbox;
    if sandbox.sh("iseal --method namespace -- true").code != 0 {
        crate::kit::not_run("no network namespace can be made");
        return None;
    }
    let mut plan = keeping.plan("a", DIALS);
    if watched {
        plan["control"]["watch_egress"] = json!(true);
    }
    sandbox.write("plan.jsonl", format!("{plan}\n"));
    sandbox.sh("iseal --method namespace -- ilaunch < plan.jsonl").exits(0).one("instance");
    keeping.wait_for_log("a", "up\n");
    Some(plan)
}

#[test]
fn a_fake_that_dials_out_four_ways_makes_exactly_four_attempts() {
    let keeping = Keeping::new();
    if dialed(&keeping, true).is_none() {
        return;
    }
    wait_for("the counts", LIMIT, || keeping.status("a")["egress"]["attempts"] == 4);
    let egress = keeping.stop("a")["egress"].clone();
    assert_eq!(egress["attempts"], 4, "{egress}\n{}", keeping.log("a"));
    let targets = egress["targets"].as_array().unwrap();
    let told: Vec<_> = targets
        .iter()
        .map(|one| (one["family"].as_str().unwrap(), one["address"].as_str().unwrap()))
        .collect();
    let expected = [
        ("ipv4", "198.51.100.1:443"),
        ("ipv4", "198.51.100.2:9999"),
        ("ipv4", "198.51.100.3:53"),
        ("ipv6", "[2001:db8::4]:443"),
    ];
    assert_eq!(told, expected);
    assert!(targets.iter().all(|one| one["count"] == 1 && one["pid"].as_u64() > Some(1)), "{egress}");
    let log = keeping.log("a");
    assert!(log.contains("tried to reach 198.51.100.3:53 (ipv4)"), "{log}");
    // It met what it would have met unwatched.
    assert_eq!(log.matches("refused 101").count(), 4, "{log}");
    let status = keeping.sandbox.sh("istat > now.jsonl || true; ireport now.jsonl").exits(0).stdout;
    assert!(status.contains("llama-cpp/a: 4 attempts to leave this machine"), "{status}");
}

#[test]
fn an_engine_that_tries_nothing_has_none_and_an_unwatched_one_no_filter() {
    let keeping = Keeping::new();
    if dialed(&keeping, false).is_none() {
        return;
    }
    assert_eq!(keeping.status("a")["egress"], Value::Null);
    assert!(keeping.log("a").contains("privileges 0"), "{}", keeping.log("a"));
    keeping.stop("a");
    let mut plan = keeping.plan("b", "echo up; exec sleep 1000");
    plan["control"]["watch_egress"] = json!(true);
    keeping.launch(std::slice::from_ref(&plan)).exits(0).one("instance");
    wait_for("the counts", LIMIT, || keeping.status("b")["egress"]["attempts"] == 0);
    assert_eq!(keeping.stop("b")["egress"], json!({"attempts": 0}));
}

/// Asks by a datagram socket which address this machine has, which sends nothing, and serves.
fn asking(keeping: &Keeping) -> Value {
    let dial = "python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect((\"198.51.100.9\", 9))'";
    let mut plan = keeping.plan("a", &format!("{dial}\n{}", super::SERVER));
    plan["args"] = json!([plan["port"].to_string()]);
    plan["control"]["watch_egress"] = json!(true);
    plan["control"]["backoff_ms"] = json!(1);
    plan
}

#[test]
fn an_engine_that_is_started_again_is_watched_on() {
    let keeping = Keeping::new();
    let plan = asking(&keeping);
    keeping.launch(std::slice::from_ref(&plan)).exits(0).one("instance");
    let attempts = |count: u64| keeping.status("a")["egress"]["attempts"] == count;
    wait_for("the first attempt", LIMIT, || attempts(1) && keeping.status("a")["healthy_unix"].is_f64());
    let pid = keeping.status("a")["pid"].as_u64().unwrap();
    send(u32::try_from(pid).unwrap(), Signal::KILL);
    wait_for("the second attempt", LIMIT, || attempts(2));
    assert_eq!(keeping.stop("a")["restarts"], 1);
}

#[test]
fn where_no_listener_can_be_set_the_engine_runs_and_that_is_reported() {
    let keeping = Keeping::new();
    let mut plan = keeping.plan("a", "echo up; exec sleep 1000");
    plan["control"]["watch_egress"] = json!(true);
    keeping.sandbox.write("plan.jsonl", format!("{plan}\n"));
    let strace = "strace -f -qq -o /dev/null -e trace=seccomp -e inject=seccomp:error=EBUSY";
    drop(keeping.sandbox.sh(&format!("{strace} ilaunch < plan.jsonl > out 2>&1 &")).exits(0));
    keeping.wait_for_log("a", "up\n");
    wait_for("the reason", LIMIT, || keeping.status("a")["egress"].is_object());
    let egress = keeping.stop("a")["egress"].clone();
    let why = "no seccomp listener can be set: Device or resource busy";
    assert_eq!(egress, json!({"attempts": 0, "unwatched": why}));
    assert!(keeping.log("a").contains(&format!("is not watched: {why}")), "{}", keeping.log("a"));
}
