//! A standard output that takes nothing: what was to be said was not.
use crate::kit::{Keeping, Sandbox};
use crate::tree::tool_names;

#[test]
fn help_and_version_that_nobody_can_read_are_no_success() {
    let sandbox = Sandbox::new();
    for tool in tool_names() {
        for option in ["--help", "--version", "-h", "-V"] {
            let output = sandbox.sh(&format!("{tool} {option} > /dev/full")).exits(69);
            let expected = format!("{tool}: cannot write standard output: No space left on device\n");
            assert_eq!(output.stderr, expected, "{tool} {option}");
            // A reader that has seen enough is no failure.
            drop(sandbox.sh(&format!("{tool} {option} | true")).exits(0));
        }
    }
}

#[test]
fn a_scripts_help_that_nobody_can_read_is_no_success() {
    let sandbox = Sandbox::new();
    for script in ["infer-dev", "infer-dev-entry.sh"] {
        let script = crate::kit::root().join("scripts").join(script);
        for option in ["--help", "-h"] {
            drop(sandbox.sh(&format!("{} {option} > /dev/full", script.display())).exits(69));
        }
    }
}

#[test]
fn a_record_a_table_or_a_log_that_is_not_written_is_no_success() {
    let keeping = Keeping::new();
    keeping.start("a", "echo up; exec sleep 1000");
    let env = keeping.sandbox.sh("ienv llama-cpp").exits(0);
    keeping.sandbox.write("env", env.stdout);
    for command in [
        "ienv llama-cpp",
        "ienv --export llama-cpp",
        "iinstall < env",
        "iplan < env",
        "ilaunch < env",
        "iprobe < env",
        "ichat < env",
        "icache < env",
        "iwarm < env",
        "istat",
        "istat --table",
        "istat --log a",
        "istop a",
    ] {
        let output = keeping.sandbox.sh(&format!("{command} > /dev/full")).exits(69);
        let said = output.stderr.contains("cannot write standard output: No space left on device");
        assert!(said, "{command}: {}", output.transcript());
    }
}
