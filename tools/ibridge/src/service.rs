//! One request: who may ask, which path it is, and what answers it.
use crate::body;
use crate::bridge::Bridge;
use crate::caller::api;
use crate::discovery::Snapshot;
use crate::refusal::Refusal;
use crate::reply::{Reply, json};
use crate::settings::Mode;
use crate::stored_responses::is_stored_response;
use crate::{admin, anthropic, counting, models, page};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response};
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

/// Where LiteLLM finds the instances.
const ENGINES: &str = "/engines";

/// The path and the query of a request.
fn whole(parts: &Parts) -> &str {
    parts.uri.path_and_query().map_or("/", |path| path.as_str())
}

impl Bridge {
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
        let is_open = admin::is_open(&parts.method, &path);
        self.settings.access.admit(&parts.headers, is_open)?;
        body::check_framing(&parts.headers)?;
        if let Some(answer) = admin::answer(&self, &parts, &path)? {
            return Ok(answer);
        }
        match (&parts.method, path.as_str()) {
            (&Method::GET | &Method::HEAD, "/") => Ok(self.page().await),
            (&Method::GET, "/v1/models" | "/models") => Ok(json(&models::list(&self.served()))),
            (&Method::GET, path) if path.starts_with("/v1/models/") => {
                models::one(&self.served(), &path["/v1/models/".len()..]).map(|model| json(&model))
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
                self.pass(&self.router, (&parts, whole(&parts)), taken?, entry).await
            }
            (_, path) if is_stored_response(&parts.method, path) => {
                let (entry, taken) =
                    self.enter(&format!("{} /v1/responses/ID", parts.method), &parts, body).await;
                self.find_response(&parts, &taken?, entry).await
            }
            (_, path) if self.engines.is_some() && path.starts_with(ENGINES) => {
                self.engine(&parts, body).await
            }
            (method, _) if self.settings.mode == Mode::Litellm => {
                let (entry, taken) = self.enter(&format!("{method} of LiteLLM"), &parts, body).await;
                self.pass(&self.router, (&parts, whole(&parts)), taken?, entry).await
            }
            (method, path) => {
                let path: String = path.chars().take(200).collect();
                Err(Refusal::new(404, format!("this bridge has no {method} {path}")))
            }
        }
    }

    /// What LiteLLM asks of the instances: what stands behind [`ENGINES`] is a path of theirs.
    async fn engine(&self, parts: &Parts, body: Incoming) -> Result<Response<Reply>, Refusal> {
        let (path, target) = (&parts.uri.path()[ENGINES.len()..], &whole(parts)[ENGINES.len()..]);
        match (&self.engines, &parts.method) {
            (Some(engines), &Method::POST) if PASSED.contains(&path) => {
                let (entry, taken) = self.enter(&format!("POST {ENGINES}{path}"), parts, body).await;
                self.pass(engines, (parts, target), taken?, entry).await
            }
            (_, &Method::GET) if path == "/v1/models" => Ok(json(&models::list(&self.served()))),
            _ => Err(Refusal::new(404, "the instances have no such path")),
        }
    }

    /// What serves models.
    fn served(&self) -> Arc<Snapshot> {
        self.engines.as_ref().unwrap_or(&self.router).seen()
    }

    /// The status page.
    async fn page(&self) -> Response<Reply> {
        let seen = self.seen();
        let upstreams = seen.upstreams.clone();
        // Reading /proc takes a moment, which streams need not wait for.
        let memory = tokio::task::spawn_blocking(move || page::memory(&upstreams)).await;
        let memory = memory.unwrap_or_else(|_| vec![None; seen.upstreams.len()]);
        admin::text("text/html; charset=utf-8", page::html(&seen.upstreams, &self.journal.metrics(), &memory))
    }
}
