//! The instance that runs is found, at a terminal or by its name.
use super::asked;
use crate::kit::{Fake, Keeping, Output};
use serde_json::json;

/// Run a command whose standard input is a terminal.
const AT_A_TERMINAL: &str =
    "python3 -c 'import os, subprocess, sys; sys.exit(subprocess.call(sys.argv[1:], stdin=os.openpty()[1]))'";

fn at_a_terminal(keeping: &Keeping, command: &str) -> Output {
    keeping.sandbox.sh(&format!("{AT_A_TERMINAL} {command}"))
}

#[test]
fn at_a_terminal_the_one_that_is_ready_is_asked_with_its_own_key() {
    let keeping = Keeping::new();
    let fake = Fake::plan(&keeping, "a").says("healthy", "").says("key", "sesame").launched();
    std::fs::write(keeping.state_dir("a").join("api-key"), "sesame").unwrap();
    let output = at_a_terminal(&keeping, "ichat 'How are you?'").exits(0);
    let answer = output.one("answer");
    assert_eq!((&answer["engine"], &answer["instance"]), (&json!("llama-cpp"), &json!("a")));
    assert_eq!((&answer["content"], output.stderr.as_str()), (&json!("Hello world"), ""));
    assert_eq!(asked(&fake, 1)[0]["messages"][0]["content"], "How are you?");
    drop(at_a_terminal(&keeping, "ichat").exits(0));
    assert_eq!(asked(&fake, 2)[1]["messages"][0]["content"], "Hello");
    assert!(!output.transcript().contains("sesame"));
}

#[test]
fn of_several_the_first_is_asked_and_said_and_another_is_chosen_by_its_name() {
    let keeping = Keeping::new();
    let mut second = Fake::plan(&keeping, "b").says("healthy", "").says("ids", "x\nserved");
    second.plan["served_name"] = json!("served");
    let (first, second) = (Fake::plan(&keeping, "a").says("healthy", "").launched(), second.launched());
    // Neither one that loads nor one that is there for embeddings is taken.
    Fake::plan(&keeping, "0-loads").launched();
    let mut embeds = Fake::plan(&keeping, "0-embeds").says("healthy", "");
    embeds.plan["control"]["ready_rung"] = json!("listed");
    embeds.launched();
    let output = at_a_terminal(&keeping, "ichat Hello").exits(0);
    assert_eq!(output.one("answer")["instance"], "a");
    let said = "ichat: asks llama-cpp/a; ready too: llama-cpp/b; choose with --instance NAME\n";
    assert_eq!(output.stderr, said);
    // By name a terminal is not needed, and the prompt may come from a pipe.
    for name in ["b", "llama-cpp/b"] {
        let output = keeping.sandbox.sh(&format!("echo hi | ichat --instance {name}")).exits(0);
        assert_eq!((&output.one("answer")["instance"], output.stderr.as_str()), (&json!("b"), ""));
    }
    assert_eq!(
        (&asked(&second, 2)[0]["model"], &asked(&second, 2)[0]["messages"][0]["content"]),
        (&json!("served"), &json!("hi\n"))
    );
    assert_eq!(asked(&first, 1).len(), 1);
    // Who is named is asked, whatever it is there for.
    drop(keeping.sandbox.sh("ichat --instance 0-embeds Hello").exits(0));
}

#[test]
fn where_none_is_ready_it_is_said_why() {
    let keeping = Keeping::new();
    let output = at_a_terminal(&keeping, "ichat Hello").exits(69);
    insta::assert_snapshot!(output.transcript(), @r"
    -- stderr --
    ichat: no instance can be asked: nothing was started
    ichat: hint: start one, as in: ienv llama-cpp | iplan | ilaunch | iprobe; or name a server with --url
    [exit 69]
    ");
    Fake::plan(&keeping, "a").launched();
    drop(keeping.launch(&[keeping.plan("b", "exit 1")]).exits(0));
    keeping.wait_for_state("b", "failed");
    let output = at_a_terminal(&keeping, "ichat Hello").exits(75);
    let said = "llama-cpp/a is loading or does not answer, llama-cpp/b has failed\n";
    assert!(output.stderr.contains(said) && output.stdout.is_empty(), "{output:?}");
    drop(keeping.sandbox.sh("ichat --instance b Hello").exits(69));
    let unknown = keeping.sandbox.sh("ichat --instance aa Hello").exits(65);
    assert!(unknown.stderr.contains("did you mean 'a'"), "{unknown:?}");
    drop(keeping.sandbox.sh("ichat --instance a --url http://127.0.0.1:1 Hello").exits(2));
}

#[test]
fn one_that_cannot_be_read_hides_no_other() {
    let keeping = Keeping::new();
    Fake::plan(&keeping, "b").says("healthy", "").launched();
    keeping.sandbox.write("run/llama-cpp/a/status.json", "{");
    assert_eq!(at_a_terminal(&keeping, "ichat Hello").exits(0).one("answer")["instance"], "b");
}
