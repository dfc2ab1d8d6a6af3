//! GPU memory that grows is a sign of progress to iprobe.
use super::Machine;
use crate::kit::{Fake, Output};
use serde_json::json;
use std::time::{Duration, Instant};

/// A loading engine that says nothing, waited for with a patience of 7 s.
fn stall(machine: &Machine) -> (Output, Duration) {
    let mut fake = Fake::plan(&machine.keeping, "a");
    fake.plan["control"]["stall_timeout_s"] = json!(7);
    fake.plan["control"]["share_gpu"] = json!(true);
    let fake = fake.launched();
    machine.names(&[(0, machine.pid("a"), 30_000)]);
    let begun = Instant::now();
    let output = machine.keeping.sandbox.sh(&format!("iprobe < {}", fake.stream())).exits(75);
    (output, begun.elapsed())
}

#[test]
fn growing_memory_of_the_tree_is_progress_and_is_measured_seldom() {
    let machine = Machine::with(&[30_000]);
    let (output, waited) = stall(&machine);
    assert!(output.one("failed")["cause"].as_str().unwrap().starts_with("no sign of progress for 7 s"));
    // It is first asked after 5 s; what it says then is news, and not the second time.
    assert!(waited >= Duration::from_secs(12), "{waited:?}");
    assert!((1..=3).contains(&machine.asked("--query-compute-apps")), "{waited:?}");
    assert_eq!(machine.asked("--query-gpu"), 0);
}

#[test]
fn where_nobody_is_named_what_is_used_on_its_gpus_counts() {
    let machine = Machine::with(&[30_000]);
    machine.keeping.sandbox.script(
        "bin/nvidia-smi",
        "#!/bin/sh\ncase $1 in --query-gpu=*) echo 0, GPU-0, NVIDIA H200, 80000, 30000, 50000 ;; esac\n",
    );
    let (_, waited) = stall(&machine);
    assert!(waited >= Duration::from_secs(12), "{waited:?}");
}

#[test]
fn one_that_fails_is_not_asked_again_and_is_no_progress() {
    let machine = Machine::with(&[30_000]);
    let folder = machine.keeping.sandbox.text("gpu");
    let script = format!("#!/bin/sh\necho \"$1\" >> {folder}/asked\nexit 9\n");
    machine.keeping.sandbox.script("bin/nvidia-smi", &script);
    let (_, waited) = stall(&machine);
    assert!(waited < Duration::from_secs(12), "{waited:?}");
    assert_eq!(machine.asked("--query"), 1);
}
