//! What a keeper does once its engine is healthy.
use super::{LIMIT, SERVER};
use crate::kit::{Keeping, wait_for};
use serde_json::json;

/// Answers `/health` with 503, and with 200 once the file that its second argument names is there.
const LATE_SERVER: &str = "echo up; exec python3 -u -c '
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if os.path.exists(sys.argv[2]) else 503)
        self.end_headers()
http.server.HTTPServer((\"127.0.0.1\", int(sys.argv[1])), Handler).serve_forever()' ";

/// The pages of files that are mapped into the keeper, in KiB.
fn mapped_kib(keeping: &Keeping) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", keeping.keeper("a").unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssFile:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Start the server; it is not healthy yet.
fn launch(keeping: &Keeping) {
    let mut plan = keeping.plan("a", "");
    let healthy = keeping.sandbox.text("healthy");
    let script = format!("#!/bin/bash\n{LATE_SERVER} {} {healthy}\n", plan["port"]);
    plan["program"] = json!(keeping.sandbox.script("engines/a", &script));
    keeping.launch(&[plan]).exits(0).one("instance");
    keeping.wait_for_log("a", "up\n");
}

#[test]
fn the_first_good_health_is_noted() {
    let keeping = Keeping::new();
    let mut plan = keeping.plan("a", SERVER);
    plan["args"] = json!([plan["port"].to_string()]);
    keeping.launch(&[plan]).exits(0).one("instance");
    wait_for("healthy_unix", LIMIT, || keeping.status("a").get("healthy_unix").is_some());
    let status = keeping.status("a");
    assert_eq!(status["state"], "running");
    assert!(status["healthy_unix"].as_f64() >= status["started_unix"].as_f64());
    wait_for("the log of two questions", LIMIT, || keeping.log("a").matches("GET /health").count() >= 2);
    assert_eq!(keeping.log("a").matches("GET /health").count(), 2, "asked no more once it is healthy");
}

#[test]
fn a_keeper_does_not_hold_what_only_its_start_needed() {
    let keeping = Keeping::new();
    launch(&keeping);
    let before = mapped_kib(&keeping);
    keeping.sandbox.write("healthy", "");
    wait_for("health", LIMIT, || keeping.status("a")["healthy_unix"].is_f64());
    wait_for("less of its program in memory", LIMIT, || mapped_kib(&keeping) < before / 2);
}
