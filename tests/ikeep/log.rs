//! What becomes of the engine's output.
use super::{LIMIT, PATIENT};
use crate::kit::{Keeping, wait_for};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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
    let log = keeping.log_file("a");
    let numbered = |number: u32| PathBuf::from(format!("{}.{number}", log.display()));
    let mut files: Vec<PathBuf> = (1..=9).map(numbered).filter(|path| path.exists()).collect();
    assert!(files.len() >= 2, "{files:?}");
    files.reverse();
    files.push(log);
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

/// A file system of its own for a folder, gone again when dropped.
pub(super) struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    /// `None` where we may not mount.
    pub(super) fn mount(at: &'a Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={size}"), "infer-dev-test"]).arg(at);
        command.status().unwrap().success().then_some(Self(at))
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(self.0).status());
    }
}

#[test]
fn a_full_disk_costs_lines_that_are_counted_and_never_stops_the_engine() {
    if !rustix::process::geteuid().is_root() {
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
    let notes = log.lines().filter(|line| line.contains("were lost here"));
    let lost: usize = notes.map(|note| note.split(' ').nth(1).unwrap().parse::<usize>().unwrap()).sum();
    assert!(lost > 0);
    assert_eq!(whole + lost, 50_000, "{log}");
    assert!(log.lines().all(|line| !line.starts_with("line ") || line.ends_with("engine says")));
    wait_for("the count", LIMIT, || keeping.status("a")["log_lost_lines"] == lost);
    drop(keeping);
}
