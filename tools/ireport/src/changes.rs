//! Two runs, member by member: what is of a kind, an engine and an instance in both is compared.
use crate::run::{Entry, Run, shown};
use serde_json::Value;
use std::collections::BTreeMap;

/// What a change is to somebody who asks why it worked then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    Outcome,
    Inputs,
    Versions,
    Flags,
    Resolved,
    Times,
}

/// One member that is not the same.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) group: Group,
    /// `plan llama-cpp/tiny`.
    pub(crate) of: String,
    pub(crate) member: String,
    /// Absent: only the new run has it.
    pub(crate) old: Option<String>,
    /// Absent: only the old run has it.
    pub(crate) new: Option<String>,
}

/// Members that differ between any two runs and say nothing.
const NOISE: [&str; 14] = [
    "at_unix",
    "keeper_pid",
    "pid",
    "inode",
    "mtime_ns",
    "ctime_ns",
    "up_s",
    "rss_bytes",
    "gpu_bytes",
    "hash",
    "secrets_check",
    "nvidia_smi",
    "raw",
    "kind",
];

/// Everything that is not the same, by group.
pub(crate) fn between(old: &Run, new: &Run) -> Vec<Change> {
    let (old, new) = (flattened(old), flattened(new));
    let keys: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let mut changes = Vec::new();
    for key in keys {
        let (was, is) = (old.get(key), new.get(key));
        if was != is {
            let (of, member) = key.clone();
            changes.push(Change {
                group: group(&of, &member),
                of,
                member,
                old: was.cloned(),
                new: is.cloned(),
            });
        }
    }
    changes.sort_by_key(|change| change.group);
    changes
}

/// Members of all records by what they are of and their path. Of several records of one subject each has a number.
fn flattened(run: &Run) -> BTreeMap<(String, String), String> {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let mut found = BTreeMap::new();
    for entry in &run.entries {
        let of = name(entry);
        let count = seen.entry(of.clone()).or_insert(0);
        *count += 1;
        let of = if *count == 1 { of } else { format!("{of} ({count})") };
        for (member, value) in entry.members() {
            flatten(&of, member, value, &mut found);
        }
    }
    found
}

fn name(entry: &Entry) -> String {
    let extra = match entry.kind() {
        "gap" => format!("{} {}", entry.text("package"), entry.text("version")),
        "model" => entry.text("role"),
        "warning" => entry.text("rule"),
        _ => String::new(),
    };
    let words = [entry.kind().to_owned(), entry.subject(), extra];
    words.iter().map(|word| word.trim()).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn flatten(of: &str, member: &str, value: &Value, found: &mut BTreeMap<(String, String), String>) {
    let last = member.rsplit('.').next().unwrap_or(member);
    if NOISE.contains(&last) {
        return;
    }
    match (value, last) {
        (Value::Object(members), _) => {
            members.iter().for_each(|(name, value)| flatten(of, &format!("{member}.{name}"), value, found));
        }
        (Value::Array(words), "args" | "argv") => arguments(of, member, words, found),
        (value, _) => drop(found.insert((of.to_owned(), member.to_owned()), shown(value))),
    }
}

/// A command line by its flags, so that one flag is one change.
fn arguments(of: &str, member: &str, words: &[Value], found: &mut BTreeMap<(String, String), String>) {
    let mut flag = String::new();
    let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for word in words.iter().map(shown) {
        if word.starts_with("--") {
            let (name, value) =
                word.split_once('=').map_or((word.as_str(), None), |(n, v)| (n, Some(v.to_owned())));
            flag = name.to_owned();
            values.entry(flag.clone()).or_default().extend(value);
        } else {
            values.entry(flag.clone()).or_default().push(word);
        }
    }
    for (flag, values) in values {
        let shown = if values.is_empty() { "(set)".to_owned() } else { values.join(" ") };
        found.insert((of.to_owned(), format!("{member} {flag}").trim().to_owned()), shown);
    }
}

fn group(of: &str, member: &str) -> Group {
    let kind = of.split(' ').next().unwrap_or_default();
    let last = member.rsplit('.').next().unwrap_or(member);
    let timed = ["seconds", "tokens_per_second"].contains(&last)
        || last.ends_with("_ms") && !member.starts_with("control");
    match (kind, last) {
        _ if timed => Group::Times,
        (_, "id" | "sha256" | "lock_sha256" | "config_sha256" | "size_bytes") => Group::Inputs,
        ("model" | "gap" | "cache", _) => Group::Inputs,
        ("host", _) | (_, "pixi_version" | "model_id") => Group::Versions,
        ("installed", _) if member.starts_with("checks") => Group::Versions,
        ("plan" | "instance", _) => Group::Flags,
        ("failed" | "skipped" | "warning" | "ready" | "answer" | "status" | "stopped", _) => Group::Outcome,
        _ => Group::Resolved,
    }
}
