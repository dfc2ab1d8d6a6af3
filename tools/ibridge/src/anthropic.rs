//! `POST /v1/messages`: to an engine that has it, or as a chat completion to one that has not.
use crate::body::ReceivedBody;
use crate::bridge::Bridge;
use crate::forward::{self, ForwardOptions, Outgoing};
use crate::journal::Entry;
use crate::native::Native;
use crate::refusal::Refusal;
use crate::relay::{AnswerStream, Client, PING_INTERVAL};
use crate::reply::{Reply, json};
use crate::routing::{Route, RouteRequest};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use messages::native::{self, Options};
use messages::{errors, translate};
use serde_json::Value;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::mpsc::channel;

/// The longest answer that is not a stream.
const ANSWER: usize = 64 << 20;
/// Pieces of a stream that wait for a slow client.
const PIECES: usize = 16;

/// One request and all that is needed to send it.
pub(crate) struct MessagesCall {
    pub(crate) bridge: Arc<Bridge>,
    pub(crate) parts: Parts,
    pub(crate) value: Value,
    /// The name by which the client asked.
    pub(crate) model: String,
    _taken: ReceivedBody,
}

type Answered = (Route, Response<Incoming>);
type Work = Pin<Box<dyn Future<Output = Result<Answered, Refusal>> + Send>>;

/// Answer a request for a message.
pub(crate) async fn messages(
    bridge: Arc<Bridge>,
    parts: Parts,
    taken: Result<ReceivedBody, Refusal>,
    mut entry: Box<Entry>,
) -> Result<Response<Reply>, Refusal> {
    let asked =
        Arc::new(MessagesCall::read(bridge, parts, taken?).inspect_err(|refusal| entry.refused(refusal))?);
    entry.model = Some(asked.model.clone());
    asked.bridge.check_prefix(&asked.parts, || asked.shaped(""));
    let streams = asked.value.get("stream").and_then(Value::as_bool) == Some(true);
    let mut work: Work = Box::pin(ask(Arc::clone(&asked)));
    if !streams {
        let (route, answer) = work.await.inspect_err(|refusal| entry.refused(refusal))?;
        return whole(&asked, route, answer, entry).await;
    }
    tokio::select! {
        done = &mut work => {
            let (route, answer) = done.inspect_err(|refusal| entry.refused(refusal))?;
            if !is_stream(&answer) {
                return whole(&asked, route, answer, entry).await;
            }
            Ok(stream(&asked, route, answer, entry))
        }
        () = tokio::time::sleep(PING_INTERVAL) => Ok(early(asked, work, entry)),
    }
}

impl MessagesCall {
    pub(crate) fn read(bridge: Arc<Bridge>, parts: Parts, taken: ReceivedBody) -> Result<Self, Refusal> {
        let value: Value = serde_json::from_slice(&taken.bytes)
            .map_err(|error| Refusal::new(400, format!("the body is not JSON: {error}")))?;
        if !value.is_object() {
            return Err(Refusal::new(400, "the body is JSON, but not an object"));
        }
        let model = value.get("model").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Self { bridge, parts, value, model, _taken: taken })
    }

    pub(crate) fn route_request(&self) -> RouteRequest {
        let beginnings = self.bridge.beginnings(&self.bridge.router, || self.value.clone());
        RouteRequest {
            model: Some(self.model.clone()).filter(|model| !model.is_empty()),
            beginnings,
            ..RouteRequest::default()
        }
    }

    /// The request as this engine takes it.
    fn render(&self, route: &Route) -> Result<Outgoing, Refusal> {
        if !self.bridge.is_native(&route.upstream) {
            let body = translate::request(&self.value, &route.model)?;
            return Ok(Outgoing {
                path: "/v1/chat/completions".to_owned(),
                body: Bytes::from(body.to_string()),
            });
        }
        let query = self.parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let path = format!("{}{query}", self.parts.uri.path());
        Ok(Outgoing { path, body: Bytes::from(self.shaped(&route.model).to_string()) })
    }

    /// For an engine that speaks Anthropic Messages.
    pub(crate) fn shaped(&self, model: &str) -> Value {
        let mut value = self.value.clone();
        native::adapt(&mut value, model, Options { keep_billing: self.bridge.settings.keep_billing_header });
        value
    }

    fn turn(&self, is_native: bool) -> AnswerStream {
        if is_native {
            AnswerStream::Native(Box::new(Native::new(&self.model)))
        } else {
            AnswerStream::Translated(Box::new(translate::Stream::for_request(&self.value)))
        }
    }
}

