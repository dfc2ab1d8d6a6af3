//! Error bodies of both APIs.
use serde_json::{Value, json};

/// An error body in Anthropic's shape. The text stands in it unchanged: Claude Code decides by its words what to try next.
#[must_use]
pub fn anthropic(status: u16, text: &str) -> Value {
    json!({"type": "error", "error": {"type": anthropic_type(status), "message": text}})
}

/// An error body in `OpenAI`'s shape.
#[must_use]
pub fn openai(status: u16, text: &str) -> Value {
    let (kind, code) = match status {
        401 => ("invalid_request_error", "invalid_api_key"),
        403 => ("invalid_request_error", "permission_denied"),
        404 => ("invalid_request_error", "not_found"),
        429 => ("rate_limit_error", "rate_limit_exceeded"),
        503 => ("server_error", "unavailable"),
        400..500 => ("invalid_request_error", "invalid_request"),
        _ => ("server_error", "server_error"),
    };
    json!({"error": {"message": text, "type": kind, "param": null, "code": code}})
}

/// An error event of an Anthropic stream, after which the stream ends.
#[must_use]
pub fn event(status: u16, text: &str) -> Vec<u8> {
    format!("event: error\ndata: {}\n\n", anthropic(status, text)).into_bytes()
}

/// Anthropic's name for an HTTP status (<https://docs.anthropic.com/en/api/errors>).
fn anthropic_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        408 | 504 => "timeout_error",
        503 | 529 => "overloaded_error",
        400..500 => "invalid_request_error",
        _ => "api_error",
    }
}

/// What an engine says in an error body: `OpenAI`'s and Anthropic's `{"error": {"message"}}`, `{"error": "…"}`, `{"message"}`,
/// `FastAPI`'s `{"detail"}`, else the whole text without the white space around it.
#[must_use]
pub fn text(body: &[u8]) -> String {
    let parsed: Option<Value> = serde_json::from_slice(body).ok();
    match parsed.as_ref().and_then(error_text) {
        Some(text) => text,
        None => String::from_utf8_lossy(body).trim().to_owned(),
    }
}

/// The words of an error value, wherever the engine puts them.
pub(crate) fn error_text(value: &Value) -> Option<String> {
    let places = ["/error/message", "/error", "/message", "/detail"];
    let found = places.iter().find_map(|place| value.pointer(place).filter(|found| !found.is_null()))?;
    Some(found.as_str().map_or_else(|| found.to_string(), str::to_owned))
}

/// The HTTP status that an error value names, in `error.code`, `code` or `error.status`.
pub(crate) fn status_of(value: &Value) -> Option<u16> {
    let places = ["/error/code", "/code", "/error/status"];
    let code = places.iter().find_map(|place| value.pointer(place).and_then(Value::as_u64))?;
    u16::try_from(code).ok().filter(|code| (400..600).contains(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_api_has_its_own_shape_and_the_text_stands_in_both() {
        let text = "request (15105 tokens) exceeds the available context size (2048 tokens)";
        assert_eq!(
            anthropic(400, text),
            json!({"type": "error", "error": {"type": "invalid_request_error", "message": text}})
        );
        assert_eq!(openai(400, text)["error"]["message"], text);
        assert_eq!(openai(404, "x")["error"]["code"], "not_found");
        for (status, name) in [
            (401, "authentication_error"),
            (404, "not_found_error"),
            (413, "request_too_large"),
            (422, "invalid_request_error"),
            (429, "rate_limit_error"),
            (500, "api_error"),
            (503, "overloaded_error"),
            (504, "timeout_error"),
            (529, "overloaded_error"),
        ] {
            assert_eq!(anthropic(status, "")["error"]["type"], name, "{status}");
        }
    }

    #[test]
    fn an_engines_words_are_found_wherever_it_puts_them() {
        for (body, words) in [
            (r#"{"error":{"message":"Loading model","code":503}}"#, "Loading model"),
            (r#"{"type":"error","error":{"type":"api_error","message":"no"}}"#, "no"),
            (r#"{"error":"not found"}"#, "not found"),
            (r#"{"object":"error","message":"too long","code":400}"#, "too long"),
            (r#"{"detail":"Not Found"}"#, "Not Found"),
            (r#"{"detail":[{"loc":["body"]}]}"#, r#"[{"loc":["body"]}]"#),
            ("Internal Server Error\n", "Internal Server Error"),
            ("", ""),
        ] {
            assert_eq!(text(body.as_bytes()), words);
        }
        assert_eq!(status_of(&json!({"error": {"code": 503}})), Some(503));
        assert_eq!(status_of(&json!({"error": {"code": "context_length_exceeded"}})), None);
    }
}
