//! Measures for a monitor, changes as they come, and where the seconds of a start went.
use super::{LIMIT, PATIENT};
use crate::kit::{Fake, Keeping, Sandbox, clients, free_port, tools, wait_for};
use crate::pipeline::sandbox_with_engine;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

/// What parsers of both formats find: samples with a value. The older one is what node_exporter's textfile collector reads.
const READ: &str = "
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as new
from prometheus_client.parser import text_string_to_metric_families as old
text = sys.stdin.read()
for parse in (new, old):
    for family in parse(text):
        for sample in family.samples:
            labels = [value for name, value in sorted(sample.labels.items()) if name != 'run_dir']
            print(sample.name, '/'.join(labels), f'{sample.value:g}')
";

#[test]
fn measures_are_what_parsers_of_both_formats_take() {
    let Some(python) = clients("prometheus") else { return };
    let keeping = Keeping::new();
    Fake::plan(&keeping, "a").says("healthy", "").launched();
    drop(keeping.launch(&[keeping.plan("b", "exit 3")]).exits(0));
    keeping.wait_for_state("b", "failed");
    // Not all are ready, and that is one of the measures.
    let text = keeping.sandbox.sh("istat --metrics").exits(0).stdout;
    keeping.sandbox.write("metrics", &text);
    let (script, python) = (keeping.sandbox.write("read.py", READ), python.join("bin/python"));
    let read =
        keeping.sandbox.sh(&format!("{} {} < metrics", python.display(), script.display())).exits(0).stdout;
    for line in [
        "infer_dev_instance_state llama-cpp/a/running 1",
        "infer_dev_instance_state llama-cpp/a/failed 0",
        "infer_dev_instance_state llama-cpp/b/failed 1",
        "infer_dev_instance_rung llama-cpp/a/listed 1",
        "infer_dev_instance_rung llama-cpp/b/alive 0",
        "infer_dev_instance_ready llama-cpp/a 1",
        "infer_dev_instance_ready llama-cpp/b 0",
        "infer_dev_instance_restarts_total llama-cpp/a 0",
    ] {
        assert_eq!(read.lines().filter(|read| *read == line).count(), 2, "{line}\n{read}");
    }
    let value = |name: &str| {
        let line = read.lines().find_map(|line| line.strip_prefix(&format!("{name} llama-cpp/a ")));
        line.unwrap_or_else(|| panic!("no {name}: {read}")).parse::<f64>().unwrap()
    };
    assert!(value("infer_dev_instance_resident_memory_bytes") > 1e6);
    assert!(value("infer_dev_instance_start_to_healthy_seconds") < 60.0);
    assert!(!read.contains("infer_dev_instance_up_seconds llama-cpp/b"), "{read}");
}

#[test]
fn without_an_instance_there_are_families_and_no_samples() {
    let text = Sandbox::new().sh("istat --metrics").exits(0).stdout;
    assert!(text.lines().all(|line| line.starts_with('#')) && text.ends_with("# EOF\n"), "{text}");
}

#[test]
fn a_change_is_a_record_and_what_stays_is_none() {
    let keeping = Keeping::new();
    keeping.start("a", PATIENT);
    let mut command = keeping.sandbox.command(tools().join("istat"));
    let mut follow = command.arg("--follow").stdout(Stdio::piped()).spawn().unwrap();
    let mut records = BufReader::new(follow.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .map(|line| serde_json::from_str::<Value>(&line).unwrap());
    let first = records.next().unwrap();
    assert_eq!((&first["instance"], &first["state"]), (&json!("a"), &json!("running")));
    keeping.start("b", PATIENT);
    let second = records.next().unwrap();
    assert_eq!((&second["instance"], &second["state"]), (&json!("b"), &json!("running")));
    keeping.stop("a");
    let last = records.find(|record| record["state"] != "stopping").unwrap();
    assert_eq!((&last["instance"], &last["state"]), (&json!("a"), &json!("stopped")));
    drop(records);
    wait_for("it to end with its reader", LIMIT, || follow.try_wait().unwrap().is_some());
}

#[test]
fn a_table_that_is_written_anew_names_what_cannot_be_read() {
    let keeping = Keeping::new();
    keeping.start("a", PATIENT);
    keeping.stop("a");
    let status = keeping.sandbox.path("run/llama-cpp/a/status.json");
    std::fs::write(status, "{").unwrap();
    let mut command = keeping.sandbox.command(tools().join("istat"));
    let mut watch = command.arg("--watch").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(watch.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(told.any(|line| line.starts_with("istat: cannot read ") && line.contains("status.json")));
    drop(watch.stdout.take());
    drop(told);
    wait_for("it to end with its reader", LIMIT, || watch.try_wait().unwrap().is_some());
}

#[test]
fn a_timeline_shows_the_phases_of_the_last_start() {
    let keeping = Keeping::new();
    let script = "printf '%s I srv load_model: %s\n' 0.01.000.000 \"loading model 'x'\" 1.04.500.000 'initializing, n_slots = 1'; echo up; while :; do sleep 1000 & wait; done";
    keeping.start("a", script);
    keeping.start("b", "echo up; while :; do sleep 1000 & wait; done");
    let text = keeping.sandbox.sh("istat --timeline a").exits(0).stdout;
    // It is not healthy, and its log says that it began more than is over.
    assert!(
        text.starts_with("llama-cpp/a: ") && text.contains(" s since its start, and not healthy yet\n"),
        "{text}"
    );
    assert!(text.contains("starting the program") && !text.contains("warming up"), "{text}");
    let all = keeping.sandbox.sh("istat --timeline").exits(0).stdout;
    assert!(all.contains("llama-cpp/a: ") && all.contains("llama-cpp/b: "), "{all}");
}

#[test]
fn the_phases_of_a_real_engine_are_in_its_timeline() {
    let sandbox = sandbox_with_engine(&[free_port()]);
    drop(sandbox.sh("ienv llama-cpp | iinstall | iplan | ilaunch | iprobe").exits(0));
    let text = sandbox.sh("istat --timeline").exits(0).stdout;
    drop(sandbox.sh("istop").exits(0));
    for phase in ["starting the program", "loading the model", "starting the server"] {
        assert!(text.contains(phase), "{phase}: {text}");
    }
}
