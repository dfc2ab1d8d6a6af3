//! Verbs that stop something: only for what is right, and with one line where there is nothing to stop.
use super::{on_a_terminal, people};
use crate::kit::{free_port, started_in};
use crate::pipeline::sandbox_with_engine;

#[test]
fn nothing_is_stopped_for_a_plan_that_is_wrong() {
    let sandbox = sandbox_with_engine(&[free_port()]);
    let config = sandbox.read("llama.toml");
    // Nothing is installed yet, and nothing has to be.
    assert_eq!(people(&sandbox, "restart").exits(0).all("answer").len(), 1);
    let started = started_in(&sandbox);
    sandbox.write("llama.toml", format!("{config}ctxsize = 1\n"));
    let wrong = people(&sandbox, "restart").exits(65);
    assert!(wrong.stderr.contains("ctxsize") && wrong.stdout.is_empty(), "{}", wrong.transcript());
    sandbox.write("llama.toml", format!("{config}model = {:?}\n", sandbox.write("short.gguf", "GGUF")));
    drop(people(&sandbox, "restart").exits(1));
    assert_eq!(started_in(&sandbox), started);
    sandbox.write("llama.toml", config);
    let unknown = on_a_terminal(&sandbox, "restart gone").exits(65).stdout;
    assert!(unknown.contains("gone") && !unknown.contains("nothing to report"), "{unknown}");
    assert_eq!(started_in(&sandbox), started);
    let again = people(&sandbox, "restart tiny0").exits(0);
    assert_eq!((again.kinds()[0].as_str(), again.all("answer").len()), ("stopped", 1));
    drop(people(&sandbox, "down").exits(0));
}

#[test]
fn where_nothing_runs_down_says_that_and_no_more() {
    let sandbox = sandbox_with_engine(&[free_port()]);
    assert_eq!(on_a_terminal(&sandbox, "down").exits(0).stdout.trim_end(), "nothing runs");
    assert_eq!(people(&sandbox, "down").exits(0).transcript(), "");
    let unknown = on_a_terminal(&sandbox, "down gone").exits(65).stdout;
    assert!(unknown.lines().count() <= 2 && unknown.starts_with("istop: "), "{unknown}");
    drop(people(&sandbox, "up").exits(0));
    let seen = on_a_terminal(&sandbox, "down").exits(0).stdout;
    assert_eq!(seen.trim_end(), "llama-cpp/tiny0  stopped (term)");
    assert_eq!(on_a_terminal(&sandbox, "down").exits(0).stdout.trim_end(), "nothing runs");
}
