//! What a test needs that is not everywhere: root, an ordinary user, the long run. Where that is missing the test says so in
//! one line, which `scripts/test` repeats at its end.

/// Whether root runs the tests.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether root runs this test, which no other user can run; else the test is not run.
pub(crate) fn as_root() -> bool {
    if !is_root() {
        not_run("only root can do this");
    }
    is_root()
}

/// Whether root runs this test, which proves one thing as root and another as an ordinary user. `scripts/test` finds the line
/// that this prints, and runs the test once more as the other.
pub(crate) fn as_each() -> bool {
    println!("run as {}", if is_root() { "root" } else { "an ordinary user" });
    is_root()
}

/// Say that the test was not run, and why. In CI that is a failure.
pub(crate) fn not_run(why: &str) {
    println!("not run: {why}");
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "CI runs every test: {why}");
}

/// Say what is left to another run of the tests: the long one, the one on a GPU, the one with real engines.
pub(crate) fn left_out(why: &str) {
    println!("left out: {why}");
}

/// Whether this is the long run, `scripts/test --full`.
pub(crate) fn full() -> bool {
    std::env::var_os("INFER_DEV_TEST_FULL").is_some_and(|full| full == "1")
}

/// Whether this is the long run, which alone runs this test.
pub(crate) fn in_the_long_run() -> bool {
    if !full() {
        left_out("only the long run does this");
    }
    full()
}
