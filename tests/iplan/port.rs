//! What two servers cannot share: a port, a log, a name.
use super::{good, machine, plan};
use crate::kit::{as_each, free_port};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;

#[test]
fn two_instances_cannot_have_one_port_or_one_log_across_engines_too() {
    let sandbox = machine();
    let port = free_port();
    let toml = format!("[instance.a.server]\nmodel = '$M/m.gguf'\nport = {port}\nhost = '0.0.0.0'\n")
        .replace("$M", &sandbox.text("models"));
    sandbox.write("llama-cpp.toml", &toml);
    sandbox.write("vllm.toml", toml.replace("m.gguf", "folder").replace("0.0.0.0", "127.0.0.1"));
    let output = sandbox.sh("ienv llama-cpp vllm | iplan").exits(65);
    assert_eq!(
        output.stderr,
        format!(
            "iplan: port {port} of vllm a is taken: llama-cpp a is planned on it\n\
             iplan: hint: give each instance a port of its own\n"
        )
    );
    assert_eq!(output.one("plan")["engine"], "llama-cpp");
    let logs =
        format!("[instance.control]\nlog_file = '{}'\n{}{}", sandbox.text("x.log"), good("a"), good("b"));
    let output = plan(&sandbox, "llama-cpp", &logs).exits(65);
    assert_eq!(output.one("failed")["class"], "log_shared");
    let dirs =
        format!("[instance.control]\nlog_dir = '{}'\n{}{}", sandbox.text("logs"), good("a"), good("b"));
    let output = plan(&sandbox, "llama-cpp", &dirs).exits(0);
    assert_eq!(output.all("plan")[1]["log_file"], "$SANDBOX/logs/llama-server-b.log");
}

#[test]
fn a_port_in_use_names_its_holder_and_says_that_a_retry_may_help() {
    let sandbox = machine();
    let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = holder.local_addr().unwrap().port();
    let toml = format!("[instance.a.server]\nmodel = '$M/m.gguf'\nport = {port}\n");
    let output = plan(&sandbox, "llama-cpp", &toml).exits(75);
    let failed = output.one("failed");
    assert_eq!(
        (&failed["what"], &failed["class"]),
        (&json!(format!("port {port} is in use")), &json!("port_in_use"))
    );
    let cause = failed["cause"].as_str().unwrap();
    assert!(cause.starts_with(&format!("pid {} has it: ", std::process::id())), "{cause}");
    let hint = failed["hint"].as_str().unwrap();
    assert!(hint.contains("or set port = N under [instance.a.server] in $SANDBOX/llama-cpp.toml;"), "{hint}");
    drop(holder);
    assert_eq!(plan(&sandbox, "llama-cpp", &toml).exits(0).stderr, "");
}

#[test]
fn an_instance_that_runs_is_reused_and_its_port_is_its_own() {
    let sandbox = machine();
    let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = holder.local_addr().unwrap().port();
    let toml = format!("[instance.a.server]\nmodel = '$M/m.gguf'\nport = {port}\n");
    let free =
        plan(&sandbox, "llama-cpp", &toml.replace(&port.to_string(), &free_port().to_string())).one("plan");
    sandbox.write("run/llama-cpp/a/lock", "");
    let lock = state::Lock::take(&sandbox.path("run/llama-cpp/a/lock")).unwrap();
    let status = |workspace: &str, hash: &Value| {
        let status = json!({
            "format": 1, "state": "running", "workspace": workspace, "keeper_pid": 1, "port": port, "restarts": 0,
            "since_unix": 1.0, "log_file": "/x", "plan_hash": hash
        });
        sandbox.write("run/llama-cpp/a/status.json", status.to_string());
    };
    status(&sandbox.text("w"), &free["hash"]);
    let stale = plan(&sandbox, "llama-cpp", &toml).exits(0);
    assert_eq!((&stale.one("plan")["reused"], &stale.one("plan")["stale"]), (&json!(true), &json!(true)));
    assert_eq!(
        stale.stderr,
        "iplan: warning: llama-cpp a runs already, from another plan\n\
         iplan: hint: only ilaunch --replace restarts it from the new plan\n"
    );
    status(&sandbox.text("w"), &stale.one("plan")["hash"]);
    let same = plan(&sandbox, "llama-cpp", &toml).exits(0);
    assert_eq!((same.one("plan").get("stale"), same.stderr.as_str()), (None, ""));
    status("/elsewhere", &free["hash"]);
    let theirs = plan(&sandbox, "llama-cpp", &toml).exits(75);
    assert!(
        theirs.stderr.contains(
            "iplan: llama-cpp a runs already: the workspace /elsewhere has an instance of this name\n"
        ),
        "{}",
        theirs.stderr
    );
    drop(lock);
    drop(holder);
    let gone = plan(&sandbox, "llama-cpp", &toml).exits(0);
    assert_eq!(gone.one("plan").get("reused"), None);
}

#[test]
fn whether_the_log_can_be_written_is_tried_as_the_instances_user() {
    let mut sandbox = machine();
    let open = std::fs::Permissions::from_mode;
    std::fs::set_permissions(sandbox.path(""), open(0o755)).unwrap();
    std::fs::create_dir_all(sandbox.path("logs")).unwrap();
    let toml = format!("[instance.control]\nlog_dir = '{}'\n{}", sandbox.text("logs"), good("a"));
    let log = "$SANDBOX/logs/llama-server-a.log";
    if as_each() {
        sandbox.set("AUTO_INFER_LLAMA_CPP_USER", "nobody");
    } else {
        std::fs::set_permissions(sandbox.path("logs"), open(0o555)).unwrap();
    }
    let output = plan(&sandbox, "llama-cpp", &toml).exits(69);
    let failed = output.one("failed");
    assert_eq!(
        (&failed["what"], &failed["cause"]),
        (&json!(format!("cannot write log file {log}")), &json!("Permission denied"))
    );
    std::fs::set_permissions(sandbox.path("logs"), open(0o777)).unwrap();
    assert_eq!(plan(&sandbox, "llama-cpp", &toml).exits(0).one("plan")["log_file"], log);
    let missing = toml.replace("/logs'", "/models/m.gguf/logs'");
    let output = plan(&sandbox, "llama-cpp", &missing).exits(69);
    assert_eq!(output.one("failed")["cause"], "Not a directory");
}
