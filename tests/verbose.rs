//! `-v`: every tool says on its core path what it read and what it decided, and nothing of the libraries that it uses.
use crate::entry::ON_A_VOLUME;
use crate::helpers::with_pixi;
use crate::kit::{Keeping, Output, Sandbox, free_port, tools};
use crate::pipeline::sandbox_with_engine;
use crate::tree::tool_names;
use serde_json::json;
use std::io::Write;
use std::process::Stdio;

/// The lines that a tool logged.
fn told<'a>(stderr: &'a str, tool: &str) -> Vec<&'a str> {
    let start = format!("{tool}: info: ");
    stderr.lines().filter_map(|line| line.strip_prefix(&start)).collect()
}

/// Assert that a tool told each of these, and nobody anything of a library.
#[track_caller]
fn tells(output: &Output, tool: &str, expected: &[&str]) {
    let told = told(&output.stderr, tool);
    for text in expected {
        assert!(
            told.iter().any(|line| line.contains(text)),
            "{tool} says nothing of '{text}'\n{}",
            output.stderr
        );
    }
    for library in ["ureq", "rustls", "Response", "socket"] {
        assert!(!output.stderr.contains(library), "{library}\n{}", output.stderr);
    }
}

/// What each tool says, other than `ikeep`, which is told of below.
const TOLD: [(&str, &[&str]); 17] = [
    ("ienv", &["llama-cpp: config is $SANDBOX/llama.toml, as AUTO_INFER_LLAMA_CPP_CONFIG says"]),
    ("iinstall", &["read 'env' of llama-cpp", "makes an install in", "none was made from this source"]),
    (
        "iplan",
        &["read 'installed' of llama-cpp", "llama-cpp is configured by $SANDBOX/llama.toml", "is served by"],
    ),
    ("imodel", &["read 'plan' of llama-cpp tiny0", "reads the headers of "]),
    ("ilaunch", &["read 'plan' of llama-cpp tiny0", "starts a keeper for llama-cpp tiny0 as"]),
    ("iprobe", &["read 'instance' of llama-cpp tiny0", "is healthy", "is answering"]),
    ("ichat", &["read 'ready' of llama-cpp tiny0", "asks http://127.0.0.1:"]),
    ("istat", &["looks at $SANDBOX/run/llama-cpp/tiny0", "1 instances have a state directory"]),
    ("istop", &["is kept by process", "sends it TERM"]),
    ("ibridge", &["follows the instances of run"]),
    ("iwarm", &["read the template", "fills $SANDBOX/volume"]),
    (
        "icache",
        &[
            "read 'warmed' of sglang",
            "looks 6 packages of default up",
            "as it was filled just now",
            "manifest",
        ],
    ),
    ("ipack", &["packs environment default of"]),
    ("isplit", &["cuts big into parts with"]),
    ("ijoin", &["parts of big were found"]),
    ("ireport", &["read 1 records of part", "writes a report of 1 records"]),
    ("iseal", &["keeps /bin/true from the network"]),
];

fn of(tool: &str) -> &'static [&'static str] {
    TOLD.iter().find(|(name, _)| *name == tool).unwrap().1
}

#[test]
fn no_tool_is_left_out() {
    let mut all: Vec<&str> = TOLD.iter().map(|(tool, _)| *tool).chain(["ikeep"]).collect();
    all.sort_unstable();
    assert_eq!(all, tool_names());
}

#[test]
fn the_main_pipeline_logs_what_it_read_and_decided() {
    let sandbox = sandbox_with_engine(&[free_port()]);
    let pipeline = "ienv -v llama-cpp | iinstall -v | iplan -v | imodel -v | ilaunch -v | iprobe -v | ichat -v Hello; istat -v; istop -v";
    let output = sandbox.sh(pipeline).exits(0);
    for tool in ["ienv", "iinstall", "iplan", "imodel", "ilaunch", "iprobe", "ichat", "istat", "istop"] {
        tells(&output, tool, of(tool));
    }
    let again = sandbox.sh(pipeline).exits(0);
    tells(&again, "iinstall", &["was made from this very source: it is used again"]);
    let served = sandbox.sh("ienv -v --steps serve llama-cpp | iinstall -v").exits(0);
    tells(&served, "iinstall", &["step install was not asked for"]);
    // Without it nothing is told; and who names a library hears of it.
    assert_eq!(sandbox.sh(&pipeline.replace(" -v", "")).exits(0).stderr, "");
    let library = sandbox.sh("ichat -v --url http://127.0.0.1:1 Hi 2>&1 | grep -c ureq; true").stdout;
    assert_eq!(library, "0\n");
    let library = "INFER_DEV_LOG=ureq=trace ichat --url http://127.0.0.1:1 Hi";
    assert!(!sandbox.sh(library).exits(75).stderr.starts_with("ichat: cannot"), "nothing of the library");
}

#[test]
fn the_bridge_logs_whom_it_follows() {
    let sandbox = Sandbox::new();
    let script = format!("timeout 2 ibridge -v --listen 127.0.0.1:{} --run-dir run", free_port());
    tells(&sandbox.sh(&script), "ibridge", of("ibridge"));
}

#[test]
fn warming_a_cache_is_logged() {
    let sandbox = with_pixi();
    drop(sandbox.sh("mkdir volume").exits(0));
    let mut command = sandbox.command("unshare");
    command.args(["--map-root-user", "--mount", "bash", "-ec", ON_A_VOLUME]);
    let script = sandbox
        .script("warm", "#!/bin/bash\nset -o pipefail\nienv --road cache sglang | iwarm -v | icache -v\n");
    let output = sandbox.finish(command.arg(script)).exits(0);
    for tool in ["iwarm", "icache"] {
        tells(&output, tool, of(tool));
    }
}

#[test]
fn what_moves_files_logs_what_it_found() {
    let sandbox = Sandbox::new();
    sandbox.write("big", vec![7; 100_000]);
    let output = sandbox
        .sh("isplit -v --size 64KiB big -d parts; ijoin -v --check parts; iseal -v -- /bin/true; \
             ienv --host llama-cpp | head -n 1 > part; ireport -v part > /dev/null");
    let output = output.exits(0);
    for tool in ["isplit", "ijoin", "iseal", "ireport"] {
        tells(&output, tool, of(tool));
    }
    let mut sandbox = with_pixi();
    sandbox.set("AUTO_INFER_SGLANG_TEMPLATE_DIR", "");
    // The packages of this template are nowhere: what it is about to do is told before that.
    let output = sandbox.sh("ipack -v --retries 0 --template template -o b.tar");
    tells(&output, "ipack", of("ipack"));
}

#[test]
fn a_keeper_logs_whom_it_keeps() {
    let keeping = Keeping::new();
    let plan = keeping.plan("a", "echo up; exec sleep 1000");
    std::fs::create_dir_all(keeping.state_dir("a")).unwrap();
    std::fs::create_dir_all(keeping.sandbox.path("logs")).unwrap();
    let mut command = keeping.sandbox.command(tools().join("ikeep"));
    let mut keeper = command.arg("-v").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    keeper.stdin.take().unwrap().write_all(json!({ "plan": plan }).to_string().as_bytes()).unwrap();
    keeping.wait_for_log("a", "up\n");
    keeping.stop("a");
    let stderr = String::from_utf8(keeper.wait_with_output().unwrap().stderr).unwrap();
    let told = told(&stderr, "ikeep");
    assert!(told[0].starts_with("keeps llama-cpp a, its state in "), "{stderr}");
    assert!(told[1].starts_with("holds the lock"), "{stderr}");
}
