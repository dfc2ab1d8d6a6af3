//! What becomes of the engine's output.
use super::{LIMIT, PATIENT};
use crate::kit::{Keeping, as_root, full, wait_for};
use serde_json::json;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Writes numbered lines, from 1 to the given number.
fn lines(count: u32) -> String {
    format!("seq --format 'line %09.0f of what an engine says' {count}; echo up; exec sleep 1000")
}

#[test]
fn a_rotation_loses_no_line_and_tears_none() {
    let keeping = Keeping::new();
    let mut plan = keeping.plan("a", &lines(90_000));
    (plan["control"]["log_max_mib"], plan["control"]["log_keep"]) = (json!(1), json!(9));
    keeping.launch(&[plan]).exits(0).one("instance");
    keeping.wait_for_log("a", "up\n");
    let files = files(&keeping.log_file("a"));
    assert!(files.len() >= 3, "{files:?}");
    let mut expected = (1..=90_000).map(|number| format!("line {number:09} of what an engine says"));
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        assert!(text.len() <= 1 << 20 && text.ends_with('\n'), "{} has {}", file.display(), text.len());
        for line in text.lines().filter(|line| line.starts_with("line ")) {
            assert_eq!(Some(line.to_owned()), expected.next(), "in {}", file.display());
        }
    }
    assert_eq!(expected.next(), None);
}

#[test]
fn only_so_many_old_logs_are_kept() {
    let keeping = Keeping::new();
    let mut plan = keeping.plan("a", &lines(150_000));
    (plan["control"]["log_max_mib"], plan["control"]["log_keep"]) = (json!(1), json!(1));
    keeping.launch(&[plan]).exits(0).one("instance");
    keeping.wait_for_log("a", "up\n");
    let names: Vec<_> =
        fs::read_dir(keeping.sandbox.path("logs")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.contains(&"a.log.1".into()));
}

#[test]
fn what_was_logged_before_is_continued() {
    let keeping = Keeping::new();
    let plan = keeping.start("a", PATIENT);
    keeping.stop("a");
    keeping.launch(&[plan]).exits(0).one("instance");
    wait_for("a second start", LIMIT, || keeping.log("a").matches("up\n").count() == 2);
}

#[test]
fn each_of_the_keepers_lines_says_when_it_was_written() {
    let now = || state::Note::now("").at_unix.unwrap();
    let keeping = Keeping::new();
    let begun = now();
    keeping.start("a", "echo 'error: invalid argument: --x'; echo up; sleep 1.1; exit 1");
    keeping.wait_for_state("a", "failed");
    keeping.wait_until_left("a");
    let log = keeping.log("a");
    let notes: Vec<state::Note<'_>> = log.lines().filter_map(state::Note::read).collect();
    let times: Vec<u64> = notes.iter().map(|note| note.at_unix.unwrap()).collect();
    assert!(notes.len() >= 4 && notes[0].is_start(), "{log}");
    assert!(times.is_sorted() && times[0] >= begun && *times.last().unwrap() <= now(), "{log}");
    assert_ne!(times.first(), times.last(), "{log}");
}

fn most_resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    most.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Every file of a log, the oldest first.
fn files(log: &Path) -> Vec<PathBuf> {
    let numbered = |number: u32| PathBuf::from(format!("{}.{number}", log.display()));
    let older = (1..=9).rev().map(numbered).filter(|path| path.exists());
    older.chain([log.to_owned()]).collect()
}

#[test]
fn a_line_without_end_is_cut_and_does_not_swell_the_keeper() {
    let keeping = Keeping::new();
    let script = "head --bytes=5000000 /dev/zero | tr '\\0' 'x'; touch \"$1\"; exec sleep 1000";
    let mut plan = keeping.plan("a", script);
    plan["args"] = json!([keeping.sandbox.text("said")]);
    (plan["control"]["log_max_mib"], plan["control"]["log_keep"]) = (json!(1), json!(9));
    keeping.launch(&[plan]).exits(0).one("instance");
    wait_for("the line to be said", LIMIT, || keeping.sandbox.path("said").exists());
    let keeper = keeping.keeper("a").unwrap();
    let most = most_resident_kib(keeper);
    assert!(most < 16 << 10, "{most} KiB, in a build without optimisation");
    keeping.stop("a");
    wait_for("the keeper to go", LIMIT, || !crate::kit::alive(keeper));
    let files = files(&keeping.log_file("a"));
    let texts: Vec<String> = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    assert!(texts.len() >= 5, "{files:?}");
    assert!(texts.iter().all(|text| text.len() <= 1 << 20), "{:?}", texts.iter().map(String::len));
    let whole = texts.concat();
    let lines: Vec<&str> = whole.lines().collect();
    assert!(lines.iter().any(|line| line.len() == 5_000_000 && line.chars().all(|c| c == 'x')));
    let notes: Vec<&str> = lines.iter().filter_map(|line| Some(state::Note::read(line)?.text)).collect();
    assert!(notes.len() == 3 && notes[1] == "told to stop", "{notes:?}");
}

