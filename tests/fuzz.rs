//! Inputs that nobody meant: whatever is put to a parser or a tool, it never panics, never hangs, takes no more memory than a
//! machine has, writes whole records or none, and ends with a code of the suite's table.
//!
//! Each test changes a good input at random a few times, thousands of times in `scripts/test --full`. The seed is printed;
//! `INFER_DEV_TEST_SEED` repeats a run.
mod answers;
mod archives;
mod crates;
mod seeded_rng;
pub(crate) mod tools;
mod weights;

pub(crate) use seeded_rng::SeededRng;

use crate::kit::{Sandbox, full, wait_for};
use serde_json::Value;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

/// How long a tool may take for one input.
const LIMIT: Duration = Duration::from_secs(60);

/// What a tool may take of the address space.
const KIB: u64 = 4 << 20;

/// The codes that a tool ends with; usage is not among them, as the command lines are right.
const CODES: [i32; 5] = [0, 1, 65, 69, 75];

/// How often everyday, and how often in the long run.
pub(crate) fn rounds(everyday: u64, long: u64) -> u64 {
    if full() { long } else { everyday }
}

/// One of these.
fn tokens(extra: &[&'static str]) -> Vec<&'static str> {
    let known = [
        "\0",
        "\n",
        "\r\n",
        " ",
        "-1",
        "0",
        "18446744073709551616",
        "1e999",
        "null",
        "..",
        "/",
        "\u{feff}",
        "é",
    ];
    known.iter().chain(extra).copied().collect()
}

/// What came of a tool.
struct Ran {
    code: i32,
    stdout: Vec<u8>,
    stderr: String,
}

/// Run a tool's command line in the sandbox with this on its standard input, and hold it to what is promised.
#[track_caller]
fn run(sandbox: &Sandbox, line: &str, stdin: &[u8], what: &str) -> Ran {
    sandbox.write("fuzz.in", stdin);
    let mut command = sandbox.command("/bin/bash");
    let open = |name: &str| std::fs::File::create(sandbox.path(name)).unwrap();
    command.args(["-c", &format!("ulimit -c 0 -v {KIB}; exec {line}")]);
    command.stdin(std::fs::File::open(sandbox.path("fuzz.in")).unwrap());
    command.stdout(Stdio::from(open("fuzz.out"))).stderr(Stdio::from(open("fuzz.err")));
    let mut child = command.spawn().unwrap();
    let mut status = None;
    wait_for(&format!("{line} on {what}"), LIMIT, || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    let status = status.unwrap();
    let ran = Ran {
        code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap()),
        stdout: std::fs::read(sandbox.path("fuzz.out")).unwrap(),
        stderr: String::from_utf8_lossy(&std::fs::read(sandbox.path("fuzz.err")).unwrap()).into_owned(),
    };
    if !CODES.contains(&ran.code) || ran.stderr.contains("panicked") {
        panic!("{line} ended with {} on {what}, which is kept in {}\n{}", ran.code, keep(stdin), ran.stderr);
    }
    ran
}

impl Ran {
    /// Standard output is whole records, and a failure is told on standard error.
    #[track_caller]
    fn speaks(&self, what: &str) {
        assert!(self.stdout.is_empty() || self.stdout.ends_with(b"\n"), "{what}: cut short");
        for line in self.stdout.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            let record: Value = serde_json::from_slice(line).unwrap_or_else(|error| {
                panic!("{what}: {error}: {}", String::from_utf8_lossy(line));
            });
            assert!(record["kind"].is_string(), "{what}: {record}");
        }
        assert!(self.code <= 1 || !self.stderr.is_empty(), "{what}: {} without a word", self.code);
    }
}

/// Keep an input that something failed on; the path.
fn keep(input: &[u8]) -> String {
    let (mut file, path) =
        tempfile::Builder::new().prefix("infer-dev-fuzz-").tempfile().unwrap().keep().unwrap();
    std::io::Write::write_all(&mut file, input).unwrap();
    path.display().to_string()
}

/// Everything below a folder but what is left out: paths, types, sizes, and when each file was last changed.
fn snapshot(sandbox: &Sandbox, but: &str) -> String {
    let script = format!(
        "find . -mindepth 1 -path './fuzz.*' -prune -o -path './{but}' -prune -o -type f -printf '%P %s %T@ %C@\\n' \
         -o -printf '%P %y %l\\n' | sort"
    );
    sandbox.sh(&script).exits(0).stdout
}
