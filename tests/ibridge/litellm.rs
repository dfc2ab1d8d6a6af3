//! Mode `litellm`: LiteLLM is kept beside the bridge, gets what clients ask, and asks the instances through the bridge.
use super::{LIMIT, SENTENCE, hello, streamed, text_of};
use crate::kit::{
    Fake, Front, Keeping, Sandbox, Stub, answer, clients, free_port, in_the_long_run, wait_for,
};
use crate::pipeline::sandbox_with_engine;
use serde_json::{Value, json};

/// LiteLLM starts without a key, or with a weak one, only where it is told that it may.
const WEAK: &str = "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY";

fn planned(sandbox: &Sandbox, code: i32) -> (Vec<Value>, String) {
    let output = sandbox.sh("ienv bridge | iplan").exits(code);
    (output.all("plan"), output.stderr)
}

#[test]
fn litellm_is_planned_beside_the_bridge_where_it_is_on_path() {
    let mut sandbox = Sandbox::new();
    sandbox.set("AUTO_INFER_BRIDGE_MODE", "litellm");
    let (plans, said) = planned(&sandbox, 69);
    assert!(plans.is_empty() && said.contains("cannot find LiteLLM, which mode litellm wants"), "{said}");
    sandbox.script("bin/litellm", "#!/bin/sh\n");
    let path = format!("{}:{}", sandbox.text("bin"), std::env::var("PATH").unwrap());
    let tools = crate::kit::tools();
    sandbox.set("PATH", &format!("{}:{path}", tools.display()));
    let (plans, _) = planned(&sandbox, 0);
    let [litellm, bridge] = plans.try_into().unwrap();
    assert_eq!((&litellm["engine"], &litellm["instance"]), (&json!("bridge"), &json!("litellm")));
    let config = "$SANDBOX/run/bridge/litellm/config.yaml";
    assert_eq!(litellm["args"], json!(["--config", config, "--host", "127.0.0.1", "--port", "8010"]));
    assert_eq!(litellm["env_set"]["INFER_DEV_LITELLM_BASE"], "http://127.0.0.1:11899/engines/v1");
    let args = bridge["args"].as_array().unwrap();
    assert_eq!(args[args.len() - 2..], [json!("--litellm"), json!("127.0.0.1:8010")]);
    // Where one is named that runs elsewhere, none is started.
    sandbox.set("AUTO_INFER_BRIDGE_UPSTREAM", "http://10.0.0.1:4000");
    assert_eq!(planned(&sandbox, 0).0.len(), 1);
    sandbox.unset("AUTO_INFER_BRIDGE_UPSTREAM");
    sandbox.set("AUTO_INFER_BRIDGE_LISTEN", "0.0.0.0:11899");
    let (_, said) = planned(&sandbox, 69);
    assert!(said.contains("the same key, and none is named"), "{said}");
    sandbox.set("AUTO_INFER_LITELLM_MASTER_KEY", "hunter2");
    let (plans, _) = planned(&sandbox, 0);
    assert_eq!(plans[0]["secrets"], json!(["env.LITELLM_MASTER_KEY"]));
    assert!(plans[0]["env_set"].get(WEAK).is_some());
    sandbox.set("AUTO_INFER_LITELLM_HOST", "0.0.0.0");
    assert!(planned(&sandbox, 0).0[0]["env_set"].get(WEAK).is_none());
    assert!(!json!(plans).to_string().contains("hunter2"));
}

#[test]
fn every_path_goes_to_litellm_and_what_it_asks_goes_to_the_instances() {
    let keeping = Keeping::new();
    let _fake =
        Fake::plan(&keeping, "a").says("healthy", "").says("chat", "200\n{\"from\":\"a\"}").launched();
    let stub = Stub::start(|request, _, stream| {
        let body = format!("{{\"asked\":\"{request}\"}}");
        answer(stream, "200 OK", "application/json", &body);
    });
    let litellm = format!("127.0.0.1:{}", stub.port);
    let front = Front::start(&keeping.sandbox, &["--mode", "litellm", "--litellm", &litellm]);
    wait_for("the instance to be listed", LIMIT, || {
        front.get("/v1/models").json()["data"][0]["id"] == "fake"
    });
    for (path, asked) in [
        ("/v1/messages", "POST /v1/messages"),
        ("/v1/chat/completions", "POST /v1/chat/completions"),
        ("/key/generate?a=1", "POST /key/generate?a=1"),
    ] {
        assert_eq!(front.post(path, &hello("any-name-at-all")).is(200).json()["asked"], asked);
    }
    assert_eq!(front.get("/model/info").is(200).json()["asked"], "GET /model/info");
    let asked = stub.asked.lock().unwrap().clone();
    let body = asked.into_iter().find(|(request, _)| request == "POST /v1/messages").unwrap().1;
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["model"], "any-name-at-all");
    let engines = front.post("/engines/v1/chat/completions", &hello("claude-x")).is(200);
    assert_eq!(engines.json()["from"], "a");
    assert_eq!(front.get("/engines/v1/models").is(200).json()["data"][0]["id"], "fake");
    drop(front.get("/engines/slots").is(404));
    drop(front.get("/health").is(200));
}

#[test]
fn the_real_litellm_is_kept_and_answers_through_the_bridge() {
    let Some(litellm) = in_the_long_run().then(|| clients("litellm")).flatten() else { return };
    let mut sandbox = sandbox_with_engine(&[free_port()]);
    let path = format!("{}:{}:/usr/bin:/bin", crate::kit::tools().display(), litellm.join("bin").display());
    sandbox.set("PATH", &path);
    let (bridge, own) = (free_port(), free_port());
    for (name, value) in [
        ("BRIDGE_LISTEN", format!("127.0.0.1:{bridge}")),
        ("LITELLM_ON_BOOT", "1".to_owned()),
        ("LITELLM_PORT", own.to_string()),
        ("LITELLM_MASTER_KEY", "sk-hunter2".to_owned()),
    ] {
        sandbox.set(&format!("AUTO_INFER_{name}"), &value);
    }
    drop(sandbox.sh("ienv llama-cpp | iinstall | iplan | ilaunch | iprobe").exits(0));
    let up = sandbox.sh("ienv bridge | iplan | ilaunch | iprobe").exits(0);
    assert_eq!(up.all("ready").len(), 2, "{up:?}");
    let front = Front::at(bridge);
    drop(front.post("/v1/messages", &hello("claude-x")).is(401));
    let post = |path: &str, body: &Value| {
        front.post_with(path, &["Authorization: Bearer sk-hunter2"], body.to_string().as_bytes()).is(200)
    };
    let mut long = hello("claude-x");
    long["max_tokens"] = json!(40);
    let message = post("/v1/messages", &long).json();
    assert_eq!(message["content"][0]["text"], SENTENCE, "{message}");
    assert!(SENTENCE.starts_with(&text_of(&post("/v1/messages", &streamed("claude-x")).events())));
    let chat = post("/v1/chat/completions", &long).json();
    assert_eq!(chat["choices"][0]["message"]["content"], SENTENCE, "{chat}");
    let log = sandbox.read("w/logs/bridge/litellm.log");
    assert!(!log.contains("sk-hunter2") && !log.contains("Connection error"), "{log}");
    drop(sandbox.sh("istop bridge/litellm bridge/bridge").exits(0));
}
