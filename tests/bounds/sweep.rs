//! An error in each system call of a whole run, every tool, every thread: no success that is none, no hang, no half state.
//!
//! strace lets the n-th call of a kind fail, in each process and thread that the tool starts too. Which kinds and errors is a
//! table; which n is chance with a seed. What a run must come to is said for each tool: exit 0 only where all of its work is
//! there, else one of the suite's codes, and the same command afterwards, undisturbed, does the work.
mod bridge;
pub(super) mod cases;
mod installs;
mod more;

use crate::fuzz::SeededRng;
use crate::kit::{Output, in_the_long_run, is_root, send, tools};
use cases::Case;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Calls, and the errors that each may come to. close(2) is left out, because the standard library asks for no answer.
const CALLS: [(&str, &[&str]); 36] = [
    ("openat", &["EIO", "EMFILE", "ENOMEM", "EINTR"]),
    ("read", &["EIO", "EINTR", "ENOMEM"]),
    ("pread64", &["EIO", "EINTR"]),
    ("write", &["EIO", "ENOSPC", "EINTR"]),
    ("pwrite64", &["EIO", "ENOSPC"]),
    ("lseek", &["EIO"]),
    ("fstat", &["EIO"]),
    ("statx", &["EIO", "ENOMEM"]),
    ("newfstatat", &["EIO"]),
    ("getdents64", &["EIO"]),
    ("readlink", &["EIO"]),
    ("rename", &["EIO", "ENOSPC"]),
    ("renameat2", &["EIO", "ENOSPC"]),
    ("unlink", &["EIO"]),
    ("unlinkat", &["EIO"]),
    ("mkdir", &["EIO", "ENOSPC"]),
    ("mkdirat", &["EIO", "ENOSPC"]),
    ("symlink", &["EIO", "ENOSPC"]),
    ("symlinkat", &["EIO", "ENOSPC"]),
    ("ftruncate", &["EIO", "ENOSPC"]),
    ("fsync", &["EIO", "ENOSPC"]),
    ("fchmod", &["EIO"]),
    ("flock", &["EIO", "EINTR", "ENOLCK"]),
    ("fcntl", &["EIO", "ENOLCK", "EMFILE"]),
    ("ioctl", &["EIO"]),
    ("pipe2", &["EMFILE"]),
    ("socket", &["EMFILE"]),
    ("connect", &["EIO", "EINTR"]),
    ("sendto", &["EIO", "EINTR"]),
    ("recvfrom", &["ECONNRESET", "EINTR"]),
    ("poll", &["EINTR", "ENOMEM"]),
    ("clone3", &["EAGAIN", "ENOMEM"]),
    ("wait4", &["EINTR"]),
    ("kill", &["EPERM"]),
    ("pidfd_open", &["ENOSYS", "EMFILE"]),
    // brk(2) tells of a failure by another address than was asked for, which no error can stand for.
    ("mmap", &["ENOMEM"]),
];

/// Longer than any of these runs takes, with all of its own limits but one: a program that does nothing is given up after a
/// quarter of an hour.
const LIMIT: Duration = Duration::from_secs(240);

/// What a tool says of such a program after an eighth of that limit. An error may leave a thread of a program asleep for ever.
const GIVES_UP: &str = " s; it is given up after ";

/// How long a tool that has said so may take to end with all its programs when it is told to.
const ENDING: Duration = Duration::from_secs(10);

/// What came of one run: its exit code, 128 and more for a signal, 255 where it had not ended.
struct Run {
    output: Output,
    hung: bool,
    /// It would have gone on to wait for a program that does nothing, has said so, and ended when it was told to.
    told_to_end: bool,
}

