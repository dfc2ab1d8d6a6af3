//! istat tells what an instance's processes hold, where the driver names them.
use super::{Machine, PATIENT};
use serde_json::{Value, json};

#[test]
fn the_memory_of_the_whole_tree_is_summed_over_all_gpus() {
    let machine = Machine::with(&[4, 4]);
    let keeping = &machine.keeping;
    keeping.start("a", "setsid sleep 1000 & echo up; wait");
    let leader = machine.pid("a");
    let worker = keeping.marked("a").into_iter().find(|pid| *pid != leader).unwrap();
    machine.names(&[(0, leader, 100), (1, leader, 50), (1, worker, 7), (0, std::process::id(), 9000)]);
    let status = keeping.sandbox.sh("istat").exits(1).one("status");
    assert_eq!(status["gpu_bytes"], json!(157 << 20));
    let table = keeping.sandbox.sh("istat --table").exits(1).stdout;
    assert!(table.lines().next().unwrap().ends_with("GPU MEMORY") && table.contains("157 MiB\n"), "{table}");
    assert_eq!(machine.asked("--query-compute-apps"), 2 + 1);
}

#[test]
fn memory_that_the_driver_does_not_know_is_left_out() {
    let machine = Machine::with(&[30_000]);
    let keeping = &machine.keeping;
    keeping.start("a", PATIENT);
    let gpu_bytes = || keeping.sandbox.sh("istat").exits(1).one("status").get("gpu_bytes").cloned();
    assert_eq!(gpu_bytes(), None);
    machine.say("holders", &format!("GPU-0, {}, [N/A]\n", machine.pid("a")));
    assert_eq!(gpu_bytes(), None);
    keeping.sandbox.script("bin/nvidia-smi", "#!/bin/sh\nexit 9\n");
    assert_eq!(gpu_bytes(), None::<Value>);
    let table = keeping.sandbox.sh("istat --table").exits(1).stdout;
    assert!(table.lines().last().unwrap().ends_with("  -"), "{table}");
}
