//! The schema of the records: every record that a pipeline writes, and lines that are no valid records.
use super::Schemas;
use crate::kit::{Sandbox, Tiny, free_port};
use crate::pipeline::roads;
use std::collections::BTreeSet;

/// Check a pipeline's records against the schema, and strike the kinds that occurred from `kinds`.
fn hold(schemas: &Schemas, sandbox: &Sandbox, script: &str, kinds: &mut BTreeSet<&str>) {
    let output = sandbox.sh(&format!("set +e; {{ {script} ; }} >records; cat records"));
    let refused = schemas.against(sandbox, "records", "--closed <records");
    assert_eq!(refused, BTreeSet::new(), "{script}\n{}", output.transcript());
    for kind in output.kinds() {
        kinds.remove(kind.as_str());
    }
}

#[test]
fn every_record_of_every_road_is_taken_and_no_member_is_unknown() {
    let mut kinds: BTreeSet<&str> = [
        "host",
        "env",
        "bridge",
        "warmed",
        "gap",
        "cache",
        "installed",
        "packed",
        "plan",
        "model",
        "warning",
        "instance",
        "ready",
        "answer",
        "bench",
        "status",
        "stopped",
        "skipped",
        "failed",
    ]
    .into();
    let tiny = Tiny::get();
    let mut sandbox = Sandbox::new();
    let Some(schemas) = Schemas::get(&sandbox) else { return };
    let model = tiny.model.display();
    let toml = format!("[instance.a.server]\nmodel = {:?}\nport = {}\n", model.to_string(), free_port());
    let config = sandbox.write("llama-cpp.toml", toml).display().to_string();
    sandbox.set("AUTO_INFER_LLAMA_CPP_CONFIG", &config);
    sandbox.set("AUTO_INFER_LLAMA_CPP_PKG_PATH", &tiny.archive.display().to_string());
    sandbox.set("AUTO_INFER_NO_SUCH_VARIABLE", "1");
    let mut held = |sandbox: &Sandbox, script: &str| hold(&schemas, sandbox, script, &mut kinds);
    held(&sandbox, "ienv --host llama-cpp bridge vllm --boot; ienv bridge");
    held(&sandbox, "ienv llama-cpp | iinstall | iplan | imodel | ilaunch | iprobe | ichat Hello");
    held(&sandbox, "ienv llama-cpp | iinstall | iplan | ilaunch | iprobe | ichat --bench");
    held(&sandbox, "INFER_DEV_KEEP=$PWD/w istat; istop; istat; ienv sglang | iplan");

    let mut sandbox = roads::sandbox("sglang");
    for (name, folder) in [("TEMPLATE_DIR", "template"), ("CACHE_ROOT", "cache")] {
        let folder = sandbox.text(folder);
        sandbox.set(&format!("AUTO_INFER_SGLANG_{name}"), &folder);
    }
    let Some(_) = Schemas::get(&sandbox) else { return };
    let channel = crate::kit::fixture::template("sglang", &sandbox.path(""));
    // iwarm fills a cache only on a volume, so the folder is made a mount.
    let own = "$([[ $EUID == 0 ]] && echo -m || echo -rm)";
    held(
        &sandbox,
        &format!("mkdir cache; unshare {own} bash -c 'mount --bind cache cache; ienv sglang | iwarm'"),
    );
    held(&sandbox, "ienv sglang | icache --record");
    drop(channel);
    held(&sandbox, "ienv sglang | icache | iinstall | iplan | ilaunch | iprobe | ichat Hello; istop");
    held(&sandbox, "rm -r cache/*; ienv sglang | icache | iinstall");

    let sandbox = roads::sandbox("vllm");
    let Some(_) = Schemas::get(&sandbox) else { return };
    let channel = crate::kit::fixture::template("vllm", &sandbox.path(""));
    held(&sandbox, "ipack --template template -o bundle.tar");
    drop(channel);
    assert_eq!(kinds, BTreeSet::new(), "kinds that no pipeline has shown");
}

#[test]
fn an_invalid_record_is_refused() {
    let sandbox = Sandbox::new();
    let Some(schemas) = Schemas::get(&sandbox) else { return };
    let lines = "{\"kind\":\"skipped\",\"engine\":\"vllm\",\"by\":\"x\",\"why\":\"y\",\"newer\":1}
{\"kind\":\"skipped\",\"engine\":\"vllm\",\"by\":\"x\"}
{\"kind\":\"skipped\",\"engine\":\"ollama\",\"by\":\"x\",\"why\":\"y\"}
{\"kind\":\"skipped\",\"engine\":\"vllm\",\"instance\":null,\"by\":\"x\",\"why\":\"y\"}
{\"kind\":\"failed\",\"engine\":\"vllm\",\"by\":\"x\",\"what\":\"w\",\"cause\":\"c\",\"code\":0}
{\"kind\":\"weather\"}
";
    sandbox.write("records", lines);
    let refused = |words: &str| -> Vec<u32> {
        let told = schemas.against(&sandbox, "records", words);
        told.iter().map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect()
    };
    assert_eq!(refused("<records"), [2, 3, 4, 5, 6]);
    assert_eq!(refused("--closed <records"), [1, 2, 3, 4, 5, 6]);
}
