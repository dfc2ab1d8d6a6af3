//! Records on standard input, and the files that tools read.
use super::SeededRng;
use super::{KIB, Ran, rounds, run, snapshot, tokens};
use crate::icache::{SIX, TINYLIB, UV, real};
use crate::kit::{Keeping, Sandbox, root};
use serde_json::{Value, json};

/// One good record of each kind that anybody reads, on lines of their own.
pub(crate) fn stream() -> String {
    let keeping = Keeping::new();
    let sandbox = &keeping.sandbox;
    let env = json!({"kind": "env", "engine": "llama-cpp", "workspace": sandbox.path("w"), "run_dir": sandbox.path("run"),
        "log_dir": sandbox.path("w/logs"), "install_dir": sandbox.path("w/llama"), "archive": sandbox.path("a.tar"),
        "config": sandbox.path("c.toml"), "environment": {"A": "b"}, "origin": {"archive": "variable"}});
    let cached = json!({"kind": "env", "engine": "sglang", "steps": ["install", "serve"], "road": "cache",
        "workspace": sandbox.path("w"), "run_dir": sandbox.path("run"), "log_dir": sandbox.path("w/logs"),
        "project_dir": sandbox.path("w/sglang"), "template_dir": sandbox.path("template"),
        "cache_root": sandbox.path("cache"), "cache_layout": "split", "pixi_env": "default",
        "conda_pkgs_dir": sandbox.path("cache/conda/rattler/pkgs"), "uv_cache_dir": sandbox.path("cache/pypi/uv"),
        "environment": {}, "origin": {}});
    let installed = json!({"kind": "installed", "engine": "llama-cpp", "id": "0123456789ab", "path": sandbox.path("w/llama"),
        "executable": sandbox.path("server"), "seal": "none", "seconds": 1.5, "reused": false});
    let instance = json!({"kind": "instance", "engine": "vllm", "instance": "a", "keeper_pid": 999_999_999,
        "state_dir": sandbox.path("run/vllm/a"), "argv": ["x"], "env_set": {}, "gpu_ids": "all", "host": "127.0.0.1",
        "port": 9, "log_file": sandbox.path("w/a.log"), "reused": false});
    let ready = json!({"kind": "ready", "engine": "vllm", "instance": "a", "url": "http://127.0.0.1:9", "model_id": "m",
        "rung": "answering", "alive_ms": 1.0});
    let warmed = json!({"kind": "warmed", "engine": "sglang", "lock_sha256": "ab", "pixi_version": "0.77.0", "seconds": 1.0});
    let warning = json!({"kind": "warning", "engine": "vllm", "rule": "r", "what": "w", "hint": "h"});
    let skipped = json!({"kind": "skipped", "engine": "vllm", "instance": "b", "by": "iplan", "why": "w"});
    let plan = keeping.plan("a", "exit 0");
    let lines = [env, cached, warmed, installed, plan, warning, skipped, instance, ready];
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// A good stream with a record or a few bytes of it changed.
fn changed(seeded_rng: &mut SeededRng, stream: &str) -> Vec<u8> {
    if seeded_rng.once_in(4) {
        return seeded_rng.change(
            stream.as_bytes(),
            b"{\"kind\":\"env\"}\n",
            &tokens(&["\"kind\":", "\\u0000", "\\ud800"]),
        );
    }
    let mut lines: Vec<Value> = stream.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for _ in 0..1 + seeded_rng.below(3) {
        let at = seeded_rng.below(lines.len());
        seeded_rng.change_value(&mut lines[at]);
    }
    lines.iter().map(|line| format!("{line}\n")).collect::<String>().into_bytes()
}

/// A command line in a mount namespace in which only the sandbox can be written: a changed record may name any path.
fn confined(sandbox: &Sandbox, line: &str) -> String {
    let here = sandbox.text("");
    format!(
        "unshare --mount bash -c 'mount --bind {here} {here} && mount -o remount,ro,bind / && cd {here} && exec {line}'"
    )
}

#[test]
fn records_on_standard_input() {
    let sandbox = Sandbox::new();
    let own = rustix::process::geteuid().is_root() && sandbox.sh(&confined(&sandbox, "true")).code == 0;
    let (mut seeded_rng, good) = (SeededRng::new(), stream().replace("$SANDBOX", ""));
    let lines = [
        "icache",
        "icache --deep",
        "iinstall",
        "iplan",
        "iplan --table",
        "iprobe --timeout 1",
        "ichat --timeout 1",
        "iwarm --wait 0",
    ];
    for round in 0..rounds(40, 1500) {
        let line = *seeded_rng.one(&lines);
        let input = changed(&mut seeded_rng, &good);
        let confined = if own { confined(&sandbox, line) } else { line.to_owned() };
        run(&sandbox, &confined, &input, &format!("round {round}")).speaks_after(&input, line);
    }
}

impl Ran {
    /// As [`Ran::speaks`], but for the lines that were handed on as they came.
    #[track_caller]
    fn speaks_after(mut self, input: &[u8], what: &str) {
        if what.ends_with("--table") {
            return;
        }
        let given: Vec<&[u8]> = input.split_inclusive(|byte| *byte == b'\n').collect();
        let own = self.stdout.split_inclusive(|byte| *byte == b'\n').filter(|line| !given.contains(line));
        let own: Vec<u8> = own.flatten().copied().collect();
        self.stdout = own.strip_suffix(given.last().copied().unwrap_or_default()).unwrap_or(&own).to_vec();
        self.speaks(what);
    }
}

#[test]
fn caches_and_locks_and_notes() {
    let sandbox = real();
    let env =
        sandbox.sh("ienv sglang").exits(0).stdout.replace("$SANDBOX", sandbox.text("").trim_end_matches('/'));
    let record = "icache --platform linux-64 --record";
    let note = "icache --platform linux-64 --deep --since note";
    for line in [record, note] {
        run(&sandbox, line, env.as_bytes(), "what is whole");
    }
    let manifest = sandbox.sh("ls cache/infer-dev-manifest-*").exits(0).stdout.trim().to_owned();
    let record_file = format!("{SIX}/six-1.17.0.dist-info/RECORD");
    let pointer = sandbox.sh(&format!("ls {UV}/wheels-v6/pypi/six/*.http")).exits(0).stdout.trim().to_owned();
    let files = ["template/pixi.lock", "note", &manifest, &record_file, &pointer].map(str::to_owned).to_vec();
    let in_conda = ["info/paths.json", "info/index.json"].map(|file| format!("{TINYLIB}/{file}"));
    let files = [files, in_conda.to_vec(), vec![format!("{TINYLIB}.lock")]].concat();
    let good: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(sandbox.path(file)).unwrap()).collect();
    let (mut seeded_rng, tokens) =
        (SeededRng::new(), tokens(&["sha256=", ",,", "tree 1 /\n", "\"_path\":", "../../", "[[["]));
    for round in 0..rounds(40, 1500) {
        let which = seeded_rng.below(files.len());
        let other = seeded_rng.below(files.len());
        let file = &files[which];
        sandbox.write(file, seeded_rng.change(&good[which], &good[other], &tokens));
        let before = snapshot(&sandbox, "note*");
        let line = *seeded_rng.one(&[
            "icache --deep",
            "icache",
            "icache --since note",
            "icache --deep --since note",
        ]);
        let what = format!("round {round}, {file}");
        let ran = run(&sandbox, &format!("{line} --platform linux-64"), env.as_bytes(), &what);
        ran.speaks(&what);
        assert_eq!(snapshot(&sandbox, "note*"), before, "{what}: {line} changed something");
        sandbox.write(file, &good[which]);
        sandbox.write("note", &good[1]);
    }
}

