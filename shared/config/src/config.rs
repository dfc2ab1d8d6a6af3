//! The shape of the TOML file: which tables and keys there are, and the defaults under each instance.
use crate::control::{self, Settings};
use crate::document::Document;
use crate::extra_args::{self, ExtraArgument};
use crate::master::{self, Master};
use crate::problems::{Problems, unquoted};
use crate::value::{Entry, Merge, Table, Value};
use failure::Failure;
use record::Engine;
use std::collections::HashSet;

/// A file that is in order.
#[derive(Debug)]
pub struct Config {
    /// What holds for all of them.
    pub master: Master,
    /// In the order of the file.
    pub instances: Vec<Instance>,
    /// Unknown keys that were let pass: what and hint.
    pub unknown: Vec<(String, String)>,
}

impl Config {
    /// What an empty file says.
    #[must_use]
    pub fn empty() -> Self {
        Self { master: Master::empty(), instances: Vec::new(), unknown: Vec::new() }
    }
}

/// One instance, the defaults already under it.
#[derive(Debug)]
pub struct Instance {
    /// Its name.
    pub name: String,
    /// The `control` table.
    pub settings: Settings,
    /// Arguments; underscores in their names, `extra_args` taken out.
    pub server: Table,
    /// More of them, as they are.
    pub extra_args: Vec<ExtraArgument>,
    /// Its variables.
    pub env: Vec<(String, String)>,
}

/// What to do with several addresses.
pub const ONE_ADDRESS: &str = "give one address, which is asked whether the server is ready; \"0.0.0.0\" listens on all of this machine";

/// Each is checked against all others.
const MOST_INSTANCES: usize = 1000;

/// Names that a table below `instance` cannot have.
const RESERVED: [&str; 3] = ["control", "env", "server"];

/// The file, where nothing is wrong with it.
///
/// # Errors
/// All that is wrong with it.
pub fn read(document: &Document, engine: Engine, lenient: bool) -> Result<Config, Vec<Failure>> {
    let mut problems = Problems::new(document, lenient);
    problems.only_known(None, &document.root, &["master", "instance"]);
    let empty = Table::default();
    let master =
        master::read(problems.table(&document.root, "master").unwrap_or(&empty), engine, &mut problems);
    let all = problems.table(&document.root, "instance").unwrap_or(&empty);
    let names: Vec<&Entry> = all.0.iter().filter(|entry| !reserved(entry, &mut problems)).collect();
    for entry in &names {
        check_name(entry, &mut problems);
    }
    if let Some(entry) = names.get(MOST_INSTANCES) {
        let hint = "no machine serves so many; is this the file that is meant?";
        problems.at(entry.place, format!("more than {MOST_INSTANCES} instances"), Some(hint.to_owned()));
        return problems.finish().map(|unknown| Config { master, instances: Vec::new(), unknown });
    }
    if !master.enable && problems.is_empty() {
        let instances = names.iter().map(|entry| Instance::disabled(&entry.key, engine)).collect();
        return Ok(Config { master, instances, unknown: problems.unknown });
    }
    let defaults = Parts::of(all, &mut problems);
    let instances: Vec<Instance> = names
        .into_iter()
        .filter_map(|entry| read_instance(entry, &defaults, engine, &mut problems))
        .collect();
    problems.finish().map(|unknown| Config { master, instances, unknown })
}

/// Whether this is a table of defaults, and a complaint where somebody meant an instance by it.
fn reserved(entry: &Entry, problems: &mut Problems<'_>) -> bool {
    if !RESERVED.contains(&entry.key.as_str()) {
        return false;
    }
    if let Value::Table(table) = &entry.node.value
        && let Some(server) = table.entry("server")
        && matches!(server.node.value, Value::Table(_))
    {
        let cause = format!("'{}' cannot be the name of an instance", entry.key);
        let hint = format!("[instance.{}] holds defaults for all instances: choose another name", entry.key);
        problems.at(server.place, cause, Some(hint));
    }
    true
}

/// Whether an instance can have this name.
#[must_use]
pub fn is_instance_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.len() <= 64 && name.starts_with(plain) && name.chars().all(|c| plain(c) || c == '.' || c == '-')
}

fn check_name(entry: &Entry, problems: &mut Problems<'_>) {
    let name = &entry.key;
    if !is_instance_name(name) {
        let hint =
            "a name has up to 64 letters, digits, '_', '.' and '-', and begins with a letter, digit or '_'";
        problems.at(
            entry.place,
            format!("'{name}' cannot be the name of an instance"),
            Some(hint.to_owned()),
        );
    }
}

/// The three tables of an instance, or of the defaults.
#[derive(Clone, Default)]
struct Parts {
    control: Table,
    env: Table,
    server: Table,
}

impl Parts {
    fn of(table: &Table, problems: &mut Problems<'_>) -> Self {
        let mut part = |key| problems.table(table, key).cloned().unwrap_or_default();
        let (control, env, mut server) = (part("control"), part("env"), part("server"));
        spell(&mut server, problems);
        Self { control, env, server }
    }

