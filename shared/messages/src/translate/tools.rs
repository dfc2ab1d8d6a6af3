//! The tools of a request, and which of them the model may or must call.
use crate::Refusal;
use serde_json::{Map, Value, json};

type Fields = Map<String, Value>;

/// Write the tools of a request of the Messages API into a chat completion.
///
/// Tools that Anthropic's service runs itself, or whose schema only its models know, are left out beside others, and
/// refused where the request has no other: it would be answered without what it is there for.
///
/// # Errors
/// A tool or the choice has a form that the API does not have.
pub(super) fn copy(fields: &Fields, chat: &mut Fields) -> Result<(), Refusal> {
    let tools = match fields.get("tools") {
        None | Some(Value::Null) => &Vec::new(),
        Some(Value::Array(tools)) => tools,
        Some(_) => return Err(Refusal::field("tools", "not a list")),
    };
    let mut functions = Vec::with_capacity(tools.len());
    let mut foreign = None;
    for (at, tool) in tools.iter().enumerate() {
        match tool.get("type").and_then(Value::as_str) {
            Some(kind) if kind != "custom" && tool.get("input_schema").is_none() => {
                foreign = foreign.or(Some((at, kind)));
            }
            _ => functions.push(function(at, tool)?),
        }
    }
    if let Some((at, kind)) = foreign.filter(|_| functions.is_empty()) {
        let problem = format!("not supported: the engine has no tool '{kind}'");
        return Err(Refusal::field(format!("tools.{at}"), problem));
    }
    let none = functions.is_empty();
    if !none {
        chat.insert("tools".to_owned(), Value::Array(functions));
    }
    copy_choice(fields, chat, none)
}

fn function(at: usize, tool: &Value) -> Result<Value, Refusal> {
    let path = |field: &str| format!("tools.{at}.{field}");
    let name = tool.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Refusal::field(path("name"), "not a name"))?;
    let schema = match tool.get("input_schema") {
        Some(schema @ Value::Object(_)) => schema.clone(),
        None | Some(Value::Null) => json!({"type": "object", "properties": {}}),
        Some(_) => return Err(Refusal::field(path("input_schema"), "not an object")),
    };
    let mut function = Map::new();
    function.insert("name".to_owned(), json!(name));
    match tool.get("description") {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) => {
            function.insert("description".to_owned(), json!(text));
        }
        Some(_) => return Err(Refusal::field(path("description"), "not a string")),
    }
    function.insert("parameters".to_owned(), schema);
    Ok(json!({"type": "function", "function": function}))
}

fn copy_choice(fields: &Fields, chat: &mut Fields, none: bool) -> Result<(), Refusal> {
    let Some(choice) = fields.get("tool_choice").filter(|choice| !choice.is_null()) else { return Ok(()) };
    let kind = choice.get("type").and_then(Value::as_str);
    let value = match kind {
        Some(kind @ ("auto" | "none")) => json!(kind),
        Some("any" | "tool") if none => {
            return Err(Refusal::field("tool_choice", "there are no tools to choose"));
        }
        Some("any") => json!("required"),
        Some("tool") => {
            let name = choice.get("name").and_then(Value::as_str);
            let name = name.ok_or_else(|| Refusal::field("tool_choice.name", "not a name"))?;
            json!({"type": "function", "function": {"name": name}})
        }
        _ => return Err(Refusal::field("tool_choice.type", "not auto, any, tool or none")),
    };
    // Engines refuse a choice of nothing.
    if none {
        return Ok(());
    }
    chat.insert("tool_choice".to_owned(), value);
    if choice.get("disable_parallel_tool_use") == Some(&Value::Bool(true)) {
        chat.insert("parallel_tool_calls".to_owned(), json!(false));
    }
    Ok(())
}
