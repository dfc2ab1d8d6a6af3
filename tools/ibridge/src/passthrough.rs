//! Requests that pass as they are, but for the name of a model that is an alias of ours.
use crate::body::ReceivedBody;
use crate::bridge::Bridge;
use crate::forward::{self, ForwardOptions, Outgoing};
use crate::journal::Entry;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::routing::{Route, RouteRequest, Router};
use hyper::Response;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use serde::Deserialize;

impl Bridge {
    /// Hand a request to the instance that it names, and its answer back, byte for byte.
    pub(crate) async fn pass(
        &self,
        router: &Router,
        (parts, path): (&Parts, &str),
        taken: ReceivedBody,
        mut entry: Box<Entry>,
    ) -> Result<Response<Reply>, Refusal> {
        let named = Named::of(&taken.bytes);
        entry.model.clone_from(&named.model);
        let beginnings = self.beginnings(router, || serde_json::from_slice(&taken.bytes).unwrap_or_default());
        self.check_prefix(parts, || serde_json::from_slice(&taken.bytes).unwrap_or_default());
        let route_request =
            RouteRequest { model: named.model.clone(), beginnings, ..RouteRequest::default() };
        let ask = ForwardOptions { parts, pass_credentials: self.forwards_credentials() };
        let render = |route: &Route| {
            let as_it_is = named.model.as_ref().is_none_or(|model| *model == route.model);
            let body = if as_it_is { taken.bytes.clone() } else { renamed(&taken.bytes, &route.model) };
            Ok(Outgoing { path: path.to_owned(), body })
        };
        let asked = forward::ask(router, route_request, &ask, &render).await;
        let (route, answer) = asked.inspect_err(|refusal| entry.refused(refusal))?;
        Ok(forward_answer(entry, route, answer))
    }
}

/// An engine's answer, as it comes.
pub(crate) fn forward_answer(
    mut entry: Box<Entry>,
    route: Route,
    answer: Response<Incoming>,
) -> Response<Reply> {
    entry.upstream = Some(route.upstream.id.clone());
    entry.ticket = Some(route.ticket);
    let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    entry.answered(answer.status().as_u16(), kind);
    let head = forward::head(&answer, ());
    head.map(|()| Reply::Pass(answer.into_body(), entry))
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