async fn ask(asked: Arc<MessagesCall>) -> Result<Answered, Refusal> {
    let bridge = &asked.bridge;
    let ask = ForwardOptions { parts: &asked.parts, pass_credentials: bridge.forwards_credentials() };
    forward::ask(&bridge.router, asked.route_request(), &ask, &|route| asked.render(route)).await
}

fn is_stream(answer: &Response<Incoming>) -> bool {
    let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    answer.status() == StatusCode::OK && kind.starts_with("text/event-stream")
}

/// An answer that is no stream: a whole message, or what went wrong, in the engine's words.
async fn whole(
    asked: &MessagesCall,
    route: Route,
    answer: Response<Incoming>,
    mut entry: Box<Entry>,
) -> Result<Response<Reply>, Refusal> {
    entry.upstream = Some(route.upstream.id.clone());
    entry.ticket = Some(route.ticket);
    let (head, body) = answer.into_parts();
    entry.answered(head.status.as_u16(), "application/json");
    let body = collect(body).await.inspect_err(|refusal| entry.refused(refusal))?;
    entry.record_bytes(&body);
    entry.ended();
    let value: Option<Value> = serde_json::from_slice(&body).ok();
    let message = match value {
        Some(value) if head.status.is_success() && asked.bridge.is_native(&route.upstream) => value,
        Some(value) if head.status.is_success() => translate::response_to(&value, &asked.value),
        Some(value) if value.get("type").is_some_and(|kind| kind == "error") => value,
        _ if head.status.is_success() => {
            return Err(Refusal::new(502, format!("{} sent an answer that is no JSON", route.upstream.id)));
        }
        _ => errors::anthropic(head.status.as_u16(), &errors::text(&body)),
    };
    let mut response = json(&message);
    *response.status_mut() = head.status;
    for (name, value) in head.headers.iter().filter(|(name, _)| *name == hyper::header::RETRY_AFTER) {
        response.headers_mut().insert(name, value.clone());
    }
    Ok(response)
}

/// All of an engine's answer.
pub(crate) async fn collect(body: Incoming) -> Result<Bytes, Refusal> {
    let whole = Limited::new(body, ANSWER).collect().await;
    whole
        .map(http_body_util::Collected::to_bytes)
        .map_err(|error| Refusal::new(502, format!("the engine broke off: {error}")))
}

fn stream(
    asked: &MessagesCall,
    route: Route,
    answer: Response<Incoming>,
    mut entry: Box<Entry>,
) -> Response<Reply> {
    entry.upstream = Some(route.upstream.id.clone());
    entry.ticket = Some(route.ticket);
    entry.status = 200;
    let turn = asked.turn(asked.bridge.is_native(&route.upstream));
    let (sender, receiver) = channel(PIECES);
    tokio::spawn(Client::new(sender, entry).relay(turn, answer.into_body()));
    events(Reply::Stream(receiver))
}

/// The client has heard nothing for too long: it is sent the beginning of its message, and kept waiting for the rest.
fn early(asked: Arc<MessagesCall>, work: Work, entry: Box<Entry>) -> Response<Reply> {
    let (sender, receiver) = channel(PIECES);
    let mut client = Client::new(sender, entry);
    tokio::spawn(async move {
        let mut waiting = AnswerStream::Native(Box::new(Native::new(&asked.model)));
        let Some(done) = client.wait(&mut waiting, work).await else { return };
        match done {
            Err(refusal) => client.fail(waiting, refusal.status, &refusal.text).await,
            Ok((route, answer)) => {
                client.entry.upstream = Some(route.upstream.id.clone());
                client.entry.ticket = Some(route.ticket);
                client.entry.status = answer.status().as_u16();
                if !is_stream(&answer) {
                    let status = answer.status().as_u16();
                    let text = match collect(answer.into_body()).await {
                        Ok(body) => errors::text(&body),
                        Err(refusal) => refusal.text,
                    };
                    return client.fail(waiting, status, &text).await;
                }
                let turn = if asked.bridge.is_native(&route.upstream) { waiting } else { asked.begun_turn() };
                client.relay(turn, answer.into_body()).await;
            }
        }
    });
    events(Reply::Stream(receiver))
}

impl MessagesCall {
    /// A translated stream whose client has its `message_start` already.
    fn begun_turn(&self) -> AnswerStream {
        let mut stream = translate::Stream::for_request(&self.value);
        stream.ping(&mut Vec::new());
        AnswerStream::Translated(Box::new(stream))
    }
}

/// An answer that is a stream of events.
fn events(body: Reply) -> Response<Reply> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
