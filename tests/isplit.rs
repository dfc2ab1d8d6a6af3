//! Cutting a file into parts, and what is left where that fails.
use crate::kit::{Sandbox, wait_for};
use serde_json::Value;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);
/// What a part of `--size 64KiB` holds.
pub(crate) const HELD: usize = 57_344;

/// Bytes that repeat nowhere and are the same every time.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut bytes: Vec<u8> = (0..length / 8 + 1).flat_map(|_| next().to_le_bytes()).collect();
    bytes.truncate(length);
    bytes
}

fn names(sandbox: &Sandbox, folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(sandbox.path(folder)).unwrap();
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn any_size_comes_back_from_parts_smaller_than_asked_for() {
    let sandbox = Sandbox::new();
    for (size, count) in
        [(0, 1), (1, 1), (HELD, 1), (HELD + 1, 2), (3 * HELD, 3), (3 * HELD + 9, 4), (40 * HELD - 1, 40)]
    {
        sandbox.write("b.tar", noise(size));
        let output = sandbox.sh("rm -rf p q && isplit --size 64KiB b.tar -d p
            cat b.tar | isplit --size 64KiB --name b.tar -d q && diff -r p q
            ijoin p | cmp - b.tar
            tail --quiet --bytes=+4097 p/* | cmp - b.tar
            find p -size +65535c");
        assert_eq!(output.exits(0).stdout, "", "{size}");
        assert_eq!(names(&sandbox, "p").len(), count, "{size}");
    }
}

#[test]
fn a_part_says_what_it_is_and_the_run_says_what_was_made() {
    let sandbox = Sandbox::new();
    sandbox.write("b.tar", noise(3 * HELD - 1));
    let output = sandbox.sh("isplit --size 64K -d p < b.tar --name 'a b.tar'; ls p").exits(0);
    insta::assert_snapshot!(output.transcript(), @r"
    a b.tar.001-of-003
    a b.tar.002-of-003
    a b.tar.003-of-003
    -- stderr --
    isplit: 3 parts of a b.tar in p, sha256 of the whole ebfbb3aa8edca060c6091156c9ab486749f5a5182e2ec4fab002d4fa329becb5
    ");
    let sum = |what: &str| {
        let output = sandbox.sh(&format!("{what} | sha256sum")).exits(0);
        Value::from(output.stdout.split(' ').next().unwrap())
    };
    let part = sandbox.sh("head -n 1 p/*2-of*").exits(0).one("part");
    assert_eq!((&part["format"], &part["index"], &part["count"]), (&1.into(), &2.into(), &3.into()));
    assert_eq!((&part["size_bytes"], &part["whole"]["size_bytes"]), (&HELD.into(), &(3 * HELD - 1).into()));
    assert_eq!(part["whole"]["name"], "a b.tar");
    assert_eq!(part["whole"]["sha256"], sum("cat b.tar"));
    assert_eq!(part["sha256"], sum("tail --bytes=+4097 p/*2-of*"));
    assert_eq!(part["before_sha256"], sum(&format!("head --bytes={HELD} b.tar")));
    assert_eq!(part["after_sha256"], sum(&format!("head --bytes={} b.tar", 2 * HELD)));
}

#[test]
fn parts_of_something_else_are_never_written_over() {
    let sandbox = Sandbox::new();
    let mut bytes = noise(2 * HELD);
    sandbox.write("b.tar", &bytes);
    bytes[0] ^= 1;
    sandbox.write("other/b.tar", &bytes);
    sandbox.write("p/notes", "mine");
    drop(sandbox.sh("isplit --size 64KiB b.tar -d p; cp -r p before").exits(0));
    // The same again is the same.
    drop(sandbox.sh("isplit --size 64KiB b.tar -d p; diff -r p before").exits(0));
    let output = sandbox.sh("isplit --size 32KiB b.tar -d p").exits(69);
    insta::assert_snapshot!(output.transcript().replace("001-of", "00N-of").replace("002-of", "00N-of"), @r"
    -- stderr --
    isplit: cannot write parts of b.tar to p: p/b.tar.00N-of-002 is not a part of the same file split the same way
    isplit: hint: remove the parts that are there, or use another DIR or --name
    [exit 69]
    ");
    // Of the same size and name, and from a pipe: known only at the end.
    drop(sandbox.sh("isplit --size 64KiB other/b.tar -d p").exits(69));
    drop(sandbox.sh("cat other/b.tar | isplit --size 64KiB --name b.tar -d p").exits(69));
    sandbox.write("p/b.tar.002-of-002", "not a part");
    drop(sandbox.sh("isplit --size 64KiB b.tar -d p").exits(69));
    assert_eq!(sandbox.read("p/b.tar.002-of-002"), "not a part");
    drop(sandbox.sh("rm p/*2-of* before/*2-of*; diff -r p before").exits(0));
}

/// A medium was written by somebody else: what lies in a part's place may be anything.
#[test]
fn a_pipe_in_the_place_of_a_part_is_no_part_and_not_waited_for() {
    let sandbox = Sandbox::new();
    sandbox.write("b.tar", noise(2 * HELD));
    for name in ["b.tar.001-of-002", "b.tar.parity-001-of-001"] {
        drop(sandbox.sh(&format!("rm -rf p; mkdir p; mkfifo p/{name}")).exits(0));
        let output = sandbox.sh("timeout 20 isplit --size 64KiB --parity 1 b.tar -d p").exits(69);
        assert!(output.stderr.contains("is not a part of the same file split the same way"), "{output:?}");
        assert_eq!(names(&sandbox, "p"), [name]);
    }
}

#[test]
fn without_room_nothing_is_left() {
    let sandbox = Sandbox::new();
    sandbox.write("b.tar", noise(2 << 20));
    std::fs::create_dir(sandbox.path("small")).unwrap();
    let on_small = |command: &str| {
        let script =
            format!("mount -t tmpfs -o size=1m none small; {command}; code=$?; ls -A small; exit $code");
        let mut unshare = sandbox.command("unshare");
        sandbox.finish(unshare.args(["--map-root-user", "--mount", "bash", "-c", &script]))
    };
    insta::assert_snapshot!(on_small("isplit --size 64KiB b.tar -d small").exits(69).transcript(), @r"
    -- stderr --
    isplit: cannot write 37 parts to small: 2248704 bytes are needed, 1048576 are free
    [exit 69]
    ");
    insta::assert_snapshot!(
        on_small("cat b.tar | isplit --size 512KiB --name b -d small/new").exits(69).transcript(), @r"
    -- stderr --
    isplit: cannot write part 3 of b to small/new: No space left on device
    isplit: hint: nothing was left there; make room, or use another DIR
    [exit 69]
    ");
}

#[test]
fn a_run_that_found_the_medium_full_is_run_again_as_if_it_had_never_been() {
    let sandbox = Sandbox::new();
    sandbox.write("b.tar", noise(10 * HELD));
    std::fs::create_dir(sandbox.path("small")).unwrap();
    let script = "mount -t tmpfs -o size=1m none small; head -c 512K /dev/zero > small/other
        split() { cat b.tar | isplit --size 64KiB --name b.tar -d small; }
        split && exit 9; ls -A small; rm small/other; split 2> /dev/null; ls -A small | wc -l; ijoin small | cmp - b.tar";
    let mut unshare = sandbox.command("unshare");
    let output = sandbox.finish(unshare.args(["--map-root-user", "--mount", "bash", "-uc", script])).exits(0);
    insta::assert_snapshot!(output.transcript(), @r"
    other
    10
    -- stderr --
    isplit: cannot write part 9 of b.tar to small: No space left on device
    isplit: hint: nothing was left there; make room, or use another DIR
    ");
}

#[test]
fn a_part_larger_than_the_file_system_takes_is_refused_and_a_smaller_one_fits() {
    let sandbox = Sandbox::new();
    sandbox.write("b.tar", noise(3 * HELD));
    // As FAT does at 4 GiB.
    let output = sandbox.sh("trap '' XFSZ; ulimit -f 40; isplit --size 64KiB b.tar -d p").exits(69);
    insta::assert_snapshot!(output.transcript(), @r"
    -- stderr --
    isplit: cannot write part 1 of b.tar to p: File too large
    isplit: hint: this file system, or ulimit -f, takes smaller files only: lower --size
    [exit 69]
    ");
    assert!(!sandbox.path("p").exists());
    let again = "ulimit -f 40; isplit --size 40KiB b.tar -d p";
    drop(sandbox.sh(&format!("{again}; ijoin p | cmp - b.tar")).exits(0));
}

#[test]
fn a_wrong_call_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("b.tar", "x");
    std::fs::create_dir(sandbox.path("full")).unwrap();
    let said = |command: &str, code: i32| {
        let output = sandbox.sh(command).exits(code);
        assert!(!sandbox.path("p").exists(), "{command}");
        output.stderr
    };
    assert!(said("isplit -d p < b.tar", 2).contains("what is split has no name"));
    assert!(said("isplit --name a/b -d p b.tar", 2).contains("cannot name the parts 'a/b'"));
    assert!(said("isplit --size 8K -d p b.tar", 2).contains("at least 8193 bytes"));
    assert!(said("isplit --size 4.5G -d p b.tar", 2).contains("a size is a number"));
    assert!(said("isplit -d p none", 69).contains("cannot read none: No such file or directory"));
    assert!(said("isplit -d p full", 69).contains("cannot read full: Is a directory"));
    assert!(said("isplit -d p/q b.tar", 69).contains("cannot write p/q: No such file or directory"));
    assert!(said("isplit -d b.tar b.tar", 69).contains("cannot"));
}

/// A run that has written two parts and waits for more.
fn in_the_middle(sandbox: &Sandbox) -> Child {
    let mut command = sandbox.command(crate::kit::tools().join("isplit"));
    command.args(["--size", "64KiB", "--name", "b.tar", "-d", "p"]).stdin(Stdio::piped());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(&noise(2 * HELD + 1)).unwrap();
    wait_for("two parts", LIMIT, || sandbox.path("p/.isplit/2").exists());
    child
}

#[test]
fn a_run_that_is_ended_leaves_no_part() {
    let sandbox = Sandbox::new();
    let mut child = in_the_middle(&sandbox);
    drop(sandbox.sh("isplit --name c -d p < /dev/null").exits(75));
    drop(sandbox.sh(&format!("kill -TERM {}", child.id())).exits(0));
    assert_eq!(child.wait().unwrap().signal(), Some(15));
    assert!(!sandbox.path("p").exists());

    let mut child = in_the_middle(&sandbox);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(names(&sandbox, "p"), [".isplit"]);
    drop(sandbox.sh("isplit --name c -d p < /dev/null").exits(0));
    assert_eq!(names(&sandbox, "p"), ["c.001-of-001"]);
}

#[test]
fn a_part_that_cannot_get_its_name_takes_those_before_it_along() {
    let sandbox = Sandbox::new();
    sandbox.write("b.tar", noise(3 * HELD));
    drop(sandbox.sh("isplit --size 64KiB b.tar -d p; cp -r p whole").exits(0));
    // What is mounted on is not renamed over.
    let script = "rm p/*1-of*; mount --bind p/b.tar.002-of-003 p/b.tar.002-of-003
        isplit --size 64KiB b.tar -d p; code=$?; ls -A p; diff -r p whole; exit $code";
    let mut unshare = sandbox.command("unshare");
    let output =
        sandbox.finish(unshare.args(["--map-root-user", "--mount", "bash", "-uc", script])).exits(69);
    insta::assert_snapshot!(output.transcript(), @r"
    b.tar.002-of-003
    b.tar.003-of-003
    Only in whole: b.tar.001-of-003
    -- stderr --
    isplit: cannot write p/b.tar.002-of-003: Device or resource busy
    [exit 69]
    ");
}
