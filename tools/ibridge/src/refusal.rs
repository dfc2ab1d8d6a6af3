//! Answers of the bridge's own that are no success, in the shape of the caller's API.
use crate::caller::Api;
use crate::reply::Reply;
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde_json::Value;

/// Why a request got no answer of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) text: String,
    /// Seconds after which a retry may help.
    pub(crate) retry_after: Option<u64>,
}

impl Refusal {
    pub(crate) fn new(status: u16, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), retry_after: None }
    }

    /// The same with when to come again.
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// As an HTTP answer.
    pub(crate) fn reply(&self, api: Api) -> Response<Reply> {
        let body = match api {
            Api::Anthropic => messages::errors::anthropic(self.status, &self.text),
            Api::OpenAi => messages::errors::openai(self.status, &self.text),
        };
        let mut response = json(&body);
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == 401 {
            // A browser asks its user, who gives the key as the password.
            let basic = HeaderValue::from_static("Basic realm=\"ibridge\", charset=\"UTF-8\"");
            response.headers_mut().insert(hyper::header::WWW_AUTHENTICATE, basic);
        }
        response
    }
}

impl From<messages::Refusal> for Refusal {
    fn from(refusal: messages::Refusal) -> Self {
        Self::new(refusal.status, refusal.message)
    }
}

/// A JSON answer.
pub(crate) fn json(body: &Value) -> Response<Reply> {
    let mut response = Response::new(Reply::full(body.to_string()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
