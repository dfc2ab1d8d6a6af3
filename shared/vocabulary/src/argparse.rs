//! What the script writes of a Python parser.
use crate::{Arity, Flag, Type};
use serde::Deserialize;
use serde_json::Value;

/// The script: `python -c DUMP MODULE` writes the options of the parser that `python -m MODULE` has, a JSON line for each.
pub const DUMP: &str = include_str!("dump.py");

#[derive(Deserialize)]
struct Action {
    spellings: Vec<String>,
    action: String,
    nargs: Value,
    #[serde(rename = "type")]
    kind: Option<String>,
    choices: Option<Vec<String>>,
    default: Value,
    #[serde(default, rename = "const")]
    constant: Value,
    #[serde(default)]
    deprecated: bool,
}

pub(crate) fn read(text: &str) -> Option<Vec<Flag>> {
    text.lines().map(|line| serde_json::from_str(line).ok().map(flag)).collect()
}

fn flag(action: Action) -> Flag {
    let Action { spellings, action, nargs, kind, choices, default, constant, deprecated } = action;
    let boolean = action == "BooleanOptionalAction";
    let (negative, spellings) = match boolean {
        true => spellings.into_iter().partition(|spelling| spelling.starts_with("--no-")),
        false => (Vec::new(), spellings),
    };
    let takes = match &nargs {
        Value::Number(count) => match count.as_u64().and_then(|count| u32::try_from(count).ok()) {
            Some(0) | None => Arity::Nothing,
            Some(count) => Arity::Exactly(count),
        },
        Value::String(sign) if sign == "?" => Arity::Optional,
        Value::String(sign) if sign == "+" => Arity::Some,
        Value::String(_) => Arity::Any,
        // An action of the engine's own that stores what it was made with takes no value, whatever it says.
        _ if action.contains("StoreConst") || action.contains("StoreTrue") => Arity::Nothing,
        _ => Arity::Exactly(1),
    };
    let optional_switch = takes == Arity::Optional && constant.is_boolean();
    Flag {
        spellings,
        negative,
        takes,
        kind: match kind.as_deref() {
            _ if optional_switch => Type::Boolean,
            None | Some("str") => Type::Text,
            Some(name) => type_of(name),
        },
        list: action.contains("Append").then_some(crate::List::Repeat),
        choices: choices.unwrap_or_default(),
        default: shown(&default),
        deprecated,
        removed: None,
    }
}

/// By the name of the function that parses a value.
fn type_of(name: &str) -> Type {
    match name {
        "int" => Type::Integer,
        "float" => Type::Number,
        "bool" | "str2bool" | "str_to_bool" => Type::Boolean,
        "loads" | "json_list_type" | "parse_dataclass" => Type::Json,
        name if name.starts_with("human_readable_int") => Type::Count,
        _ => Type::Unknown,
    }
}

fn shown(default: &Value) -> Option<String> {
    match default {
        Value::Null => None,
        Value::String(text) if text == "==SUPPRESS==" => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Flag {
        read(line).unwrap().remove(0)
    }

    #[test]
    fn each_kind_of_action_is_read() {
        let switch = one(
            r#"{"spellings":["--headless"],"action":"_StoreTrueAction","nargs":0,"type":null,"choices":null,"default":false}"#,
        );
        assert_eq!(
            (switch.takes, switch.negative.len(), switch.default.as_deref()),
            (Arity::Nothing, 0, Some("false"))
        );
        let both = one(
            r#"{"spellings":["--lora","--no-lora"],"action":"BooleanOptionalAction","nargs":0,"type":null,"choices":null,"default":null}"#,
        );
        assert_eq!(
            (both.spellings, both.negative),
            (vec!["--lora".to_owned()], vec!["--no-lora".to_owned()])
        );
        let append = one(
            r#"{"spellings":["--middleware"],"action":"_AppendAction","nargs":null,"type":"str","choices":null,"default":[]}"#,
        );
        assert_eq!((append.takes, append.list), (Arity::Exactly(1), Some(crate::List::Repeat)));
        let constant = one(
            r#"{"spellings":["--old"],"action":"DeprecatedStoreConstAction","nargs":null,"type":null,"choices":["a"],"default":null,"deprecated":true}"#,
        );
        assert_eq!((constant.takes, constant.deprecated), (Arity::Nothing, true));
        for (name, kind) in
            [("human_readable_int_or_auto", Type::Count), ("loads", Type::Json), ("<lambda>", Type::Unknown)]
        {
            assert_eq!(type_of(name), kind, "{name}");
        }
    }

    #[test]
    fn a_line_that_is_none_makes_the_answer_none() {
        assert_eq!(read("Traceback (most recent call last):"), None);
    }
}
