//! Lost and bad parts, rebuilt from parity.
use super::flip;
use crate::isplit::{HELD, noise};
use crate::kit::{Sandbox, as_root};
use std::fs;

/// A file of five parts, the last of nine bytes, and two parity parts.
fn split() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("b.tar", noise(4 * HELD + 9));
    let output = sandbox.sh("isplit --size 64KiB --parity 2 b.tar -d whole").exits(0);
    assert!(output.stderr.contains("isplit: 5 parts and 2 of parity of b.tar in whole"), "{}", output.stderr);
    sandbox
}

fn part(index: usize) -> String {
    format!("p/b.tar.{index:03}-of-005")
}

#[test]
fn any_two_of_five_may_be_lost() {
    let sandbox = split();
    for first in 1..=5 {
        for second in first..=5 {
            drop(sandbox.sh("rm -rf p joined; cp -r whole p").exits(0));
            for index in [first, second] {
                // The same one twice is one.
                drop(fs::remove_file(sandbox.path(&part(index))));
            }
            let output =
                sandbox.sh("ijoin p | cmp - b.tar && ijoin p --into joined && cmp joined b.tar").exits(0);
            let told = output.stderr.matches("; rebuilt from parity").count();
            assert!(told >= 2, "{first} and {second}: {}", output.stderr);
            let left = sandbox.sh("ls -A p; ls -A tmp").exits(0).stdout;
            assert!(!left.contains("ijoin"), "{left}");
        }
    }
}

#[test]
fn bad_parts_are_rebuilt_as_lost_ones_are_and_the_whole_is_as_it_was() {
    let sandbox = split();
    drop(sandbox.sh("cp -r whole p").exits(0));
    flip(&sandbox, &part(2), 30_000);
    // Its description alone.
    flip(&sandbox, &part(4), 10);
    let check = sandbox.sh("ijoin --check p").exits(0);
    assert!(
        check.stderr.contains("2 bad or missing can be rebuilt: 2 parity parts are right"),
        "{}",
        check.stderr
    );
    drop(sandbox.sh("ijoin p | cmp - b.tar").exits(0));
    let output = sandbox.sh("ijoin p --into joined").exits(0);
    assert!(output.stderr.contains("part 2 of 5 is bad: p/b.tar.002-of-005"), "{}", output.stderr);
    drop(sandbox.sh("cmp joined b.tar; ijoin p --into joined").exits(0));
}

#[test]
fn more_than_there_is_parity_for_is_named_as_ever() {
    let sandbox = split();
    drop(sandbox.sh("cp -r whole p; rm p/b.tar.001-of-005 p/b.tar.003-of-005").exits(0));
    flip(&sandbox, "p/b.tar.parity-001-of-002", 20_000);
    for command in ["ijoin p", "ijoin p --into joined", "ijoin --check p"] {
        let output = sandbox.sh(command).exits(1);
        assert!(
            output.stdout.is_empty() && output.stderr.contains("2 of 5 parts are bad or missing"),
            "{output:?}"
        );
        assert!(output.stderr.contains("parity part 1 of 2 is bad: p/b.tar.parity-001-of-002"), "{output:?}");
    }
    assert!(!sandbox.path("joined").exists());
    drop(sandbox.sh("rm p/*-of-002 && ijoin p").exits(1));
}

#[test]
fn a_whole_of_one_part_and_one_of_nothing_come_back_from_parity_alone() {
    let sandbox = Sandbox::new();
    for size in [0, 1, HELD] {
        sandbox.write("b.tar", noise(size));
        let script = "rm -rf p; isplit --size 64KiB --parity 1 b.tar -d p && rm p/b.tar.001-of-001 && ijoin p | cmp - b.tar";
        drop(sandbox.sh(script).exits(0));
    }
}

#[test]
fn parity_from_a_pipe_is_the_same_and_of_another_file_is_not_written_over() {
    let sandbox = split();
    drop(
        sandbox
            .sh("isplit --size 64KiB --parity 2 --name b.tar -d piped < b.tar && diff -r whole piped")
            .exits(0),
    );
    drop(sandbox.sh("mkdir other && cp whole/*.parity-* other && truncate -s +1 b.tar").exits(0));
    let output = sandbox.sh("isplit --size 64KiB b.tar -d other").exits(69);
    assert!(output.stderr.contains("is not a part of the same file split the same way"), "{}", output.stderr);
    let output = sandbox.sh("isplit --size 12KiB --parity 255 big -d many || truncate -s 64M big && isplit --size 12KiB --parity 255 big -d many").exits(2);
    assert!(output.stderr.contains("are more than 4096 together"), "{}", output.stderr);
    assert!(!sandbox.path("many").exists());
}

#[test]
fn without_room_for_what_is_rebuilt_nothing_is_written_and_another_folder_helps() {
    if !as_root() {
        return;
    }
    let sandbox = split();
    drop(sandbox.sh("cp -r whole p; rm p/b.tar.002-of-005; mkdir small").exits(0));
    let script = "mount -t tmpfs -o size=16k none small; ijoin --scratch small p > out";
    let output = sandbox.sh(&format!("unshare --mount bash -c '{script}'")).exits(69);
    assert!(
        output.stderr.contains("cannot write rebuilt parts to small: No space left on device"),
        "{output:?}"
    );
    assert!(output.stderr.contains("--scratch"), "{output:?}");
    assert_eq!(fs::metadata(sandbox.path("out")).unwrap().len(), 0);
    drop(sandbox.sh("ijoin --scratch . p | cmp - b.tar").exits(0));
}
