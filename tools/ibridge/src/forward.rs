//! One request carried to a server and its answer back, byte for byte.
use crate::pool::{Question, UpstreamError};
use crate::refusal::Refusal;
use crate::routing::{Route, RouteRequest, Router};
use crate::upstream::Upstream;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Request, Response};
use std::time::Duration;
use tokio::time::Instant;

/// How many servers are tried with a request that one may have read.
const ATTEMPTS: usize = 3;
/// How many may have read it before none of them gets it again.
const RESENDS: usize = 1;

/// Headers between two neighbours, and those that are about us and not about the engine.
const OWN_HEADERS: [HeaderName; 15] = [
    header::CONNECTION,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::ACCEPT_ENCODING,
    header::AUTHORIZATION,
    header::ORIGIN,
    header::COOKIE,
    header::REFERER,
];

/// What depends on who is asked.
pub(crate) struct Outgoing {
    /// With its query.
    pub(crate) path: String,
    pub(crate) body: Bytes,
}

/// The request to send, for a route.
pub(crate) type Render<'r> = dyn Fn(&Route) -> Result<Outgoing, Refusal> + Send + Sync + 'r;

/// What is the same on every route.
pub(crate) struct ForwardOptions<'a> {
    pub(crate) parts: &'a Parts,
    /// The client's own credentials are the server's too.
    pub(crate) pass_credentials: bool,
}

/// Ask a server, and another one where the first breaks off before it has said a byte. Where there is no other, the same
/// once more as soon as it is back: but one that ends with a request in its hands may end of it.
pub(crate) async fn ask(
    router: &Router,
    mut route_request: RouteRequest,
    ask: &ForwardOptions<'_>,
    render: &Render<'_>,
) -> Result<(Route, Response<Incoming>), Refusal> {
    let until = router.deadline();
    let (mut lost, mut readers) = (None, 0);
    loop {
        let route = match router.route(&route_request, until).await {
            Ok(route) => route,
            Err(_) if !route_request.tried.is_empty() && readers <= RESENDS && Instant::now() < until => {
                pause(router, &mut route_request).await;
                continue;
            }
            // What happened says more than that nobody is left.
            Err(refusal) => return Err(lost.map_or(refusal, |text| Refusal::new(502, text))),
        };
        let question = question(&route.upstream, ask, render(&route)?);
        let broken = match route.upstream.pool.ask(&route.upstream.address, &question).await {
            Ok(answer) => return Ok((route, answer)),
            Err(broken) => broken,
        };
        router.refresh_now();
        let text = format!("{}: {}", route.upstream.id, broken.text());
        log::info!("{text}");
        route_request.tried.push(route.upstream.id.clone());
        // Who is unreachable has not read it.
        if matches!(broken, UpstreamError::Lost(_)) {
            readers += 1;
            let text = format!("{text} before the first byte of an answer");
            if readers >= ATTEMPTS {
                return Err(Refusal::new(502, text));
            }
            lost = Some(text);
        }
    }
}

/// A check is under way of whether the server is gone for good.
async fn pause(router: &Router, route_request: &mut RouteRequest) {
    tokio::time::sleep(Duration::from_millis(100)).await;
    router.refresh_now();
    route_request.tried.clear();
}

fn question(upstream: &Upstream, ask: &ForwardOptions<'_>, outgoing: Outgoing) -> Question {
    let mut question = Request::new(Full::new(outgoing.body));
    question.method_mut().clone_from(&ask.parts.method);
    let target = format!("{}{}", upstream.address.prefix, outgoing.path);
    if let Ok(uri) = target.parse() {
        *question.uri_mut() = uri;
    }
    let headers = question.headers_mut();
    let named = headers_of_connection(&ask.parts.headers);
    for (name, value) in &ask.parts.headers {
        let kept = !OWN_HEADERS.contains(name) && *name != "x-api-key" && *name != "keep-alive";
        if kept && !named.iter().any(|named| named == name.as_str()) {
            headers.append(name.clone(), value.clone());
        }
    }
    if let Ok(host) = HeaderValue::from_str(&upstream.address.authority()) {
        headers.insert(header::HOST, host);
    }
    let own = || ask.pass_credentials.then(|| credentials(&ask.parts.headers)).flatten();
    let key = upstream.key.clone().or_else(own);
    if let Some(mut bearer) = key.and_then(|key| HeaderValue::from_str(&format!("Bearer {key}")).ok()) {
        bearer.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, bearer);
    }
    question
}

/// A client's key, which it may say in two ways; engines know one.
fn credentials(headers: &HeaderMap) -> Option<String> {
    let bearer =
        headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let plain = headers.get("x-api-key").and_then(|value| value.to_str().ok());
    bearer.or(plain).map(str::to_owned)
}

/// Headers that a `Connection` header declares to be between two neighbours.
fn headers_of_connection(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect()
}

/// The head of an engine's answer, for the client.
pub(crate) fn head<B>(answer: &Response<Incoming>, body: B) -> Response<B> {
    let mut response = Response::new(body);
    *response.status_mut() = answer.status();
    let named = headers_of_connection(answer.headers());
    for (name, value) in answer.headers() {
        let neighbours = [header::CONNECTION, header::TRANSFER_ENCODING, header::TRAILER, header::UPGRADE];
        let between =
            neighbours.contains(name) || *name == "keep-alive" || named.iter().any(|n| n == name.as_str());
        if !between {
            response.headers_mut().append(name.clone(), value.clone());
        }
    }
    response
}
