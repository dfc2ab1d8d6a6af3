//! What runs and is not what is planned: changed, disabled, or gone from the file.
use super::{good, machine, plan};
use crate::kit::{Output, Sandbox, free_port};
use serde_json::{Value, json};
use std::io::Read;
use std::process::{Command, Stdio};

/// As if a keeper kept this plan: its lock is held, its status and plan are there.
struct Kept(#[expect(dead_code, reason = "held until it is dropped")] state::Lock);

fn keep(sandbox: &Sandbox, plan: &Value) -> Kept {
    let name = plan["instance"].as_str().unwrap();
    let folder = format!("run/{}/{name}", plan["engine"].as_str().unwrap());
    sandbox.write(&format!("{folder}/lock"), "");
    let lock = state::Lock::take(&sandbox.path(&format!("{folder}/lock"))).unwrap();
    remember(sandbox, plan, "running");
    sandbox.write(&format!("{folder}/plan.json"), unshown(sandbox, plan));
    Kept(lock)
}

fn remember(sandbox: &Sandbox, plan: &Value, state: &str) {
    let status = json!({
        "format": 1, "state": state, "workspace": plan["workspace"], "keeper_pid": 1, "port": plan["port"],
        "restarts": 0, "since_unix": 1.0, "log_file": "/x", "plan_hash": plan["hash"]
    });
    let (engine, name) = (plan["engine"].as_str().unwrap(), plan["instance"].as_str().unwrap());
    sandbox.write(&format!("run/{engine}/{name}/status.json"), unshown(sandbox, &status));
}

fn unshown(sandbox: &Sandbox, value: &Value) -> String {
    value.to_string().replace("$SANDBOX", sandbox.text("").trim_end_matches('/'))
}

fn unplanned(output: &Output) -> Vec<Value> {
    output.all("warning").into_iter().filter(|warning| warning["rule"] == "unplanned").collect()
}

#[test]
fn what_differs_is_named_field_by_field_without_values_of_variables_and_secrets() {
    let sandbox = machine();
    let port = free_port();
    let old = format!(
        "[instance.a.control]\nmax_restarts = 5\n[instance.a.env]\nGREETING = 'one'\nOLD = '1'\n\
         [instance.a.server]\nmodel = '$M/m.gguf'\nport = {port}\nctx_size = 4096\napi_key = 'sk-old'\n"
    );
    let kept = keep(&sandbox, &plan(&sandbox, "llama-cpp", &old).exits(0).one("plan"));
    let new = old
        .replace("max_restarts = 5", "max_restarts = 1")
        .replace("'one'", "'two'")
        .replace("OLD =", "NEW =")
        .replace("4096", "8192\nflash_attn = true")
        .replace("sk-old", "sk-new");
    let output = plan(&sandbox, "llama-cpp", &new).exits(0);
    let warning = output.one("warning");
    assert_eq!(warning["rule"], "stale");
    assert_eq!(
        warning["what"],
        "llama-cpp a runs already, from another plan; \
         args: --ctx-size 4096 is now 8192, --flash-attn on is new; \
         env: GREETING changed, NEW is new, OLD is gone; \
         secrets: server.api_key changed; \
         control: max_restarts 5 is now 1"
    );
    assert!(warning["hint"].as_str().unwrap().contains("ilaunch --replace"), "{warning}");
    assert_eq!((&output.one("plan")["reused"], &output.one("plan")["stale"]), (&json!(true), &json!(true)));
    assert!(!output.transcript().contains("sk-"), "{}", output.transcript());
    // A plan that failed restarts nothing, so what it would change is not said.
    let typo = plan(&sandbox, "llama-cpp", &old.replace("ctx_size", "ctx_sise")).exits(65);
    assert_eq!((typo.all("failed").len(), typo.all("warning").len()), (1, 0), "{typo:?}");
    drop(kept);
}

#[test]
fn one_that_left_the_file_or_was_disabled_and_still_runs_is_a_warning() {
    let sandbox = machine();
    let both = good("a") + &good("b");
    let kept: Vec<Kept> = {
        let output = plan(&sandbox, "llama-cpp", &both).exits(0);
        output.all("plan").iter().map(|plan| keep(&sandbox, plan)).collect()
    };
    assert!(unplanned(&plan(&sandbox, "llama-cpp", &both).exits(0)).is_empty());
    let alone = both.split("[instance.b").next().unwrap().to_owned();
    let output = plan(&sandbox, "llama-cpp", &alone).exits(0);
    insta::assert_snapshot!(output.stderr, @r"
    iplan: warning: llama-cpp b still runs, and $SANDBOX/llama-cpp.toml does not name it
    iplan: hint: ilaunch --prune stops it, and so does: istop llama-cpp/b
    ");
    assert_eq!(unplanned(&output)[0]["instance"], "b");
    assert_eq!(output.one("skipped")["why"], "$SANDBOX/llama-cpp.toml does not name it");
    let disabled = both.clone() + "[instance.b.control]\nenabled = false\n";
    let output = plan(&sandbox, "llama-cpp", &disabled).exits(0);
    assert!(output.stderr.contains("llama-cpp b still runs, and control.enabled is false\n"), "{output:?}");
    assert_eq!((unplanned(&output).len(), output.all("skipped").len()), (1, 1));
    let off = "[master]\nenable = false\n".to_owned() + &both;
    let output = plan(&sandbox, "llama-cpp", &off).exits(0);
    assert_eq!((unplanned(&output).len(), output.all("skipped").len()), (2, 2));
    let empty = plan(&sandbox, "llama-cpp", "[master]\nenable = false\n").exits(0);
    assert_eq!((unplanned(&empty).len(), empty.all("skipped").len()), (2, 3));
    drop(kept);
}

#[test]
fn one_that_is_only_remembered_is_skipped_without_a_warning() {
    let sandbox = machine();
    let output = plan(&sandbox, "llama-cpp", &(good("a") + &good("b"))).exits(0);
    remember(&sandbox, &output.all("plan")[1], "failed");
    let output = plan(&sandbox, "llama-cpp", &good("a")).exits(0);
    assert_eq!((output.stderr.as_str(), &output.one("skipped")["instance"]), ("", &json!("b")));
}

#[test]
fn instances_of_another_workspace_or_engine_are_not_reported() {
    let mut sandbox = machine();
    let output = plan(&sandbox, "llama-cpp", &(good("a") + &good("b"))).exits(0);
    let kept = keep(&sandbox, &output.all("plan")[1]);
    let mut other = output.all("plan")[1].clone();
    other["engine"] = json!("vllm");
    let others = keep(&sandbox, &other);
    let elsewhere = sandbox.text("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    sandbox.set("AUTO_INFER_WORKSPACE_DIR", &elsewhere);
    let output = plan(&sandbox, "llama-cpp", &good("a")).exits(0);
    assert_eq!((output.stderr.as_str(), output.all("skipped").len()), ("", 0));
    drop((kept, others));
}

#[test]
fn a_file_that_cannot_be_read_makes_nobody_superfluous() {
    let sandbox = machine();
    let kept = keep(&sandbox, &plan(&sandbox, "llama-cpp", &good("a")).exits(0).one("plan"));
    let output = plan(&sandbox, "llama-cpp", "[instance.a.server\n").exits(65);
    assert!(unplanned(&output).is_empty() && output.all("skipped").is_empty(), "{output:?}");
    drop(kept);
}

#[test]
fn a_port_that_a_superfluous_instance_holds_is_a_warning_that_says_how_it_gets_free() {
    let sandbox = machine();
    // A child of whoever holds the lock, as an engine is.
    let port = free_port();
    let listen = format!(
        "import socket, sys; s = socket.create_server(('127.0.0.1', {port})); print('up', flush=True); sys.stdin.read()"
    );
    let mut engine = Command::new("python3");
    let mut engine =
        engine.args(["-c", &listen]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    engine.stdout.take().unwrap().read_exact(&mut [0; 3]).unwrap();
    let toml = |name: &str| format!("[instance.{name}.server]\nmodel = '$M/m.gguf'\nport = {port}\n");
    let other = plan(&sandbox, "llama-cpp", &good("old")).exits(0).one("plan");
    let mut old = other.clone();
    (old["port"], old["host"]) = (json!(port), json!("127.0.0.1"));
    let kept = keep(&sandbox, &old);
    let output = plan(&sandbox, "llama-cpp", &toml("new")).exits(0);
    assert_eq!(output.one("plan")["instance"], "new");
    let said = "still held by llama-cpp old\niplan: hint: ilaunch --prune stops that one first\n";
    assert!(output.stderr.contains(said), "{output:?}");
    drop(kept);
    // Nobody of ours holds it: it is in use.
    assert_eq!(plan(&sandbox, "llama-cpp", &toml("new")).exits(75).one("failed")["class"], "port_in_use");
    drop(engine.stdin.take());
    engine.wait().unwrap();
}
