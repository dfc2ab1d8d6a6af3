//! No memory to be had: a tool that is aborted says so and ends with a code of the suite.
use crate::kit::{Fake, Keeping};

/// KiB of address space, from what the loader needs to what any of them does with threads.
const LIMITS: std::ops::Range<u32> = 5_000..24_000;

#[test]
fn whatever_a_limit_on_memory_leaves_a_tool_ends_with_a_code_of_the_suite() {
    let keeping = Keeping::new();
    let stream = Fake::plan(&keeping, "fake").says("healthy", "").launched().stream();
    let mut refused = 0;
    for command in
        ["istat", "ienv", "iprobe --once --state run/llama-cpp/fake", &format!("iprobe < {stream}")]
    {
        for limit in LIMITS.step_by(700) {
            // Below what the loader needs, the tool was never there.
            let program = command.split(' ').next().unwrap();
            let starts = keeping.sandbox.sh(&format!("ulimit -v {limit}; exec {program} --version"));
            if starts.stdout.is_empty() {
                continue;
            }
            let output = keeping.sandbox.sh(&format!("ulimit -v {limit}; exec {command}"));
            assert!([0, 1, 69, 75].contains(&output.code), "{command}, {limit}: {}", output.transcript());
            if output.stderr.contains("memory allocation of") {
                refused += 1;
                let says = output.stderr.contains(": aborted\n") && output.stderr.contains("raise its limit");
                assert!(says && output.code == 69, "{command}, {limit}: {}", output.transcript());
            }
        }
    }
    println!("{refused} times there was no memory");
}
