//! Memory that others hold is looked at before anything starts.
use super::{Machine, PATIENT};
use crate::kit::{Output, alive, send, wait_for};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn launch(machine: &Machine, instance: &str, gpu_ids: &str, control: &[(&str, Value)]) -> Output {
    let mut plan = machine.keeping.plan(instance, PATIENT);
    plan["gpu_ids"] = json!(gpu_ids);
    for (key, value) in control {
        plan["control"][key] = value.clone();
    }
    machine.keeping.launch(&[plan])
}

/// This test's own process: its id and its name.
fn own() -> (u32, String) {
    (std::process::id(), std::fs::read_to_string("/proc/self/comm").unwrap().trim_end().to_owned())
}

#[test]
fn memory_that_others_hold_is_reported_with_process_command_and_mib() {
    let (own, name) = own();
    let machine = Machine::with(&[30_000, 200]);
    machine.names(&[(0, own, 29_000), (1, own, 150)]);
    let output = launch(&machine, "a", "all", &[]).exits(0);
    assert_eq!(output.kinds(), ["plan", "warning", "instance"]);
    let warning = output.one("warning");
    assert_eq!((&warning["rule"], &warning["instance"]), (&json!("gpu_memory"), &json!("a")));
    let what = format!(
        "others hold 29000 of 80000 MiB of GPU 0: process {own} ({name}, 29000 MiB), \
         and 150 of 80000 MiB of GPU 1: process {own} ({name}, 150 MiB)"
    );
    assert_eq!(warning["what"], what);
}

#[test]
fn in_a_container_who_holds_it_cannot_be_seen() {
    let machine = Machine::with(&[30_000, 4]);
    let warning = launch(&machine, "a", "all", &[]).exits(0).one("warning");
    let what = "others hold 30000 of 80000 MiB of GPU 0: processes that cannot be seen from here";
    assert_eq!(warning["what"], what);
    machine.names(&[(0, 4_194_304, 30_000)]);
    let warning = launch(&machine, "b", "all", &[("share_gpu", json!(false))]).exits(0).one("warning");
    assert!(
        warning["what"].as_str().unwrap().ends_with("process 4194304 (not to be seen from here, 30000 MiB)")
    );
}

#[test]
fn where_nothing_is_left_it_is_refused_and_a_retry_may_help() {
    let machine = Machine::with(&[76_001, 4]);
    machine.names(&[(0, 4_194_304, 76_000)]);
    // A list is meant as a whole.
    for gpu_ids in ["0", "0,1", "GPU-0"] {
        let output = launch(&machine, "a", gpu_ids, &[]).exits(75);
        assert_eq!(output.kinds(), ["plan", "failed"], "{gpu_ids}");
        let failed = output.one("failed");
        assert_eq!((&failed["class"], &failed["code"]), (&json!("gpu_memory"), &json!(75)));
        assert_eq!(failed["what"], "no GPU memory is left for llama-cpp a");
        let cause =
            "others hold 76000 of 80000 MiB of GPU 0: process 4194304 (not to be seen from here, 76000 MiB)";
        assert_eq!(failed["cause"], cause);
    }
    assert!(!machine.keeping.state_dir("a").exists());
    // Of all GPUs one is free.
    assert_eq!(launch(&machine, "a", "all", &[]).exits(0).kinds(), ["plan", "warning", "instance"]);
    machine.uses(&[76_001, 76_001]);
    assert_eq!(launch(&machine, "b", "all", &[]).exits(0).kinds(), ["plan", "warning", "instance"]);
    machine.names(&[(0, 4_194_304, 76_000), (1, 4_194_304, 76_000)]);
    drop(launch(&machine, "c", "all", &[]).exits(75));
    machine.uses(&[76_000, 76_000]);
    assert_eq!(launch(&machine, "c", "all", &[]).exits(0).kinds(), ["plan", "warning", "instance"]);
}

#[test]
fn one_that_is_refused_keeps_no_other_from_starting() {
    let machine = Machine::with(&[79_999, 4]);
    let mut plans = ["a", "b"].map(|name| machine.keeping.plan(name, PATIENT));
    (plans[0]["gpu_ids"], plans[1]["gpu_ids"]) = (json!("0"), json!("1"));
    let output = machine.keeping.launch(&plans).exits(75);
    assert_eq!(
        (&output.one("failed")["instance"], &output.one("instance")["instance"]),
        (&json!("a"), &json!("b"))
    );
}

#[test]
fn what_is_allowed_or_does_not_concern_the_instance_is_not_mentioned() {
    for (used, gpu_ids, control) in [
        (30_000, "1", vec![]),
        (80_000, "none", vec![]),
        (80_000, "0", vec![("share_gpu", json!(true))]),
        (80_000, "0", vec![("allow", json!(["gpu_memory"]))]),
        (600, "all", vec![]),
    ] {
        let machine = Machine::with(&[used, 4]);
        let output = launch(&machine, "a", gpu_ids, &control).exits(0);
        assert_eq!(output.kinds(), ["plan", "instance"], "{used} {gpu_ids} {control:?}");
        let asked = if matches!(control[..], []) && gpu_ids != "none" { 1 } else { 0 };
        assert_eq!(machine.asked("--query-gpu"), asked, "{used} {gpu_ids} {control:?}");
    }
}

