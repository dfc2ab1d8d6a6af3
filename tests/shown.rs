//! The examples of the pages: each line is a command that bash reads, with tools, options, variables and records that there
//! are; and what can run here runs, as it stands, but for its paths and ports.
mod world;

use crate::kit::root;
use crate::tree::{help_of, options_of_help, tool_names};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;
use world::World;

/// What does not run here, and why: a line, or after an asterisk part of one.
const NOT_RUN: [(&str, &str); 17] = [
    ("ibridge", "it serves until it is ended"),
    ("*ibridge --listen", "it serves until it is ended"),
    ("*| ikeep", "it keeps until it is ended"),
    ("*tail -F", "it reads until it is ended"),
    ("*istat --log", "it reads until its keeper has gone"),
    ("*infer-dev chat", "it is for a person at a terminal"),
    ("iseal bash", "it is for a person at a terminal"),
    ("ichat Hello", "it is for a person at a terminal"),
    ("*claude", "that program is not here"),
    ("*setpriv --reuid me", "there is no such user"),
    ("*infer-dev-entry.sh", "it boots a machine: tests/entry runs it"),
    ("*https_proxy=", "there is no such proxy"),
    ("*pixi run", "the folder stands for one"),
    ("*curl --config", "the network is not here"),
    ("*/media/vllm.sh", "there is no such bundle"),
    ("*publisher.pub", "no model here is signed"),
    ("*pixi install --frozen", "no project is in this folder"),
];

/// Lines of a page that follow each other: what a person types in one shell.
struct Example {
    page: String,
    lines: Vec<String>,
}

