//! The agents themselves, through the bridge to the real engine, where nothing but loopback can be reached. They are large:
//! the long run has them.
use super::SENTENCE;
use crate::kit::{Sandbox, clients, free_port, in_the_long_run};
use crate::pipeline::sandbox_with_engine;
use std::process::Command;

/// An engine with room for an agent's first prompt, and what the agents want of their surroundings; their folder.
fn sandbox() -> Option<Sandbox> {
    let npm = in_the_long_run().then(|| clients("npm"))??;
    let mut sandbox = sandbox_with_engine(&[free_port()]);
    let toml = sandbox
        .read("llama.toml")
        .replace("ctx_size = 4096", "ctx_size = 131072\nparallel = 1\nalias = \"tiny\"");
    sandbox.write("llama.toml", toml);
    let node = Command::new("bash").args(["-c", "dirname \"$(command -v node)\""]).output().unwrap().stdout;
    let path = String::from_utf8(node).unwrap();
    // A root that may do as it likes is refused outside a sandbox, which this is.
    sandbox.set("IS_SANDBOX", "1");
    sandbox.set("AGENTS", &format!("{}:{}", npm.join("node_modules/.bin").display(), path.trim()));
    Some(sandbox)
}

/// Run this behind a bridge in this mode, all of it in one namespace; what it printed, and the bridge's log.
fn sealed(sandbox: &Sandbox, options: &str, script: &str) -> (String, String) {
    let listen = format!("127.0.0.1:{}", free_port());
    let script = format!(
        "ienv llama-cpp | iinstall | iplan | ilaunch | iprobe >records\n\
         ibridge --listen {listen} {options} 2>bridge.log & bridge=$!\n\
         trap 'kill $bridge; istop >/dev/null; wait' EXIT\n\
         until ibridge env --listen {listen} | grep -q ANTHROPIC_MODEL; do sleep 0.1; done\n\
         export PATH=$PATH:$AGENTS LISTEN={listen}\n{script}\n"
    );
    sandbox.write("agent", script);
    let output = sandbox.sh("iseal --method namespace -- bash -euo pipefail agent </dev/null").exits(0);
    (output.stdout, sandbox.read("bridge.log"))
}

/// The numbers of a field in the lines of the log that tell of an answer to a conversation.
fn numbers(log: &str, field: &str) -> Vec<u64> {
    let lines = log.lines().filter(|line| line.contains(" 200 POST /v1/messages "));
    lines.filter_map(|line| line.split_once(field)?.1.split(' ').next()?.parse().ok()).collect()
}

#[test]
fn claude_code_talks_through_the_bridge_and_its_second_turn_uses_the_prefix_again() {
    for mode in ["native", "translate"] {
        let Some(sandbox) = sandbox() else { return };
        let script =
            "ibridge run --listen $LISTEN claude -p Hello; ibridge run --listen $LISTEN claude -c -p Again";
        let (said, log) = sealed(&sandbox, &format!("--mode {mode}"), script);
        assert_eq!(said.matches(SENTENCE).count(), 2, "{mode}: {said}\n{log}");
        let (prompts, reused) = (numbers(&log, "prompt="), numbers(&log, "reused="));
        assert!(prompts.len() >= 2 && prompts[0] > 5_000, "{mode}: {log}");
        let (last, first) = (reused[reused.len() - 1], prompts[0]);
        assert!(last * 10 > first * 9, "{mode}: {last} of {first} came from the cache: {log}");
        assert!(!log.contains(" 404 ") && !log.contains(" 400 "), "{mode}: {log}");
    }
}

#[test]
fn claude_code_talks_through_litellm_behind_the_bridge() {
    let Some(litellm) = in_the_long_run().then(|| clients("litellm")).flatten() else { return };
    let Some(mut sandbox) = sandbox() else { return };
    let (port, path) = (free_port(), format!("{}:{}", litellm.join("bin").display(), "/usr/bin:/bin"));
    sandbox.set("PATH", &format!("{}:{path}", crate::kit::tools().display()));
    sandbox.set("AUTO_INFER_BRIDGE_LISTEN", &format!("127.0.0.1:{port}"));
    sandbox.set("AUTO_INFER_BRIDGE_MODE", "litellm");
    sandbox.set("AUTO_INFER_LITELLM_PORT", &free_port().to_string());
    let script = "trap 'istop >/dev/null' EXIT\n\
                  ienv llama-cpp | iinstall | iplan | ilaunch | iprobe >records\n\
                  ienv bridge | iplan | ilaunch | iprobe >records2\n\
                  PATH=$PATH:$AGENTS ibridge run claude -p Hello\n";
    sandbox.write("agent", script);
    let said = sandbox.sh("iseal --method namespace -- bash -euo pipefail agent </dev/null").exits(0).stdout;
    assert!(said.contains(SENTENCE), "{said}\n{}", sandbox.read("w/logs/bridge/litellm.log"));
}

#[test]
fn opencode_and_codex_talk_through_the_bridge_with_the_files_that_it_prints() {
    let Some(sandbox) = sandbox() else { return };
    let script = "mkdir -p work home/.codex; cd work; git init -q .\n\
                  ibridge env --listen $LISTEN --opencode >opencode.json\n\
                  ibridge env --listen $LISTEN --codex >~/.codex/config.toml\n\
                  opencode run -m local/tiny Hello\necho --- \n\
                  codex exec --skip-git-repo-check Hello";
    let (said, log) = sealed(&sandbox, "", script);
    let (opencode, codex) = said.split_once("--- \n").or_else(|| said.split_once("---\n")).unwrap();
    assert!(opencode.contains(SENTENCE), "{opencode}\n{log}");
    assert!(codex.contains(SENTENCE), "{codex}\n{log}");
    assert!(log.contains(" 200 POST /v1/chat/completions model=tiny "), "{log}");
    assert!(log.contains(" 200 POST /v1/responses model=tiny "), "{log}");
}
