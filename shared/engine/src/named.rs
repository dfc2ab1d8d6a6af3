//! The models that a command line names beside the one that is served.
use crate::{ModelRole, ModelSyntax, Profile};
use serde_json::Value;

/// The flags of a command line, each under its one name, with the words that follow it.
#[derive(Clone, Debug, Default)]
pub struct Flags(Vec<(String, Vec<String>)>);

impl Flags {
    /// Take a command line apart.
    #[must_use]
    pub fn of(args: &[String], profile: &Profile) -> Self {
        let mut flags: Vec<(String, Vec<String>)> = Vec::new();
        for word in args {
            let begins = word.starts_with("--") || word.strip_prefix('-').is_some_and(is_short);
            match (begins, flags.last_mut()) {
                (true, _) => {
                    let value = word.split_once('=').map(|(_, value)| value.to_owned());
                    flags.push((profile.flag(word), value.into_iter().collect()));
                }
                (false, Some((_, values))) => values.push(word.clone()),
                (false, None) => {}
            }
        }
        Self(flags)
    }

    /// The values of a flag, for each time that it is there.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Vec<String>> {
        self.0.iter().filter(move |(flag, _)| flag == name).map(|(_, values)| values)
    }

    /// Whether a flag is there.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// The draft, projector, adapters and tokenizer that are named, by their paths or otherwise.
    #[must_use]
    pub fn other_models(&self, profile: &Profile) -> Vec<(ModelRole, String)> {
        let mut models = Vec::new();
        for (flag, what_for, naming) in profile.other_models {
            let found = self.values(flag).flat_map(|values| paths(values, *naming));
            models.extend(found.filter(|path| !path.is_empty()).map(|path| (*what_for, path)));
        }
        models
    }
}

/// A negative number is no flag.
fn is_short(rest: &str) -> bool {
    rest.starts_with(|first: char| first.is_ascii_alphabetic())
}

/// The paths in the values of a flag.
fn paths(values: &[String], naming: ModelSyntax) -> Vec<String> {
    let first = values.first().cloned().unwrap_or_default();
    match naming {
        ModelSyntax::Path => vec![first],
        ModelSyntax::Paths => first.split(',').map(str::to_owned).collect(),
        ModelSyntax::Scaled => first
            .split(',')
            .map(|one| one.rsplit_once(':').map_or(one, |(path, _)| path).to_owned())
            .collect(),
        ModelSyntax::Named => values.iter().flat_map(|value| named(value)).collect(),
        ModelSyntax::Json(key) => json(&first).into_iter().filter_map(|table| text(&table, key)).collect(),
    }
}

/// `NAME=PATH`, a path, or JSON that holds one or several.
fn named(value: &str) -> Vec<String> {
    let tables = json(value);
    if !tables.is_empty() {
        let path = |table: &Value| text(table, "path").or_else(|| text(table, "lora_path"));
        return tables.iter().filter_map(path).collect();
    }
    vec![value.split_once('=').map_or(value, |(_, path)| path).to_owned()]
}

/// The tables of a JSON text.
fn json(text: &str) -> Vec<Value> {
    match serde_json::from_str(text) {
        Ok(Value::Array(tables)) => tables,
        Ok(table @ Value::Object(_)) => vec![table],
        _ => Vec::new(),
    }
}

fn text(table: &Value, key: &str) -> Option<String> {
    table.get(key)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_however_the_engine_takes_them() {
        let paths = |values: &[&str], naming| {
            paths(&values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>(), naming)
        };
        assert_eq!(paths(&["/a,/b"], ModelSyntax::Paths), ["/a", "/b"]);
        assert_eq!(paths(&["/a:0.5,/b:1"], ModelSyntax::Scaled), ["/a", "/b"]);
        let named = ["x=/a", "/b", r#"{"name": "y", "path": "/c"}"#, r#"[{"lora_path": "/d"}]"#];
        assert_eq!(paths(&named, ModelSyntax::Named), ["/a", "/b", "/c", "/d"]);
        assert_eq!(paths(&[r#"{"method": "eagle", "model": "/e"}"#], ModelSyntax::Json("model")), ["/e"]);
        assert_eq!(paths(&["not JSON"], ModelSyntax::Json("model")), [""; 0]);
    }
}
