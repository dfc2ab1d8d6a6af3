//! The container's files, as far as they can be held without a Docker daemon (scripts/test.d/container has one).
mod manifests;
mod peidocker;
pub(crate) mod ranks;

use crate::kit::{Sandbox, root};
use std::collections::BTreeSet;
use std::fs;

fn text(name: &str) -> String {
    fs::read_to_string(root().join("scripts/container").join(name)).unwrap()
}

/// Words of a text that begin with one of these, up to the first character that no name has.
fn names<'t>(text: &'t str, prefixes: &[&str]) -> BTreeSet<&'t str> {
    text.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))
        .filter(|word| prefixes.iter().any(|prefix| word.starts_with(prefix) && word.len() > prefix.len()))
        .collect()
}

/// What a container may be told: what the tools read, less what the image itself says or a keeper sets.
fn told() -> BTreeSet<String> {
    let own = [
        "AUTO_INFER_WORKSPACE_DIR",
        "AUTO_INFER_BRIDGE_LISTEN",
        "INFER_DEV_COMPLETE",
        "INFER_DEV_INSTANCE",
        "INFER_DEV_STATE_DIR",
    ];
    tool::vars::all().filter(|name| !own.contains(&name.as_str())).collect()
}

/// Names at the beginning of lines, commented out or not, or of list items.
fn set_in(text: &str) -> BTreeSet<&str> {
    let lines = text.lines().map(|line| line.trim_start().trim_start_matches(['#', '-']).trim_start());
    lines
        .map(|line| line.split_once('=').map_or(line, |(name, _)| name))
        .filter(|name| name.starts_with("AUTO_INFER_") || name.starts_with("INFER_DEV_"))
        .filter(|name| names(name, &["AUTO_INFER_", "INFER_DEV_"]).contains(name))
        .collect()
}

#[test]
fn every_variable_can_be_handed_in_and_is_in_the_example() {
    let told = told();
    let told: BTreeSet<&str> = told.iter().map(String::as_str).collect();
    assert_eq!(set_in(&text("docker-compose.common.yml")), told, "docker-compose.common.yml");
    assert_eq!(set_in(&text("env.example")), told, "env.example");
}

#[test]
fn the_example_names_every_variable_of_the_host_that_a_compose_file_takes() {
    let folder = fs::read_dir(root().join("scripts/container")).unwrap();
    let files = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let composed: Vec<String> =
        files.filter(|name| name.starts_with("docker-compose.")).map(|name| text(&name)).collect();
    let taken: BTreeSet<&str> = composed.iter().flat_map(|text| names(text, &["HOST_"])).collect();
    assert!(
        taken.contains("HOST_PORT_SSH") && taken.contains("HOST_VOLUME_SGLANG_TEMPLATE_DIR"),
        "{taken:?}"
    );
    assert_eq!(names(&text("env.example"), &["HOST_"]), taken);
}

#[test]
fn nothing_that_runs_sets_a_proxy() {
    for file in [
        "docker-compose.common.yml",
        "docker-compose.yml",
        "env.example",
        "merged.env",
        "start",
        "profile.sh",
    ] {
        let text = text(file).to_lowercase();
        assert!(!text.contains("http_proxy") && !text.contains("https_proxy"), "{file}");
    }
}

