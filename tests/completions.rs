//! What the shells offer: asked as a person at a terminal asks them, with Tab, of what `scripts/install` has put there.
use crate::kit::{Keeping, Output, Sandbox, not_run, root, tools};
use crate::tree::{help_of, options_of_help, tool_names};
use std::collections::BTreeSet;

/// A sandbox where everything is installed, and two instances are known.
fn installed() -> Keeping {
    let keeping = Keeping::new();
    let script = root().join("scripts/install");
    drop(keeping.sandbox.sh(&format!("{} --tools {} usr", script.display(), tools().display())).exits(0));
    for instance in ["quick-one", "slow-one"] {
        keeping.start(instance, "echo up; exec sleep 600");
    }
    keeping
}

/// Whether a shell is there; where it is not, that is said.
fn has(sandbox: &Sandbox, shell: &str) -> bool {
    let there = sandbox.sh(&format!("type {shell}")).code == 0;
    if !there {
        not_run(&format!("{shell} is not installed"));
    }
    there
}

/// Type keys at a shell's prompt, on a terminal; what is seen there.
fn typed(sandbox: &Sandbox, shell: &str, keys: &str) -> Output {
    sandbox.write("keys", keys);
    sandbox.write("shell", format!("exec {shell}\n"));
    sandbox.sh("PATH=$PWD/usr/bin:$PATH TERM=dumb script -qec 'sh shell' /dev/null <keys")
}

/// What Tab makes of the beginning of a line: the line goes to echo in place of its command.
fn completed(seen: &Output, mark: &str) -> String {
    let line = seen.stdout.lines().find_map(|line| line.trim_end().strip_prefix(mark));
    line.unwrap_or_else(|| panic!("{}\n{}", seen.stdout, seen.stderr)).trim().to_owned()
}

/// Lines as they are typed, each with one way to go on, and what comes of it.
const LINES: [(&str, &str); 9] = [
    ("istat qu", "istat quick-one"),
    ("istop --run-", "istop --run-dir"),
    ("ichat --instance sl", "ichat --instance slow-one"),
    ("ienv --steps warm,ins", "ienv --steps warm,install"),
    ("ienv sg", "ienv sglang"),
    ("ibridge run us", "ibridge run usr/"),
    ("infer-dev doc", "infer-dev doctor"),
    ("infer-dev up vl", "infer-dev up vllm"),
    ("infer-dev logs sl", "infer-dev logs slow-one"),
];

#[test]
fn the_shells_complete_tools_values_and_instances() {
    let keeping = installed();
    bash(&keeping.sandbox);
    zsh(&keeping.sandbox);
    fish(&keeping.sandbox);
    the_verbs_are_those_of_the_help(&keeping.sandbox);
}

fn bash(sandbox: &Sandbox) {
    // As Debian's bash-completion loads them: by the command's name, at the first Tab.
    let loads = "_load() { . usr/share/bash-completion/completions/\"$1\" && return 124; }\n\
                 complete -D -F _load\nPS1=\n";
    sandbox.write("rc", loads);
    for (line, expected) in LINES {
        let keys = format!("{line}\t\x01echo at \x05\nexit\n");
        let seen = typed(sandbox, "bash --noprofile --rcfile rc -i", &keys);
        assert_eq!(completed(&seen, "at "), expected, "{line}");
    }
}

fn zsh(sandbox: &Sandbox) {
    if !has(sandbox, "zsh") {
        return;
    }
    let rc = "PS1=\nunsetopt zle_bracketed_paste 2>/dev/null\nfpath=($PWD/usr/share/zsh/site-functions $fpath)\n\
              autoload -U compinit\ncompinit -u -D\nbindkey -e\n";
    sandbox.write("z/.zshrc", rc);
    for (line, expected) in LINES {
        let keys = format!("{line}\t\x01echo at \x05\nexit\n");
        let seen = typed(sandbox, "env ZDOTDIR=z zsh -d -i", &keys);
        assert_eq!(completed(&seen, "at "), expected, "{line}");
    }
}

/// What fish itself says that it would offer.
fn offered_by_fish(sandbox: &Sandbox, line: &str) -> BTreeSet<String> {
    let script = format!(
        "PATH=$PWD/usr/bin:$PATH fish --no-config -c \
         'set -p fish_complete_path $PWD/usr/share/fish/vendor_completions.d; complete -C \"{line}\"'"
    );
    let told = sandbox.sh(&script).exits(0).stdout;
    told.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

fn fish(sandbox: &Sandbox) {
    if !has(sandbox, "fish") {
        return;
    }
    for (line, expected) in LINES {
        let offered = offered_by_fish(sandbox, line);
        let last = expected.split(' ').next_back().unwrap().to_owned();
        assert!(offered.contains(&last), "{line}: {offered:?}");
    }
    let names = offered_by_fish(sandbox, "istat ");
    for name in ["llama-cpp", "quick-one", "slow-one"] {
        assert!(names.contains(name), "{names:?}");
    }
}

/// What a tool offers bash for the last of these words.
fn offered(sandbox: &Sandbox, tool: &str, words: &[&str]) -> BTreeSet<String> {
    let mut command = sandbox.command(tools().join(tool));
    command.env("INFER_DEV_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", words.len().to_string());
    command.args(["--", tool]).args(words);
    sandbox.finish(&mut command).exits(0).stdout.lines().map(str::to_owned).collect()
}

#[test]
fn every_option_of_the_help_is_offered_and_no_other() {
    let sandbox = Sandbox::new();
    for tool in tool_names() {
        let offered = offered(&sandbox, &tool, &["--"]);
        let offered: BTreeSet<String> =
            offered.iter().map(|option| option.trim_start_matches("--").to_owned()).collect();
        assert_eq!(offered, options_of_help(&help_of(&tool)), "{tool}: offered (left), help (right)");
    }
    assert_eq!(offered(&sandbox, "iplan", &["--flags", "l"]), BTreeSet::from(["llama-cpp".to_owned()]));
    assert!(offered(&sandbox, "istat", &["x"]).is_empty());
}

fn the_verbs_are_those_of_the_help(sandbox: &Sandbox) {
    let line = "source usr/share/bash-completion/completions/infer-dev; PATH=$PWD/usr/bin:$PATH\n\
                COMP_WORDS=(infer-dev --show '') COMP_CWORD=2; _infer_dev infer-dev '' --show\n\
                printf '%s\\n' \"${COMPREPLY[@]}\"";
    let verbs = sandbox.sh(line).exits(0).stdout;
    let expected = ["up", "down", "restart", "ps", "logs", "chat", "doctor", "verify", "report", "run"];
    assert_eq!(verbs.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_shell_that_is_none_of_ours_is_a_wrong_call() {
    let mut sandbox = Sandbox::new();
    sandbox.set("INFER_DEV_COMPLETE", "tcsh");
    let refused = sandbox.sh("istat").exits(2);
    assert!(refused.stderr.contains("unknown shell `tcsh`"), "{}", refused.stderr);
    assert!(refused.stdout.is_empty());
}
