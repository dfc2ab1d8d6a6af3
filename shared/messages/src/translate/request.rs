//! A request of the Messages API as one of chat completions.
use super::{conversation, settings, tools};
use crate::Refusal;
use serde_json::{Map, Value, json};

/// The chat completion that asks an engine for what a request of the Messages API asks for.
///
/// What only means something to Anthropic's own service is dropped: `cache_control`, `metadata`, `service_tier`, betas and the
/// like. What the engine could not do, though it was asked for, is refused by name or described to the model.
///
/// # Errors
/// A field has a form that the API does not have, or asks for what no chat completion does.
pub fn request(body: &Value, upstream_model: &str) -> Result<Value, Refusal> {
    let fields = body.as_object().ok_or_else(|| Refusal::field("request", "not a JSON object"))?;
    if let Some(servers) = fields.get("mcp_servers").and_then(Value::as_array)
        && !servers.is_empty()
    {
        return Err(Refusal::field("mcp_servers", "not supported: the engine connects to no MCP server"));
    }
    let mut chat = Map::new();
    chat.insert("model".to_owned(), json!(upstream_model));
    let messages = conversation::messages(fields)?;
    if is_prefill(messages.last()) {
        // llama.cpp goes on with a last assistant message by itself; vLLM and SGLang have to be told.
        chat.insert("add_generation_prompt".to_owned(), json!(false));
        chat.insert("continue_final_message".to_owned(), json!(true));
    }
    chat.insert("messages".to_owned(), Value::Array(messages));
    tools::copy(fields, &mut chat)?;
    settings::copy(fields, &mut chat)?;
    Ok(Value::Object(chat))
}

/// The answer is to go on from the last message.
fn is_prefill(last: Option<&Value>) -> bool {
    last.is_some_and(|last| {
        last["role"] == "assistant"
            && last.get("tool_calls").is_none()
            && last["content"].as_str().is_some_and(|text| !text.is_empty())
    })
}