#[test]
fn a_persons_first_shell_shows_what_runs_and_no_other_does() {
    let mut sandbox = Sandbox::new();
    let profile = root().join("scripts/container/profile.sh").display().to_string();
    sandbox.script("bin/infer-dev", "#!/bin/sh\necho \"shows $*\"\n");
    let path = format!("{}:/usr/bin:/bin", sandbox.text("bin"));
    sandbox.set("PATH", &path);
    // Debian's bash reads it twice, as a login shell and as an interactive one.
    sandbox.write("rc", format!("PS1=\n. {profile}\n. {profile}\n"));
    sandbox.write("keys", "bash --rcfile rc -ic 'echo inner'\nexit\n");
    let at_terminal = sandbox.sh("script -qec 'bash --rcfile rc -i' /dev/null <keys").exits(0).stdout;
    assert_eq!(at_terminal.matches("shows ps").count(), 1, "{at_terminal}");
    assert!(at_terminal.contains("\ninner"), "{at_terminal}");
    for quiet in ["bash --rcfile rc -ic : 2>&1 | cat", "script -qec 'bash rc' /dev/null", "sh rc"] {
        assert!(!sandbox.sh(quiet).exits(0).stdout.contains("shows"), "{quiet}");
    }
    sandbox.script("bin/infer-dev", "#!/bin/sh\nexit 69\n");
    let failing = sandbox.sh("script -qec 'bash --rcfile rc -i' /dev/null <keys").exits(0).stdout;
    assert!(failing.contains("infer-dev doctor says more"), "{failing}");
}

#[test]
fn run_merged_makes_of_its_options_and_the_shell_one_docker_command() {
    let mut sandbox = Sandbox::new();
    let run = root().join("scripts/container/run-merged.sh");
    let run = run.display();
    sandbox.set("AUTO_INFER_LLAMA_CPP_ON_BOOT", "1");
    let said = sandbox
        .sh(&format!("{run} --dry-run -d -n one -p 1:2 -v /a:/b --gpus all --image i -- sleep 1"))
        .exits(0);
    let words: Vec<&str> = said.stdout.lines().collect();
    let has = |pair: [&str; 2]| words.windows(2).any(|window| window == pair);
    assert!(words.starts_with(&["docker", "run", "--name", "one", "-d", "--rm"]), "{words:?}");
    for pair in [["-p", "1:2"], ["-p", "11980:8080"], ["-v", "/a:/b"], ["--gpus", "all"]] {
        assert!(has(pair), "{pair:?}: {words:?}");
    }
    assert!(has(["-e", "AUTO_INFER_LLAMA_CPP_ON_BOOT"]), "its value is not on the command line: {words:?}");
    assert!(words.ends_with(&["i", "sleep", "1"]), "{words:?}");
    let said = sandbox.sh(&format!("RUN_NETWORK=none RUN_GPU=none {run} --dry-run")).exits(0);
    let words: Vec<&str> = said.stdout.lines().collect();
    assert!(!words.contains(&"-p") && !words.contains(&"--gpus"), "{words:?}");
    let said = sandbox.sh(&format!("{run} --gpus some --dry-run")).exits(2);
    assert!(said.stderr.contains("--gpus is 'some'"), "{}", said.stderr);
    let said = sandbox.sh(&format!("{run} -n")).exits(2);
    assert!(said.stderr.contains("-n wants a value"), "{}", said.stderr);
}

#[test]
fn serving_in_one_command_wants_files_that_are_there() {
    let sandbox = Sandbox::new();
    let serve = root().join("scripts/container/serve-llama-cpp.sh");
    let serve = serve.display();
    sandbox.write("llama.tar.gz", "");
    sandbox.write("llama.toml", "");
    sandbox.write("models/tiny.gguf", "");
    let at = |name: &str| sandbox.text(name);
    let whole = format!(
        "{serve} --llama-pkg {} --llama-config {} --model-dir {} --port 5 --dry-run",
        at("llama.tar.gz"),
        at("llama.toml"),
        at("models")
    );
    let said = sandbox.sh(&whole).exits(0);
    for line in [
        "5:8080".to_owned(),
        "$SANDBOX/llama.toml:/mnt/llama-cpp.toml:ro".to_owned(),
        "$SANDBOX/models:/llm-models/models:ro".to_owned(),
    ] {
        assert!(said.stdout.lines().any(|word| word == line), "{line}: {}", said.stdout);
    }
    let said = sandbox.sh(&whole.replace("models", "no-models")).exits(69);
    assert!(said.stderr.contains("no-models"), "{}", said.stderr);
    let said = sandbox.sh(&format!("{serve} --llama-pkg {}", at("llama.tar.gz"))).exits(2);
    assert!(said.stderr.contains("--help"), "{}", said.stderr);
}
