//! `scripts/infer-dev`, the command for people.
mod stopping;

use crate::kit::{
    Killed, Output, Sandbox, Tiny, as_each, free_port, kill_at_any_moment, root, started_in, wait_for,
};
use crate::pipeline::sandbox_with_engine;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// The command with these words, into a pipe.
fn people(sandbox: &Sandbox, words: &str) -> Output {
    sandbox.sh(&format!("{} {words}", root().join("scripts/infer-dev").display()))
}

/// The same on a terminal, all that is seen there.
fn on_a_terminal(sandbox: &Sandbox, words: &str) -> Output {
    sandbox.write("line", format!("exec {} {words}\n", root().join("scripts/infer-dev").display()));
    sandbox.sh("script -qec 'sh line' /dev/null </dev/null")
}

#[test]
fn from_a_configuration_to_an_answer_and_down_again() {
    as_each();
    let mut sandbox = sandbox_with_engine(&[free_port()]);
    let kept = sandbox.text("kept/streams");
    sandbox.set("INFER_DEV_KEEP", &kept);
    let up = people(&sandbox, "up").exits(0);
    assert_eq!(up.one("answer")["instance"], "tiny0");
    assert_eq!(people(&sandbox, "ps").exits(0).one("status")["state"], "running");
    assert!(people(&sandbox, "up").exits(0).one("instance")["reused"].as_bool().unwrap());
    assert_eq!(people(&sandbox, "restart tiny0").exits(0).kinds()[0], "stopped");
    let table = on_a_terminal(&sandbox, "ps").exits(0).stdout;
    assert!(table.starts_with("ENGINE ") && table.contains("tiny0"), "{table}");
    let said = on_a_terminal(&sandbox, "chat Hello").exits(0).stdout;
    assert_eq!(
        said.trim_end(),
        "The engine is up, the model loaded, and this answer came from it with no network."
    );
    assert!(
        people(&sandbox, "report").exits(0).stdout.contains("| `llama-cpp/tiny0` | ready, rung answering |")
    );
    assert!(people(&sandbox, "report").exits(0).stdout.contains("## Host"));
    let piped =
        sandbox.sh(&format!("echo 'How are you?' | {} chat", root().join("scripts/infer-dev").display()));
    assert_eq!(piped.exits(0).one("answer")["instance"], "tiny0");
    assert!(people(&sandbox, "report --html").exits(0).stdout.starts_with("<!doctype html>"));
    let logged = people(&sandbox, "logs tiny0 | head -n 1").stdout;
    assert_eq!(logged.lines().count(), 1, "it ends when nobody reads any more: {logged}");
    let told = people(&sandbox, "run sh -c 'echo at $ANTHROPIC_BASE_URL'").exits(0).stdout;
    assert!(told.starts_with("at http://127.0.0.1:"), "{told}");
    assert_eq!(people(&sandbox, "down").exits(0).one("stopped")["instance"], "tiny0");
    let modes = sandbox.sh("stat -c %a kept kept/streams kept/streams/*").exits(0).stdout;
    assert!(modes.lines().all(|mode| mode == "700" || mode == "600"), "{modes}");
}

#[test]
fn a_terminal_gets_words_and_what_to_do() {
    let mut sandbox = sandbox_with_engine(&[free_port(), free_port()]);
    let config = sandbox.read("llama.toml").replacen(
        "[instance.tiny1.server]\n",
        "[instance.tiny1.server]\nctxsize = 1\n",
        1,
    );
    sandbox.write("llama.toml", config);
    let seen = on_a_terminal(&sandbox, "up").exits(65).stdout;
    let (_, table) = seen.split_once("WHAT ").unwrap_or_else(|| panic!("{seen}"));
    let row = |what: &str| {
        table.lines().find(|line| line.starts_with(what)).unwrap_or_else(|| panic!("{what}\n{table}"))
    };
    assert!(row("llama-cpp install").contains("made, "), "{table}");
    assert!(row("llama-cpp/tiny1 iplan").contains("failed: "), "{table}");
    assert!(table.contains("to do: "), "{table}");
    assert!(!seen.contains("{\"kind\""), "{seen}");
    sandbox.write("llama.toml", sandbox.read("llama.toml").replace("ctxsize = 1\n", ""));
    let seen = on_a_terminal(&sandbox, "up").exits(0).stdout;
    assert!(seen.contains("tiny1  ") && seen.contains("answers: The engine is up"), "{seen}");
    let seen = on_a_terminal(&sandbox, "doctor").exits(0).stdout;
    assert!(seen.contains("llama-cpp/tiny0 plan") && seen.contains("runs already"), "{seen}");
    sandbox.unset("AUTO_INFER_LLAMA_CPP_CONFIG");
    let none = people(&sandbox, "doctor").exits(69);
    assert!(none.stderr.contains("no engine is configured"), "{}", none.stderr);
    on_a_terminal(&sandbox, "down").exits(0).stdout.find("stopped (term)").unwrap();
}

