//! The settings of a request: sampling, length, stop sequences, thinking, the form of the answer.
use crate::Refusal;
use serde_json::{Map, Value, json};

type Fields = Map<String, Value>;

/// Write the settings of a request of the Messages API into a chat completion.
///
/// # Errors
/// A setting has the wrong type.
pub(super) fn copy(fields: &Fields, chat: &mut Fields) -> Result<(), Refusal> {
    for name in ["max_tokens", "temperature", "top_p", "top_k"] {
        match fields.get(name) {
            None | Some(Value::Null) => {}
            Some(Value::Number(number)) => {
                chat.insert(name.to_owned(), json!(number));
            }
            Some(_) => return Err(Refusal::field(name, "not a number")),
        }
    }
    copy_stop(fields, chat)?;
    match fields.get("stream") {
        None | Some(Value::Null | Value::Bool(false)) => {}
        Some(Value::Bool(true)) => {
            chat.insert("stream".to_owned(), json!(true));
            chat.insert("stream_options".to_owned(), json!({"include_usage": true}));
        }
        Some(_) => return Err(Refusal::field("stream", "not true or false")),
    }
    copy_thinking(fields, chat);
    copy_format(fields, chat);
    Ok(())
}

fn copy_stop(fields: &Fields, chat: &mut Fields) -> Result<(), Refusal> {
    let wrong = || Refusal::field("stop_sequences", "not a list of strings");
    match fields.get("stop_sequences") {
        None | Some(Value::Null) => {}
        Some(Value::Array(stops)) if stops.iter().all(Value::is_string) => {
            let stops: Vec<&Value> = stops.iter().filter(|stop| **stop != "").collect();
            if !stops.is_empty() {
                chat.insert("stop".to_owned(), json!(stops));
            }
        }
        Some(_) => return Err(wrong()),
    }
    Ok(())
}

/// The chat template decides whether the model thinks, so the switch goes into `chat_template_kwargs`. Only llama.cpp has a
/// field for the budget. The effort is `OpenAI`'s `reasoning_effort`. Engines ignore fields that they do not know.
fn copy_thinking(fields: &Fields, chat: &mut Fields) {
    let thinking = fields.get("thinking");
    let kind = thinking.and_then(|thinking| thinking.get("type")).and_then(Value::as_str);
    match kind {
        Some("disabled") => {
            chat.insert("chat_template_kwargs".to_owned(), json!({"enable_thinking": false}));
        }
        Some("enabled") => {
            chat.insert("chat_template_kwargs".to_owned(), json!({"enable_thinking": true}));
            let budget = thinking.and_then(|thinking| thinking.get("budget_tokens")).and_then(Value::as_u64);
            if let Some(budget) = budget {
                chat.insert("thinking_budget_tokens".to_owned(), json!(budget));
            }
        }
        // `adaptive` is the model's own choice.
        _ => {}
    }
    let effort = fields.get("output_config").and_then(|config| config.get("effort")).and_then(Value::as_str);
    let effort = match effort {
        Some(effort @ ("low" | "medium" | "high")) if kind != Some("disabled") => effort,
        Some("xhigh" | "max") if kind != Some("disabled") => "high",
        _ => return,
    };
    chat.insert("reasoning_effort".to_owned(), json!(effort));
}

/// `output_config.format`, and `output_format` as it was called before.
fn copy_format(fields: &Fields, chat: &mut Fields) {
    let config = fields.get("output_config").and_then(|config| config.get("format"));
    let format = config.or_else(|| fields.get("output_format"));
    if let Some(schema) =
        format.filter(|format| format["type"] == "json_schema").and_then(|f| f.get("schema"))
    {
        let form = json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": true}});
        chat.insert("response_format".to_owned(), form);
    }
}
