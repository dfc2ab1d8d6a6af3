//! llama.cpp's options: what is planned for each is read back by its own parser, and for an older version by its help.
use super::{machine, plan};
use crate::kit::{Sandbox, Tiny, free_port, root, speaking_as};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// They end the server, or have it fetch something while it parses, or are ours.
const NOT_PARSED: [&str; 17] = [
    "help",
    "version",
    "license",
    "cache-list",
    "completion-bash",
    "list-devices",
    "host",
    "port",
    "model",
    "model-url",
    "docker-repo",
    "hf-repo",
    "hf-file",
    "hf-repo-v",
    "hf-file-v",
    "spec-draft-hf",
    "mmproj-url",
];

/// They are not compiled in, or name a device, or go another way.
const NOT_TAKEN: [&str; 6] = ["rpc", "device", "spec-draft-device", "mmproj-device", "api-key", "hf-token"];

/// Values for what the parser takes more closely than its help says.
const VALUES: [(&str, &str); 23] = [
    ("fit-target", "[2, 3]"),
    ("cpu-mask", "'0x3'"),
    ("cpu-mask-batch", "'0x3'"),
    ("spec-draft-cpu-mask", "'0x3'"),
    ("spec-draft-cpu-mask-batch", "'0x3'"),
    ("cpu-range", "'0-1'"),
    ("cpu-range-batch", "'0-1'"),
    ("spec-draft-cpu-range", "'0-1'"),
    ("prio", "2"),
    ("prio-batch", "2"),
    ("spec-draft-prio", "2"),
    ("spec-draft-prio-batch", "2"),
    ("override-tensor", "['a=CPU', 'b=CPU']"),
    ("spec-draft-override-tensor", "['a=CPU', 'b=CPU']"),
    ("override-kv", "['a=int:1', 'b=bool:true']"),
    ("lora-scaled", "['a:0.5', 'b:2']"),
    ("control-vector-scaled", "['a:0.5', 'b:2']"),
    ("logit-bias", "['7+1', '9-1']"),
    ("samplers", "['top_k', 'temperature']"),
    ("spec-draft-replace", "['a', 'b']"),
    ("spec-synth-rates", "[0.5, 0.25]"),
    ("json-schema", "{ type = 'object' }"),
    ("sampler-seq", "'kt'"),
];