#[test]
fn a_model_alone_gets_a_file_of_its_own_once() {
    let tiny = Tiny::get();
    let mut sandbox = Sandbox::new();
    sandbox.set("AUTO_INFER_LLAMA_CPP_PKG_PATH", tiny.archive.to_str().unwrap());
    std::fs::copy(&tiny.model, sandbox.path("own model.gguf")).unwrap();
    let up = people(&sandbox, "up -m 'own model.gguf'");
    assert!(sandbox.read("own model.toml").contains("[instance."), "{}", up.transcript());
    let edited = sandbox.read("own model.toml").replace("port = 8080", &format!("port = {}", free_port()));
    sandbox.write("own model.toml", &edited);
    let up = people(&sandbox, "up -m 'own model.gguf'").exits(0);
    assert_eq!(up.all("answer").len(), 1);
    let further = "without -m: export AUTO_INFER_LLAMA_CPP_CONFIG=$SANDBOX/own\\ model.toml";
    assert!(up.stderr.contains(further), "{}", up.stderr);
    assert_eq!(sandbox.read("own model.toml"), edited);
    for words in ["doctor -m 'own model.gguf'", "doctor llama-cpp -c 'own model.toml'"] {
        assert!(people(&sandbox, words).exits(0).one("plan")["reused"].as_bool().unwrap(), "{words}");
    }
    let verified = people(&sandbox, "verify llama-cpp");
    assert!(
        verified.code != 0 && verified.stderr.contains("AUTO_INFER_LLAMA_CPP_CONFIG"),
        "{}",
        verified.transcript()
    );
    drop(people(&sandbox, "down").exits(0));
    let missing = people(&sandbox, "up -m gone.gguf");
    assert!(missing.code != 0 && !sandbox.path("gone.toml").exists(), "{}", missing.transcript());
    // A file of that name that is of another model is not taken for this one's.
    drop(sandbox.sh("mkdir elsewhere; cp 'own model.gguf' elsewhere").exits(0));
    let other = people(&sandbox, "up -m 'elsewhere/own model.gguf'").exits(69);
    assert!(other.stderr.contains("names another model: $SANDBOX/own model.gguf"), "{}", other.stderr);
    drop(sandbox.sh("rm 'own model.gguf'").exits(0));
    drop(people(&sandbox, "up -m 'own model.gguf'").exits(69));
    assert_eq!((sandbox.read("own model.toml"), started_in(&sandbox).len()), (edited, 0));
}

#[test]
fn verify_hashes_the_model_of_what_runs() {
    let sandbox = sandbox_with_engine(&[free_port()]);
    std::fs::copy(&Tiny::get().model, sandbox.path("own.gguf")).unwrap();
    let config = sandbox.read("llama.toml");
    let model = Tiny::get().model.display().to_string();
    sandbox.write("llama.toml", config.replace(&model, &sandbox.path("own.gguf").display().to_string()));
    drop(people(&sandbox, "up").exits(0));
    drop(people(&sandbox, "verify").exits(69));
    drop(sandbox.sh("imodel --record own.gguf").exits(0));
    let verified = people(&sandbox, "verify").exits(0).one("model");
    assert!(verified["hashed_bytes"].as_u64() > Some(0), "{verified}");
    let seen = on_a_terminal(&sandbox, "verify").exits(0).stdout;
    assert!(seen.contains("whole and as recorded, gguf"), "{seen}");
    drop(sandbox.sh("cp own.gguf new; printf X | dd of=new bs=1 seek=$(($(stat -c %s new) - 1)) conv=notrunc status=none; mv new own.gguf").exits(0));
    let failed = people(&sandbox, "verify").exits(1).one("failed");
    assert_eq!(failed["class"], "weights_changed");
    assert_eq!(people(&sandbox, "ps").exits(0).one("status")["state"], "running");
    drop(people(&sandbox, "down").exits(0));
}

