//! No secret in a report. The tools write none into records; this holds for streams that others made or edited, too.
use serde_json::{Map, Value};

const HIDDEN: &str = "(hidden)";

/// The members without what is secret by its name, after a flag of such a name, or as the login in a URL.
pub(crate) fn of(members: Map<String, Value>) -> Map<String, Value> {
    members.into_iter().map(|(name, value)| (name.clone(), member(&name, value))).collect()
}

fn member(name: &str, value: Value) -> Value {
    match value {
        Value::String(_) | Value::Number(_) if plan::is_name(name) => Value::String(HIDDEN.to_owned()),
        Value::Array(values) if plan::is_name(name) => {
            Value::Array(values.into_iter().map(hide_all).collect())
        }
        other => redact_value(other),
    }
}

fn hide_all(_: Value) -> Value {
    Value::String(HIDDEN.to_owned())
}

fn redact_value(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(of(members)),
        Value::Array(values) => Value::Array(list(values)),
        Value::String(text) => Value::String(line(text)),
        other => other,
    }
}

/// A list may be a command line.
fn list(values: Vec<Value>) -> Vec<Value> {
    let mut after_secret_flag = false;
    let mut hide = |value: Value| {
        let hidden = std::mem::take(&mut after_secret_flag);
        let flag = value.as_str().and_then(|word| word.strip_prefix("--")).map(str::to_owned);
        match (hidden, flag) {
            (true, None) => return hide_all(value),
            (_, Some(flag)) => match flag.split_once('=') {
                Some((name, _)) if plan::is_name(name) => {
                    return Value::String(format!("--{name}={HIDDEN}"));
                }
                Some(_) => {}
                None => after_secret_flag = plan::is_name(&flag),
            },
            (false, None) => {}
        }
        redact_value(value)
    };
    values.into_iter().map(&mut hide).collect()
}

fn line(mut text: String) -> String {
    let mut secrets = plan::logins(&text);
    secrets.extend(plan::leaves(&text));
    // The longest first: one may hold another.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, HIDDEN);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn hidden(value: Value) -> Value {
        redact_value(value)
    }

    #[test]
    fn what_has_a_secret_name_follows_such_a_flag_or_is_a_login_is_hidden() {
        let value = json!({
            "env_set": {"HF_TOKEN": "one", "MODE": "x"},
            "args": ["--api-key", "two", "--port", "1", "--admin-api-key=three"],
            "url": "see https://me:four@h/x",
            "json": "{\"password\": \"five\"}",
            "list_secret": ["six"], "eos_token": "</s>", "prompt_tokens": 7
        });
        let expected = json!({
            "env_set": {"HF_TOKEN": "(hidden)", "MODE": "x"},
            "args": ["--api-key", "(hidden)", "--port", "1", "--admin-api-key=(hidden)"],
            "url": "see https://(hidden)@h/x",
            "json": "{\"password\": \"(hidden)\"}",
            "list_secret": ["(hidden)"], "eos_token": "</s>", "prompt_tokens": 7
        });
        assert_eq!(hidden(value), expected);
    }
}
