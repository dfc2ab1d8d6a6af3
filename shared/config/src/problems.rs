//! Reading typed values out of tables, and collecting all that is wrong instead of the first thing.
use crate::document::Document;
use crate::value::{Node, Place, Table, Value};
use failure::Failure;
use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use text::nearest;

/// What was found wrong so far.
pub(crate) struct Problems<'a> {
    document: &'a Document,
    lenient: bool,
    failures: Vec<Failure>,
    /// Texts of what was said already.
    said: HashSet<String>,
    /// Unknown keys that only warn: what and hint.
    pub(crate) unknown: Vec<(String, String)>,
}

impl<'a> Problems<'a> {
    pub(crate) fn new(document: &'a Document, lenient: bool) -> Self {
        Self { document, lenient, failures: Vec::new(), said: HashSet::new(), unknown: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.failures.is_empty()
    }

    /// All failures, or the unknown keys that only warn.
    pub(crate) fn finish(self) -> Result<Vec<(String, String)>, Vec<Failure>> {
        if self.failures.is_empty() { Ok(self.unknown) } else { Err(self.failures) }
    }

    /// Something is wrong at `place`. Said once, though a default stands under several instances.
    pub(crate) fn at(&mut self, place: Place, cause: impl Into<String>, hint: Option<String>) {
        let mut failure = self.document.failure(place, cause);
        failure.hint = hint;
        if self.said.insert(format!("{}: {}", failure.what, failure.cause)) {
            self.failures.push(failure);
        }
    }

    /// Complain about every key of a closed table that is not known.
    pub(crate) fn only_known(&mut self, table_name: Option<&str>, table: &Table, known: &[&str]) {
        for entry in &table.0 {
            if known.contains(&entry.key.as_str()) {
                continue;
            }
            // The outermost table is the file, or else the variable that the failure names already.
            let cause = match (table_name, entry.place) {
                (Some(table_name), _) => format!("unknown key '{}' in {table_name}", entry.key),
                (None, Place::File(_)) => format!("unknown key '{}' in the file", entry.key),
                (None, Place::Overrides) => format!("unknown key '{}'", entry.key),
            };
            let hint = match nearest(entry.key.as_str(), known.iter().copied()) {
                Some(near) => format!("did you mean '{near}'?"),
                None => format!("its keys are {}", known.join(", ")),
            };
            if self.lenient {
                let failure = self.document.failure(entry.place, cause);
                let said = (format!("{}: {}", failure.what, failure.cause), hint);
                if self.said.insert(said.0.clone()) {
                    self.unknown.push(said);
                }
            } else {
                self.at(entry.place, cause, Some(hint));
            }
        }
    }

    /// The table at `key`; anything else there is wrong.
    pub(crate) fn table<'t>(&mut self, table: &'t Table, key: &str) -> Option<&'t Table> {
        let entry = table.entry(key)?;
        match &entry.node.value {
            Value::Table(found) => Some(found),
            other => {
                self.at(entry.place, format!("'{key}' is {}, not a table", other.type_name()), None);
                None
            }
        }
    }

    pub(crate) fn flag(&mut self, table: &Table, name: &str, key: &str, default: bool) -> bool {
        let Some(node) = table.get(key) else { return default };
        if let Value::Flag(flag) = node.value {
            return flag;
        }
        self.wrong(node, &format!("{name}.{key}"), "true or false");
        default
    }

    pub(crate) fn text(&mut self, table: &Table, name: &str, key: &str) -> Option<String> {
        let node = table.get(key)?;
        match &node.value {
            Value::Text(text) if text.contains('\0') => {
                self.at(node.place, format!("{name}.{key} holds a zero byte"), None);
                None
            }
            Value::Text(text) if !text.is_empty() => Some(text.clone()),
            Value::Text(_) => {
                self.at(node.place, format!("{name}.{key} is empty"), None);
                None
            }
            _ => {
                self.wrong(node, &format!("{name}.{key}"), "a string");
                None
            }
        }
    }

    pub(crate) fn path(&mut self, table: &Table, name: &str, key: &str) -> Option<PathBuf> {
        let path = PathBuf::from(self.text(table, name, key)?);
        if path.is_absolute() {
            return Some(path);
        }
        let place = table.get(key).map_or(Place::Overrides, |node| node.place);
        let hint = "write the whole path, from /";
        self.at(place, format!("{name}.{key} is not an absolute path"), Some(hint.to_owned()));
        None
    }

    /// One of `words`, the first of which is the default.
    pub(crate) fn one_of(
        &mut self,
        table: &Table,
        key: &str,
        words: &[&'static str],
    ) -> Option<&'static str> {
        let hint = format!("it is one of {}", words.join(", "));
        if let Some(node) = table.get(key)
            && !matches!(node.value, Value::Text(_))
        {
            let cause = format!("control.{key} is {}, not a string", node.value.type_name());
            self.at(node.place, cause, Some(hint));
            return None;
        }
        let text = self.text(table, "control", key)?;
        let found = words.iter().find(|word| **word == text).copied();
        if found.is_none() {
            let place = table.get(key).map_or(Place::Overrides, |node| node.place);
            self.at(place, format!("control.{key} is '{text}'"), Some(hint));
        }
        found
    }

    pub(crate) fn number(&mut self, table: &Table, key: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let node = table.get(key)?;
        let hint = format!("it is a whole number from {} to {}", range.start(), range.end());
        let cause = match &node.value {
            Value::Number(number) => match number.parse() {
                Ok(number) if range.contains(&number) => return Some(number),
                _ => format!("control.{key} is {number}"),
            },
            other => format!("control.{key} is {}, not a number", other.type_name()),
        };
        self.at(node.place, cause, Some(unquoted(&node.value, hint)));
        None
    }

    pub(crate) fn texts(&mut self, table: &Table, key: &str) -> Vec<(Place, String)> {
        let Some(node) = table.get(key) else { return Vec::new() };
        let Value::List(nodes) = &node.value else {
            self.wrong(node, &format!("control.{key}"), "a list of strings");
            return Vec::new();
        };
        let mut texts = Vec::new();
        for node in nodes {
            match &node.value {
                Value::Text(text) => texts.push((node.place, text.clone())),
                _ => self.wrong(node, &format!("control.{key}"), "a list of strings"),
            }
        }
        texts
    }

    fn wrong(&mut self, node: &Node, key: &str, expected: &str) {
        let cause = format!("{key} is {}, not {expected}", node.value.type_name());
        self.at(node.place, cause, meant(&node.value, expected).map(|meant| format!("write it as {meant}")));
    }
}

/// The same hint, for a number in quotes with the word that they are wrong.
pub(crate) fn unquoted(value: &Value, hint: String) -> String {
    match value {
        Value::Text(text) if text.trim().parse::<i64>().is_ok() => format!("write it without quotes; {hint}"),
        _ => hint,
    }
}

/// How a value of the wrong type would be written as what is wanted; `None` where that is not known.
fn meant(value: &Value, expected: &str) -> Option<String> {
    match (value, expected) {
        (Value::List(nodes), "a string") => {
            let words: Option<Vec<&str>> = nodes.iter().map(|node| node.value.word()).collect();
            words.filter(|words| !words.is_empty()).map(|words| format!("\"{}\"", words.join(",")))
        }
        (Value::Number(number), "a string") => Some(format!("\"{number}\"")),
        (Value::Text(text), "true or false") => variables::boolean(text).map(|flag| flag.to_string()),
        (Value::Number(number), "true or false") => variables::boolean(number).map(|flag| flag.to_string()),
        (Value::Text(text), "a list of strings") => Some(format!("[\"{text}\"]")),
        _ => None,
    }
}