#[test]
fn root_writes_the_file_of_a_model_into_a_users_folder_as_that_user() {
    const U: u32 = 60_004;
    if !crate::kit::as_root() {
        return;
    }
    let tiny = Tiny::get();
    let mut sandbox = Sandbox::new();
    sandbox.set("AUTO_INFER_LLAMA_CPP_PKG_PATH", tiny.archive.to_str().unwrap());
    let model = tiny.model.display().to_string();
    drop(sandbox.sh("chmod 755 .; mkdir -m 755 theirs; echo whole >own; chmod 600 own").exits(0));
    std::os::unix::fs::chown(sandbox.path("theirs"), Some(U), Some(U)).unwrap();
    // Where it was written first, and where it goes.
    drop(sandbox.sh("ln -s ../own theirs/tiny.toml.new").exits(0));
    let up = "cd theirs && ../infer-dev up -m";
    let script = root().join("scripts/infer-dev");
    std::os::unix::fs::symlink(&script, sandbox.path("infer-dev")).unwrap();
    let output = sandbox.sh(&format!("{up} {model}"));
    assert_eq!(sandbox.read("own"), "whole\n", "{}", output.transcript());
    let made = sandbox.sh("stat -c '%u %a' theirs/tiny.toml").exits(0).stdout;
    assert_eq!(made, format!("{U} 644\n"), "{}", output.transcript());
    drop(sandbox.sh("infer-dev down").stdout);
    // What leads nowhere yet is left alone as well.
    drop(sandbox.sh("rm theirs/*; ln -s ../made theirs/tiny.toml").exits(0));
    let output = sandbox.sh(&format!("{up} {model}")).exits(69);
    assert!(output.stderr.contains("cannot write ./tiny.toml: it is there"), "{}", output.stderr);
    assert!(!sandbox.path("made").exists());
    // One that leads to a file of root's is followed with that user's rights.
    drop(sandbox.sh("ln -sfn ../own theirs/tiny.toml").exits(0));
    for words in [format!("-m {model}"), "llama-cpp -c tiny.toml".to_owned()] {
        let output = sandbox.sh(&format!("cd theirs && ../infer-dev up {words}")).exits(69);
        assert!(output.stderr.contains("/tiny.toml: Permission denied"), "{}", output.stderr);
    }
}

#[test]
fn what_is_shown_is_what_runs() {
    let mut sandbox = Sandbox::new();
    for variable in ["AUTO_INFER_VLLM_CONFIG", "AUTO_INFER_SGLANG_CONFIG"] {
        sandbox.set(variable, "/none.toml");
    }
    let shown = |words: &str| people(&sandbox, &format!("--show {words}")).exits(0).stdout;
    let stages = "icache | iinstall | iplan | imodel | ilaunch --replace | iprobe | ichat Hello\n";
    assert_eq!(shown("up"), format!("ienv vllm sglang | {stages}"));
    assert_eq!(
        shown("up vllm -c 'a b.toml'"),
        format!("AUTO_INFER_VLLM_CONFIG={} ienv vllm | {stages}", "$SANDBOX/a\\ b.toml")
    );
    assert_eq!(
        shown("restart vllm/a"),
        format!(
            "ienv vllm sglang | icache | iinstall | iplan | imodel >/dev/null && istop vllm/a && ienv vllm sglang | {stages}"
        )
    );
    assert_eq!(
        shown("restart vllm -c /v.toml").split(" && ").collect::<Vec<_>>(),
        [
            "AUTO_INFER_VLLM_CONFIG=/v.toml ienv vllm | icache | iinstall | iplan | imodel >/dev/null",
            "istop vllm",
            &format!("AUTO_INFER_VLLM_CONFIG=/v.toml ienv vllm | {stages}"),
        ]
    );
    assert_eq!(
        shown("doctor -m own.gguf"),
        "imodel --suggest llama-cpp own.gguf --output ./own.toml && AUTO_INFER_LLAMA_CPP_CONFIG=$SANDBOX/own.toml ienv llama-cpp | icache | iplan | imodel\n"
    );
    assert_eq!(shown("--version"), "ienv --version | sed 's/^ienv/infer-dev/'\n");
    assert_eq!(shown("verify sglang"), "ienv sglang | icache --deep | iplan | imodel --verify\n");
    assert_eq!(shown("logs --since 10m a"), "istat --log --since 10m a\n");
    assert_eq!(shown("run claude -p 'a b'"), "ibridge run claude -p a\\ b\n");
    // What is shown and what runs say the same.
    let by_hand = sandbox.sh(&shown("doctor vllm"));
    let ours = people(&sandbox, "doctor vllm");
    assert_eq!((ours.code, ours.one("failed")), (by_hand.code, by_hand.one("failed")));
}

