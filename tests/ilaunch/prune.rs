//! `--prune`: what the configuration no longer names, or disables, is stopped and forgotten.
use super::{LIMIT, PATIENT};
use crate::kit::{Keeping, Sandbox, free_port, tools, wait_for};
use crate::pipeline::sandbox_with_engine;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

const PIPELINE: &str = "ienv llama-cpp | iinstall | iplan | ilaunch";

fn states(sandbox: &Sandbox) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = sandbox.sh("istat || true").all("status");
    all.iter().map(|status| (text(&status["instance"]), text(&status["state"]))).collect()
}

fn running(name: &str) -> (String, String) {
    (name.to_owned(), "running".to_owned())
}

#[test]
fn what_left_the_file_or_was_disabled_is_stopped_and_forgotten_and_the_rest_goes_on() {
    let ports = [free_port(), free_port(), free_port()];
    let sandbox = sandbox_with_engine(&ports);
    drop(sandbox.sh(&format!("{PIPELINE} | iprobe")).exits(0));
    let config = sandbox.read("llama.toml") + "[instance.tiny1.control]\nenabled = false\n";
    sandbox
        .write("llama.toml", config.replace(&format!("[instance.tiny2.server]\nport = {}\n", ports[2]), ""));
    let output = sandbox.sh(PIPELINE).exits(0);
    let unplanned = output.all("warning").iter().filter(|warning| warning["rule"] == "unplanned").count();
    assert_eq!((unplanned, states(&sandbox).len(), output.all("stopped").len()), (2, 3, 0));
    let output = sandbox.sh(&format!("{PIPELINE} --prune | iprobe")).exits(0);
    let mut stopped = output.all("stopped");
    stopped.sort_by_key(|stopped| stopped["instance"].to_string());
    for (stopped, name) in stopped.iter().zip(["tiny1", "tiny2"]) {
        let told = (&stopped["instance"], &stopped["how"], &stopped["forgotten"]);
        assert_eq!(told, (&json!(name), &json!("term"), &json!(true)));
    }
    assert_eq!(stopped.len(), 2);
    assert_eq!(output.one("instance")["reused"], true);
    assert_eq!(states(&sandbox), [running("tiny0")]);
    drop(sandbox.sh("istat").exits(0));
    for port in &ports[1..] {
        drop(TcpListener::bind(("127.0.0.1", *port)).unwrap());
    }
    // Once more there is nothing to do.
    let again = sandbox.sh(&format!("{PIPELINE} --prune")).exits(0);
    assert!(again.all("stopped").is_empty() && again.one("instance")["reused"] == true);
}

#[test]
fn an_instance_that_got_another_name_takes_the_port_of_the_old_one_in_one_go() {
    for pipeline in [PIPELINE, "ienv llama-cpp | iinstall | ilaunch"] {
        let sandbox = sandbox_with_engine(&[free_port()]);
        drop(sandbox.sh(&format!("{pipeline} | iprobe")).exits(0));
        sandbox.write("llama.toml", sandbox.read("llama.toml").replace("tiny0", "renamed"));
        let refused = sandbox.sh(pipeline).exits(75).one("failed");
        assert_eq!(
            (&refused["class"], &refused["cause"]),
            (&json!("port_in_use"), &json!("llama-cpp tiny0 runs on it"))
        );
        assert_eq!(states(&sandbox), [running("tiny0")]);
        let output = sandbox.sh(&format!("{pipeline} --prune | iprobe")).exits(0);
        assert_eq!(
            (&output.one("stopped")["instance"], &output.one("ready")["instance"]),
            (&json!("tiny0"), &json!("renamed"))
        );
        assert_eq!(states(&sandbox), [running("renamed")]);
    }
}

#[test]
fn a_plan_that_is_wrong_spares_what_it_may_be_meant_to_succeed() {
    let sandbox = sandbox_with_engine(&[free_port()]);
    drop(sandbox.sh(&format!("{PIPELINE} | iprobe")).exits(0));
    let good = sandbox.read("llama.toml").replace("tiny0", "renamed");
    sandbox.write("llama.toml", good.replace("tiny.gguf", "gone.gguf"));
    for options in ["--prune", "--prune --replace"] {
        let output = sandbox.sh(&format!("{PIPELINE} {options}")).exits(69);
        assert_eq!((output.all("stopped").len(), states(&sandbox)), (0, vec![running("tiny0")]));
        assert!(
            output.stderr.contains(
                "ilaunch: warning: --prune leaves llama-cpp tiny0 alone: a plan of llama-cpp failed\n"
            ),
            "{}",
            output.stderr
        );
    }
    sandbox.write("llama.toml", good);
    drop(sandbox.sh(&format!("{PIPELINE} --prune | iprobe")).exits(0));
    assert_eq!(states(&sandbox), [running("renamed")]);
}

