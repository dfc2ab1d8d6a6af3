//! One argument of an engine, what is said of one that it would not take, and how it is spoken to.
use crate::secret_name;
use config::{Node, Place, Value};
use engine::Profile;
use vocabulary::Vocabulary;

/// One flag as it is passed: its tokens, and its values by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Argument {
    /// The flag's one name; empty for tokens that belong to no flag.
    pub(crate) flag: String,
    /// As `plan.secrets` would call it.
    pub(crate) name: String,
    /// Where it stands; `None` where nobody wrote it.
    pub(crate) place: Option<Place>,
    pub(crate) tokens: Vec<String>,
    pub(crate) values: Vec<String>,
    /// A JSON object with a secret somewhere in it.
    pub(crate) holds_secret: bool,
    /// Its parser takes numbers alone: no secret, whatever it is called.
    pub(crate) number: bool,
}

/// An argument that this engine would not take as it is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// `None`: in no file.
    pub(crate) place: Option<Place>,
    pub(crate) cause: String,
    pub(crate) hint: Option<String>,
}

/// How an engine is spoken to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dialect<'a> {
    pub(crate) profile: &'static Profile,
    /// Its own options; `None` where it could not be asked, and our table has to do.
    pub(crate) vocabulary: Option<&'a Vocabulary>,
    /// A list is written as the flag once for each value, whatever the engine says.
    pub(crate) repeat: bool,
}

/// A value as one argument.
pub(crate) fn single(node: &Node) -> String {
    node.value.word().map_or_else(|| node.value.json(), str::to_owned)
}

/// Whether a table below this value has a secret's name in it.
pub(crate) fn holds_secret(node: &Node) -> bool {
    match &node.value {
        Value::List(nodes) => nodes.iter().any(holds_secret),
        Value::Table(table) => table.0.iter().any(|entry| {
            let value = &entry.node.value;
            (secret_name::is_name(&entry.key)
                && matches!(value, Value::Text(_) | Value::Number(_) | Value::List(_)))
                || holds_secret(&entry.node)
        }),
        _ => false,
    }
}