#[test]
fn a_wrong_call_is_refused_and_does_nothing() {
    let sandbox = Sandbox::new();
    for (words, told) in [
        ("", "what is to be done?"),
        ("upp", "upp is no verb"),
        ("up -x", "-x is no option of up"),
        ("verify -x", "-x is no option of verify"),
        ("up -c", "-c wants a path"),
        ("up -c a.toml", "a.toml is of one engine"),
        ("up -m folder", "one model wants one engine"),
        ("up -m a.gguf -c a.toml", "a model alone has no TOML file"),
        ("up llama", "llama is no engine"),
    ] {
        let output = people(&sandbox, words).exits(2);
        assert!(output.stderr.contains(told), "{words}: {}", output.stderr);
        assert_eq!((output.stdout.as_str(), output.stderr.lines().count()), ("", 2), "{words}");
    }
    let none = people(&sandbox, "report").exits(69);
    assert!(none.stderr.contains("INFER_DEV_KEEP"), "{}", none.stderr);
    let help = people(&sandbox, "--help").exits(0).stdout;
    assert_eq!(people(&sandbox, "up vllm --help").exits(0).stdout, help);
    assert!(people(&sandbox, "--version").exits(0).stdout.starts_with("infer-dev "));
    let page = std::fs::read_to_string(root().join("man/infer-dev.1")).unwrap();
    for verb in ["up", "down", "restart", "ps", "logs", "chat", "doctor", "verify", "report", "run"] {
        assert!(help.contains(&format!("\n  {verb} ")), "{verb}\n{help}");
        assert!(page.contains(&format!(".It Cm {verb}\n")), "{verb} on the page");
    }
    assert!(help.lines().all(|line| line.chars().count() <= 130), "{help}");
}

#[test]
fn in_an_unpacked_package_it_finds_the_tools_beside_it() {
    let sandbox = Sandbox::new();
    sandbox.own_tool("ienv", "package/bin/ienv");
    sandbox.script(
        "package/scripts/infer-dev",
        &std::fs::read_to_string(root().join("scripts/infer-dev")).unwrap(),
    );
    let line = "package/scripts/infer-dev --version";
    drop(sandbox.sh(&format!("PATH=/usr/bin:/bin; {line}")).exits(0));
    let none = sandbox.sh(&format!("rm package/bin/ienv; PATH=/usr/bin:/bin; {line}")).exits(69);
    assert!(none.stderr.contains("no tools on PATH"), "{}", none.stderr);
}

/// Every other round nothing is installed, or what runs is of another configuration.
#[test]
fn whatever_of_it_is_killed_the_next_up_answers_and_down_leaves_nothing() {
    let sandbox = sandbox_with_engine(&[free_port()]);
    let command = root().join("scripts/infer-dev");
    let config = sandbox.read("llama.toml");
    for (verb, killed) in
        [("up", Killed::Group), ("up", Killed::Process), ("restart", Killed::Group), ("down", Killed::Group)]
    {
        drop(people(&sandbox, "down").exits(0));
        let begun = Instant::now();
        drop(people(&sandbox, "up").exits(0));
        let whole = begun.elapsed();
        let start = |round: u32| {
            if verb == "up" && round.is_multiple_of(2) {
                drop(people(&sandbox, "down").exits(0));
                drop(sandbox.sh("rm -rf w/llama-cpp-pkg").exits(0));
            }
            sandbox.write("llama.toml", config.replace("4096", &(2048 + round).to_string()));
            let mut started = sandbox.command(&command);
            started.arg(verb).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn().unwrap()
        };
        kill_at_any_moment((&format!("infer-dev {verb}"), 2, whole), killed, start, |round| {
            let up = people(&sandbox, "up");
            let answers = if up.code == 0 { up.all("answer").len() } else { 0 };
            assert_eq!(answers, 1, "{verb}, kill {round}: {}", up.transcript());
            let alone = || started_in(&sandbox).len() == 2;
            wait_for(&format!("a keeper and its engine after {verb}, kill {round}"), LIMIT, alone);
            assert_eq!(people(&sandbox, "ps").exits(0).one("status")["state"], "running");
        });
    }
    drop(people(&sandbox, "down").exits(0));
    wait_for("everything to go", LIMIT, || started_in(&sandbox).is_empty());
}

const LIMIT: Duration = Duration::from_secs(60);