/// The macros of a page that stand in text are none in a command.
fn unescaped(line: &str) -> String {
    line.replace(r"\(dq", "\"").replace(r"\e", r"\").replace(r"\&", "").replace(r"\-", "-")
}

/// Every example of a page: in its section of that name or, with `all`, in any other.
fn examples(page: &str, all: bool) -> Vec<Example> {
    let text = fs::read_to_string(root().join("man").join(page)).unwrap();
    let mut found: Vec<Example> = Vec::new();
    let (mut inside, mut block, mut goes_on) = (false, false, false);
    for line in text.lines() {
        let command = match line.split_once(' ') {
            Some((".Sh", name)) => {
                inside = all || name == "EXAMPLES";
                None
            }
            Some((".Bd", _)) => {
                block = inside && page != "infer-dev.5";
                None
            }
            Some((".Dl", command)) if inside => Some(command),
            _ if line == ".Ed" => {
                block = false;
                None
            }
            _ if block => Some(line),
            _ => None,
        };
        // What a tool says is shown too.
        let command = command.filter(|command| !is_said(command) && !command.contains(" Op Ar "));
        match (command, found.last_mut().filter(|_| goes_on)) {
            (Some(command), Some(last)) => last.lines.push(unescaped(command)),
            (Some(command), None) => {
                found.push(Example { page: page.to_owned(), lines: vec![unescaped(command)] });
            }
            (None, _) => {}
        }
        goes_on = command.is_some();
    }
    found
}

/// Whether this is a line that a tool has written.
fn is_said(line: &str) -> bool {
    line.split_once(": ").is_some_and(|(name, _)| tool_names().contains(&name.to_owned()))
}

fn pages() -> Vec<String> {
    let entries = fs::read_dir(root().join("man")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The commands of a line, each as its words: bash's own reading is not needed for what the pages have.
fn commands(line: &str) -> Vec<Vec<String>> {
    let (mut commands, mut quote) = (vec![vec![String::new()]], None);
    for c in line.chars() {
        let words = commands.last_mut().unwrap();
        match (c, quote) {
            ('\'', Some(q)) if q == c => quote = None,
            ('\'', None) => quote = Some(c),
            ('|' | ';' | '&' | '(' | ')' | '<' | '>' | '"', None) => commands.push(vec![String::new()]),
            (' ', None) => words.push(String::new()),
            (c, _) => words.last_mut().unwrap().push(c),
        }
    }
    for words in &mut commands {
        words.retain(|word| !word.is_empty());
        let is_assignment = |word: &String| {
            word.split_once('=')
                .is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
        };
        let from = words.iter().position(|word| !is_assignment(word)).unwrap_or(words.len());
        words.drain(..from);
    }
    commands
}

#[test]
fn every_example_is_a_command_with_names_that_there_are() {
    let tools = tool_names();
    let helps: BTreeMap<String, String> = tools.iter().map(|tool| (tool.clone(), help_of(tool))).collect();
    let people = fs::read_to_string(root().join("scripts/infer-dev")).unwrap();
    let records = fs::read_to_string(root().join("shared/record/src/lib.rs")).unwrap();
    let variables: BTreeSet<String> = tool::vars::all().collect();
    let mut seen = 0;
    for example in pages().iter().flat_map(|page| examples(page, true)) {
        let script = example.lines.join("\n");
        let at = format!("{}: {script}", example.page);
        assert!(Command::new("bash").args(["-n", "-c", &script]).status().unwrap().success(), "{at}");
        for word in script.split(|c: char| !(c.is_ascii_uppercase() || c == '_' || c.is_ascii_digit())) {
            let is_ours = word.starts_with("AUTO_INFER_") || word.starts_with("INFER_DEV_");
            assert!(!is_ours || variables.contains(word), "{at}: no variable {word}");
        }
        for (at_kind, key) in script.match_indices("kind") {
            let after = script[at_kind + key.len()..].trim_start_matches(['"', ':', '=', ' ']);
            let kind = after.split('"').next().unwrap();
            assert!(records.contains(&format!("=> \"{kind}\"")), "{at}: no record {kind}");
        }
        for words in example.lines.iter().flat_map(|line| commands(line)) {
            let Some((name, words)) = words.split_first() else { continue };
            let until = words.iter().position(|word| word == "--").unwrap_or(words.len());
            let help = match helps.get(name) {
                Some(help) => help,
                None if name == "infer-dev" => &people,
                None => {
                    assert!(!is_like_a_tool(name), "{at}: no tool {name}");
                    continue;
                }
            };
            seen += 1;
            for word in words[..until].iter().filter(|word| word.starts_with('-') && word.len() > 1) {
                let option = word.split('=').next().unwrap();
                let known = match option.strip_prefix("--") {
                    Some(long) if name != "infer-dev" => options_of_help(help).contains(long),
                    _ => help.contains(option),
                };
                assert!(known || name == "ibridge", "{at}: {name} has no {option}");
            }
        }
    }
    assert!(seen > 200, "only {seen} commands of ours were found");
}

/// Whether a line is left out by this.
fn is_meant(line: &str, by: &str) -> bool {
    by.strip_prefix('*').map_or(line == by, |part| line.contains(part))
}

/// Whether a person would take it for one of ours.
fn is_like_a_tool(name: &str) -> bool {
    name.starts_with('i') && name.chars().all(|c| c.is_ascii_lowercase()) && name != "install"
}

#[test]
fn what_can_run_runs() {
    let world = World::new();
    let mut unused: BTreeSet<&str> = NOT_RUN.iter().map(|(part, _)| *part).collect();
    let mut failed = Vec::new();
    let mut page = String::new();
    for example in pages().iter().flat_map(|page| examples(page, false)) {
        if page != example.page {
            page.clone_from(&example.page);
            world.turn_to(&page);
        }
        let left_out = |line: &&String| NOT_RUN.iter().find(|(part, _)| is_meant(line, part));
        let runs: Vec<&str> =
            example.lines.iter().filter(|line| left_out(line).is_none()).map(String::as_str).collect();
        example.lines.iter().filter_map(|line| left_out(&line)).for_each(|(part, _)| {
            unused.remove(part);
        });
        if runs.is_empty() {
            continue;
        }
        let said = world.run(&runs.join("\n"));
        if said.code != 0 {
            failed.push(format!("{}: {} [{}]\n{}", page, runs.join("\n"), said.code, said.stderr));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(unused.is_empty(), "not in any example: {unused:?}");
}
