//! One request: who may ask, which path it is, and what answers it.
use crate::audit::Audit;
use crate::body::{self, Bodies, Taken};
use crate::caller::api;
use crate::forward::{self, Ask, Outgoing};
use crate::journal::{Entry, Journal};
use crate::refusal::{Refusal, json};
use crate::reply::Reply;
use crate::routing::{Router, Wish};
use crate::settings::{Mode, Settings};
use crate::{anthropic, counting, models, page, side};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response};
use serde::Deserialize;
use std::sync::Arc;

/// Paths of engines that take a body and name a model in it.
const PASSED: [&str; 20] = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/v1/rerank",
    "/v2/rerank",
    "/rerank",
    "/v1/score",
    "/score",
    "/v1/classify",
    "/classify",
    "/pooling",
    "/tokenize",
    "/detokenize",
    "/apply-template",
    "/completion",
    "/embedding",
    "/infill",
    "/v1/audio/transcriptions",
    "/v1/audio/translations",
];

/// Everything that requests share.
pub(crate) struct Bridge {
    pub(crate) settings: Settings,
    pub(crate) router: Router,
    pub(crate) journal: Arc<Journal>,
    pub(crate) bodies: Bodies,
    /// Where it was asked for.
    audit: Option<Audit>,
}

impl Bridge {
    pub(crate) fn new(settings: Settings, router: Router, journal: Arc<Journal>) -> Self {
        let bodies = Bodies::new(settings.max_body);
        let audit = settings.audit_prefix.then(Audit::default);
        Self { settings, router, journal, bodies, audit }
    }