    fn under(&self, over: Self) -> Self {
        let mut merged = self.clone();
        merged.control.merge(over.control, Merge::Default);
        merged.env.merge(over.env, Merge::Default);
        merged.server.merge(over.server, Merge::Default);
        merged
    }
}

/// Spell the arguments' names one way, with underscores, so that `model-path` replaces `model_path`.
fn spell(server: &mut Table, problems: &mut Problems<'_>) {
    let mut seen = HashSet::new();
    for entry in &mut server.0 {
        // What follows a dot is a key of the engine's JSON, and stays as it is.
        let head = entry.key.find('.').unwrap_or(entry.key.len());
        let name = entry.key[..head].replace('-', "_") + &entry.key[head..];
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if !entry.key.starts_with(|c: char| c.is_ascii_alphanumeric()) || !name.chars().all(plain) {
            let cause = format!("'{}' cannot be the name of an argument", entry.key);
            problems.at(
                entry.place,
                cause,
                Some("write it as model_path, without dashes in front".to_owned()),
            );
        } else if seen.contains(&name) {
            problems.at(entry.place, format!("'{}' is there twice, spelt differently", entry.key), None);
        }
        entry.key.clone_from(&name);
        seen.insert(name);
    }
}

fn read_instance(
    entry: &Entry,
    defaults: &Parts,
    engine: Engine,
    problems: &mut Problems<'_>,
) -> Option<Instance> {
    let Value::Table(table) = &entry.node.value else {
        let hint = format!("an instance is a table: [instance.{}.server]", entry.key);
        let cause = format!("instance.{} is {}, not a table", entry.key, entry.node.value.type_name());
        problems.at(entry.place, cause, Some(hint));
        return None;
    };
    problems.only_known(Some(&format!("[instance.{}]", entry.key)), table, &RESERVED);
    let mut parts = defaults.under(Parts::of(table, problems));
    let settings = control::read(&parts.control, engine, problems);
    let extra = parts.server.0.iter().position(|entry| entry.key == "extra_args");
    let extra_args =
        extra.map(|at| extra_args::read(&parts.server.0.remove(at), problems)).unwrap_or_default();
    check_server(&parts.server, problems);
    let env = read_env(&parts.env, problems);
    Some(Instance { name: entry.key.clone(), settings, server: parts.server, extra_args, env })
}

/// What no command line can hold, and the two arguments whose meaning is ours as well.
fn check_server(server: &Table, problems: &mut Problems<'_>) {
    for entry in &server.0 {
        let (key, value) = (entry.key.as_str(), &entry.node.value);
        let good = match (key, value) {
            ("port", Value::Number(port)) => port.parse::<u16>().is_ok_and(|port| port > 0),
            ("host", Value::Text(host)) => !host.is_empty(),
            ("port" | "host", _) => false,
            _ => true,
        };
        if !good {
            let shown = value.word().map_or_else(|| value.type_name().to_owned(), |word| format!("'{word}'"));
            problems.at(entry.node.place, format!("server.{key} is {shown}"), Some(address_hint(key, value)));
        }
        // A backslash of the operator's own is doubled in JSON.
        if entry.node.value.json().replace(r"\\", "").contains(r"\u0000") {
            problems.at(entry.node.place, format!("server.{} holds a zero byte", entry.key), None);
        }
    }
}

/// What the value of `port` or `host` is to be.
fn address_hint(key: &str, value: &Value) -> String {
    match (key, value) {
        ("port", _) => unquoted(value, "it is a whole number from 1 to 65535".to_owned()),
        (_, Value::List(_)) => ONE_ADDRESS.to_owned(),
        _ => "it is an address or the name of one".to_owned(),
    }
}

fn read_env(table: &Table, problems: &mut Problems<'_>) -> Vec<(String, String)> {
    let mut env = Vec::new();
    for entry in &table.0 {
        let (key, node) = (&entry.key, &entry.node);
        if key.is_empty() || key.contains(['=', '\0']) {
            problems.at(entry.place, format!("'{}' cannot name a variable", key.escape_debug()), None);
        }
        match node.value.word() {
            Some(word) if word.contains('\0') => {
                problems.at(node.place, format!("env.{key} holds a zero byte"), None);
            }
            Some(word) => env.push((key.clone(), word.to_owned())),
            None => {
                let cause = format!("env.{key} is {}, not a string", node.value.type_name());
                problems.at(node.place, cause, Some(format!("write it as a string: {key} = \"1\"")));
            }
        }
    }
    env
}

impl Instance {
    /// One that is not to run, with nothing but its name.
    #[must_use]
    pub fn disabled(name: &str, engine: Engine) -> Self {
        Self {
            name: name.to_owned(),
            settings: Settings::default_of(engine),
            server: Table::default(),
            extra_args: Vec::new(),
            env: Vec::new(),
        }
    }
}
