//! `istat --log --since`: a log from a moment on.
use crate::kit::{Keeping, Output};
use std::fs::{File, FileTimes};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, UNIX_EPOCH};

/// 2024-11-21T12:00:00Z.
const NOON: u64 = 1_732_190_400;

/// An instance that has ended, and in place of its log these files, the newest first, each last written so many minutes
/// after noon.
fn kept(files: &[(&str, u64)]) -> Keeping {
    let keeping = Keeping::new();
    keeping.start("a", super::PATIENT);
    keeping.stop("a");
    for (number, (content, minutes)) in files.iter().enumerate() {
        let name = if number == 0 { "logs/a.log".to_owned() } else { format!("logs/a.log.{number}") };
        let path = keeping.sandbox.write(&name, content);
        let written = UNIX_EPOCH + Duration::from_secs(NOON + minutes * 60);
        File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_times(FileTimes::new().set_modified(written))
            .unwrap();
    }
    keeping
}

fn since(keeping: &Keeping, time: &str) -> Output {
    keeping.sandbox.sh(&format!("istat --log a --since {time}"))
}

const NEWEST: &str = "early\nikeep: 2024-11-21T12:20:00Z goes on\nlate\nlater";
const OLDER: &str =
    "zero\nikeep: 2024-11-21T12:00:00Z starting /x\none\nikeep: 2024-11-21T12:10:00Z goes on\ntwo\n";
const OLDEST: &str = "ikeep: 2024-11-21T11:00:00Z starting /x\nmorning\n";

#[test]
fn it_begins_at_the_first_line_that_is_known_to_be_of_that_time_or_later() {
    let keeping = kept(&[(NEWEST, 25), (OLDER, 15), (OLDEST, 0)]);
    let from = |text: &str, line: &str| text[text.find(line).unwrap()..].to_owned();
    // A note, in whatever file, and everything after it.
    assert_eq!(
        since(&keeping, "2024-11-21T12:10").exits(0).stdout,
        from(OLDER, "ikeep: 2024-11-21T12:10") + NEWEST
    );
    assert_eq!(
        since(&keeping, "2024-11-21T12:09:59Z").exits(0).stdout,
        from(OLDER, "ikeep: 2024-11-21T12:10") + NEWEST
    );
    assert_eq!(since(&keeping, "2024-11-21T10:00").exits(0).stdout, format!("{OLDEST}{OLDER}{NEWEST}"));
    // What follows a file that was still written then is later, though no note says so.
    assert_eq!(since(&keeping, "2024-11-21T12:15").exits(0).stdout, NEWEST);
    // And where that is not known, the first note decides.
    assert_eq!(since(&keeping, "2024-11-21T12:16").exits(0).stdout, from(NEWEST, "ikeep: "));
    let none = since(&keeping, "2024-11-21T12:21").exits(0);
    assert_eq!(none.stdout, "");
    assert_eq!(none.stderr, "istat: no line of the log is known to be of that time or later\n");
}

#[test]
fn an_old_log_without_times_is_read_and_a_line_without_end_is_bounded() {
    let endless = format!("{}\nikeep: 2024-11-21T12:20:00Z goes on\nlate\n", "x".repeat(5 << 20));
    let keeping = kept(&[(&endless, 25), ("ikeep: starting /x\nold\n", 15)]);
    let shown = since(&keeping, "2024-11-21T12:20").exits(0).stdout;
    assert_eq!(shown, "ikeep: 2024-11-21T12:20:00Z goes on\nlate\n");
    assert_eq!(since(&keeping, "2024-11-21T12:15").exits(0).stdout.len(), endless.len());
    assert_eq!(since(&keeping, "2024-11-21T12:00").exits(0).stdout.len(), endless.len());
}

#[test]
fn a_duration_counts_back_from_now_and_what_follows_is_followed() {
    let keeping = Keeping::new();
    let go = keeping.sandbox.path("go");
    let script = format!(
        "for i in $(seq 30); do echo line $i; done; echo up; while [ ! -e {} ]; do sleep 0.01; done; echo more; exec sleep 1000",
        go.display()
    );
    keeping.start("a", &script);
    let mut command = keeping.sandbox.command(crate::kit::tools().join("istat"));
    command.args(["--log", "a", "--since", "1h"]).stdout(Stdio::piped());
    let mut follow = command.spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines().map(Result::unwrap);
    let first = lines.next().unwrap();
    assert!(first.starts_with("ikeep: ") && first.contains(" starting "), "{first}");
    // All of it, not the last lines only.
    assert_eq!(lines.next().unwrap(), "line 1");
    assert!(lines.any(|line| line == "up"));
    std::fs::write(go, "").unwrap();
    assert_eq!(lines.next().unwrap(), "more");
    keeping.stop("a");
    let rest: Vec<String> = lines.collect();
    assert!(rest.iter().any(|line| line.ends_with(" told to stop")), "{rest:?}");
    assert!(follow.wait().unwrap().success());
}

#[test]
fn what_is_no_time_and_what_has_no_log_is_a_wrong_call() {
    let keeping = Keeping::new();
    keeping.start("a", super::PATIENT);
    for wrong in ["10", "yesterday", "2026-13-01", "2100-01-01T00:00", "''"] {
        let output = since(&keeping, wrong).exits(2);
        assert!(output.stderr.contains("--since"), "{output:?}");
    }
    drop(keeping.sandbox.sh("istat --since 10m").exits(2));
}