#[test]
fn a_variable_of_the_callers_says_which_gpus_all_are() {
    let mut machine = Machine::with(&[30_000, 4]);
    machine.keeping.sandbox.set("CUDA_VISIBLE_DEVICES", "1");
    assert_eq!(launch(&machine, "a", "all", &[]).exits(0).kinds(), ["plan", "instance"]);
}

#[test]
fn our_own_instances_are_nobody_else() {
    let machine = Machine::with(&[4]);
    drop(launch(&machine, "a", "0", &[]).exits(0));
    machine.uses(&[78_000]);
    for holders in [vec![(0, machine.pid("a"), 77_500)], vec![]] {
        machine.names(&holders);
        let name = format!("b{}", holders.len());
        assert_eq!(launch(&machine, &name, "0", &[]).exits(0).kinds(), ["plan", "instance"]);
    }
    machine.names(&[(0, machine.pid("a"), 70_000), (0, own().0, 7_000)]);
    let failed = launch(&machine, "c", "0", &[]).exits(75).one("failed");
    assert!(
        failed["cause"].as_str().unwrap().starts_with("others hold 7000 of 80000 MiB of GPU 0"),
        "{failed}"
    );
}

#[test]
fn what_a_killed_keeper_has_left_on_the_gpu_is_refused_however_little_it_is() {
    let machine = Machine::with(&[500]);
    let keeping = &machine.keeping;
    keeping.start("lost", "trap '' TERM; echo up; while :; do sleep 1000; done");
    let pid = machine.pid("lost");
    machine.names(&[(0, pid, 100)]);
    // Kept, it is ours.
    assert_eq!(launch(&machine, "a", "0", &[]).exits(0).kinds(), ["plan", "instance"]);
    keeping.signal_keeper("lost", Signal::KILL);
    keeping.wait_until_left("lost");
    assert!(alive(pid));
    let failed = launch(&machine, "b", "0", &[]).exits(75).one("failed");
    assert_eq!(
        (&failed["what"], &failed["class"]),
        (&json!("cannot start llama-cpp b on GPU 0"), &json!("gpu_memory"))
    );
    let cause = failed["cause"].as_str().unwrap();
    assert!(
        cause.starts_with(&format!("what a killed keeper has left holds its memory: process {pid} (")),
        "{cause}"
    );
    drop(launch(&machine, "c", "0", &[("share_gpu", json!(true))]).exits(0));
    send(pid, Signal::KILL);
}

#[test]
fn orphans_of_its_own_are_swept_first_and_their_memory_is_waited_for() {
    let machine = Machine::with(&[40_000]);
    let keeping = &machine.keeping;
    let mut plan = keeping.plan("a", "trap '' TERM; echo up; while :; do sleep 1000; done");
    plan["control"]["stop_timeout_s"] = json!(0);
    plan["control"]["share_gpu"] = json!(true);
    drop(keeping.launch(std::slice::from_ref(&plan)).exits(0));
    plan["control"]["share_gpu"] = json!(false);
    keeping.wait_for_log("a", "up\n");
    let pid = machine.pid("a");
    // What the dead held is given back in steps.
    let folder = keeping.sandbox.text("gpu");
    let script = format!(
        "#!/bin/bash\ncase $1 in --query-gpu=*) echo >> {folder}/looks; n=$(wc -l < {folder}/looks) ;; *) exit 0 ;; esac\n\
         ((n < 3)) || n=3\n\
         echo \"0, GPU-0, NVIDIA H200, 80000, $((79000 - (n - 1) * 39450)), $((1000 + (n - 1) * 39450))\"\n"
    );
    keeping.signal_keeper("a", Signal::KILL);
    keeping.wait_until_left("a");
    keeping.sandbox.script("bin/nvidia-smi", &script);
    let output = keeping.launch(&[plan]).exits(0);
    assert_eq!(output.kinds(), ["plan", "warning", "instance"], "{}", output.transcript());
    assert_eq!(output.one("warning")["rule"], "orphans");
    assert!(!alive(pid));
}

#[test]
fn a_tool_that_fails_or_hangs_changes_nothing() {
    let machine = Machine::with(&[80_000]);
    machine.keeping.sandbox.script("bin/nvidia-smi", "#!/bin/sh\necho 'No devices were found'\nexit 6\n");
    assert_eq!(launch(&machine, "a", "0", &[]).exits(0).kinds(), ["plan", "instance"]);
    machine.keeping.sandbox.script("bin/nvidia-smi", "#!/bin/bash\necho $$ >> hung; exec sleep 1000\n");
    let begun = Instant::now();
    assert_eq!(launch(&machine, "b", "0", &[]).exits(0).kinds(), ["plan", "instance"]);
    assert!(begun.elapsed() < Duration::from_secs(20));
    let hung: Vec<u32> =
        machine.keeping.sandbox.read("hung").lines().map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(hung.len(), 2);
    wait_for("what hung to be killed", Duration::from_secs(10), || !hung.iter().any(|pid| alive(*pid)));
}
