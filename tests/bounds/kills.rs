//! Killed at any moment: the same command afterwards does the work, and nothing half done is in its way.
use super::sweep::cases;
use crate::kit::{Killed, Sandbox, free_port, kill_at_any_moment, tools};
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Instant;

/// Those that change something. What ilaunch, ikeep, iwarm, ipack, infer-dev, istop --forget and the two roads of iinstall come
/// to is in their own files.
const CHANGING: [&str; 10] = [
    "istop",
    "iinstall",
    "icache --record",
    "icache --repair",
    "icache --bring",
    "imodel --record",
    "isplit",
    "isplit --parity",
    "ijoin --into",
    "ijoin --scratch",
];

#[test]
fn whenever_a_tool_is_killed_the_next_run_does_the_work() {
    for case in cases::all().into_iter().filter(|case| CHANGING.contains(&case.name)) {
        let sandbox = case.world.sandbox();
        (case.before)(&case.world);
        let begun = Instant::now();
        drop(sandbox.sh(case.command).exits(0));
        let whole = begun.elapsed();
        (case.after)(&case.world);
        let start = |_| {
            (case.before)(&case.world);
            let mut words = case.command.split_whitespace();
            let mut command = sandbox.command(tools().join(words.next().unwrap()));
            while let Some(word) = words.next() {
                match word {
                    "<" => drop(command.stdin(File::open(sandbox.path(words.next().unwrap())).unwrap())),
                    word => drop(command.arg(word)),
                }
            }
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        };
        kill_at_any_moment((case.name, 6, whole), Killed::Process, start, |round| {
            let again = sandbox.sh(case.command);
            let done =
                if again.code == 0 { (case.finished)(&case.world, &again) } else { Err(String::new()) };
            done.unwrap_or_else(|why| panic!("{}, kill {round}: {why}: {}", case.name, again.transcript()));
            (case.after)(&case.world);
        });
    }
}

/// All files below `out`, with what is in them.
fn written(sandbox: &Sandbox) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(sandbox.path("out")).unwrap();
    entries.map(|entry| entry.unwrap().path()).map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// A draft has no name that anybody reads: it begins with a dot.
fn is_draft(path: &std::path::Path) -> bool {
    path.file_name().unwrap().as_encoded_bytes()[0] == b'.'
}

#[test]
fn what_a_killed_tool_was_writing_is_whole_or_not_there() {
    let mut sandbox = crate::pipeline::sandbox_with_engine(&[free_port(), free_port()]);
    let model = crate::kit::Tiny::get().model.display().to_string();
    let out = sandbox.text("out");
    sandbox.set("INFER_DEV_KEEP", &out);
    let lines = "{\"kind\":\"note\",\"text\":\"one of many\"}\n".repeat(20_000);
    sandbox.write("stream", &lines);
    drop(sandbox.sh("ienv llama-cpp | iinstall > installed").exits(0));
    let cases = [
        ("iplan --emit", "exec iplan --emit systemd --into out < installed >&2".to_owned(), false),
        ("imodel --output", format!("exec imodel --suggest llama-cpp {model} --output out/m.toml"), false),
        ("ireport --keep", "exec ireport --keep x < stream".to_owned(), true),
    ];
    for (name, script, grows) in cases {
        let run = format!("rm -rf out; mkdir out; {script} > /dev/null 2>&1");
        let begun = Instant::now();
        drop(sandbox.sh(&run).exits(0));
        let (whole, good) = (begun.elapsed(), written(&sandbox));
        let start = |_| {
            let mut command = sandbox.command("bash");
            command.args(["-c", &run]).stdout(Stdio::null()).process_group(0).spawn().unwrap()
        };
        kill_at_any_moment((name, 20, whole), Killed::Group, start, |round| {
            if !sandbox.path("out").exists() {
                return;
            }
            for (path, text) in written(&sandbox).into_iter().filter(|(path, _)| !is_draft(path)) {
                let is_whole = match path.extension().and_then(|ext| ext.to_str()) {
                    Some("jsonl") if grows => lines.as_bytes().starts_with(&text),
                    _ => good.contains(&(path.clone(), text.clone())),
                };
                let text = String::from_utf8_lossy(&text).into_owned();
                assert!(is_whole, "{name}, kill {round}: {}: {text:.300}", path.display());
            }
        });
    }
}
