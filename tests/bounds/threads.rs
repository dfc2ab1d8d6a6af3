//! No thread and no process to be had: what needs only one goes on with the one that it has, what needs more says so.
use super::Ordinary;
use crate::kit::{Keeping, Output, Tiny, free_port, wait_for};
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Duration;

const PATIENT: &str = "echo up; exec sleep 1000";

/// Nothing panicked, which would be 101, and the failure says what is missing and what to do.
fn refused(output: Output) -> Value {
    let output = output.exits(75);
    let failed = output.one("failed");
    assert_eq!(failed["code"], 75, "{failed}");
    let hint = failed["hint"].as_str().unwrap_or_default();
    assert!(hint.contains("ulimit -u is 1") && hint.contains("raise the limit"), "{failed}");
    assert!(output.transcript().contains("Resource temporarily unavailable"), "{failed}");
    failed
}

/// Two instances of the real engine, which the user can reach.
fn planned(keeping: &mut Keeping) {
    let tiny = Tiny::get();
    for (from, to) in [(&tiny.archive, "llama.tar.gz"), (&tiny.model, "tiny.gguf")] {
        keeping.sandbox.write(to, std::fs::read(from).unwrap());
    }
    let mut config = format!("[instance.server]\nmodel = {:?}\n", keeping.sandbox.path("tiny.gguf"));
    for instance in ["a", "b"] {
        config.push_str(&format!("[instance.{instance}.server]\nport = {}\n", free_port()));
    }
    let config = keeping.sandbox.write("llama.toml", config);
    keeping.sandbox.set("AUTO_INFER_LLAMA_CPP_CONFIG", config.to_str().unwrap());
    let archive = keeping.sandbox.text("llama.tar.gz");
    keeping.sandbox.set("AUTO_INFER_LLAMA_CPP_PKG_PATH", &archive);
}

#[test]
fn without_a_second_thread_every_stage_works_or_says_what_is_missing() {
    let Some(user) = Ordinary::new() else { return };
    let mut keeping = user.keeping();
    planned(&mut keeping);
    // What a stage writes is what the next one reads, whether there was a thread for it or not.
    let root = keeping.sandbox.text("").trim_end_matches('/').to_owned();
    let keep = |name: &str, output: Output| {
        keeping.sandbox.write(name, output.stdout.replace("$SANDBOX", &root));
    };
    keep("env", user.alone(&keeping, "ienv llama-cpp").exits(0));
    refused(user.alone(&keeping, "iinstall < env"));
    assert!(!keeping.sandbox.path("w/llama-cpp-pkg/current").exists());
    keep("installed", user.sh(&keeping, "iinstall < env").exits(0));
    keep("plan", user.alone(&keeping, "iplan < installed").exits(0));
    let output = user.alone(&keeping, "ilaunch < plan").exits(75);
    assert_eq!(output.all("failed").len(), 2, "{}", output.transcript());
    assert!(keeping.processes().is_empty());
    keep("instance", user.sh(&keeping, "ilaunch < plan").exits(0));
    let ready = user.alone(&keeping, "iprobe < instance").exits(0);
    assert_eq!(ready.all("ready").len(), 2, "{}", ready.transcript());
    let url = ready.all("ready")[0]["url"].as_str().unwrap().replace("127.0.0.1", "localhost");
    keep("ready", ready);
    for command in ["iprobe --state run/llama-cpp/a", "iprobe --once --state run/llama-cpp/b"] {
        drop(user.alone(&keeping, command).exits(0));
    }
    assert_eq!(user.alone(&keeping, "ichat Hello < ready").exits(0).all("answer").len(), 2);
    // A name, which takes a look-up.
    user.alone(&keeping, &format!("ichat --url {url} Hello")).exits(0).one("answer");
    assert_eq!(user.alone(&keeping, "istat").exits(0).all("status").len(), 2);
    assert_eq!(user.alone(&keeping, "istop").exits(0).all("stopped").len(), 2);
    assert!(keeping.processes().is_empty());
}

#[test]
fn with_no_process_to_spare_all_are_stopped_and_reported() {
    let Some(user) = Ordinary::new() else { return };
    let keeping = user.keeping();
    let plans: String = ["a", "b", "c"].map(|name| format!("{}\n", keeping.plan(name, PATIENT))).concat();
    keeping.sandbox.write("plans", plans);
    drop(user.sh(&keeping, "ilaunch < plans").exits(0));
    assert_eq!(keeping.processes().len(), 6);
    // Fewer than would be needed for a thread each, as `ulimit -u` has it: those that run count too.
    let few = keeping.processes().len() + 1;
    let stopped = user.sh(&keeping, &format!("ulimit -u {few}; exec istop")).exits(0);
    assert_eq!(stopped.all("stopped").len(), 3, "{}", stopped.transcript());
    assert!(keeping.processes().is_empty());
}

