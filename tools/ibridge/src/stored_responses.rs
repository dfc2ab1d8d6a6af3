//! Responses that an engine keeps (`/v1/responses/ID`): their paths name no model, so each instance is asked until one has it.
use crate::body::ReceivedBody;
use crate::bridge::Bridge;
use crate::forward::{self, ForwardOptions, Outgoing};
use crate::journal::Entry;
use crate::passthrough::forward_answer;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::routing::RouteRequest;
use crate::upstream::Phase;
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};

/// Whether a request is about a response that was made before: read, deleted, cancelled, or its input listed.
pub(crate) fn is_stored_response(method: &Method, path: &str) -> bool {
    let Some(rest) = path.strip_prefix("/v1/responses/") else { return false };
    match rest.split_once('/') {
        None => !rest.is_empty() && [Method::GET, Method::DELETE].contains(method),
        Some((_, "cancel")) => method == Method::POST,
        Some((_, "input_items")) => method == Method::GET,
        Some(_) => false,
    }
}

impl Bridge {
    /// The first answer that is no 404, else the last.
    pub(crate) async fn find_response(
        &self,
        parts: &Parts,
        taken: &ReceivedBody,
        mut entry: Box<Entry>,
    ) -> Result<Response<Reply>, Refusal> {
        let seen = self.router.seen();
        let ready = seen.upstreams.iter().filter(|upstream| upstream.phase == Phase::Ready);
        let mut left: Vec<String> = ready.map(|upstream| upstream.id.clone()).collect();
        let ask = ForwardOptions { parts, pass_credentials: self.forwards_credentials() };
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        loop {
            // None is ready: the default is waited for.
            let only = if left.is_empty() { None } else { Some(left.remove(0)) };
            let route_request = RouteRequest { only, ..RouteRequest::default() };
            let render = |_: &_| Ok(Outgoing { path: path.to_owned(), body: taken.bytes.clone() });
            let asked = forward::ask(&self.router, route_request, &ask, &render).await;
            let (route, answer) = asked.inspect_err(|refusal| entry.refused(refusal))?;
            if answer.status() != StatusCode::NOT_FOUND || left.is_empty() {
                return Ok(forward_answer(entry, route, answer));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_kept_responses_are_told_from_others() {
        for (method, path, is) in [
            (Method::GET, "/v1/responses/resp_1", true),
            (Method::DELETE, "/v1/responses/resp_1", true),
            (Method::POST, "/v1/responses/resp_1/cancel", true),
            (Method::GET, "/v1/responses/resp_1/input_items", true),
            (Method::POST, "/v1/responses/resp_1", false),
            (Method::GET, "/v1/responses/", false),
            (Method::GET, "/v1/responses/resp_1/other", false),
            (Method::GET, "/v1/responses", false),
        ] {
            assert_eq!(is_stored_response(&method, path), is, "{method} {path}");
        }
    }
}