#[test]
fn whatever_the_system_refuses_once_no_tool_lies_hangs_or_leaves_half_of_it() {
    let Some(each) = each() else { return };
    // A part of a case's name, and of an expression after `: `.
    let only = std::env::var("INFER_DEV_TEST_SWEEP_ONLY").unwrap_or_default();
    let (only, this) = only.split_once(": ").unwrap_or((&only, ""));
    let mut seeded_rng = SeededRng::new();
    let mut tally: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    let mut broken = Vec::new();
    for case in cases::all().into_iter().chain(more::heavy()) {
        if !case.name.contains(only) {
            continue;
        }
        // What ignores TERM is waited for, for seconds, and so are programs.
        let each = if case.heavy || case.name.contains("orphans") { 1 } else { each };
        for (inject, call) in injections(&case, each, &mut seeded_rng) {
            if !inject.contains(this) {
                continue;
            }
            let begun = Instant::now();
            let wrong = judge(&case, &inject, call);
            let (tried, held) = tally.entry(case.name).or_default();
            *tried += 1;
            match wrong {
                None => *held += 1,
                Some(wrong) => {
                    println!("{}: {inject}: {:?}: {wrong}", case.name, begun.elapsed());
                    broken.push(format!("{}: {inject}", case.name));
                }
            }
        }
        println!("{}: tried and held {:?}", case.name, tally.get(case.name));
    }
    let (tried, held) = tally.values().fold((0, 0), |sum, (tried, held)| (sum.0 + tried, sum.1 + held));
    println!("{tried} injected errors, {held} held");
    assert!(broken.is_empty(), "{} of {tried} did not hold: {broken:#?}", broken.len());
}

/// How many occasions of a call are tried with each error; `None` where this is no long run.
fn each() -> Option<usize> {
    match std::env::var("INFER_DEV_TEST_SWEEP") {
        Ok(each) => Some(each.parse().unwrap()),
        Err(_) => in_the_long_run().then_some(4),
    }
}

/// `inject` expressions of strace: for each call that the tool makes and each error a few of its occasions.
fn injections(case: &Case, each: usize, seeded_rng: &mut SeededRng) -> Vec<(String, &'static str)> {
    (case.before)(&case.world);
    let names: Vec<&str> = CALLS.iter().map(|(call, _)| *call).collect();
    let run = strace(case, &["-e", &format!("trace={}", names.join(","))], "trace");
    let undisturbed = run.output.transcript();
    assert_eq!((run.output.code, run.hung), (0, false), "{}: {undisturbed}", case.name);
    (case.done)(&case.world, &run.output).unwrap_or_else(|why| panic!("{}: {why}: {undisturbed}", case.name));
    (case.after)(&case.world);
    let trace = case.world.sandbox().read("trace");
    let mut found = Vec::new();
    for (call, errors) in CALLS {
        let most = most_of(&trace, call);
        for error in errors {
            let mut occasions: Vec<usize> = (0..each).map(|_| 1 + seeded_rng.below(most)).collect();
            occasions.sort_unstable();
            occasions.dedup();
            // A socket between two processes of ours, by which the standard library starts programs, is never reset.
            if error == &"ECONNRESET" && !case.asks {
                continue;
            }
            let of = |when| (format!("{call}:error={error}:when={when}"), call);
            found.extend(occasions.into_iter().filter(|_| most > 0).map(of));
        }
    }
    found
}

/// How often the busiest thread of a trace makes a call.
fn most_of(trace: &str, call: &str) -> usize {
    let mut by_thread: BTreeMap<&str, usize> = BTreeMap::new();
    let begins = format!("{call}(");
    for line in trace.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        if rest.trim_start().starts_with(&begins) {
            *by_thread.entry(thread).or_default() += 1;
        }
    }
    by_thread.into_values().max().unwrap_or(0)
}

