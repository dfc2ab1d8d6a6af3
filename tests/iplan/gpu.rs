//! GPUs that a plan asks for, and instances that share one.
use super::{good, gpus, machine, plan};
use crate::kit::{Output, Sandbox, free_port};
use serde_json::{Value, json};

#[test]
fn gpus_are_checked_where_nvidia_smi_answers() {
    let mut sandbox = machine();
    let toml = |ids: &str, tp: u32| {
        format!(
            "[instance.a.control]\ngpu_ids = '{ids}'\n[instance.a.server]\nmodel_path = '$M/folder'\nport = {}\n\
             tensor_parallel_size = {tp}\nextra_args = ['--pp-size', '2']\n",
            free_port()
        )
    };
    let failed = |sandbox: &Sandbox, toml: &str| plan(sandbox, "sglang", toml).exits(69).one("failed");
    assert_eq!(plan(&sandbox, "sglang", &toml("0,9", 8)).exits(0).stderr, "");
    sandbox.script("bin/nvidia-smi", "#!/bin/sh\necho 'No devices were found'\nexit 6\n");
    assert_eq!(plan(&sandbox, "sglang", &toml("0,9", 8)).exits(0).stderr, "");
    gpus(&sandbox, 4);
    let missing = failed(&sandbox, &toml("0,9", 1));
    assert_eq!((&missing["class"], &missing["cause"]), (&json!("gpu_missing"), &json!("9")));
    let count = failed(&sandbox, &toml("all", 4));
    assert_eq!((&count["what"], &count["cause"]), (&json!("instance a needs 8 GPUs"), &json!("it sees 4")));
    let planned = plan(&sandbox, "sglang", &toml("GPU-1111, 3", 1)).exits(0).one("plan");
    assert_eq!(planned["env_set"]["CUDA_VISIBLE_DEVICES"], "GPU-1111,3");
    assert_eq!(planned["env_set"]["CUDA_DEVICE_ORDER"], "PCI_BUS_ID");
    assert_eq!(failed(&sandbox, &toml("1", 1))["cause"], "it sees 1");
    sandbox.set("CUDA_VISIBLE_DEVICES", "2");
    assert_eq!(failed(&sandbox, &toml("all", 1))["cause"], "it sees 1");
    let spread = toml("all", 8).replace("tensor_", "nnodes = 4\ntensor_");
    let first = plan(&sandbox, "sglang", &spread).exits(0);
    assert_eq!(
        (first.stderr.as_str(), &first.one("plan")["control"]["ready_rung"]),
        ("", &json!("answering"))
    );
    let second = spread.replace("nnodes", "node_rank = 1\nnnodes");
    let second = plan(&sandbox, "sglang", &second).exits(0).one("plan");
    assert_eq!(second["control"]["ready_rung"], "healthy", "it serves nothing");
    let none = plan(&sandbox, "sglang", &toml("none", 1)).exits(0).one("plan");
    assert_eq!(none["env_set"]["CUDA_VISIBLE_DEVICES"], "");
}

#[test]
fn instances_that_share_a_gpu_start_one_after_the_other() {
    let sandbox = machine();
    let instance =
        |name: &str, ids: &str| good(name) + &format!("[instance.{name}.control]\ngpu_ids = '{ids}'\n");
    let toml =
        instance("a", "0") + &instance("b", "1,2") + &instance("c", "none") + &instance("d", "GPU-0000,3");
    let after = |output: &Output| -> Vec<Value> {
        output.all("plan").iter().map(|plan| plan.get("after").cloned().unwrap_or_default()).collect()
    };
    assert_eq!(
        after(&plan(&sandbox, "llama-cpp", &toml).exits(0)),
        [Value::Null, Value::Null, Value::Null, Value::Null]
    );
    gpus(&sandbox, 4);
    let a = json!("$SANDBOX/run/llama-cpp/a");
    assert_eq!(
        after(&plan(&sandbox, "llama-cpp", &toml).exits(0)),
        [Value::Null, Value::Null, Value::Null, a]
    );
}
