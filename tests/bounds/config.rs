//! A configuration of any size: planned in time that grows with it, or refused.
use crate::kit::{Output, Sandbox};
use std::time::{Duration, Instant};

/// Plan a file, for a program that does nothing.
fn plan(content: &str) -> (Output, Duration) {
    let mut sandbox = Sandbox::new();
    let program = sandbox.script("engine", "#!/bin/sh\n");
    let content = format!("[master]\nllama_cpp_path = {program:?}\n{content}");
    let config = sandbox.write("c.toml", content);
    sandbox.set("AUTO_INFER_LLAMA_CPP_CONFIG", config.to_str().unwrap());
    let begun = Instant::now();
    (sandbox.sh("ienv llama-cpp | iplan"), begun.elapsed())
}

fn keys(count: usize, line: &str) -> String {
    (0..count).map(|number| line.replace('N', &number.to_string())).collect()
}

/// It took minutes when each key was compared with all others.
const GENEROUS: Duration = Duration::from_secs(60);

#[test]
fn a_hundred_thousand_keys_of_any_kind_take_seconds() {
    for (table, line) in [
        ("[instance.server]\nx = 1\n[instance.a.server]\n", "kN = 1\n"),
        ("[instance.a.server]\n[instance.a.env]\n", "kN = \"1\"\n"),
        ("[instance.a.server]\n[instance.a.env]\n", "kN_token = \"1\"\n"),
        ("[instance.a.server]\n[instance.a.control]\n", "kN = 1\n"),
    ] {
        let (output, took) = plan(&format!("{table}{}", keys(100_000, line)));
        // What is wrong with it does not matter here, but that it is told.
        assert!(output.code == 65 && took < GENEROUS, "{line}: {took:?}: {}", output.code);
    }
}

#[test]
fn a_thousand_instances_are_planned_and_more_are_refused() {
    let (output, took) = plan(&keys(1000, "[instance.iN.server]\n"));
    assert!(took < GENEROUS && output.all("failed").len() >= 1000, "{took:?}");
    let (output, _) = plan(&keys(1001, "[instance.iN.server]\n"));
    assert!(output.exits(65).one("failed")["cause"].as_str().unwrap().contains("more than 1000 instances"));
}

#[test]
fn a_file_that_is_no_configuration_by_its_size_is_refused_unread() {
    let mut sandbox = Sandbox::new();
    let config = sandbox.path("c.toml");
    std::fs::File::create(&config).unwrap().set_len(20 << 30).unwrap();
    for file in [config.to_str().unwrap(), "/dev/zero"] {
        sandbox.set("AUTO_INFER_LLAMA_CPP_CONFIG", file);
        let output = sandbox.sh("ienv llama-cpp > env && ulimit -v 400000 && exec iplan < env");
        let failed = output.all("failed").pop().unwrap();
        assert!([65, 69].contains(&output.code), "{failed}");
    }
    sandbox.set("AUTO_INFER_LLAMA_CPP_CONFIG", config.to_str().unwrap());
    let failed = sandbox.sh("ienv llama-cpp | iplan").exits(65).one("failed");
    assert_eq!(failed["cause"], "it is larger than 4 MiB", "{failed}");
}
