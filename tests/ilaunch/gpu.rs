//! GPUs that others use. nvidia-smi is a script that says what a test wants; the machine needs no GPU.
use super::PATIENT;
use crate::kit::{Keeping, Output, tools};
use serde_json::{Value, json};

/// Two GPUs of 80 GiB; `used` of the first and the lines of who holds what.
fn keeping(used: u64, holders: &str) -> Keeping {
    let mut keeping = Keeping::new();
    let script = format!(
        "#!/bin/bash\ncase $1 in --query-gpu*) echo '0, GPU-a, 81559, {used}'; echo '1, GPU-b, 81559, 4';;
        *) echo -n '{holders}';; esac\n"
    );
    keeping.sandbox.script("bin/nvidia-smi", &script);
    let path = format!("{}:{}:/usr/bin:/bin", keeping.sandbox.text("bin"), tools().display());
    keeping.sandbox.set("PATH", &path);
    keeping
}

fn launch(keeping: &Keeping, gpu_ids: &str, control: &[(&str, Value)]) -> Output {
    let mut plan = keeping.plan("a", PATIENT);
    plan["gpu_ids"] = json!(gpu_ids);
    for (key, value) in control {
        plan["control"][key] = value.clone();
    }
    keeping.launch(&[plan])
}

#[test]
fn memory_that_others_hold_is_reported_with_who_holds_it() {
    let own = std::process::id();
    let name = std::fs::read_to_string("/proc/self/comm").unwrap();
    let keeping = keeping(30_000, &format!("GPU-a, {own}, 29000\n"));
    let output = launch(&keeping, "0", &[]).exits(0);
    assert_eq!(output.kinds(), ["plan", "warning", "instance"]);
    let warning = output.one("warning");
    assert_eq!(warning["rule"], "gpu_memory");
    assert_eq!(warning["what"], format!("29000 MiB of GPU 0 are held by pid {own} ({})", name.trim()));
}

#[test]
fn in_a_container_who_holds_it_cannot_be_seen() {
    let output = launch(&keeping(30_000, ""), "all", &[]).exits(0);
    let what = "30000 MiB of GPU 0 are held by processes that cannot be seen from here";
    assert_eq!(output.one("warning")["what"], what);
}

#[test]
fn a_gpu_with_nothing_left_is_refused() {
    let keeping = keeping(81_000, "GPU-a, 4194304, 80000\n");
    let failed = launch(&keeping, "all", &[]).exits(75).one("failed");
    assert_eq!((&failed["class"], &failed["code"]), (&json!("gpu_memory"), &json!(75)));
    assert_eq!(failed["what"], "GPU 0 has 559 of 81559 MiB free");
    assert_eq!(failed["cause"], "held by pid 4194304 (not to be seen from here)");
    assert!(!keeping.state_dir("a").exists());
}

#[test]
fn what_is_allowed_or_does_not_concern_the_instance_is_not_mentioned() {
    for (used, gpu_ids, control) in [
        (30_000, "1", vec![]),
        (81_000, "none", vec![]),
        (81_000, "0", vec![("share_gpu", json!(true))]),
        (30_000, "0", vec![("allow", json!(["gpu_memory"]))]),
        (600, "all", vec![]),
    ] {
        let output = launch(&keeping(used, ""), gpu_ids, &control).exits(0);
        assert_eq!(output.kinds(), ["plan", "instance"], "{used} {gpu_ids} {control:?}");
    }
}

#[test]
fn our_own_instances_are_nobody_else() {
    let keeping = keeping(4, "");
    drop(launch(&keeping, "0", &[]).exits(0));
    let pid = keeping.status("a")["pid"].clone();
    let script = format!(
        "#!/bin/bash\ncase $1 in --query-gpu*) echo '0, GPU-a, 81559, 40000';; *) echo 'GPU-a, {pid}, 39000';; esac\n"
    );
    keeping.sandbox.script("bin/nvidia-smi", &script);
    let output = keeping.launch(&[keeping.plan("b", PATIENT)]).exits(0);
    assert_eq!(output.kinds(), ["plan", "instance"]);
}
