//! ijoin to standard output: what it calls done was written.
use crate::kit::{Sandbox, tools};
use std::fs;

const BYTES: usize = 100_000;

fn split() -> (Sandbox, Vec<u8>) {
    let sandbox = Sandbox::new();
    let whole: Vec<u8> = (0..BYTES * 5 / 2).map(|at| u8::try_from(at * at % 251).unwrap()).collect();
    sandbox.write("whole", &whole);
    drop(sandbox.sh(&format!("isplit --size {BYTES} whole -d parts")).exits(0));
    (sandbox, whole)
}

#[test]
fn one_failed_system_call_never_yields_success_without_the_work() {
    let (sandbox, whole) = split();
    let mut successes = 0;
    for call in
        ["openat:error=EIO", "openat:error=EMFILE", "read:error=EIO", "lseek:error=EIO", "statx:error=EIO"]
    {
        for when in 1..=20 {
            let inject = format!("inject={call}:when={when}");
            let mut command = sandbox.command("strace");
            for part in 1..=3 {
                command.arg("-P").arg(sandbox.path(&format!("parts/whole.00{part}-of-003")));
            }
            command
                .args(["-f", "-qq", "-o", "/dev/null", "-e", &inject])
                .arg(tools().join("ijoin"))
                .arg("parts");
            let out = fs::File::create(sandbox.path("out")).unwrap();
            let output = command.stdout(out).output().unwrap();
            let wrote = fs::read(sandbox.path("out")).unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(whole.starts_with(&wrote), "{inject}: what is wrong was written");
            if output.status.success() {
                successes += 1;
                assert!(wrote == whole, "{inject}: exit 0 after {} bytes: {said}", wrote.len());
            } else {
                assert!([1, 65, 69].contains(&output.status.code().unwrap_or(0)), "{inject}: {said}");
            }
        }
    }
    assert!(successes > 0, "nothing was ever joined");
}