/// What is wrong with what came of it.
fn judge(case: &Case, inject: &str, call: &str) -> Option<String> {
    (case.before)(&case.world);
    let run =
        strace(case, &["-yY", "-e", &format!("trace={call}"), "-e", &format!("inject={inject}")], "trace");
    let said = run.output.transcript();
    let mut wrong = None;
    if run.hung {
        wrong = Some("it hangs".to_owned());
    } else if run.told_to_end {
        println!("{}: {inject}: its program does nothing any more, and it has said so", case.name);
    } else if run.output.code == 0 {
        wrong = (case.done)(&case.world, &run.output).err().map(|why| format!("exit 0, but {why}"));
    } else if !is_ours(run.output.code, &run.output.stderr, case.name == "iseal") {
        wrong = Some(format!("exit {}", run.output.code));
    }
    (case.after)(&case.world);
    // Whatever it left: undisturbed, the same does the work.
    (case.before)(&case.world);
    let again = case.world.sandbox().sh(&mounted(case, case.command));
    let whole = if again.code == 0 { (case.done)(&case.world, &again) } else { Err(again.transcript()) };
    if let Err(why) = whole {
        wrong.get_or_insert(format!("afterwards: {why}"));
    }
    (case.after)(&case.world);
    wrong.map(|wrong| format!("{wrong}\n{said}"))
}

/// A code of the suite, or the end of a process in which our code has not begun: the loader's and the C library's own.
fn is_ours(code: i32, stderr: &str, sealed: bool) -> bool {
    let loader = ["error while loading shared libraries", "cannot allocate TLS data structures"];
    let before_main = code == 127 && loader.iter().any(|words| stderr.contains(words))
        || code == 134 && stderr.contains("failed to allocate an alternative stack")
        // The loader goes on without the memory that it did not get.
        || code == 139 && stderr.is_empty();
    // strace puts a call's number out of the way to let it fail, and iseal's filter ends whoever makes a call of that number.
    let filtered = sealed && code == 128 + 31;
    [1, 2, 65, 69, 75].contains(&code) || before_main || filtered
}

/// A script where `volume` is one, seen by nobody else.
fn mounted(case: &Case, script: &str) -> String {
    match case.volume {
        true => format!(
            "exec unshare {} sh -c 'mount --bind volume volume; {script}' \"$0\" \"$@\"",
            if is_root() { "-m" } else { "-rm" }
        ),
        false => script.to_owned(),
    }
}

/// Run the command under strace, which stands aside: what the tool leaves running is traced on, and not waited for.
fn strace(case: &Case, options: &[&str], trace: &str) -> Run {
    let sandbox = case.world.sandbox();
    let (out, err) = (sandbox.path("out"), sandbox.path("err"));
    let mut words = case.command.split_whitespace();
    let mut command = sandbox.command("sh");
    command.args(["-c", &mounted(case, "exec \"$@\""), "sh", "strace"]);
    command.args(["-D", "-f", "-qq", "-o", trace]).args(options);
    let mut input = Stdio::null();
    let mut output = File::create(&out).unwrap();
    command.arg(tools().join(words.next().unwrap()));
    while let Some(word) = words.next() {
        match word {
            "<" => input = File::open(sandbox.path(words.next().unwrap())).unwrap().into(),
            ">" => output = File::create(sandbox.path(words.next().unwrap())).unwrap(),
            word => drop(command.arg(word)),
        }
    }
    let mut child = command.stdin(input).stdout(output).stderr(File::create(&err).unwrap()).spawn().unwrap();
    let mut status = wait(&mut child, LIMIT);
    let told_to_end = status.is_none() && read(&err).contains(GIVES_UP);
    if told_to_end {
        send(child.id(), Signal::TERM);
        status = wait(&mut child, ENDING);
    }
    if status.is_none() {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let code = status.map_or(255, |status| status.code().unwrap_or_else(|| 128 + status.signal().unwrap()));
    Run {
        output: Output { stdout: read(&out), stderr: read(&err), code },
        hung: status.is_none(),
        told_to_end,
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()
}

/// Its end, where it comes.
fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let begun = Instant::now();
    while begun.elapsed() < limit {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}
