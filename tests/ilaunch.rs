//! Many instances at once: what is started, what is said, and that nothing is left when something goes wrong.
mod foreground;
mod orphans;
mod prune;
mod replace;
mod secrets;
mod user;

use crate::kit::{Keeping, alive, as_each, wait_for};
use serde_json::{Value, json};
use std::fs;
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
    as_each();
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
    ilaunch: hint: install that, or put a program for this machine in its place
    ilaunch: cannot start $SANDBOX/plain: Permission denied
    ilaunch: hint: it must be executable, and on a disk without noexec
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
fn a_log_that_cannot_be_opened_is_named_and_nothing_runs() {
    let keeping = Keeping::new();
    let mut plan = keeping.plan("a", PATIENT);
    keeping.sandbox.write("logs", "a file, not a folder");
    plan["log_file"] = json!(keeping.sandbox.text("logs/a.log"));
    let failed = keeping.launch(&[plan]).exits(69).one("failed");
    assert_eq!(failed["cause"], "Not a directory");
    wait_for("the keeper to go", LIMIT, || keeping.keeper("a").is_none());
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