/// What is read back, where it is not the value as it was written.
const READ: [(&str, &str); 14] = [
    ("chat-template-kwargs", r#"["1"]"#),
    ("cpu-mask", "[true]"),
    ("cpu-range", "[true]"),
    ("fit-target", "[2097152, 3145728]"),
    ("json-schema", r#"["\"type\":\"object\""]"#),
    ("json-schema-file", r#"["GRAMMAR_TYPE"]"#),
    ("logit-bias", "[7, 9, -1]"),
    ("lora-scaled", r#"["a", 0.5, "b", 2]"#),
    ("mcp-servers-json", r#"["{\"a\":1}"]"#),
    ("moe-cache-mib", "[1048576000]"),
    ("prio", r#"["PRIO_HIGH"]"#),
    ("rope-scale", "[4.0]"),
    ("sampler-seq", r#"["top_k;temperature"]"#),
    ("ui-config", r#"["{\"a\":1}"]"#),
];

/// The library shows no field for these.
const UNSHOWN: [&str; 35] = [
    "api-key-file",
    "chat-template-file",
    "control-vector",
    "control-vector-scaled",
    "cpu-mask-batch",
    "cpu-range-batch",
    "cpu-strict-batch",
    "defrag-thold",
    "dry-base",
    "dry-sequence-breaker",
    "grammar-file",
    "log-colors",
    "log-disable",
    "log-file",
    "log-jsonl",
    "log-prefix",
    "log-timestamps",
    "n-cpu-ffn",
    "n-cpu-moe",
    "override-kv",
    "poll-batch",
    "prio-batch",
    "spec-draft-cpu-mask",
    "spec-draft-cpu-mask-batch",
    "spec-draft-cpu-range",
    "spec-draft-cpu-strict",
    "spec-draft-cpu-strict-batch",
    "spec-draft-n-cpu-moe",
    "spec-draft-poll",
    "spec-draft-poll-batch",
    "spec-draft-prio",
    "spec-draft-prio-batch",
    "spm-infill",
    "top-nsigma",
    "ui-config-file",
];

/// One thing to set an option to.
struct Set {
    flag: String,
    toml: String,
    /// What the help says of the flag.
    about: Value,
}

fn value_of(flag: &str, about: &Value) -> String {
    let known = VALUES.iter().find(|(name, _)| *name == flag).map(|(_, value)| (*value).to_owned());
    let path = || match flag {
        _ if flag.ends_with("-dir") || ["slot-save-path", "media-path", "path"].contains(&flag) => {
            Some("'$M'")
        }
        "log-file" => Some("'$M/log'"),
        _ if flag.ends_with("-file") || flag == "mcp-servers-config" => Some("'$M/folder/config.json'"),
        _ => None,
    };
    let one = match (about["type"].as_str().unwrap(), about.get("list").is_some()) {
        ("integer" | "count" | "unknown", _) => "1e3",
        ("number", true) => "[0.25, 3]",
        ("number", false) => "0.25",
        ("json", _) => "{ a = 1 }",
        (_, true) => "['dash', '-x']",
        _ if about["takes"]["exactly"] == 2 => "[2, 9]",
        _ => "'-dash x'",
    };
    known.or_else(|| path().map(str::to_owned)).unwrap_or_else(|| one.to_owned())
}

/// Every option that a llama-server has by the help that is stored, set to all that it can be, one instance for each.
fn walked(sandbox: &Sandbox, help: &str) -> (String, BTreeMap<String, Set>) {
    sandbox.script("bin/llama-server", &speaking_as("--help", help));
    let first = format!("[instance.a.server]\nmodel = '$M/m.gguf'\nport = {}\n", free_port());
    drop(plan(sandbox, "llama-cpp", &first).exits(0));
    let kept = sandbox.sh("cat run/vocabulary/llama-cpp-*.json").exits(0).stdout;
    let kept: Value = serde_json::from_str(&kept).unwrap();
    let (mut toml, mut sets) = (String::new(), BTreeMap::new());
    for (number, about) in kept["flags"].as_array().unwrap().iter().enumerate() {
        let names = about["spellings"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
        let long: Vec<&str> = names.filter_map(|name| name.strip_prefix("--")).collect();
        let flag = long[0];
        let fetches = flag.ends_with("-default") && flag != "spec-default" || flag.starts_with("fim-");
        if about.get("removed").is_some()
            || NOT_PARSED.contains(&flag)
            || NOT_TAKEN.contains(&flag)
            || fetches
        {
            continue;
        }
        let values: Vec<String> = match about.get("choices").and_then(Value::as_array) {
            _ if about["takes"] == "nothing" => vec!["true".to_owned(), "false".to_owned()],
            Some(choices) => choices.iter().map(ToString::to_string).collect(),
            None => vec![value_of(flag, about)],
        };
        for (at, value) in values.into_iter().enumerate() {
            let instance = format!("o{number}-{at}");
            writeln!(
                toml,
                "[instance.{instance}.control]\nallow = ['address', 'file_missing', 'port_in_use']\n\
                 [instance.{instance}.server]\nmodel = '$M/m.gguf'\nport = {}\n\"{flag}\" = {value}",
                20000 + sets.len()
            )
            .unwrap();
            sets.insert(instance, Set { flag: flag.to_owned(), toml: value, about: about.clone() });
        }
    }
    let output = plan(sandbox, "llama-cpp", &toml);
    assert!(output.all("failed").is_empty(), "{:#?}", output.all("failed"));
    (output.stdout.replace("$SANDBOX", sandbox.text("").trim_end_matches('/')), sets)
}

/// The values that a TOML value stands for, as llama.cpp is to have them.
fn meant(set: &Set) -> Vec<Value> {
    if let Some((_, read)) = READ.iter().find(|(flag, _)| *flag == set.flag) {
        return serde_json::from_str(read).unwrap();
    }
    let text = set.toml.replace('\'', "\"").replace("$M", "/models");
    let inner = text.trim_start_matches('[').trim_end_matches(']');
    let one = |word: &str| match word.trim() {
        "1e3" => json!(1000),
        word => serde_json::from_str(word).unwrap_or_else(|_| json!(word)),
    };
    if text.starts_with('[') { inner.split(", ").map(one).collect() } else { vec![one(&text)] }
}

/// Whether a value, or all parts of one, stand somewhere in what changed.
fn shows(changed: &Value, value: &Value) -> bool {
    let word = value.as_str().map(str::to_lowercase);
    match (changed, value, word) {
        (Value::Number(found), Value::Number(_), _) => {
            (found.as_f64().unwrap() - value.as_f64().unwrap()).abs() < 1e-6
        }
        (Value::String(found), _, Some(word)) => found.to_lowercase().contains(&word),
        (Value::Bool(_), ..) => changed == value,
        (Value::Array(items), ..) => items.iter().any(|item| shows(item, value)),
        (Value::Object(items), ..) => items.values().any(|item| shows(item, value)),
        _ => false,
    }
}

#[test]
fn every_option_of_llama_cpp_is_read_back_by_its_own_parser() {
    let sandbox = machine();
    let (plans, sets) = walked(&sandbox, "llama-cpp-11549.help.gz");
    sandbox.write("plans.jsonl", plans);
    let tiny = Tiny::get();
    let script = root().join("tests/data/llamaback.py");
    let back = format!(
        "mkdir engine && tar -xzf {} -C engine && python3 {} engine/bin < plans.jsonl",
        tiny.archive.display(),
        script.display()
    );
    let back = sandbox.sh(&back).exits(0).records();
    assert_eq!(back.len(), sets.len());
    let mut by_flag: BTreeMap<&str, Vec<(&Set, &Value)>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for record in &back {
        let set = &sets[record["instance"].as_str().unwrap()];
        if record["taken"] != true {
            wrong.push(format!("--{} = {}: {}", set.flag, set.toml, record["said"]));
        }
        by_flag.entry(&set.flag).or_default().push((set, &record["changed"]));
    }
    for (flag, read) in by_flag.iter().filter(|(flag, _)| !UNSHOWN.contains(flag)) {
        // Every instance has a port of its own.
        let but_port = |changed: &Value| {
            let mut changed = changed.clone();
            if let Some(fields) = changed.as_object_mut() {
                fields.remove("port");
            }
            changed.to_string()
        };
        let different: BTreeSet<String> = read.iter().map(|(_, changed)| but_port(changed)).collect();
        if different.len() < read.len() {
            wrong.push(format!("--{flag}: two of its values are read as one: {different:?}"));
        }
        if let [(set, changed)] = read[..] {
            wrong.extend(
                meant(set)
                    .iter()
                    .filter(|value| !shows(changed, value))
                    .map(|value| format!("--{flag} = {}: {value} is not in {changed}", set.toml)),
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_option_of_an_older_llama_cpp_is_written_as_its_help_has_it() {
    for help in ["llama-cpp-9093.help.gz", "llama-cpp-11549.help.gz"] {
        let sandbox = machine();
        let (plans, sets) = walked(&sandbox, help);
        sandbox.write("plans.jsonl", plans);
        let (script, help) =
            (root().join("tests/data/helpback.py"), root().join("tests/data/vocabularies").join(help));
        let back = format!("python3 {} {} < plans.jsonl", script.display(), help.display());
        let back = sandbox.sh(&back).exits(0).records();
        assert_eq!(back.len(), sets.len());
        for record in &back {
            let set = &sets[record["instance"].as_str().unwrap()];
            let options = record["options"].as_array().unwrap();
            let spellings = |name: &str| set.about[name].as_array().cloned().unwrap_or_default();
            let (on, off) = (spellings("spellings"), spellings("negative"));
            let what = format!("{} = {}: {options:?}", set.flag, set.toml);
            let found = options.iter().map(|option| &option[1]);
            match (set.toml.as_str(), off.is_empty()) {
                ("false", true) => assert!(options.is_empty(), "{what}"),
                ("false", false) => assert!(found.clone().all(|name| off.contains(name)), "{what}"),
                _ => assert!(found.clone().all(|name| on.contains(name)), "{what}"),
            }
            assert!(set.toml == "false" || !options.is_empty(), "{what}");
        }
    }
}