    /// Answer one request.
    pub(crate) async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Reply> {
        let (parts, body) = request.into_parts();
        let api = api(parts.uri.path(), &parts.headers);
        let chunked = parts.headers.contains_key(TRANSFER_ENCODING);
        let mut response = match self.dispatch(parts, body).await {
            Ok(response) => response,
            Err(refusal) => refusal.reply(api),
        };
        let refused = response.status().is_client_error() && matches!(response.body(), Reply::Full(_));
        if chunked || refused {
            // Of a body that was not read, or whose length was said in another way too, nothing is taken for a request.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn dispatch(self: Arc<Self>, parts: Parts, body: Incoming) -> Result<Response<Reply>, Refusal> {
        let path = parts.uri.path().to_owned();
        let is_open = side::is_open(&parts.method, &path);
        self.settings.access.admit(&parts.headers, is_open)?;
        body::check_framing(&parts.headers)?;
        if let Some(answer) = side::answer(&self, &parts, &path)? {
            return Ok(answer);
        }
        match (&parts.method, path.as_str()) {
            (&Method::GET | &Method::HEAD, "/") => Ok(self.page().await),
            (&Method::GET, "/v1/models" | "/models") => Ok(json(&models::list(&self.router.seen()))),
            (&Method::GET, path) if path.starts_with("/v1/models/") => {
                models::one(&self.router.seen(), &path["/v1/models/".len()..]).map(|model| json(&model))
            }
            (&Method::POST, "/v1/messages") => {
                let (entry, taken) = self.enter("POST /v1/messages", &parts, body).await;
                anthropic::messages(self, parts, taken, entry).await
            }
            (&Method::POST, "/v1/messages/count_tokens") => {
                let (entry, taken) = self.enter("POST /v1/messages/count_tokens", &parts, body).await;
                counting::count_tokens(&self, &parts, taken, entry).await
            }
            (&Method::POST, path) if PASSED.contains(&path) => {
                let (entry, taken) = self.enter(&format!("POST {path}"), &parts, body).await;
                self.pass(&parts, taken, entry).await
            }
            (method, path) => {
                let path: String = path.chars().take(200).collect();
                Err(Refusal::new(404, format!("this bridge has no {method} {path}")))
            }
        }
    }

    /// The status page.
    async fn page(&self) -> Response<Reply> {
        let seen = self.router.seen();
        let upstreams = seen.upstreams.clone();
        // Reading /proc takes a moment, which streams need not wait for.
        let memory = tokio::task::spawn_blocking(move || page::memory(&upstreams)).await;
        let memory = memory.unwrap_or_else(|_| vec![None; seen.upstreams.len()]);
        side::text("text/html; charset=utf-8", page::html(&seen.upstreams, &self.journal.metrics(), &memory))
    }

    /// The whole body, and the entry that tells of the request.
    async fn enter(&self, what: &str, parts: &Parts, body: Incoming) -> (Box<Entry>, Result<Taken, Refusal>) {
        let mut entry = Box::new(Entry::new(&self.journal, what.to_owned()));
        let taken = self.bodies.take(&parts.headers, body).await;
        if let Err(refusal) = &taken {
            entry.refused(refusal);
        }
        (entry, taken)
    }

    /// Hand a request to the instance that it names, and its answer back, byte for byte.
    async fn pass(
        &self,
        parts: &Parts,
        taken: Result<Taken, Refusal>,
        mut entry: Box<Entry>,
    ) -> Result<Response<Reply>, Refusal> {
        let taken = taken?;
        let named = Named::of(&taken.bytes);
        entry.model.clone_from(&named.model);
        let beginnings = self.beginnings(|| serde_json::from_slice(&taken.bytes).unwrap_or_default());
        self.audit(parts, || serde_json::from_slice(&taken.bytes).unwrap_or_default());
        let wish = Wish { model: named.model.clone(), beginnings, tried: Vec::new() };
        let ask = Ask { parts, pass_credentials: self.passes_credentials() };
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let render = |route: &crate::routing::Route| {
            let as_it_is = named.model.as_ref().is_none_or(|model| *model == route.model);
            let body = if as_it_is { taken.bytes.clone() } else { renamed(&taken.bytes, &route.model) };
            Ok(Outgoing { path: path.to_owned(), body })
        };
        let asked = forward::ask(&self.router, wish, &ask, &render).await;
        let (route, answer) = asked.inspect_err(|refusal| entry.refused(refusal))?;
        entry.upstream = Some(route.upstream.id.clone());
        entry.ticket = Some(route.ticket);
        let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        entry.answered(answer.status().as_u16(), kind);
        let head = forward::head(&answer, ());
        Ok(head.map(|()| Reply::Pass(answer.into_body(), entry)))
    }

    /// The beginnings of a conversation; read only where there is a choice of instances.
    pub(crate) fn beginnings(&self, body: impl FnOnce() -> serde_json::Value) -> Vec<u64> {
        if self.router.seen().upstreams.len() < 2 {
            return Vec::new();
        }
        let blocks = messages::prefix::blocks(&body());
        let shared = blocks.iter().take_while(|block| !block.place.starts_with(['m', 'i'])).count();
        messages::prefix::keys(&blocks).split_off(shared)
    }

    /// Say where a turn stops extending the one before it, where that was asked for.
    pub(crate) fn audit(&self, parts: &Parts, request: impl FnOnce() -> serde_json::Value) {
        if let Some(said) = self.audit.as_ref().and_then(|audit| audit.turn(&parts.headers, &request())) {
            self.journal.say(said);
        }
    }

    /// Whether clients present the engine's own key, because we want none.
    pub(crate) fn passes_credentials(&self) -> bool {
        self.settings.upstream.is_some() && !self.settings.access.wants_key()
    }

    /// Whether this instance is asked by its own /v1/messages.
    pub(crate) fn is_native(&self, upstream: &crate::upstream::Upstream) -> bool {
        match self.settings.mode {
            Mode::Auto => upstream.is_native,
            Mode::Native | Mode::Litellm => true,
            Mode::Translate => false,
        }
    }
}

/// What of a body decides where it goes. The rest is passed over unread.
#[derive(Default, Deserialize)]
struct Named {
    #[serde(default)]
    model: Option<String>,
}

impl Named {
    /// A body that is not JSON names nothing: the engine says what is wrong with it.
    fn of(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }
}

/// The same body with another model: an alias of ours is not a name that engines know.
fn renamed(body: &hyper::body::Bytes, model: &str) -> hyper::body::Bytes {
    let Ok(mut value) = serde_json::from_slice::<serde_json::Value>(body) else { return body.clone() };
    let Some(fields) = value.as_object_mut() else { return body.clone() };
    fields.insert("model".to_owned(), model.into());
    hyper::body::Bytes::from(value.to_string())
}