#[test]
fn configurations() {
    let mut sandbox = Sandbox::new();
    sandbox.script("bin/llama-server", "#!/bin/sh\n");
    sandbox.write("m.gguf", "");
    let own = format!(
        "[master]\nllama_cpp_path = '{}'\n[instance.control]\nlog_keep = 2\nallow = ['x']\n[instance.a.server]\nmodel = '{}'\nport = 29999\n\
         extra_args = ['--x', 'y']\n[instance.a.env]\nA = '1'\n",
        sandbox.text("bin/llama-server"),
        sandbox.text("m.gguf")
    );
    let configs =
        sandbox.sh(&format!("ls '{}'/*.toml", root().join("scripts/model-configs").display())).exits(0);
    let read = |path: &str| std::fs::read(path).unwrap();
    let mut good: Vec<Vec<u8>> = configs.stdout.lines().map(read).collect();
    good.push(own.into_bytes());
    sandbox.set("AUTO_INFER_LLAMA_CPP_CONFIG", &sandbox.text("c.toml"));
    let env = sandbox
        .sh("ienv llama-cpp")
        .exits(0)
        .stdout
        .replace("$SANDBOX", sandbox.text("").trim_end_matches('/'));
    let (mut seeded_rng, tokens) = (
        SeededRng::new(),
        tokens(&[
            "[[instance]]",
            "[instance.server.server]",
            "\"\"\"",
            "= {a = [",
            "gpu_ids = '0-'",
            "enabled = 1",
        ]),
    );
    for round in 0..rounds(40, 1500) {
        let (which, other) = (seeded_rng.below(good.len()), seeded_rng.below(good.len()));
        sandbox.write("c.toml", seeded_rng.change(&good[which], &good[other], &tokens));
        let line = *seeded_rng.one(&["iplan", "iplan --lenient"]);
        let what = format!("round {round}");
        run(&sandbox, line, env.as_bytes(), &what).speaks(&what);
    }
}

