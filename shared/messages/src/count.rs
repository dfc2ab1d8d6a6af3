//! `count_tokens`: what to ask an engine that does not have it, and the estimate where there is nobody to ask.
use serde_json::{Map, Value, json};

/// What the estimate takes a token to be, in bytes. Less than the truth for English, so that a context is not overrun.
const BYTES_PER_TOKEN: u64 = 3;
/// What the estimate takes an image to be, in tokens: Anthropic's figure for a large one.
const IMAGE_TOKENS: u64 = 1600;
/// What a template puts around a message, in tokens.
const MESSAGE_TOKENS: u64 = 8;

/// The body for vLLM's and SGLang's `POST /tokenize`, from a translated request. It counts messages and tools as the chat
/// template writes them.
#[must_use]
pub fn tokenize(chat: &Value) -> Value {
    let mut body = pick_fields(chat, &["model", "messages", "tools", "chat_template_kwargs"]);
    body.insert("add_generation_prompt".to_owned(), json!(true));
    Value::Object(body)
}

/// The body for llama.cpp's `POST /apply-template`, from a translated request. [`prompt`] reads the answer.
#[must_use]
pub fn apply_template(chat: &Value) -> Value {
    Value::Object(pick_fields(chat, &["model", "messages", "tools", "tool_choice", "chat_template_kwargs"]))
}

/// The prompt in the answer of llama.cpp's `/apply-template`.
#[must_use]
pub fn prompt(answer: &Value) -> Option<&str> {
    answer.get("prompt").and_then(Value::as_str)
}

/// The body for llama.cpp's `POST /tokenize`, which counts a text.
#[must_use]
pub fn tokenize_text(prompt: &str) -> Value {
    json!({"content": prompt, "add_special": true, "parse_special": true})
}

/// The count in the answer of either engine's `/tokenize`, or of an engine's own `/v1/messages/count_tokens`. No prompt is
/// empty: llama.cpp answers vLLM's question with no tokens, and that is no count.
#[must_use]
pub fn token_count(answer: &Value) -> Option<u64> {
    let counted = ["count", "input_tokens"].iter().find_map(|name| answer.get(name).and_then(Value::as_u64));
    let listed = || u64::try_from(answer.get("tokens")?.as_array()?.len()).ok();
    counted.or_else(listed).filter(|count| *count > 0)
}

/// The answer of `count_tokens`.
#[must_use]
pub fn count_response(tokens: u64) -> Value {
    json!({"input_tokens": tokens})
}

/// An estimate of a request's tokens from the length of what the model reads: system prompt, tools and messages. Rather
/// too high than too low. Whoever gives it to a client says that it is an estimate.
#[must_use]
pub fn estimate(request: &Value) -> u64 {
    let mut sum = Sum::default();
    for name in ["system", "tools", "messages"] {
        sum.add(request.get(name).unwrap_or(&Value::Null));
    }
    let messages = request.get("messages").and_then(Value::as_array).map_or(0, Vec::len) as u64;
    sum.bytes.div_ceil(BYTES_PER_TOKEN) + sum.images * IMAGE_TOKENS + messages * MESSAGE_TOKENS
}

#[derive(Default)]
struct Sum {
    bytes: u64,
    images: u64,
}

impl Sum {
    fn add(&mut self, value: &Value) {
        match value {
            Value::Null => {}
            Value::String(text) => self.bytes += text.len() as u64,
            Value::Bool(_) | Value::Number(_) => self.bytes += 4,
            Value::Array(items) => items.iter().for_each(|item| self.add(item)),
            Value::Object(fields) => self.add_fields(fields),
        }
    }

    fn add_fields(&mut self, fields: &Map<String, Value>) {
        if fields.get("type").is_some_and(|kind| kind == "base64") && fields.contains_key("data") {
            self.images += 1;
            return;
        }
        for (name, value) in fields {
            if !matches!(name.as_str(), "cache_control" | "signature") {
                self.bytes += name.len() as u64;
                self.add(value);
            }
        }
    }
}

fn pick_fields(chat: &Value, names: &[&str]) -> Map<String, Value> {
    let field = |name: &&str| Some(((*name).to_owned(), chat.get(name)?.clone()));
    names.iter().filter_map(field).collect()
}
