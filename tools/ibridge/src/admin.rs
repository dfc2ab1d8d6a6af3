//! Paths that no engine answers: what programs ask for before and beside their work.
use crate::bridge::Bridge;
use crate::refusal::Refusal;
use crate::reply::{Reply, json};
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response};
use serde_json::json;

/// Whether a path is answered without a key: it reveals nothing but that we are here.
pub(crate) fn is_open(method: &Method, path: &str) -> bool {
    match path {
        "/health" | "/api/hello" => [Method::GET, Method::HEAD].contains(method),
        "/" => method == Method::HEAD,
        _ => false,
    }
}

/// The answer to one of them; `None` for another path.
pub(crate) fn answer(bridge: &Bridge, parts: &Parts, path: &str) -> Result<Option<Response<Reply>>, Refusal> {
    let reads = [Method::GET, Method::HEAD].contains(&parts.method);
    Ok(Some(match path {
        "/health" | "/api/hello" if reads => json(&json!({"status": "ok"})),
        "/" if reads && !wants_page(parts) => text("text/plain; charset=utf-8", "ibridge\n".to_owned()),
        "/metrics" if reads => {
            let seen = bridge.seen();
            let metrics = bridge.journal.metrics().text(&seen.upstreams);
            text("application/openmetrics-text; version=1.0.0; charset=utf-8", metrics)
        }
        // Claude Code's telemetry, where it was not turned off. Nothing of it is read or kept.
        path if path.starts_with("/api/event_logging/") && parts.method == Method::POST => json(&json!({})),
        _ => return Ok(None),
    }))
}

fn wants_page(parts: &Parts) -> bool {
    parts
        .headers
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}

/// A text of this kind.
pub(crate) fn text(kind: &'static str, text: String) -> Response<Reply> {
    let mut response = Response::new(Reply::full(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