#[test]
fn what_keepers_leave() {
    let keeping = Keeping::new();
    let sandbox = &keeping.sandbox;
    let status = json!({"format": 1, "state": "running", "workspace": sandbox.path("w"), "pid": 999_999_999, "pgid": 999_999_999,
        "keeper_pid": 999_999_998, "mark": "00000000-0000-0000-0000-00000000fuzz", "port": 9, "restarts": 1, "since_unix": 1.5,
        "healthy_unix": 2.5, "last_exit": "exit 1", "log_file": sandbox.path("w/a.log"), "plan_hash": "1"});
    let plan = keeping.plan("a", "exit 0");
    let mut seeded_rng = SeededRng::new();
    for round in 0..rounds(40, 1500) {
        for (name, good) in [("status.json", &status), ("plan.json", &plan)] {
            let mut value = good.clone();
            if seeded_rng.once_in(2) {
                seeded_rng.change_value(&mut value);
            }
            let text = value.to_string().into_bytes();
            let text =
                if seeded_rng.once_in(4) { seeded_rng.change(&text, b"{}", &tokens(&[])) } else { text };
            sandbox.write(&format!("run/llama-cpp/a/{name}"), text);
        }
        sandbox.write("run/llama-cpp/a/lock", "");
        let line = *seeded_rng.one(&[
            "istat",
            "istat --table",
            "istat --log",
            "iprobe --once --state run/llama-cpp/a",
        ]);
        let what = format!("round {round}, {line}");
        let ran = run(sandbox, line, b"", &what);
        if line == "istat" {
            ran.speaks(&what);
        }
    }
    sandbox.sh("rm -r run/llama-cpp").exits(0).stdout.clear();
}

#[test]
fn parts_of_a_file() {
    let sandbox = Sandbox::new();
    sandbox.write("b.tar", crate::isplit::noise(200_000));
    drop(sandbox.sh("isplit --size 64KiB b.tar -d p").exits(0));
    for name in ["fuzz.in", "fuzz.out", "fuzz.err"] {
        sandbox.write(name, "");
    }
    let before = sandbox.sh("ls -A; ls p").exits(0).stdout;
    let names: Vec<String> =
        sandbox.sh("ls p").exits(0).stdout.lines().map(|name| format!("p/{name}")).collect();
    let good: Vec<Vec<u8>> = names.iter().map(|name| std::fs::read(sandbox.path(name)).unwrap()).collect();
    let (mut seeded_rng, tokens) =
        (SeededRng::new(), tokens(&["\"whole\"", "\"index\":2", "b.tar.001-of-003"]));
    for round in 0..rounds(40, 1500) {
        let (which, other) = (seeded_rng.below(names.len()), seeded_rng.below(names.len()));
        sandbox.write(&names[which], part(&mut seeded_rng, &good[which], &good[other], &tokens));
        let line = *seeded_rng.one(&["ijoin --check p", "ijoin --into joined p", "ijoin p"]);
        let what = format!("round {round}, {line}");
        let ran = run(&sandbox, line, b"", &what);
        if ran.code == 0 && line.contains("into") {
            drop(sandbox.sh("cmp b.tar joined").exits(0));
        }
        sandbox.write(&names[which], &good[which]);
        let left = sandbox.sh("rm -f joined*; ls -A; ls p").exits(0).stdout;
        assert_eq!(left, before, "{what}: something is left");
    }
}

/// A part with its bytes changed, or with another description whose hash is right.
pub(super) fn part(seeded_rng: &mut SeededRng, good: &[u8], other: &[u8], tokens: &[&str]) -> Vec<u8> {
    let (block, data) = good.split_at(good.len().min(part::DESCRIPTION_BYTES));
    let line = block.split(|byte| *byte == b'\n').next().unwrap();
    if seeded_rng.once_in(3) {
        return seeded_rng.change(good, other, tokens);
    }
    let mut value: Value = serde_json::from_slice(line).unwrap();
    seeded_rng.change_value(&mut value);
    let text = value.to_string().into_bytes();
    let text = if seeded_rng.once_in(3) { seeded_rng.change(&text, b"0", tokens) } else { text };
    let mut hasher = part::Hasher::default();
    hasher.feed(&text);
    let mut made = [text.as_slice(), b"\n", hasher.digest().as_bytes(), b"\n"].concat();
    made.resize(made.len().max(part::DESCRIPTION_BYTES - 1), b' ');
    if made.len() < part::DESCRIPTION_BYTES {
        made.push(b'\n');
    }
    [&made, data].concat()
}

/// That much memory is enough for a tool, and little enough to tell that one takes what an input says.
#[test]
fn the_limit_on_memory_holds() {
    let sandbox = Sandbox::new();
    let output = sandbox.sh(&format!("ulimit -v {KIB}; python3 -c 'bytearray(5 << 30)'"));
    assert!(output.exits(1).stderr.contains("MemoryError"));
}