#[test]
fn no_line_of_the_keepers_stands_inside_one_of_the_engines() {
    let keeping = Keeping::new();
    let plan = keeping.start("a", "echo up; printf 'half a line'; exit 1");
    keeping.wait_for_state("a", "failed");
    keeping.wait_until_left("a");
    assert!(keeping.log("a").contains("\nhalf a line\nikeep: "), "{}", keeping.log("a"));
    // A keeper that is killed ends no line.
    let mut log = fs::OpenOptions::new().append(true).open(keeping.log_file("a")).unwrap();
    log.write_all(b"a torn line").unwrap();
    keeping.launch(&[plan]).exits(0).one("instance");
    keeping.wait_for_state("a", "failed");
    assert!(keeping.log("a").contains("\na torn line\nikeep: "), "{}", keeping.log("a"));
}

/// A file system of its own for a folder, gone again when dropped.
pub(super) struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    /// `None` where we may not mount.
    pub(super) fn mount(at: &'a Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={size},mode=755"), "infer-dev-test"]).arg(at);
        command.status().unwrap().success().then_some(Self(at))
    }

    /// The same with this option, `ro` or `rw`.
    pub(super) fn remount(&self, option: &str) {
        let mut command = Command::new("mount");
        command.args(["-o", &format!("remount,{option}")]).arg(self.0);
        assert!(command.status().unwrap().success());
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(self.0).status());
    }
}

#[test]
fn a_full_disk_costs_lines_that_are_counted_and_never_stops_the_engine() {
    if !as_root() {
        return;
    }
    let keeping = Keeping::new();
    let folder = keeping.sandbox.path("logs");
    let Some(_small) = Small::mount(&folder, "1m") else { return };
    fs::write(folder.join("filler"), vec![0; 900 << 10]).unwrap();
    let (wrote, go) = (keeping.sandbox.text("wrote"), keeping.sandbox.text("go"));
    let script = format!(
        "seq --format 'line %09.0f of what an engine says' 50000; touch {wrote}
        until [[ -e {go} ]]; do sleep 0.02; done; echo room again; echo up; exec sleep 1000"
    );
    let plan = keeping.plan("a", &script);
    keeping.launch(&[plan]).exits(0).one("instance");
    wait_for("all lines to be written", LIMIT, || Path::new(&wrote).exists());
    wait_for("the loss to be told", LIMIT, || keeping.status("a").get("log_lost_lines").is_some());
    fs::remove_file(folder.join("filler")).unwrap();
    keeping.sandbox.write("go", "");
    keeping.wait_for_log("a", "up\n");
    let log = keeping.log("a");
    let whole = log.lines().filter(|line| line.starts_with("line ")).count();
    let notes = log.lines().filter_map(state::Note::read).filter(|note| note.text.contains("were lost here"));
    let lost: usize = notes.map(|note| note.text.split(' ').next().unwrap().parse::<usize>().unwrap()).sum();
    assert!(lost > 0);
    assert_eq!(whole + lost, 50_000, "{log}");
    assert!(log.lines().all(|line| !line.starts_with("line ") || line.ends_with("engine says")));
    wait_for("the count", LIMIT, || keeping.status("a")["log_lost_lines"] == lost);
    drop(keeping);
}

#[test]
fn an_engine_that_says_very_much_is_neither_slowed_down_nor_is_the_keeper_swollen() {
    let keeping = Keeping::new();
    let line = "what an engine says again and again and again, and will not cease to say";
    let megabytes: u64 = if full() { 1000 } else { 64 };
    let script = format!("yes '{line}' | head --bytes={megabytes}MB; echo; echo up; exec sleep 1000");
    let mut plan = keeping.plan("a", &script);
    (plan["control"]["log_max_mib"], plan["control"]["log_keep"]) = (json!(8), json!(2));
    keeping.launch(&[plan]).exits(0).one("instance");
    let limit = Duration::from_secs(10 + megabytes / 2);
    wait_for("all of it to be written", limit, || keeping.log("a").contains("\nup\n"));
    let logs = || fs::read_dir(keeping.sandbox.path("logs")).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(logs().count(), 3);
    for log in logs() {
        let text = fs::read_to_string(&log).unwrap();
        assert!(text.len() <= 8 << 20, "{} has {}", log.display(), text.len());
        let torn = text.lines().filter(|said| said.starts_with("what") && *said != line).count();
        // Where `head` cut it off.
        assert!(torn <= 1, "{torn} in {}", log.display());
    }
    let most = most_resident_kib(keeping.keeper("a").unwrap());
    assert!(most < 16 << 10, "{most} KiB, in a build without optimisation");
    assert_eq!(keeping.status("a").get("log_lost_lines"), None);
}
