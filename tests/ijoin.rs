//! Joining parts: what is right is written, and what is not is named.
mod parity;

use crate::isplit::{HELD, noise};
use crate::kit::{Sandbox, tools};
use std::fs;
use std::os::unix::fs::FileExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// A file of seven parts, the last of one byte, split into `p`.
fn split() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("b.tar", noise(6 * HELD + 1));
    drop(sandbox.sh("isplit --size 64KiB b.tar -d p").exits(0));
    sandbox
}

fn flip(sandbox: &Sandbox, file: &str, at: u64) {
    let file = fs::File::options().read(true).write(true).open(sandbox.path(file)).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x20], at).unwrap();
}

#[test]
fn every_bad_and_every_missing_part_is_named_and_no_other() {
    let sandbox = split();
    flip(&sandbox, "p/b.tar.003-of-007", 4096);
    fs::remove_file(sandbox.path("p/b.tar.005-of-007")).unwrap();
    drop(sandbox.sh("cp -r p before").exits(0));
    let output = sandbox.sh("ijoin p").exits(1);
    insta::assert_snapshot!(output.transcript(), @r"
    -- stderr --
    ijoin: part 3 of 7 is bad: p/b.tar.003-of-007: its data do not have its sha256
    ijoin: part 5 of 7 is missing: no b.tar.005-of-007
    ijoin: cannot join b.tar: 2 of 7 parts are bad or missing
    ijoin: hint: bring these again; nothing was written
    [exit 1]
    ");
    let check = sandbox.sh("ijoin --check p").exits(1).transcript();
    assert_eq!(check, output.transcript().replace("cannot join", "cannot check"));
    insta::assert_snapshot!(sandbox.sh("ijoin --into whole p").exits(1).transcript(), @r"
    -- stderr --
    ijoin: part 3 of 7 is bad: p/b.tar.003-of-007: its data do not have its sha256
    ijoin: part 5 of 7 is missing: no b.tar.005-of-007
    ijoin: cannot join b.tar: 2 of 7 parts are bad or missing
    ijoin: hint: bring these, and run the same command: it goes on after part 2
    [exit 1]
    ");
    assert!(!sandbox.path("whole").exists());
    drop(sandbox.sh("diff -r p before").exits(0));
}

#[test]
fn nothing_after_the_first_bad_part_is_written() {
    let sandbox = split();
    flip(&sandbox, "p/b.tar.003-of-007", 30_000);
    flip(&sandbox, "p/b.tar.006-of-007", 4096 + HELD as u64 - 1);
    let output = sandbox.sh("ijoin p > out").exits(1);
    assert!(output.stderr.contains("part 3 of 7 is bad") && output.stderr.contains("part 6 of 7 is bad"));
    assert!(output.stderr.contains("2 of 7 parts are bad or missing"), "{}", output.stderr);
    assert_eq!(fs::read(sandbox.path("out")).unwrap(), noise(6 * HELD + 1)[..2 * HELD]);
}

#[test]
fn whatever_befalls_a_part_is_seen() {
    let sandbox = split();
    let part = |number: u64| format!("p/b.tar.00{number}-of-007");
    flip(&sandbox, &part(1), 10);
    flip(&sandbox, &part(2), 4095);
    let resize = |number, size| {
        fs::File::options().write(true).open(sandbox.path(&part(number))).unwrap().set_len(size).unwrap();
    };
    resize(3, 20_000);
    resize(4, 100_000);
    resize(5, 100);
    resize(6, 0);
    insta::assert_snapshot!(sandbox.sh("ijoin p").exits(1).transcript(), @r"
    -- stderr --
    ijoin: part 1 of 7 is bad: p/b.tar.001-of-007: its description is damaged
    ijoin: part 2 of 7 is bad: p/b.tar.002-of-007: its description is damaged
    ijoin: part 3 of 7 is bad: p/b.tar.003-of-007: truncated, 20000 of 61440 bytes
    ijoin: part 4 of 7 is bad: p/b.tar.004-of-007: too long, 100000 bytes, not 61440
    ijoin: part 5 of 7 is bad: p/b.tar.005-of-007: truncated within its description, after 100 bytes
    ijoin: part 6 of 7 is bad: p/b.tar.006-of-007: its description is damaged
    ijoin: cannot join b.tar: 6 of 7 parts are bad or missing
    ijoin: hint: bring these again; nothing was written
    [exit 1]
    ");
}

#[test]
fn names_order_and_foreign_files_do_not_matter() {
    let sandbox = split();
    sandbox.write("p/README", "not a part");
    sandbox.write("p/b.tar.003-of-009", "not of this whole");
    drop(
        sandbox
            .sh("mkfifo p/pipe; mkdir p/folder q; mv p/b.tar.001-of-007 p/zzz; mv p/b.tar.00[23]-of-007 q")
            .exits(0),
    );
    drop(sandbox.sh("ijoin q p | cmp - b.tar").exits(0));
    drop(sandbox.sh("ijoin p/*7-of-* q/*3* p/*[456]-of-* q/*2* p/zzz | cmp - b.tar").exits(0));
    // A second copy stands in for a bad one.
    drop(sandbox.sh("cp q/b.tar.002-of-007 q/copy").exits(0));
    flip(&sandbox, "q/b.tar.002-of-007", 5000);
    let warning = "ijoin: warn: q/b.tar.002-of-007 is bad, another copy of it is good: its data do not have its sha256\n";
    assert_eq!(sandbox.sh("ijoin p q | cmp - b.tar").exits(0).stderr, warning);
    assert!(sandbox.sh("ijoin p q --into whole; cmp whole b.tar").exits(0).stderr.starts_with(warning));
}

#[test]
fn of_several_wholes_one_is_chosen() {
    let sandbox = split();
    let mut other = noise(2 * HELD);
    other[7] ^= 1;
    sandbox.write("other/b.tar", &other);
    sandbox.write("c.tar", "x");
    drop(sandbox.sh("cat other/b.tar | isplit --name b.tar --size 64KiB -d q; isplit c.tar -d q").exits(0));
    insta::assert_snapshot!(sandbox.sh("ijoin p q").exits(65).transcript(), @r"
    -- stderr --
    ijoin: cannot tell which of 3 files to join from p, q: there are parts of b.tar (sha256 94f7889f746a1a93…, 2 of 2 parts); b.tar (sha256 051a72c7b80ec93f…, 7 of 7 parts); c.tar (sha256 2d711642b726b044…, 1 of 1 parts)
    ijoin: hint: choose with --whole NAME, or the beginning of its sha256, or name its parts alone
    [exit 65]
    ");
    drop(sandbox.sh("ijoin p q --whole c.tar | cmp - c.tar").exits(0));
    drop(sandbox.sh("ijoin p q --whole b.tar").exits(65));
    drop(sandbox.sh("ijoin p q --whole $(sha256sum other/b.tar | head -c 12) | cmp - other/b.tar").exits(0));
    let output = sandbox.sh("ijoin p --whole d.tar").exits(65);
    assert!(output.stderr.starts_with("ijoin: no part of d.tar in p: there are parts of b.tar ("));
}

#[test]
fn what_is_no_part_is_refused() {
    let sandbox = split();
    fs::create_dir(sandbox.path("empty")).unwrap();
    let said = |command: &str, code: i32| sandbox.sh(command).exits(code).transcript();
    insta::assert_snapshot!(said("ijoin empty", 65), @r"
    -- stderr --
    ijoin: no parts of a split file in empty: no file there describes itself as one that isplit made
    [exit 65]
    ");
    insta::assert_snapshot!(said("ijoin b.tar", 65), @r"
    -- stderr --
    ijoin: cannot join b.tar: it is not a part of a split file
    [exit 65]
    ");
    assert_eq!(said("ijoin b.tar p", 65), said("ijoin b.tar", 65));
    assert!(said("mkfifo pipe; ijoin pipe p", 69).contains("ijoin: cannot read pipe: not a regular file"));
    assert!(said("ijoin none p", 69).contains("ijoin: cannot read none: No such file or directory"));
    assert!(said("ijoin", 2).contains("required"));
    assert!(said("ijoin --check --into x p", 2).contains("cannot be used with"));
    assert!(
        said("ijoin p > /dev/full", 69).contains("cannot write standard output: No space left on device")
    );
    assert!(
        said("ijoin p | head -c 9 > /dev/null", 69).contains("cannot write standard output: Broken pipe")
    );
    assert!(said("script -qec 'ijoin p' /dev/null < /dev/null", 2).contains("standard output is a terminal"));
}

#[test]
fn joining_goes_on_where_it_ended_and_forgets_what_is_not_right() {
    let sandbox = split();
    drop(sandbox.sh("mkdir a b c; mv p/*[123]-of-* a; mv p/*[45]-of-* b; mv p/*[67]-of-* c").exits(0));
    let into =
        |folders: &str, code: i32| sandbox.sh(&format!("ijoin --into whole {folders}")).exits(code).stderr;
    assert!(into("a", 1).contains("parts 4 to 7 of 7 are missing: no b.tar.004-of-007 to b.tar.007-of-007"));
    // Another medium out of turn changes nothing.
    assert!(into("c", 1).contains("parts 4 to 5 of 7 are missing"));
    assert!(into("b", 1).contains("it goes on after part 5"));
    flip(&sandbox, "whole.ijoin-part", 4 * HELD as u64);
    insta::assert_snapshot!(into("b c", 0), @r"
    ijoin: warn: whole.ijoin-part is right up to part 4 and wrong after it: going on from there
    ijoin: whole is b.tar, sha256 051a72c7b80ec93f5c5cde8301c7ff264e1acc4b68dd188265d084a2933c760e
    ");
    drop(sandbox.sh("cmp whole b.tar; test ! -e whole.ijoin-part").exits(0));
    assert_eq!(into("c", 0), "ijoin: whole is b.tar already\n");
    flip(&sandbox, "whole", 1);
    assert!(into("a b c", 69).contains("cannot write whole: it exists and is not b.tar"));
    fs::remove_file(sandbox.path("whole")).unwrap();
    sandbox.write("whole.ijoin-part", vec![0; 3 * HELD + 5]);
    assert!(
        into("a c", 1).contains("ijoin: warn: whole.ijoin-part is not what b.tar begins with: starting over")
    );
    drop(into("a b c", 0));
    drop(sandbox.sh("cmp whole b.tar").exits(0));
}

#[test]
fn one_at_a_time_writes_a_file() {
    let sandbox = split();
    let output = sandbox.sh("flock whole.ijoin-part ijoin --into whole p").exits(75);
    assert!(output.stderr.contains("cannot lock whole.ijoin-part: another ijoin is writing it"));
    drop(sandbox.sh("ijoin --into whole p; cmp whole b.tar").exits(0));
}

#[test]
fn without_room_what_is_right_is_kept() {
    let sandbox = split();
    fs::create_dir(sandbox.path("small")).unwrap();
    let script = "mount -t tmpfs -o size=1m none small; set +e
        ijoin p > small/out; echo $?; rm small/out
        head -c 900000 /dev/zero > small/filler
        ijoin p > small/out; echo $?; rm small/out
        ijoin --into small/whole p; echo $?; ls small
        rm small/filler; ijoin --into small/whole p/*[12]-of* 2>/dev/null; echo $?
        head -c 800000 /dev/zero > small/filler
        ijoin --into small/whole p; echo $?; ls small
        rm small/filler; ijoin --into small/whole p && cmp small/whole b.tar";
    let mut unshare = sandbox.command("unshare");
    let output = sandbox.finish(unshare.args(["--map-root-user", "--mount", "bash", "-c", script])).exits(0);
    insta::assert_snapshot!(output.transcript(), @r"
    0
    69
    69
    filler
    1
    69
    filler
    whole.ijoin-part
    -- stderr --
    ijoin: cannot write standard output: No space left on device
    ijoin: cannot write small/whole.ijoin-part: 344065 bytes are needed, 147456 are free
    ijoin: cannot write small/whole.ijoin-part: 229377 bytes are needed, 131072 are free
    ijoin: small/whole is b.tar, sha256 051a72c7b80ec93f5c5cde8301c7ff264e1acc4b68dd188265d084a2933c760e
    ");
}

#[test]
fn killed_anywhere_it_is_whole_or_not_there() {
    let sandbox = Sandbox::new();
    let bytes = noise(24 << 20);
    sandbox.write("b.tar", &bytes);
    drop(sandbox.sh("isplit --size 1MiB b.tar -d p").exits(0));
    let staging = sandbox.path("whole.ijoin-part");
    let mut killed = 0;
    for step in 0..20 {
        let mut command = sandbox.command(tools().join("ijoin"));
        let mut child = command
            .args(["--into", "whole", "p"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        let length = || fs::metadata(&staging).map_or(0, |looks| looks.len());
        while child.try_wait().unwrap().is_none() && length() < (step % 10) * 2_400_000 {
            assert!(start.elapsed() < Duration::from_secs(60), "no progress");
        }
        child.kill().unwrap();
        killed += u32::from(!child.wait().unwrap().success());
        assert_eq!(sandbox.path("p").read_dir().unwrap().count(), 25);
        if sandbox.path("whole").exists() {
            assert!(fs::read(sandbox.path("whole")).unwrap() == bytes, "a wrong whole at step {step}");
            fs::remove_file(sandbox.path("whole")).unwrap();
        }
    }
    assert!(killed > 0);
    drop(sandbox.sh("ijoin --into whole p; cmp whole b.tar").exits(0));
}

#[test]
fn a_file_system_that_takes_no_such_file_is_named_and_elsewhere_it_goes_on() {
    let sandbox = split();
    let output = sandbox.sh("trap '' XFSZ; ulimit -f 120; ijoin --into whole p").exits(69);
    insta::assert_snapshot!(output.transcript(), @r"
    -- stderr --
    ijoin: cannot write whole.ijoin-part: File too large
    ijoin: hint: this file system, or ulimit -f, takes no file of 344065 bytes; name one elsewhere
    [exit 69]
    ");
    drop(sandbox.sh("ijoin --into whole p; cmp whole b.tar; ls whole.* && exit 9 || true").exits(0));
}
