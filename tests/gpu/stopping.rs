//! istop returns when the memory is back, where a driver says what is held.
use super::{Machine, PATIENT};
use crate::kit::tools;
use serde_json::json;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

fn begin(machine: &Machine) -> Child {
    let mut command = machine.keeping.sandbox.command(tools().join("istop"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn kinds(istop: Child) -> Vec<String> {
    let output = istop.wait_with_output().unwrap();
    assert!(output.status.success());
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let record = |line| serde_json::from_slice::<serde_json::Value>(line).unwrap();
    lines.map(|line| record(line)["kind"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn it_returns_when_its_processes_are_no_longer_named() {
    let machine = Machine::with(&[40_000]);
    machine.keeping.start("a", PATIENT);
    let pid = machine.pid("a");
    machine.names(&[(0, pid, 39_000), (0, std::process::id(), 900)]);
    let asked = machine.asked("--query-compute-apps");
    let mut istop = begin(&machine);
    machine.wait_until_asked("--query-compute-apps", asked + 3);
    assert_eq!(machine.keeping.status("a")["state"], "stopped");
    assert!(istop.try_wait().unwrap().is_none(), "the driver still counts what it held");
    machine.names(&[(0, std::process::id(), 900)]);
    assert_eq!(kinds(istop), ["stopped"]);
}

#[test]
fn where_nobody_is_named_it_returns_when_what_is_used_no_longer_falls() {
    let machine = Machine::with(&[40_000, 500]);
    let mut plan = machine.keeping.plan("a", PATIENT);
    (plan["gpu_ids"], plan["control"]["share_gpu"]) = (json!("0"), json!(true));
    drop(machine.keeping.launch(&[plan]).exits(0));
    machine.keeping.wait_for_log("a", "up\n");
    let folder = machine.keeping.sandbox.text("gpu");
    let script = format!(
        "#!/bin/bash\ncase $1 in --query-gpu=*) echo >> {folder}/looks; n=$(wc -l < {folder}/looks) ;; *) exit 0 ;; esac\n\
         ((n < 4)) || n=4\n\
         echo \"0, GPU-0, NVIDIA H200, 80000, $((40000 - n * 9000)), $((40000 + n * 9000))\"\n"
    );
    machine.keeping.sandbox.script("bin/nvidia-smi", &script);
    let output = machine.keeping.sandbox.sh("istop").exits(0);
    assert_eq!(output.kinds(), ["stopped"]);
    assert_eq!(machine.keeping.sandbox.read("gpu/looks").lines().count(), 5);
}

#[test]
fn memory_that_does_not_come_back_is_warned_of() {
    let machine = Machine::with(&[40_000]);
    machine.keeping.start("a", PATIENT);
    machine.keeping.start("b", PATIENT);
    machine.names(&[(0, machine.pid("a"), 39_000)]);
    let begun = Instant::now();
    let output = machine.keeping.sandbox.sh("istop").exits(0);
    let warning = output.one("warning");
    assert_eq!((&warning["rule"], &warning["instance"]), (&json!("gpu_held"), &json!("a")));
    let what = "llama-cpp/a is gone, but the driver still counts 39000 MiB of GPU memory as its own";
    assert_eq!(warning["what"], what);
    assert_eq!(output.all("stopped").len(), 2);
    assert!(begun.elapsed() >= Duration::from_secs(10));
}

#[test]
fn nvidia_smi_is_not_asked_for_what_uses_no_gpu_or_is_stopped_already() {
    let machine = Machine::with(&[40_000]);
    let mut plan = machine.keeping.plan("a", PATIENT);
    plan["gpu_ids"] = json!("none");
    drop(machine.keeping.launch(&[plan]).exits(0));
    assert_eq!(machine.keeping.sandbox.sh("istop").exits(0).kinds(), ["stopped"]);
    assert_eq!(machine.keeping.sandbox.sh("istop a").exits(0).kinds(), ["stopped"]);
    assert_eq!((machine.asked("--query-gpu"), machine.asked("--query-compute-apps")), (0, 0));
}

#[test]
fn many_that_stop_at_once_share_the_answers() {
    let machine = Machine::with(&[40_000]);
    let names = ["a", "b", "c", "d", "e", "f"];
    drop(machine.keeping.launch(&names.map(|name| machine.keeping.plan(name, PATIENT))).exits(0));
    machine.names(&[(0, std::process::id(), 900)]);
    // One answer takes longer than all need to go.
    let slow = format!(
        "#!/bin/bash\necho \"$1\" >> {0}/asked\nsleep 2\ncat {0}/holders\n",
        machine.keeping.sandbox.text("gpu")
    );
    machine.keeping.sandbox.script("bin/nvidia-smi", &slow);
    let asked = machine.asked("--query-compute-apps");
    assert_eq!(machine.keeping.sandbox.sh("istop").exits(0).all("stopped").len(), names.len());
    assert!(machine.asked("--query-compute-apps") - asked <= 3);
}
