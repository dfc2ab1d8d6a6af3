//! From a TOML file to an answer: with a key, sealed, and as a user whom nobody knows.
use super::{LIMIT, Real, on_each};
use crate::kit::{Output, as_root, root};

/// From nothing to an answer and back to nothing, in one shell, because what is sealed cannot be seen from outside.
fn whole(real: &Real, before: &str) -> Output {
    let pipe = format!(
        "ienv {} | iplan | ilaunch | iprobe --timeout {} | ichat --max-tokens 8 Hello && istop",
        real.engine,
        LIMIT.as_secs()
    );
    real.sandbox.sh(&format!("{before} bash -euo pipefail -c '{pipe}'"))
}

#[test]
fn the_pipe_reaches_an_answer_and_a_key_is_asked_for_and_kept() {
    on_each("pipe to an answer, with a key", |real| {
        real.configure("api_key = 'sesame-and-more'");
        let stages = format!("| ilaunch | iprobe --timeout {} | ichat --max-tokens 8 Hello", LIMIT.as_secs());
        let output = real.pipe(&stages).exits(0);
        assert_eq!(output.kinds(), ["env", "plan", "instance", "ready", "answer"]);
        assert_ne!(output.one("answer")["content"], "");
        let head = real.answer("GET /v1/models");
        assert!(head.starts_with("HTTP/1.1 401"), "{head}");
        let held = real.held();
        let stopped = real.sandbox.sh("istop").exits(0).one("stopped");
        assert_eq!(stopped["how"], "term", "{stopped}");
        real.is_gone(&held);
        assert!(!output.transcript().contains("sesame") && !real.log().contains("sesame"));
    });
}

#[test]
fn a_sealed_start_reaches_an_answer() {
    on_each("sealed start", |real| {
        real.configure("");
        let output = whole(real, "iseal --").exits(0);
        assert_eq!(output.kinds(), ["env", "plan", "instance", "ready", "answer", "stopped"]);
    });
}

#[test]
fn the_templates_smoke_test_gets_an_answer_and_leaves_nothing() {
    on_each("smoke.sh of the template", |real| {
        let (engine, part) = (real.engine, real.engine.to_uppercase());
        let flags = match engine {
            "vllm" => "--enforce-eager --max-model-len 2048",
            _ => "--device cpu --max-total-tokens 8192 --mem-fraction-static 0.1",
        };
        let script = root().join(format!("scripts/templates/{engine}/scripts/smoke.sh"));
        let output = real.sandbox.sh(&format!(
            "export PATH=$(dirname \"$PYTHON\"):$PATH SMOKE_IN_PROJECT=1 VLLM_CPU_KVCACHE_SPACE=1 OMP_NUM_THREADS=1; \
             {part}_MODEL_DIR=$PWD/m {part}_PORT={} {part}_TIMEOUT_S={} {} {flags}",
            real.port,
            LIMIT.as_secs(),
            script.display()
        ));
        let output = output.exits(0);
        assert!(output.stderr.contains("smoke.sh: answered after "), "{}", output.stderr);
        assert_ne!(output.stdout.trim(), "");
        real.is_gone(&real.held());
    });
}

#[test]
fn a_user_whom_nobody_knows_gets_an_answer() {
    if !as_root() {
        return;
    }
    on_each("uid without a passwd entry", |real| {
        real.configure("");
        drop(real.sandbox.sh("chown -R 41234:0 .").exits(0));
        // The interpreter may lie in the home of root, where nobody else may enter.
        let user = "env -u USER -u LOGNAME HOME=/nonexistent setpriv --reuid=41234 --regid=0 --clear-groups";
        let output = whole(real, &format!("{} {user}", open_home())).exits(0);
        assert_eq!(output.kinds(), ["env", "plan", "instance", "ready", "answer", "stopped"]);
    });
}

/// Words before a command, which then sees a home of root that others may enter and read, in mounts of its own.
fn open_home() -> String {
    let home = std::env::var("HOME").unwrap();
    let script = format!(
        "set -e; mkdir keep; mount --rbind {home} keep; mount -t tmpfs -o mode=755 none {home}; \
         for entry in keep/* keep/.[!.]*; do to={home}/${{entry#keep/}}; \
         if [ -d $entry ]; then mkdir -p $to; mount --rbind $entry $to; fi; done; exec \"$@\""
    );
    format!("unshare --mount sh -c '{script}' sh")
}
