//! Many instances at once: what is started, what is said, and that nothing is left when something goes wrong.
mod foreground;
mod orphans;
mod prune;
mod replace;

use crate::kit::{Keeping, alive, as_root, wait_for};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);
const PATIENT: &str = "echo up; exec sleep 1000";

#[test]
fn without_plan_and_without_stand_in_it_fails_naming_the_kind() {
    let keeping = Keeping::new();
    insta::assert_snapshot!(keeping.sandbox.sh("ilaunch < /dev/null").exits(65).transcript(), @r"
    -- stderr --
    ilaunch: no 'plan' record on standard input: the stream ended without one, or the tool before this one died
    ilaunch: hint: the whole pipeline is: ienv llama-cpp | iinstall | iplan | imodel | ilaunch
    [exit 65]
    ");
    let skipped =
        json!({"kind": "skipped", "engine": "vllm", "by": "iplan", "why": "master.enable is false"});
    keeping.sandbox.write("skipped.jsonl", format!("{skipped}\n"));
    drop(keeping.sandbox.sh("ilaunch < skipped.jsonl").exits(0));
}

#[test]
fn an_instance_record_follows_its_plan_and_says_what_runs() {
    let keeping = Keeping::new();
    let mut plan = keeping.plan("a", PATIENT);
    plan["args"] = json!(["--port", "1"]);
    plan["env_set"] = json!({"X": "1"});
    let output = keeping.launch(&[plan.clone()]).exits(0);
    assert_eq!(output.kinds(), ["plan", "instance"]);
    let instance = output.one("instance");
    assert_eq!(instance["argv"], json!(["$SANDBOX/engines/a", "--port", "1"]));
    assert_eq!(instance["env_set"], plan["env_set"]);
    assert_eq!(instance["keeper_pid"], keeping.keeper("a").unwrap());
    assert_eq!(instance.get("reused"), None);
    assert_eq!(output.stderr, "");
    let mode = |path: &str| keeping.sandbox.path(path).metadata().unwrap().mode() & 0o7777;
    assert_eq!((mode("run/llama-cpp"), mode("run/llama-cpp/a")), (0o755, 0o755));
    assert_eq!(keeping.status("a")["state"], "running");
}

#[test]
fn the_folders_modes_do_not_depend_on_the_umask() {
    let keeping = Keeping::new();
    let plan = keeping.plan("a", PATIENT);
    keeping.sandbox.write("plans.jsonl", format!("{plan}\n"));
    keeping.sandbox.sh("umask 077; ilaunch < plans.jsonl").exits(0).one("instance");
    let mode = |path: &str| keeping.sandbox.path(path).metadata().unwrap().mode() & 0o7777;
    assert_eq!((mode("run/llama-cpp"), mode("run/llama-cpp/a")), (0o755, 0o755));
    for (name, expected) in
        [("lock", 0o644), ("status.json", 0o644), ("plan.json", 0o644), ("secrets.json", 0o600)]
    {
        assert_eq!(mode(&format!("run/llama-cpp/a/{name}")), expected, "{name}");
    }
}

#[test]
fn what_a_server_does_not_get_is_dropped_from_the_environment_of_whoever_launches() {
    let keeping = Keeping::new();
    let seen = keeping.sandbox.text("seen");
    let mut plan = keeping.plan("a", &format!("env > {seen}; {PATIENT}"));
    plan["env_set"] = json!({"LLAMA_ARG_OFFLINE": "1"});
    keeping.sandbox.write("plans.jsonl", format!("{plan}\n"));
    let script = "export LLAMA_API_KEY=k AIP_MODE=1 https_proxy=p LLAMA_ARG_PORT=1 LLAMA_ARG_OFFLINE=0 KEPT=1; ilaunch < plans.jsonl";
    keeping.sandbox.sh(script).exits(0).one("instance");
    keeping.wait_for_log("a", "up\n");
    let seen = keeping.sandbox.read("seen");
    for gone in ["LLAMA_API_KEY", "AIP_MODE", "https_proxy", "LLAMA_ARG_PORT", "AUTO_INFER_"] {
        assert!(!seen.contains(gone), "{gone} in {seen}");
    }
    assert!(seen.contains("KEPT=1\n") && seen.contains("LLAMA_ARG_OFFLINE=1\n"), "{seen}");
}

#[test]
fn one_that_cannot_be_started_does_not_keep_the_others_from_it() {
    let keeping = Keeping::new();
    let names = ["missing", "script", "plain", "good"];
    let mut plans: Vec<Value> = names.iter().map(|name| keeping.plan(name, PATIENT)).collect();
    plans[0]["program"] = json!(keeping.sandbox.text("nowhere"));
    keeping.sandbox.script("engines/script", "#!/no/such/interpreter\n");
    plans[2]["program"] = json!(keeping.sandbox.write("plain", "not a program"));
    let output = keeping.launch(&plans).exits(69);
    insta::assert_snapshot!(output.stderr, @r"
    ilaunch: cannot start $SANDBOX/nowhere: No such file or directory
    ilaunch: cannot start $SANDBOX/engines/script: its interpreter /no/such/interpreter does not exist
    ilaunch: cannot start $SANDBOX/plain: Permission denied
    ");
    assert_eq!(output.kinds()[4..], ["failed", "failed", "failed", "instance"]);
    assert_eq!(output.all("failed")[0]["code"], 69);
    assert_eq!(keeping.status("missing")["state"], "failed");
    wait_for("the keepers to go", LIMIT, || names[..3].iter().all(|name| keeping.keeper(name).is_none()));
}

#[test]
fn what_failed_before_is_not_started() {
    let keeping = Keeping::new();
    let plans = [keeping.plan("a", PATIENT), keeping.plan("b", PATIENT)];
    let failed = json!({"kind": "failed", "engine": "llama-cpp", "instance": "a", "by": "imodel", "what": "w", "cause": "c", "code": 65});
    keeping.sandbox.write("in.jsonl", format!("{}\n{}\n{failed}\n", plans[0], plans[1]));
    let output = keeping.sandbox.sh("ilaunch < in.jsonl").exits(65);
    assert_eq!(output.one("instance")["instance"], "b");
    assert!(!keeping.state_dir("a").exists());
}

#[test]
fn an_instance_that_runs_is_not_started_a_second_time() {
    let keeping = Keeping::new();
    let mut plan = keeping.plan("a", PATIENT);
    keeping.launch(&[plan.clone()]).exits(0).one("instance");
    let keeper = keeping.keeper("a").unwrap();
    let output = keeping.launch(&[plan.clone()]).exits(75);
    assert_eq!(output.one("failed")["cause"], format!("process {keeper} keeps it already"));
    // A plan that knows: what runs is shown, not what was planned.
    (plan["reused"], plan["port"], plan["hash"]) = (json!(true), json!(1), json!("2"));
    let instance = keeping.launch(&[plan.clone()]).exits(0).one("instance");
    assert_eq!((&instance["reused"], &instance["stale"]), (&json!(true), &json!(true)));
    assert_ne!(instance["port"], 1);
    // It has ended in between: then it is started.
    keeping.stop("a");
    let instance = keeping.launch(&[plan]).exits(0).one("instance");
    assert_eq!(instance.get("reused"), None);
}

#[test]
fn two_at_once_start_every_instance_once() {
    let keeping = Keeping::new();
    let lines: String = (0..6).map(|i| format!("{}\n", keeping.plan(&format!("i{i}"), PATIENT))).collect();
    keeping.sandbox.write("plans.jsonl", lines);
    let script = "ilaunch < plans.jsonl > one 2> one.err & ilaunch < plans.jsonl > two 2> two.err || true; wait || true";
    drop(keeping.sandbox.sh(script).exits(0));
    let both = format!("{}{}", keeping.sandbox.read("one"), keeping.sandbox.read("two"));
    let records: Vec<Value> = both.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let count = |kind: &str| records.iter().filter(|record| record["kind"] == kind).count();
    assert_eq!((count("instance"), count("failed")), (6, 6), "{both}");
    assert!(records.iter().filter(|r| r["kind"] == "failed").all(|r| r["code"] == 75), "{both}");
}

#[test]
fn an_instance_of_another_user_runs_as_that_user() {
    if !as_root() {
        return;
    }
    let keeping = Keeping::new();
    let out = keeping.sandbox.path("out");
    fs::create_dir(&out).unwrap();
    std::os::unix::fs::chown(&out, Some(65534), None).unwrap();
    let mut plan = keeping.plan("a", &format!("cd {}; id > id; env > env; {PATIENT}", out.display()));
    plan["user"] = json!("nobody");
    keeping.sandbox.write("plans.jsonl", format!("{plan}\n"));
    let script = "export XDG_RUNTIME_DIR=$TMPDIR; ilaunch < plans.jsonl";
    keeping.sandbox.sh(script).exits(0).one("instance");
    keeping.wait_for_log("a", "up\n");
    let seen = keeping.sandbox.read("out/id");
    assert!(seen.starts_with("uid=65534(nobody)") && !seen.contains("root"), "{seen}");
    let environment = keeping.sandbox.read("out/env");
    assert!(
        environment.contains("HOME=/nonexistent\n") && environment.contains("USER=nobody\n"),
        "{environment}"
    );
    assert!(!environment.contains("XDG_RUNTIME_DIR"), "{environment}");
    let owner = |path: &str| keeping.sandbox.path(path).metadata().unwrap().uid();
    assert_eq!((owner("run/llama-cpp"), owner("run/llama-cpp/a")), (0, 65534));
    assert_eq!(
        (owner("logs"), owner("logs/a.log"), owner("run/llama-cpp/a/status.json")),
        (65534, 65534, 65534)
    );
    let keeper = keeping.keeper("a").unwrap();
    assert_eq!(fs::metadata(format!("/proc/{keeper}")).unwrap().uid(), 65534);
}

#[test]
fn a_plan_for_another_user_than_its_env_names_is_refused_whoever_wrote_it() {
    let keeping = Keeping::new();
    let env = |user: Option<&str>| {
        let mut env = json!({
            "kind": "env", "engine": "llama-cpp", "origin": {}, "workspace": keeping.sandbox.text("w"),
            "run_dir": keeping.sandbox.text("run"), "log_dir": keeping.sandbox.text("logs")
        });
        if let Some(user) = user {
            env["user"] = user.into();
        }
        env
    };
    let run = |tool: &str, records: &[Value]| {
        let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
        keeping.sandbox.write("stream", lines);
        keeping.sandbox.sh(&format!("{tool} < stream"))
    };
    let mut plan = keeping.plan("a", PATIENT);
    let refused = |stream: &[Value], cause: &str| {
        for tool in ["ilaunch", "iplan"] {
            let output = run(tool, stream).exits(65);
            let failed = output.all("failed").remove(0);
            assert_eq!((failed["by"].as_str(), failed["cause"].as_str()), (Some(tool), Some(cause)));
            assert_eq!(failed["instance"], "a");
            assert!(output.all("instance").is_empty());
        }
        assert_eq!(keeping.keeper("a"), None);
    };
    // Root would run it as root.
    refused(
        &[env(Some("nobody")), plan.clone()],
        "its plan names no user, the 'env' record of llama-cpp user nobody",
    );
    // The last word of the stream counts, wherever it stands.
    refused(
        &[env(None), plan.clone(), env(Some("nobody"))],
        "its plan names no user, the 'env' record of llama-cpp user nobody",
    );
    plan["user"] = json!("daemon");
    refused(&[env(None), plan.clone()], "its plan names user daemon, the 'env' record of llama-cpp no user");
    plan.as_object_mut().unwrap().remove("user");
    let mut other = env(None);
    other["engine"] = json!("vllm");
    refused(
        &[other, plan.clone()],
        "its plan names no user, and the stream has no 'env' record of llama-cpp",
    );
    run("ilaunch", &[env(None), plan]).exits(0).one("instance");
}

#[test]
fn a_state_directory_goes_over_to_another_user_when_nobody_keeps_it() {
    if !as_root() {
        return;
    }
    let keeping = Keeping::new();
    let mut plan = keeping.plan("a", PATIENT);
    keeping.launch(&[plan.clone()]).exits(0).one("instance");
    plan["user"] = json!("nobody");
    plan["log_file"] = json!(keeping.sandbox.text("more/a.log"));
    keeping.launch(&[plan.clone()]).exits(75).one("failed");
    keeping.stop("a");
    let lock = || keeping.state_dir("a").join("lock").metadata().unwrap();
    let before = lock().ino();
    keeping.launch(&[plan]).exits(0).one("instance");
    assert_eq!((lock().ino(), lock().uid()), (before, 65534), "the lock is never replaced");
}

#[test]
fn a_user_who_does_not_exist_is_named() {
    let keeping = Keeping::new();
    let mut plan = keeping.plan("a", PATIENT);
    plan["user"] = json!("no-such-user");
    let failed = keeping.launch(&[plan]).exits(69).one("failed");
    assert_eq!(
        (failed["what"].as_str(), failed["cause"].as_str()),
        (Some("cannot run as user no-such-user"), Some("there is no such user"))
    );
}

#[test]
fn a_log_that_cannot_be_opened_is_named_and_nothing_runs() {
    let keeping = Keeping::new();
    let mut plan = keeping.plan("a", PATIENT);
    keeping.sandbox.write("logs", "a file, not a folder");
    plan["log_file"] = json!(keeping.sandbox.text("logs/a.log"));
    let failed = keeping.launch(&[plan]).exits(69).one("failed");
    assert_eq!(failed["cause"], "Not a directory");
    wait_for("the keeper to go", LIMIT, || keeping.keeper("a").is_none());
}

/// Every text that anybody may read about the processes and files of a sandbox, secrets.json and api-key left out.
fn everything_readable(sandbox: &crate::kit::Sandbox, folder: &str) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(sandbox.path(folder)).unwrap().flatten() {
        let path = entry.path();
        let relative = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if path.is_dir() {
            text.push_str(&everything_readable(sandbox, &relative));
        } else if path.is_file() && !path.ends_with("secrets.json") && !path.ends_with("api-key") {
            text.push_str(&String::from_utf8_lossy(&fs::read(&path).unwrap()));
        }
    }
    text
}

#[test]
fn a_real_server_gets_its_key_and_nobody_else_sees_it() {
    let port = crate::kit::free_port();
    let mut sandbox = crate::pipeline::sandbox_with_engine(&[port]);
    let mut config = sandbox.read("llama.toml");
    config.push_str("api_key = \"sk-in-the-file\"\n");
    sandbox.write("llama.toml", &config);
    let overrides = r#"{"instance": {"tiny0": {"server": {"api_key": "sk-in-the-overrides"}}}}"#;
    sandbox.set("AUTO_INFER_LLAMA_CPP_OVERRIDES", overrides);
    let output = sandbox.sh("ienv llama-cpp | iinstall | ilaunch | iprobe | ichat Hello").exits(0);
    assert_eq!(output.all("answer").len(), 1, "{}", output.transcript());
    assert_eq!(output.one("plan")["secrets"], json!(["server.api_key"]));
    let state = sandbox.path("run/llama-cpp/tiny0");
    assert_eq!(fs::read_to_string(state.join("api-key")).unwrap(), "sk-in-the-overrides");
    // Without the key the server refuses; so it has it.
    let mut connection = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    connection.write_all(b"GET /v1/models HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.lines().next().unwrap().contains(" 401 "), "{answer}");
    let status: Value = serde_json::from_slice(&fs::read(state.join("status.json")).unwrap()).unwrap();
    let mut seen = format!("{}{}{}", output.stdout, output.stderr, everything_readable(&sandbox, "run"));
    seen.push_str(&everything_readable(&sandbox, "w/logs"));
    for pid in ["pid", "keeper_pid"] {
        let argv = fs::read(format!("/proc/{}/cmdline", status[pid])).unwrap();
        seen.push_str(&String::from_utf8_lossy(&argv));
    }
    assert!(!seen.contains("sk-in-the-"), "{seen}");
}

/// An engine that prints what it read of its file, as vLLM does, and what pydantic says of a value that it refuses.
const TELLING: &str = r#"#!/usr/bin/env python3
import json, sys
lines = dict(line.rstrip().split(": ", 1) for line in open(sys.argv[sys.argv.index("--config") + 1]))
tables = {name: json.loads(json.loads(value)) for name, value in lines.items()}
print(f"(APIServer pid=1) INFO 11-29 02:45:36 [api_utils.py:286] non-default args: {tables}", flush=True)
key = tables["speculative-config"]["api_key"]
print(f"  Value error, x [type=value_error, input_value={{'api_key': '{key[:9]}...{key[-7:]}'}}, input_type=dict]")
print(f"vllm serve: error: argument --speculative-config/-sc: {tables['speculative-config']}", file=sys.stderr)
sys.exit(1)
"#;

#[test]
fn secrets_inside_tables_and_json_stand_nowhere_whatever_the_engine_prints_of_them() {
    let sandbox = crate::kit::Sandbox::new();
    let python = sandbox.script("bin/python", TELLING);
    let toml = format!(
        "[master]\npython_path = '{}'\n[instance.control]\nallow = ['model_missing', 'model_not_local']\n\
         [instance.a.server]\nmodel = '/none'\nport = {}\n\
         speculative_config = {{ method = 'mtp', api_key = 'deepest-0123456789', eos_token = '</s>' }}\n\
         extra_args = ['--additional-config', '{{\"a\": [{{\"my_token\": \"deepest-two\"}}]}}']\n",
        python.display(),
        crate::kit::free_port()
    );
    sandbox.write("vllm.toml", toml);
    let pipeline = "ienv vllm | iplan | ilaunch | iprobe";
    let output = sandbox.sh(&format!("export AUTO_INFER_VLLM_CONFIG=$PWD/vllm.toml; {pipeline}")).exits(1);
    let failed = output.one("failed");
    assert_eq!(failed["class"], "bad_flag", "{failed}");
    let log = everything_readable(&sandbox, "w/logs");
    assert!(log.contains("'api_key': '[secret]'") && log.contains("'eos_token': '</s>'"), "{log}");
    assert!(failed["cause"].as_str().unwrap().contains("[secret]"), "{failed}");
    let seen = format!("{}{}{log}", output.stdout, output.stderr);
    let state = fs::read_to_string(sandbox.path("run/vllm/a/status.json")).unwrap();
    let plan = fs::read_to_string(sandbox.path("run/vllm/a/plan.json")).unwrap();
    for part in ["deepest", "0123", "456789", "-two"] {
        assert!(!format!("{seen}{state}{plan}").contains(part), "{part}: {seen}{state}{plan}");
    }
}

#[test]
fn a_configuration_that_changed_since_it_was_planned_is_planned_again() {
    let sandbox = crate::pipeline::sandbox_with_engine(&[crate::kit::free_port()]);
    let config = sandbox.read("llama.toml") + "api_key = \"sk-one\"\n";
    sandbox.write("llama.toml", &config);
    drop(sandbox.sh("ienv llama-cpp | iinstall | iplan > planned.jsonl").exits(0));
    sandbox.write("llama.toml", config.replace("sk-one", "sk-two"));
    let failed = sandbox.sh("ilaunch < planned.jsonl").exits(75).one("failed");
    assert_eq!(failed["cause"], "the file or its overrides changed since");
    assert!(!sandbox.path("run/llama-cpp/tiny0/lock").exists());
}

#[test]
fn an_ilaunch_that_is_killed_leaves_no_process_that_no_keeper_holds() {
    let kills = if crate::kit::full() { 100 } else { 20 };
    for seed in 0..kills {
        let keeping = Keeping::new();
        let lines: String =
            (0..4).map(|i| format!("{}\n", keeping.plan(&format!("i{i}"), PATIENT))).collect();
        keeping.sandbox.write("plans.jsonl", lines);
        let mut command = keeping.sandbox.command(crate::kit::tools().join("ilaunch"));
        command.stdin(fs::File::open(keeping.sandbox.path("plans.jsonl")).unwrap());
        command.stdout(std::process::Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_micros(seed * 14_000 / kills));
        child.kill().unwrap();
        child.wait().unwrap();
        // Keepers that were told nothing end; those that were told go on, and their engines can be stopped.
        let keeps = |i: usize| keeping.keeper(&format!("i{i}")).is_some();
        let settled = || {
            let names: Vec<String> = (0..4).map(|i| format!("i{i}")).collect();
            let kept: Vec<&String> = names.iter().filter(|name| keeping.keeper(name).is_some()).collect();
            let engines: usize = kept.iter().map(|name| keeping.marked(name).len()).sum();
            let up = kept.iter().all(|name| keeping.log(name).contains("up\n"));
            up && engines == kept.len() && keeping.processes().len() == 2 * kept.len()
        };
        wait_for(&format!("peace after kill {seed}"), LIMIT, settled);
        for i in (0..4).filter(|i| keeps(*i)) {
            let name = format!("i{i}");
            let engines = keeping.marked(&name);
            assert!(!engines.is_empty());
            keeping.stop(&name);
            assert!(engines.iter().all(|pid| !alive(*pid)));
        }
    }
}
