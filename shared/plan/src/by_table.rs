//! Writing an argument by our own table of an engine's flags, for an engine that could not be asked.
use crate::argument::{Argument, holds_secret, single};
use config::{Entry, Value};
use engine::{ListSyntax, Profile};

/// One entry of `server`; `None` where it is written by leaving it out.
pub(crate) fn write(entry: &Entry, profile: &Profile, repeat: bool) -> Option<Argument> {
    let flag = profile.flag(&entry.key);
    // What stands behind a dot is a key of a JSON option, and stays as it is.
    let typed = match entry.key.split_once('.') {
        Some((head, subkey)) => format!("{}.{subkey}", head.replace('_', "-")),
        None => entry.key.replace('_', "-"),
    };
    let lists = if repeat { ListSyntax::Repeat } else { profile.list_of(&flag) };
    let (tokens, values) = match &entry.node.value {
        Value::Flag(on) if profile.switches.contains(&flag.as_str()) => {
            let values = vec![if *on { "on" } else { "off" }.to_owned()];
            (tokens(&typed, &values, lists, profile), values)
        }
        Value::Flag(true) => (vec![format!("--{typed}")], Vec::new()),
        Value::Flag(false) if profile.negatable.contains(&flag.as_str()) => {
            (vec![format!("--no-{typed}")], Vec::new())
        }
        Value::Flag(false) | Value::Null => return None,
        Value::List(nodes) if nodes.is_empty() => return None,
        Value::List(_) if lists == ListSyntax::Json => {
            let values = vec![entry.node.value.json()];
            (tokens(&typed, &values, lists, profile), values)
        }
        Value::List(nodes) => {
            let values: Vec<String> = nodes.iter().map(single).collect();
            (tokens(&typed, &values, lists, profile), values)
        }
        _ => {
            let values = vec![single(&entry.node)];
            (tokens(&typed, &values, ListSyntax::Values, profile), values)
        }
    };
    let holds_secret = holds_secret(&entry.node);
    let (name, place) = (format!("server.{}", entry.key), Some(entry.place));
    Some(Argument { flag, name, place, tokens, values, holds_secret, number: false })
}

pub(crate) fn tokens(typed: &str, values: &[String], lists: ListSyntax, profile: &Profile) -> Vec<String> {
    let flag = format!("--{typed}");
    let pair = |value: &String| {
        // argparse takes a value with a leading dash for a flag, unless it is a number, and vLLM's unless that is whole.
        let a_value = match profile.fraction_is_option {
            true => value.parse::<i64>().is_ok(),
            false => value.parse::<f64>().is_ok(),
        };
        if profile.module.is_some() && value.starts_with('-') && !a_value {
            vec![format!("{flag}={value}")]
        } else {
            vec![flag.clone(), value.clone()]
        }
    };
    match (lists, values) {
        (ListSyntax::Repeat, _) => values.iter().flat_map(pair).collect(),
        (ListSyntax::Comma, _) => vec![flag, values.join(",")],
        (_, [value]) => pair(value),
        _ => std::iter::once(flag).chain(values.iter().cloned()).collect(),
    }
}
