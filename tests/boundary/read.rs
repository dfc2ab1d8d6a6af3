//! What root's readers take from a state directory, and from whom.
use super::{Boundary, PATIENT, SECRET, U, V};
use crate::kit::Keeping;
use serde_json::json;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::time::{Duration, Instant};

#[test]
fn a_link_in_place_of_the_key_has_root_send_no_key() {
    let Some(boundary) = Boundary::new() else { return };
    let heard = boundary.keeping.sandbox.text("heard");
    fs::write(&heard, "").unwrap();
    chown(&heard, Some(U), Some(U)).unwrap();
    let server = format!(
        "exec python3 -u -c '
import http.server
class Engine(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        open(\"{heard}\", \"a\").write(str(self.headers) + \"\\n\")
        body = b\"{{\\\"data\\\": [{{\\\"id\\\": \\\"m\\\"}}]}}\"
        self.send_response(200)
        self.send_header(\"Content-Length\", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
server = http.server.ThreadingHTTPServer((\"127.0.0.1\", PORT), Engine)
print(\"up\", flush=True)
server.serve_forever()'"
    );
    let port = crate::kit::free_port();
    let mut plan = boundary.keeping.plan("a", &server.replace("PORT", &port.to_string()));
    (plan["user"], plan["port"]) = (json!("nobody"), json!(port));
    plan["control"]["ready_timeout_s"] = json!(2);
    boundary.keeping.sandbox.write("plan.jsonl", format!("{plan}\n"));
    drop(boundary.keeping.sandbox.sh("tools/ilaunch < plan.jsonl > a.jsonl").exits(0));
    boundary.keeping.wait_for_log("a", "up\n");
    boundary.link("api-key", "secret");
    drop(boundary.keeping.sandbox.sh("istat a || true"));
    let probed = boundary.keeping.sandbox.sh("iprobe < a.jsonl || true");
    assert!(probed.stderr.contains("api-key: it is a symbolic link"), "{}", probed.transcript());
    let heard = fs::read_to_string(heard).unwrap();
    assert!(heard.contains("host:") && !heard.contains(SECRET), "{heard}");
    // His own key is sent.
    boundary.plant("api-key", "his key\n");
    drop(boundary.keeping.sandbox.sh("istat a || true"));
    assert!(fs::read_to_string(boundary.keeping.sandbox.path("heard")).unwrap().contains("Bearer his key"));
}

/// The prompts of a root-only file would be sent to U's server, and what they are known to bring be told.
#[test]
fn answers_that_a_users_plan_names_are_read_with_that_users_rights() {
    let Some(boundary) = Boundary::new() else { return };
    let mut fake = crate::kit::Fake::plan(&boundary.keeping, "a").says("healthy", "");
    fake.plan["user"] = json!("nobody");
    boundary.keeping.sandbox.write("plan.jsonl", format!("{}\n", fake.plan));
    drop(boundary.keeping.sandbox.sh("tools/ilaunch < plan.jsonl > a.jsonl").exits(0));
    boundary.keeping.wait_for_log("a", "up\n");
    let secret = boundary.secret("answers");
    let answer = json!({"prompt": SECRET, "max_tokens": 1, "text": SECRET});
    fs::write(&secret, json!({"format": 1, "agree_percent": 100, "answers": [answer]}).to_string()).unwrap();
    let mut theirs: serde_json::Value =
        serde_json::from_slice(&fs::read(boundary.state("plan.json")).unwrap()).unwrap();
    theirs["control"]["ready_rung"] = json!("correct");
    let probe = |answers: &str| {
        let mut theirs = theirs.clone();
        theirs["control"]["known_answer"] = json!(boundary.keeping.sandbox.path(answers));
        boundary.plant("plan.json", &theirs.to_string());
        let probed = boundary.keeping.sandbox.sh("iprobe < a.jsonl || true");
        assert!(!probed.transcript().contains(SECRET), "{}", probed.transcript());
        assert!(!boundary.keeping.log("a").contains(SECRET), "it was asked");
        probed
    };
    boundary.run_as(U, &["ln", "-s", secret.to_str().unwrap(), boundary.state("link").to_str().unwrap()]);
    for answers in ["answers", "run/llama-cpp/a/link"] {
        let refused = probe(answers);
        assert!(refused.stderr.contains("Permission denied"), "{}", refused.transcript());
    }
    // A file of his own is read; who names one on the command line reads it himself.
    boundary.plant(
        "own",
        r#"{"format": 1, "agree_percent": 0, "answers": [{"prompt": "p", "max_tokens": 1, "text": ""}]}"#,
    );
    drop(probe("run/llama-cpp/a/own"));
    assert!(boundary.keeping.log("a").contains("\"p\""));
    drop(boundary.keeping.sandbox.sh("iprobe --answers answers < a.jsonl || true"));
    assert!(boundary.keeping.log("a").contains(SECRET));
}

/// The kernel names no process of such a lock: its pid is -1.
#[test]
fn a_lock_of_an_open_file_that_a_user_takes_ends_no_tool_in_a_panic() {
    let Some(boundary) = Boundary::new() else { return };
    boundary.start(PATIENT);
    boundary.keeping.wait_for_state("a", "running");
    boundary.keeping.signal_keeper("a", rustix::process::Signal::KILL);
    boundary.keeping.wait_until_left("a");
    let holds = "import fcntl, os, struct, sys
fcntl.fcntl(os.open(sys.argv[1], os.O_RDWR), 37, struct.pack('hhqqi4x', 1, 0, 0, 0, 0))
open(sys.argv[1] + 'ed', 'w').close()
sys.stdin.read()";
    let lock = boundary.state("lock");
    let mut command = boundary.keeping.sandbox.command("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "python3", "-c", holds]).arg(&lock);
    let mut holder = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
    crate::kit::wait_for("the lock", Duration::from_secs(30), || boundary.state("locked").exists());
    for tool in ["istat", "istop", "iprobe --once --state run/llama-cpp/a", "tools/ilaunch < plan.jsonl"] {
        let output = boundary.keeping.sandbox.sh(tool);
        assert!([0, 1, 69, 75].contains(&output.code), "{tool}: {}", output.transcript());
        assert!(!output.stderr.contains("panicked"), "{tool}: {}", output.transcript());
    }
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
}

#[test]
fn special_and_huge_files_in_place_of_small_ones_block_nobody() {
    let Some(boundary) = Boundary::new() else { return };
    boundary.start(PATIENT);
    boundary.keeping.wait_for_state("a", "running");
    boundary.keeping.signal_keeper("a", rustix::process::Signal::KILL);
    boundary.keeping.wait_until_left("a");
    let limits = "ulimit -v 2000000; timeout 20";
    for name in ["status.json", "plan.json", "api-key", "lock"] {
        let path = boundary.state(name);
        let before = fs::read(&path).ok();
        for plant in ["mkfifo", "truncate -s 20G", "ln -s /dev/zero", "mkdir"] {
            drop(fs::remove_file(&path));
            let mut command: Vec<&str> = plant.split(' ').collect();
            command.push(path.to_str().unwrap());
            boundary.run_as(U, &command);
            let begun = Instant::now();
            for tool in [
                "istat",
                "istat --timeline",
                "istat --log a",
                "istop",
                "iprobe --once --state run/llama-cpp/a",
                "iprobe < a.jsonl",
                "ilaunch < plan.jsonl",
            ] {
                let output = boundary.keeping.sandbox.sh(&format!("{limits} {tool}"));
                let said = format!("{tool} with {plant} {name}: {}", output.transcript());
                assert!([0, 1, 65, 69, 75].contains(&output.code), "{said}");
                // What is read first decides; a key alone is not asked for here.
                if name == "status.json" && tool != "ilaunch < plan.jsonl" {
                    assert!(output.code != 0, "{said}");
                    assert!(tool == "istop" || said.contains("status.json"), "{said}");
                }
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{plant} {name}");
            drop(boundary.keeping.sandbox.sh("istop || true"));
            if path.is_dir() { fs::remove_dir(&path).unwrap() } else { drop(fs::remove_file(&path)) }
        }
        if let Some(before) = before {
            boundary.plant(name, &String::from_utf8(before).unwrap());
        }
    }
}

#[test]
fn a_run_directory_that_others_can_write_is_no_run_directory() {
    let Some(boundary) = Boundary::new() else { return };
    boundary.start(PATIENT);
    let run = boundary.keeping.sandbox.path("run");
    let tools = ["istat", "istop", "istat --run-dir $PWD/run", "iprobe < a.jsonl", "ilaunch < plan.jsonl"];
    let all_refuse = |why: &str| {
        for tool in tools {
            let output = boundary.keeping.sandbox.sh(tool).exits(69);
            assert!(output.stderr.contains(why), "{tool}: {}", output.transcript());
        }
        assert!(boundary.keeping.log("a").contains("up"));
    };
    chown(&run, Some(V), Some(V)).unwrap();
    all_refuse("belongs to uid 1, not to root or uid 0");
    chown(&run, Some(0), Some(0)).unwrap();
    fs::set_permissions(&run, Permissions::from_mode(0o777)).unwrap();
    all_refuse("others may write");
    fs::set_permissions(&run, Permissions::from_mode(0o755)).unwrap();
    assert_eq!(boundary.keeping.status("a")["state"], "running");
    assert_eq!(boundary.keeping.sandbox.sh("istat").exits(1).one("status")["state"], "running");
}

#[test]
fn what_somebody_planted_in_tmp_is_not_looked_into() {
    let Some(_) = Boundary::new() else { return };
    let keeping = Keeping::new();
    // Its own /tmp and /run, in which V is first.
    let script = "
        mount -t tmpfs -o mode=755 none /mnt && cp \"$@\" /mnt && PATH=/mnt:$PATH
        mount -t tmpfs -o mode=1777 none /tmp && mount -t tmpfs -o mode=755 none /run
        setpriv --reuid=1 --regid=1 --clear-groups sh -c '
            mkdir -p /tmp/infer-dev-0/llama-cpp/x && echo {} > /tmp/infer-dev-0/llama-cpp/x/status.json'
        unset AUTO_INFER_RUN_DIR
        istat; istop; istop --forget; istat --table";
    // The tools may be in the real /tmp.
    let tools = ["istat", "istop"].map(|tool| crate::kit::tools().join(tool));
    let mut command = keeping.sandbox.command("unshare");
    command.args(["-m", "--propagation=private", "/bin/bash", "-euc", script, "bash"]).args(tools);
    command.current_dir("/");
    let output = keeping.sandbox.finish(&mut command).exits(0);
    assert!(
        output.stderr.contains("/tmp/infer-dev-0 belongs to uid 1, not to root or uid 0"),
        "{}",
        output.transcript()
    );
    assert!(!output.stdout.contains("\"kind\""), "{}", output.transcript());
}

#[test]
fn a_configuration_that_is_no_small_file_is_refused_at_once() {
    let mut keeping = Keeping::new();
    keeping.sandbox.set("AUTO_INFER_LLAMA_CPP_CONFIG", &keeping.sandbox.text("c.toml"));
    keeping.sandbox.set("AUTO_INFER_LLAMA_CPP_OVERRIDES", "{}");
    for plant in ["mkfifo c.toml", "truncate -s 20G c.toml", "ln -s /dev/zero c.toml", "mkdir c.toml"] {
        let run = "ulimit -v 2000000; timeout 20 iplan < env.jsonl";
        let output =
            keeping.sandbox.sh(&format!("rm -rf c.toml; {plant}; ienv llama-cpp > env.jsonl; {run}"));
        assert!([65, 69].contains(&output.code), "{plant}: {}", output.transcript());
        assert!(output.stderr.contains("c.toml"), "{plant}: {}", output.transcript());
    }
}

#[test]
fn the_root_of_a_user_namespace_acts_as_nobody_it_does_not_know() {
    let Some(boundary) = Boundary::new() else { return };
    boundary.start(PATIENT);
    // To that root both the folder's owner and we are nobody.
    fs::set_permissions(boundary.keeping.sandbox.path(""), Permissions::from_mode(0o777)).unwrap();
    let tools = boundary.keeping.sandbox.path("tools");
    for tool in ["istat", "istop"] {
        boundary.keeping.sandbox.own_tool(tool, &format!("tools/{tool}"));
        let command = ["unshare", "-r", &tools.join(tool).display().to_string()];
        let output = boundary.keeping.sandbox.finish(&mut boundary.as_user(V, &command)).exits(69);
        assert!(output.stderr.contains("cannot act as uid 65534"), "{}", output.transcript());
    }
    assert_eq!(boundary.keeping.status("a")["state"], "running");
}
