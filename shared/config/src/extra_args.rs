//! `extra_args`: a list of strings, every one as it stands.
use crate::problems::Problems;
use crate::value::{Entry, Node, Place, Value};

/// One argument of `extra_args`.
#[derive(Clone, Debug, PartialEq)]
pub struct ExtraArgument {
    /// As it is written.
    pub text: String,
    /// Where it stands.
    pub place: Place,
}

/// The arguments as the file has them; anything but a list of strings is a problem.
pub(crate) fn read(entry: &Entry, problems: &mut Problems<'_>) -> Vec<ExtraArgument> {
    let Value::List(nodes) = &entry.node.value else {
        let cause = format!("server.extra_args is {}, not a list of strings", entry.node.value.type_name());
        let words = entry.node.value.word().unwrap_or_default().split_whitespace();
        let words: Vec<String> = words.map(|word| format!("{word:?}")).collect();
        let meant = Some(words.join(", ")).filter(|words| !words.is_empty());
        let hint = format!("write it as [{}]", meant.as_deref().unwrap_or("\"--flag\", \"value\""));
        problems.at(entry.node.place, cause, Some(hint));
        return Vec::new();
    };
    let mut word = |node: &Node| {
        let (cause, hint) = match &node.value {
            Value::Text(text) if !text.contains('\0') => {
                return Some(ExtraArgument { text: text.clone(), place: node.place });
            }
            Value::Text(_) => ("server.extra_args holds a zero byte".to_owned(), None),
            other => {
                let meant = other.word().map(|word| format!("write it in quotes: \"{word}\""));
                let hint = meant.unwrap_or_else(|| "each is a string: [\"--flag\", \"value\"]".to_owned());
                (format!("server.extra_args holds {}, not a string", other.type_name()), Some(hint))
            }
        };
        problems.at(node.place, cause, hint);
        None
    };
    nodes.iter().filter_map(&mut word).collect()
}
