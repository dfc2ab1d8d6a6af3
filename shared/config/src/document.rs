//! A TOML file with its overrides merged in.
use crate::value::{Entry, Merge, Node, Place, Table, Value};
use base16ct::lower::encode_string as hex;
use failure::{Code, Failure};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A file above this is none that anybody wrote.
const CEILING: usize = 4 << 20;

/// The parsed file, and what it takes to say where something stands in it.
#[derive(Debug)]
pub struct Document {
    /// The file.
    pub path: PathBuf,
    /// Of the file and the overrides.
    pub sha256: String,
    /// What both say.
    pub root: Table,
    text: String,
    /// Where each line begins, so that the line of a problem is found without reading the file again.
    lines: Vec<usize>,
    /// Name of the variable with the overrides.
    variable: String,
}

impl Document {
    /// Read the file and merge the overrides, given as the variable's name and its value.
    ///
    /// # Errors
    /// Code 69 when the file cannot be read or the overrides are not usable, 65 when the file is no TOML.
    pub fn read(path: &Path, overrides: Option<(&str, &str)>) -> Result<Self, Failure> {
        let cannot = |error: &std::io::Error| {
            Failure::io(Code::Unmet, format!("cannot read {}", path.display()), error)
        };
        let bytes = owner::read_named(path, CEILING).map_err(|error| {
            if error.kind() != std::io::ErrorKind::FileTooLarge {
                return cannot(&error);
            }
            let cause = format!("it is larger than {} MiB", CEILING >> 20);
            let failure = Failure::new(Code::Input, format!("cannot read {}", path.display()), cause);
            failure.hint("a configuration has some kilobytes: is this the file that is meant?")
        })?;
        let sha256 = hash(&bytes, overrides.map(|(_, json)| json));
        let text = String::from_utf8(bytes).map_err(|error| {
            let start = error.utf8_error().valid_up_to();
            let valid = String::from_utf8_lossy(&error.as_bytes()[..start]);
            Failure::new(Code::Input, position(path, &valid, start), "not UTF-8")
        })?;
        let mut root = {
            let table = DeTable::parse(&text).map_err(|error| syntax(path, &text, &error))?;
            table_of(table.get_ref())
        };
        if let Some((variable, json)) = overrides {
            root.merge(parse_overrides(variable, json)?, Merge::Override);
        }
        let variable = overrides.map(|(variable, _)| variable.to_owned()).unwrap_or_default();
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(ends).collect();
        Ok(Self { path: path.to_owned(), sha256, root, text, lines, variable })
    }

    /// A failure about something that stands at `place`: `FILE:LINE:COLUMN`, or the overrides' variable.
    #[must_use]
    pub fn failure(&self, place: Place, cause: impl Into<String>) -> Failure {
        match place {
            Place::File(at) => {
                let line = self.lines.partition_point(|start| *start <= at).max(1);
                let so_far = self.text.get(self.lines[line - 1]..at).unwrap_or_default();
                Failure::new(Code::Input, place_name(&self.path, line, so_far), cause)
            }
            Place::Overrides => Failure::new(Code::Unmet, self.variable.clone(), cause),
        }
    }
}

/// `FILE:LINE:COLUMN`, both from 1, columns in characters.
fn position(path: &Path, text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    place_name(path, line, before.rsplit('\n').next().unwrap_or_default())
}

fn place_name(path: &Path, line: usize, so_far: &str) -> String {
    // A byte order mark is not seen.
    let column = so_far.trim_start_matches('\u{feff}').chars().count() + 1;
    format!("{}:{line}:{column}", path.display())
}

/// Only the message and the place: the line itself may hold a secret.
fn syntax(path: &Path, text: &str, error: &toml::de::Error) -> Failure {
    let at = error.span().map_or(0, |span| span.start);
    let cause = error.message().lines().collect::<Vec<_>>().join(", ");
    Failure::new(Code::Input, position(path, text, at), cause)
}

fn hash(config: &[u8], overrides: Option<&str>) -> String {
    let mut hasher = Sha256::new();
    hasher.update(config);
    if let Some(overrides) = overrides {
        hasher.update([0]);
        hasher.update(overrides.as_bytes());
    }
    hex(&hasher.finalize())
}

fn table_of(table: &DeTable<'_>) -> Table {
    let entry = |(key, value): (&Spanned<toml::de::DeString<'_>>, &Spanned<DeValue<'_>>)| Entry {
        key: key.get_ref().to_string(),
        place: Place::File(key.span().start),
        node: node_of(value),
    };
    Table(table.iter().map(entry).collect())
}

fn node_of(spanned: &Spanned<DeValue<'_>>) -> Node {
    let value = match spanned.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(integer) => Value::Number(decimal(integer)),
        DeValue::Float(float) => Value::Number(plain(float.as_str())),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Datetime(time) => Value::Text(time.to_string()),
        DeValue::Array(nodes) => Value::List(nodes.iter().map(node_of).collect()),
        DeValue::Table(table) => Value::Table(table_of(table)),
    };
    Node { value, place: Place::File(spanned.span().start) }
}