#[test]
fn what_is_only_remembered_is_forgotten_where_no_file_names_it() {
    let sandbox = sandbox_with_engine(&[free_port(), free_port()]);
    drop(sandbox.sh(PIPELINE).exits(0));
    drop(sandbox.sh("istop").exits(0));
    let config = sandbox.read("llama.toml");
    sandbox.write("llama.toml", config.split("[instance.tiny1").next().unwrap());
    let output = sandbox.sh(&format!("{PIPELINE} --prune | iprobe")).exits(0);
    let stopped = output.one("stopped");
    assert_eq!((&stopped["instance"], &stopped["how"]), (&json!("tiny1"), &json!("gone")));
    assert_eq!(states(&sandbox), [running("tiny0")]);
    // With the whole engine off, nothing of it is left.
    sandbox.write("llama.toml", "[master]\nenable = false\n");
    let output = sandbox.sh(&format!("{PIPELINE} --prune")).exits(0);
    assert_eq!(output.one("stopped")["instance"], "tiny0");
    assert!(states(&sandbox).is_empty());
}

/// What a pipeline says that names `planned`, and of `b` that it is not wanted.
fn stream(keeping: &Keeping, workspace: &str, rest: &[Value]) {
    let mut lines = json!({
        "kind": "env", "engine": "llama-cpp", "road": "archive", "workspace": workspace, "run_dir": keeping.sandbox.text("run"),
        "log_dir": keeping.sandbox.text("logs"), "origin": {}
    })
    .to_string();
    for record in rest {
        lines.push_str(&format!("\n{record}"));
    }
    keeping.sandbox.write("in.jsonl", lines);
}

fn unwanted(name: &str) -> Value {
    json!({"kind": "skipped", "engine": "llama-cpp", "instance": name, "by": "iplan", "why": "gone"})
}

#[test]
fn only_what_iplan_spoke_of_and_only_of_this_workspace_is_touched() {
    let keeping = Keeping::new();
    for name in ["a", "b", "elsewhere"] {
        let mut plan = keeping.plan(name, PATIENT);
        if name == "elsewhere" {
            plan["workspace"] = json!("/elsewhere");
        }
        drop(keeping.launch(&[plan]).exits(0));
    }
    let (own, mut a) = (keeping.sandbox.text("w"), keeping.plan("a", PATIENT));
    a["reused"] = json!(true);
    // A stream that was cut names only the first, and that is no word against the others.
    stream(&keeping, &own, &[a.clone()]);
    assert!(keeping.sandbox.sh("ilaunch --prune < in.jsonl").exits(0).all("stopped").is_empty());
    // One that is planned after all, another workspace's, and one that another tool skipped.
    let mut other = unwanted("b");
    other["by"] = json!("imodel");
    stream(&keeping, &own, &[a.clone(), unwanted("a"), unwanted("elsewhere"), unwanted("../../x"), other]);
    assert!(keeping.sandbox.sh("ilaunch --prune < in.jsonl").exits(0).all("stopped").is_empty());
    // Without the option nobody is.
    stream(&keeping, &own, &[a.clone(), unwanted("b")]);
    assert!(keeping.sandbox.sh("ilaunch < in.jsonl").exits(0).all("stopped").is_empty());
    // Without the record that says whose they are, nothing is done.
    keeping.sandbox.write("plans.jsonl", format!("{a}\n{}\n", unwanted("b")));
    let refused = keeping.sandbox.sh("ilaunch --prune < plans.jsonl").exits(65);
    assert!(
        refused.stderr.contains("no 'env' record came") && refused.all("instance").is_empty(),
        "{refused:?}"
    );
    assert_eq!(states(&keeping.sandbox), ["a", "b", "elsewhere"].map(running));
    let stopped = keeping.sandbox.sh("ilaunch --prune < in.jsonl").exits(0).one("stopped");
    assert_eq!(stopped["instance"], "b");
    assert_eq!(states(&keeping.sandbox), ["a", "elsewhere"].map(running));
}

#[test]
fn killed_at_any_moment_or_twice_at_once_it_leaves_an_instance_that_runs_or_none() {
    let kills = if crate::kit::full() { 100 } else { 20 };
    let keeping = Keeping::new();
    let own = keeping.sandbox.text("w");
    for seed in 0..kills {
        keeping.start("b", PATIENT);
        stream(&keeping, &own, &[unwanted("b")]);
        let mut command = keeping.sandbox.command(tools().join("ilaunch"));
        command.arg("--prune").stdin(std::fs::File::open(keeping.sandbox.path("in.jsonl")).unwrap());
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(seed * 30_000 / kills));
        child.kill().unwrap();
        child.wait().unwrap();
        let settled = || {
            let (runs, processes) = (keeping.keeper("b").is_some(), keeping.processes().len());
            if runs { processes == 2 && keeping.status("b")["state"] == "running" } else { processes == 0 }
        };
        wait_for(&format!("peace after kill {seed}"), LIMIT, settled);
        let script = "ilaunch --prune < in.jsonl > one & one=$!; ilaunch --prune < in.jsonl > two & two=$!; wait $one; wait $two";
        drop(keeping.sandbox.sh(script).exits(0));
        assert!(keeping.processes().is_empty() && states(&keeping.sandbox).is_empty(), "kill {seed}");
    }
}
