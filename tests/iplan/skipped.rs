//! Instances and engines for which nothing is planned.
use super::{good, machine, plan};
use serde_json::json;

#[test]
fn not_running_is_skipped_and_exits_0() {
    let sandbox = machine();
    let disabled =
        format!("[master]\nenable = false\n[instance.control]\nlog_keep = 'x'\n{}{}", good("a"), good("b"));
    let output = plan(&sandbox, "llama-cpp", &disabled).exits(0);
    assert_eq!(
        (output.kinds(), output.stderr.as_str()),
        (vec!["env", "skipped", "skipped"].into_iter().map(str::to_owned).collect(), "")
    );
    let skipped = &output.all("skipped")[1];
    assert_eq!((&skipped["instance"], &skipped["why"]), (&json!("b"), &json!("master.enable is false")));
    let one = good("a") + &good("b") + "[instance.b.control]\nenabled = false\n";
    let output = plan(&sandbox, "llama-cpp", &one).exits(0);
    assert_eq!(output.one("plan")["instance"], "a");
    assert_eq!(output.one("skipped")["why"], "control.enabled is false");
    let output = plan(&sandbox, "llama-cpp", "[master]\nenable = false\n").exits(0);
    assert_eq!(output.one("skipped").get("instance"), None);
    let boot = sandbox.sh("ienv --boot llama-cpp | iplan").exits(0);
    assert_eq!(boot.all("failed").len() + boot.all("plan").len(), 0);
}

#[test]
fn what_is_not_asked_to_serve_is_skipped_and_a_dead_upstream_is_noticed() {
    let mut sandbox = machine();
    sandbox.set("AUTO_INFER_LLAMA_CPP_GET_PKG_ON_BOOT", "1");
    sandbox.set("AUTO_INFER_LLAMA_CPP_PKG_PATH", "/x.tar");
    let output = sandbox.sh("ienv --boot llama-cpp | iplan").exits(0);
    assert_eq!(output.all("skipped").last().unwrap()["why"], "step serve was not asked for");
    assert_eq!(output.all("skipped").last().unwrap()["by"], "iplan");
    let dead = sandbox.sh("iplan </dev/null").exits(65);
    assert!(dead.stderr.starts_with("iplan: no 'env' record on standard input"), "{}", dead.stderr);
    sandbox.write(
        "failed.jsonl",
        r#"{"kind":"failed","engine":"vllm","by":"ienv","what":"x","cause":"y","code":69}"#,
    );
    assert_eq!(sandbox.sh("iplan < failed.jsonl").exits(69).kinds(), ["failed"]);
}