#[test]
fn a_keeper_that_had_no_thread_to_ask_for_health_finds_one_later() {
    let Some(user) = Ordinary::new() else { return };
    let keeping = user.keeping();
    keeping.sandbox.write("site/health", "{}");
    let port = free_port();
    let server = format!(
        "cd site; exec python3 -c 'import http.server as h; h.HTTPServer((\"127.0.0.1\", {port}), h.SimpleHTTPRequestHandler).serve_forever()'"
    );
    let mut plan = keeping.plan("a", &server.replace("site", &keeping.sandbox.text("site")));
    plan["port"] = port.into();
    keeping.sandbox.write("order", json!({ "plan": plan }).to_string());
    for folder in [keeping.state_dir("a"), keeping.sandbox.path("logs")] {
        std::fs::create_dir_all(folder).unwrap();
    }
    drop(keeping.sandbox.sh(&format!("chown -R {} run logs", user.uid)).exits(0));
    let keeps = |most: u32| {
        let mut keeper = keeping.sandbox.command("setpriv");
        keeper.args([format!("--reuid={0}", user.uid), format!("--regid={0}", user.uid)]);
        keeper.args(["--clear-groups", "prlimit"]);
        keeper.args([&format!("--nproc={most}:"), "ikeep"]).stderr(Stdio::null());
        keeper.stdin(std::fs::File::open(keeping.sandbox.path("order")).unwrap());
        let mut keeper = keeper.spawn().unwrap();
        let mut ended = false;
        wait_for("the engine or the end", Duration::from_secs(20), || {
            ended = keeper.try_wait().unwrap().is_some();
            ended || keeping.status("a")["pid"].is_u64()
        });
        (!ended).then_some(keeper)
    };
    // Enough for all that there is before the engine, and for the engine.
    let mut keeper = (1..20).find_map(keeps).unwrap();
    keeping.wait_for_log("a", "cannot ask the engine for its health yet: ");
    assert!(!keeping.status("a")["healthy_unix"].is_f64());
    drop(user.sh(&keeping, &format!("prlimit --pid {} --nproc=1000:", keeper.id())).exits(0));
    wait_for("the health", Duration::from_secs(20), || keeping.status("a")["healthy_unix"].is_f64());
    assert_eq!(keeping.log("a").matches("cannot ask the engine").count(), 1, "{}", keeping.log("a"));
    drop(keeping.stop("a"));
    keeper.wait().unwrap();
}

#[test]
fn what_keepers_left_behind_is_ended_without_a_thread() {
    let Some(user) = Ordinary::new() else { return };
    let keeping = user.keeping();
    let stubborn = "trap '' TERM; echo up; while :; do sleep 1000; done";
    let plans: String = ["a", "b"].map(|name| format!("{}\n", keeping.plan(name, stubborn))).concat();
    keeping.sandbox.write("plans", plans);
    drop(user.sh(&keeping, "ilaunch < plans").exits(0));
    for name in ["a", "b"] {
        keeping.wait_for_log(name, "up\n");
        keeping.signal_keeper(name, rustix::process::Signal::KILL);
        keeping.wait_until_left(name);
    }
    let output = user.alone(&keeping, "istat").exits(1);
    assert!(output.all("status").iter().all(|status| status["state"] == "lost"), "{}", output.transcript());
    let stopped = user.alone(&keeping, "istop").exits(0);
    let orphans: u64 =
        stopped.all("stopped").iter().map(|stopped| stopped["orphans"].as_u64().unwrap()).sum();
    assert!(orphans >= 2, "{}", stopped.transcript());
    wait_for("all to be gone", Duration::from_secs(10), || keeping.processes().is_empty());
}

#[test]
fn filters_of_files_say_what_is_missing_too() {
    let Some(user) = Ordinary::new() else { return };
    let keeping = user.keeping();
    let hint = |output: Output| {
        let output = output.exits(75);
        assert!(output.stderr.contains("ulimit -u is 1"), "{}", output.transcript());
    };
    keeping.sandbox.write("whole", vec![7; 300_000]);
    hint(user.alone(&keeping, "isplit --size 100000 whole -d parts"));
    drop(user.sh(&keeping, "isplit --size 100000 whole -d parts").exits(0));
    hint(user.alone(&keeping, "ijoin parts --check"));
    hint(user.alone(&keeping, "ijoin parts --into joined"));
    hint(user.alone(&keeping, "bash -c 'exec ijoin parts > joined'"));
}

#[test]
fn a_cache_is_verified_with_one_thread_as_with_many() {
    let Some(user) = Ordinary::new() else { return };
    let keeping = user.keeping();
    crate::kit::fixture::tiny(&keeping.sandbox.path(""));
    let env = user.sh(
        &keeping,
        "AUTO_INFER_SGLANG_TEMPLATE_DIR=$PWD/template AUTO_INFER_SGLANG_CACHE_ROOT=$PWD/cache ienv sglang",
    );
    let root = keeping.sandbox.text("");
    keeping.sandbox.write("env", env.exits(0).stdout.replace("$SANDBOX", root.trim_end_matches('/')));
    let many = user.sh(&keeping, "icache --deep --jobs 8 < env").exits(0).one("cache");
    let one = user.alone(&keeping, "icache --deep --jobs 8 < env").exits(0).one("cache");
    assert_eq!((&many["packages"], &many["bytes"]), (&one["packages"], &one["bytes"]));
}
