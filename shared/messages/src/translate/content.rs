//! The content blocks of a turn as text and images.
use crate::Refusal;
use serde_json::{Value, json};

/// What a chat message can hold.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    Text(String),
    /// Its address, or itself as a `data:` URI.
    Image(String),
}

/// The blocks of a content field, a string being one block of text.
pub(super) fn pieces(path: &str, content: &Value) -> Result<Vec<Piece>, Refusal> {
    let mut pieces = Vec::new();
    match content {
        Value::String(text) => pieces.push(Piece::Text(text.clone())),
        Value::Array(blocks) => {
            for (at, block) in blocks.iter().enumerate() {
                pieces.extend(piece(&format!("{path}.{at}"), block)?);
            }
        }
        Value::Null => {}
        _ => return Err(Refusal::field(path, "not a string or a list of blocks")),
    }
    pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
    Ok(pieces)
}

/// The type of a block.
pub(super) fn kind<'a>(path: &str, block: &'a Value) -> Result<&'a str, Refusal> {
    let kind = block.get("type").and_then(Value::as_str);
    kind.ok_or_else(|| Refusal::field(format!("{path}.type"), "not a string"))
}

/// A field of a block that has to be a string.
pub(super) fn text<'a>(path: &str, block: &'a Value, field: &str) -> Result<&'a str, Refusal> {
    let text = block.get(field).and_then(Value::as_str);
    text.ok_or_else(|| Refusal::field(format!("{path}.{field}"), "not a string"))
}

/// One block that is neither a tool call, a tool result nor thinking. What the engine cannot read becomes text that says so:
/// a conversation holds its blocks for ever, and refusing one would end it.
pub(super) fn piece(path: &str, block: &Value) -> Result<Vec<Piece>, Refusal> {
    Ok(match kind(path, block)? {
        "text" => vec![Piece::Text(text(path, block, "text")?.to_owned())],
        "image" => vec![image(path, block)?],
        "document" => document(path, block)?,
        "search_result" => {
            let source = block.get("source").and_then(Value::as_str).unwrap_or_default();
            let title = block.get("title").and_then(Value::as_str).unwrap_or_default();
            let mut pieces = vec![Piece::Text(format!("[search result: {title} {source}]"))];
            pieces.extend(self::pieces(&format!("{path}.content"), &block["content"])?);
            pieces
        }
        "tool_reference" => {
            let name = block.get("tool_name").and_then(Value::as_str).unwrap_or_default();
            vec![Piece::Text(format!("[tool: {name}]"))]
        }
        other => vec![left_out(&format!("block of type '{other}'"), "chat completions have no such block")],
    })
}

/// What stands for a block that the engine does not get.
fn left_out(what: &str, why: &str) -> Piece {
    Piece::Text(format!("[{what} left out: {why}]"))
}

fn image(path: &str, block: &Value) -> Result<Piece, Refusal> {
    let path = format!("{path}.source");
    let source = &block["source"];
    Ok(match kind(&path, source)? {
        "base64" => {
            let (media, data) = (text(&path, source, "media_type")?, text(&path, source, "data")?);
            Piece::Image(format!("data:{media};base64,{data}"))
        }
        "url" => {
            let url = text(&path, source, "url")?;
            let known = ["https://", "http://", "data:"].iter().any(|scheme| url.starts_with(scheme));
            if !known {
                return Err(Refusal::field(format!("{path}.url"), "not an http, https or data URL"));
            }
            Piece::Image(url.to_owned())
        }
        other => left_out(&format!("image with a source of type '{other}'"), "the engine holds no files"),
    })
}

fn document(path: &str, block: &Value) -> Result<Vec<Piece>, Refusal> {
    let path = format!("{path}.source");
    let source = &block["source"];
    let title = block.get("title").and_then(Value::as_str);
    let mut pieces: Vec<Piece> =
        title.map(|title| Piece::Text(format!("[document: {title}]"))).into_iter().collect();
    match kind(&path, source)? {
        "text" => pieces.push(Piece::Text(text(&path, source, "data")?.to_owned())),
        "content" => pieces.extend(self::pieces(&format!("{path}.content"), &source["content"])?),
        other => {
            let media = source.get("media_type").and_then(Value::as_str).unwrap_or(other);
            pieces.push(left_out(&format!("document ({media})"), "the engine reads text and images only"));
        }
    }
    Ok(pieces)
}

/// The content field of a chat message: a string where there is only text, because not every template takes a list.
pub(super) fn chat_content(pieces: Vec<Piece>) -> Value {
    if pieces.iter().all(|piece| matches!(piece, Piece::Text(_))) {
        return Value::String(joined(&pieces));
    }
    let part = |piece| match piece {
        Piece::Text(text) => json!({"type": "text", "text": text}),
        Piece::Image(url) => json!({"type": "image_url", "image_url": {"url": url}}),
    };
    Value::Array(pieces.into_iter().map(part).collect())
}

/// The texts, one below the other.
pub(super) fn joined(pieces: &[Piece]) -> String {
    let mut whole = String::new();
    for piece in pieces {
        if let Piece::Text(text) = piece {
            if !whole.is_empty() {
                whole.push('\n');
            }
            whole.push_str(text);
        }
    }
    whole
}
