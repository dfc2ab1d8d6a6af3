//! Values of a TOML file or of overrides, each with the place where it stands.
use std::collections::{HashMap, HashSet};

/// Where a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At this byte of the file.
    File(usize),
    /// In the overrides, which have no lines that anybody would look for.
    Overrides,
}

/// A value. Numbers and dates are kept as they are written.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A string or a date.
    Text(String),
    /// A number.
    Number(String),
    /// A boolean.
    Flag(bool),
    /// A list.
    List(Vec<Node>),
    /// A table.
    Table(Table),
    /// JSON's null: only in overrides, where it deletes.
    Null,
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it stands.
    pub place: Place,
}

/// A key, its place, and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub place: Place,
    /// The value.
    pub node: Node,
}

/// A table, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table(pub Vec<Entry>);

/// Whose lists win when two tables are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Overrides: lists replace, null deletes.
    Override,
    /// An instance over the defaults: lists concatenate, defaults first.
    Default,
}

impl Value {
    /// The type's name in a message.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Number(_) => "a number",
            Self::Flag(_) => "a boolean",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Null => "null",
        }
    }

    /// The text of a string or a number.
    #[must_use]
    pub fn word(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(text),
            _ => None,
        }
    }

    /// As JSON.
    #[must_use]
    pub fn json(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            // JSON has no words for these; Python, which reads it, has.
            Self::Number(text) => match text.as_str() {
                "inf" => "Infinity".to_owned(),
                "-inf" => "-Infinity".to_owned(),
                "nan" | "-nan" => "NaN".to_owned(),
                _ => text.clone(),
            },
            Self::Flag(flag) => flag.to_string(),
            Self::List(nodes) => {
                let items: Vec<String> = nodes.iter().map(|node| node.value.json()).collect();
                format!("[{}]", items.join(","))
            }
            Self::Table(table) => {
                let entry = |entry: &Entry| format!("{}:{}", quoted(&entry.key), entry.node.value.json());
                let items: Vec<String> = table.0.iter().map(entry).collect();
                format!("{{{}}}", items.join(","))
            }
            Self::Null => "null".to_owned(),
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl Table {
    /// The entry of a key.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.key == key)
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// Merge `over` into this table: tables deep, everything else by `how`.
    pub fn merge(&mut self, over: Self, how: Merge) {
        let mut places: HashMap<String, usize> =
            self.0.iter().enumerate().map(|(at, entry)| (entry.key.clone(), at)).collect();
        let mut deleted = HashSet::new();
        for mut entry in over.0 {
            match (places.get(&entry.key).copied(), entry.node.value) {
                (Some(at), Value::Null) if how == Merge::Override => {
                    places.remove(&entry.key);
                    deleted.insert(at);
                }
                (None, Value::Null) if how == Merge::Override => {}
                (Some(at), value) => {
                    let old = &mut self.0[at];
                    match (&mut old.node.value, value) {
                        (Value::Table(table), Value::Table(over)) => table.merge(over, how),
                        (Value::List(list), Value::List(over)) if how == Merge::Default => list.extend(over),
                        (_, value) => {
                            let value = fresh(value, how);
                            old.place = entry.place;
                            old.node = Node { value, place: entry.node.place };
                        }
                    }
                }
                (None, value) => {
                    entry.node.value = fresh(value, how);
                    places.insert(entry.key.clone(), self.0.len());
                    self.0.push(entry);
                }
            }
        }
        let mut at = 0..;
        self.0.retain(|_| at.next().is_none_or(|at| !deleted.contains(&at)));
    }
}

/// A value that replaces another, less the nulls that have nothing to delete.
fn fresh(value: Value, how: Merge) -> Value {
    match value {
        Value::Table(over) => {
            let mut table = Table::default();
            table.merge(over, how);
            Value::Table(table)
        }
        value => value,
    }
}
