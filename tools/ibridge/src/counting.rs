//! `POST /v1/messages/count_tokens`: by the engine's own count, else by its tokenizer, else an estimate that says so.
use crate::anthropic::{MessagesCall, collect};
use crate::body::ReceivedBody;
use crate::bridge::Bridge;
use crate::forward::{self, ForwardOptions, Outgoing};
use crate::journal::Entry;
use crate::refusal::Refusal;
use crate::reply::{Reply, json};
use crate::routing::Route;
use hyper::Response;
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use messages::{count, errors, translate};
use record::Engine;
use serde_json::Value;
use std::sync::Arc;

/// Says of a count that it is none.
const ESTIMATE: &str = "x-ibridge-estimate";

/// Count the tokens that a request would take.
pub(crate) async fn count_tokens(
    bridge: &Arc<Bridge>,
    parts: &Parts,
    taken: Result<ReceivedBody, Refusal>,
    mut entry: Box<Entry>,
) -> Result<Response<Reply>, Refusal> {
    let asked = MessagesCall::read(Arc::clone(bridge), parts.clone(), taken?)
        .inspect_err(|refusal| entry.refused(refusal))?;
    entry.model = Some(asked.model.clone());
    let counted = count_by(&asked, &mut entry).await.inspect_err(|refusal| entry.refused(refusal))?;
    entry.answered(200, "");
    entry.ended();
    Ok(match counted {
        Some(tokens) => json(&count::count_response(tokens)),
        None => {
            let mut response = json(&count::count_response(count::estimate(&asked.value)));
            response.headers_mut().insert(ESTIMATE, HeaderValue::from_static("true"));
            response
        }
    })
}

/// The engine's count; `None` where it has no way to count.
async fn count_by(asked: &MessagesCall, entry: &mut Entry) -> Result<Option<u64>, Refusal> {
    let first = |route: &Route| {
        if asked.bridge.is_native(&route.upstream) {
            return Ok(outgoing("/v1/messages/count_tokens", &asked.shaped(&route.model)));
        }
        let chat = translate::request(&asked.value, &route.model)?;
        Ok(match route.upstream.engine {
            Some(Engine::Vllm | Engine::Sglang) => outgoing("/tokenize", &count::tokenize(&chat)),
            // What is behind a foreign address is asked as llama.cpp first: only that knows the path.
            _ => outgoing("/apply-template", &count::apply_template(&chat)),
        })
    };
    let second = |route: &Route| {
        let chat = translate::request(&asked.value, &route.model)?;
        Ok(outgoing("/tokenize", &count::tokenize(&chat)))
    };
    let found = match question(asked, &first).await? {
        Some(found) => Some(found),
        None => question(asked, &second).await?,
    };
    let Some((route, answer)) = found else { return Ok(None) };
    entry.upstream = Some(route.upstream.id.clone());
    match count::prompt(&answer) {
        None => Ok(count::token_count(&answer)),
        Some(prompt) => {
            let text = count::tokenize_text(prompt);
            let tokenized = question(asked, &|_| Ok(outgoing("/tokenize", &text))).await?;
            Ok(tokenized.and_then(|(_, answer)| count::token_count(&answer)))
        }
    }
}

/// Put one question; `None` where the engine does not know the path.
async fn question(
    asked: &MessagesCall,
    render: &forward::Render<'_>,
) -> Result<Option<(Route, Value)>, Refusal> {
    let bridge = &asked.bridge;
    let ask = ForwardOptions { parts: &asked.parts, pass_credentials: bridge.forwards_credentials() };
    let (route, answer) = forward::ask(&bridge.router, asked.route_request(), &ask, render).await?;
    let status = answer.status();
    let body = collect(answer.into_body()).await?;
    match status.as_u16() {
        404 | 405 | 501 => Ok(None),
        200 => Ok(serde_json::from_slice(&body).ok().map(|value| (route, value))),
        other => Err(Refusal::new(other, errors::text(&body))),
    }
}

fn outgoing(path: &str, body: &Value) -> Outgoing {
    Outgoing { path: path.to_owned(), body: Bytes::from(body.to_string()) }
}
