//! What a killed keeper leaves behind is ended before anything starts.
use super::{LIMIT, PATIENT};
use crate::kit::{Keeping, alive, as_root, wait_for};
use rustix::process::Signal;
use serde_json::json;

/// A leader that ignores TERM and a worker in a session of its own whose parent has gone.
const STUBBORN: &str = "(setsid bash -c 'trap \"\" TERM; while :; do sleep 1; done' &)
    trap '' TERM; echo up; while :; do sleep 1; done";

/// Start, kill the keeper, start again with `ilaunch`; what is left of the first.
fn killed_and_started_again(user: Option<&str>, ilaunch: &str) {
    let keeping = Keeping::new();
    let mut plan = keeping.plan("a", STUBBORN);
    if let Some(user) = user {
        plan["user"] = json!(user);
    }
    keeping.launch(&[plan.clone()]).exits(0).one("instance");
    keeping.wait_for_log("a", "up\n");
    wait_for("the worker", LIMIT, || keeping.marked("a").len() >= 2);
    keeping.signal_keeper("a", Signal::KILL);
    keeping.wait_until_left("a");
    let orphans = keeping.marked("a");
    assert!(orphans.len() >= 2);
    keeping.sandbox.script("engines/a", &format!("#!/bin/bash\n{PATIENT}\n"));
    keeping.sandbox.write("again.jsonl", format!("{plan}\n"));
    let output = keeping.sandbox.sh(&format!("{ilaunch} < again.jsonl")).exits(0);
    assert_eq!(output.kinds(), ["plan", "warning", "instance"]);
    let warning = output.one("warning");
    assert_eq!((&warning["rule"], &warning["instance"]), (&json!("orphans"), &json!("a")));
    assert!(orphans.iter().all(|pid| !alive(*pid)), "{orphans:?}");
    assert_eq!(keeping.status("a")["state"], "running");
}

#[test]
fn orphans_are_found_by_their_instance_id_and_ended() {
    killed_and_started_again(None, "ilaunch");
}

#[test]
fn orphans_of_another_user_are_found_without_the_right_to_trace() {
    if as_root() {
        let root = "setpriv --bounding-set=-sys_ptrace,-perfmon,-sys_admin ilaunch";
        killed_and_started_again(Some("nobody"), root);
    }
}

#[test]
fn orphans_that_hold_the_port_do_not_keep_the_instance_from_being_planned() {
    let mut keeping = Keeping::new();
    // A server that ignores TERM.
    let server = "trap '' TERM; exec python3 -u -c '
import http.server, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
port = int(sys.argv[sys.argv.index(\"--port\") + 1])
server = http.server.ThreadingHTTPServer((\"127.0.0.1\", port), http.server.BaseHTTPRequestHandler)
print(\"up\", flush=True)
server.serve_forever()' \"$@\"";
    let program = keeping.sandbox.script("engine", &format!("#!/bin/bash\n{server}\n"));
    let (model, port) = (keeping.sandbox.write("model.gguf", ""), crate::kit::free_port());
    let log = keeping.log_file("a");
    let config = format!(
        "[master]\nllama_cpp_path = {program:?}\n[instance.a.control]\nlog_file = {log:?}\nstop_timeout_s = 1\n\
         [instance.a.server]\nmodel = {model:?}\nport = {port}\n"
    );
    let config = keeping.sandbox.write("c.toml", config);
    keeping.sandbox.set("AUTO_INFER_LLAMA_CPP_CONFIG", config.to_str().unwrap());
    keeping.sandbox.sh("ienv llama-cpp | iplan | ilaunch").exits(0).one("instance");
    keeping.wait_for_log("a", "up\n");
    keeping.signal_keeper("a", Signal::KILL);
    keeping.wait_until_left("a");
    let orphans = keeping.marked("a");
    assert_eq!(orphans.len(), 1);
    let output = keeping.sandbox.sh("ienv llama-cpp | iplan | ilaunch").exits(0);
    // What else is warned of is that this engine's options are not known.
    let ended = output.all("warning").iter().filter(|warning| warning["rule"] == "orphans").count();
    assert_eq!(ended, 1, "{}", output.transcript());
    assert!(!alive(orphans[0]));
    wait_for("the new one to have the port", LIMIT, || keeping.log("a").matches("up\n").count() == 2);
}

#[test]
fn a_clean_stop_leaves_nothing_to_warn_of() {
    let keeping = Keeping::new();
    let plan = keeping.start("a", PATIENT);
    keeping.stop("a");
    assert_eq!(keeping.launch(&[plan]).exits(0).kinds(), ["plan", "instance"]);
}