/// An integer as it is written, except for what only TOML can read: underscores, a plus, other bases than ten.
fn decimal(integer: &toml::de::DeInteger<'_>) -> String {
    let text = plain(integer.as_str());
    match integer.radix() {
        10 => text,
        radix => i128::from_str_radix(&text, radix).map_or(text, |number| number.to_string()),
    }
}

fn plain(number: &str) -> String {
    number.trim_start_matches('+').replace('_', "")
}

fn parse_overrides(variable: &str, json: &str) -> Result<Table, Failure> {
    let bad = |cause: String| {
        let hint = "it is a JSON object, merged over the TOML file; null deletes a key";
        Failure::new(Code::Unmet, format!("{variable} is not usable"), cause).hint(hint)
    };
    let parsed: serde_json::Value = serde_json::from_str(json).map_err(|error| bad(error.to_string()))?;
    match json_node(parsed).map_err(|cause| bad(cause.to_owned()))?.value {
        Value::Table(table) => Ok(table),
        other => Err(bad(format!("{}, not a JSON object", other.type_name()))),
    }
}

fn json_node(json: serde_json::Value) -> Result<Node, &'static str> {
    use serde_json::Value as Json;
    let value = match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Flag(flag),
        Json::Number(number) => Value::Number(number.to_string()),
        Json::String(text) => Value::Text(text),
        Json::Array(items) if items.contains(&Json::Null) => return Err("null in a list"),
        Json::Array(items) => Value::List(items.into_iter().map(json_node).collect::<Result<_, _>>()?),
        Json::Object(entries) => {
            let entry = |(key, value)| Ok(Entry { key, place: Place::Overrides, node: json_node(value)? });
            Value::Table(Table(entries.into_iter().map(entry).collect::<Result<_, &str>>()?))
        }
    };
    Ok(Node { value, place: Place::Overrides })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str, overrides: Option<&str>) -> Result<Document, Failure> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), toml).unwrap();
        Document::read(file.path(), overrides.map(|json| ("AUTO_INFER_VLLM_OVERRIDES", json)))
    }

    fn merged(toml: &str, overrides: &str) -> String {
        Value::Table(read(toml, Some(overrides)).unwrap().root).json()
    }

    #[test]
    fn numbers_stay_as_they_are_written() {
        let toml =
            "a = 0.90\nb = 1e-5\nc = 1_000_000\nd = +7\ne = 0x1F\nf = 12345678901234567890123\ng = 0o17";
        let expected = r#"{"a":0.90,"b":1e-5,"c":1000000,"d":7,"e":31,"f":12345678901234567890123,"g":15}"#;
        assert_eq!(Value::Table(read(toml, None).unwrap().root).json(), expected);
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        assert_eq!(Value::Table(read("\u{feff}a = 1", None).unwrap().root).json(), r#"{"a":1}"#);
        assert!(read("\u{feff}a = [", None).unwrap_err().what.ends_with(":1:6"));
        assert!(read("a = [", None).unwrap_err().what.ends_with(":1:6"));
    }

    #[test]
    fn overrides_merge_tables_deep_replace_lists_and_delete_by_null() {
        let toml = "[i.a.server]\nport = 1\nx = [1, 2]\n[i.a.server.t]\nk = 1\nl = 2\n";
        let over =
            r#"{"i":{"a":{"server":{"port":2,"x":[3],"t":{"k":null,"m":0.5},"new":{"y":null,"z":1}}}}}"#;
        let expected = r#"{"i":{"a":{"server":{"port":2,"x":[3],"t":{"l":2,"m":0.5},"new":{"z":1}}}}}"#;
        assert_eq!(merged(toml, over), expected);
    }

    #[test]
    fn overrides_that_are_no_object_name_their_variable() {
        for (json, cause) in [
            ("[1]", "a list, not a JSON object"),
            (r#"{"a":}"#, "expected value at line 1 column 6"),
            (r#"{"a":[null]}"#, "null in a list"),
            ("", "EOF while parsing a value at line 1 column 0"),
        ] {
            let failure = read("", Some(json)).unwrap_err();
            assert_eq!((failure.code, failure.cause.as_str()), (Code::Unmet, cause));
            assert_eq!(failure.what, "AUTO_INFER_VLLM_OVERRIDES is not usable");
        }
    }

    #[test]
    fn a_syntax_error_has_line_and_column_and_never_shows_the_line() {
        let failure = read("[a]\nα = \"é\" s3cret\n", None).unwrap_err();
        assert!(failure.what.ends_with(":2:9"), "{}", failure.what);
        assert_eq!(failure.code, Code::Input);
        assert!(!failure.cause.contains("s3cret"), "{}", failure.cause);
    }

    #[test]
    fn the_hash_covers_the_overrides() {
        let plain = read("a = 1", None).unwrap().sha256;
        assert_eq!(plain, hash(b"a = 1", None));
        assert_ne!(plain, read("a = 1", Some("{}")).unwrap().sha256);
        assert_eq!(read("a = 1", Some("{}")).unwrap().sha256, hash(b"a = 1\0{}", None));
    }
}
