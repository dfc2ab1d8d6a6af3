//! An answer: its body, and those of the bridge's own, in the shape of the caller's API.
use crate::caller::Api;
use crate::journal::Entry;
use crate::refusal::Refusal;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde_json::Value;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc::Receiver;

/// The body of an answer.
pub(crate) enum Reply {
    /// All of it at once.
    Full(Option<Bytes>),
    /// As somebody makes it.
    Stream(Receiver<Bytes>),
    /// An engine's, byte for byte.
    Pass(Incoming, Box<Entry>),
}

impl Reply {
    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        Self::Full(Some(bytes.into()))
    }
}

impl Refusal {
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

/// A JSON answer.
pub(crate) fn json(body: &Value) -> Response<Reply> {
    let mut response = Response::new(Reply::full(body.to_string()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

impl Body for Reply {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut *self {
            Self::Full(bytes) => Poll::Ready(
                bytes.take().filter(|bytes| !bytes.is_empty()).map(|bytes| Ok(Frame::data(bytes))),
            ),
            Self::Stream(receiver) => {
                receiver.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
            }
            Self::Pass(body, entry) => {
                let polled = Pin::new(&mut *body).poll_frame(context);
                if let Poll::Ready(Some(Ok(frame))) = &polled {
                    entry.record_bytes(frame.data_ref().map_or(&[], |data| data));
                }
                // A body of known length is not polled again once it is complete.
                if matches!(polled, Poll::Ready(None)) || body.is_end_stream() {
                    entry.ended();
                }
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Stream(_) | Self::Pass(..) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream(_) => SizeHint::default(),
            Self::Pass(body, _) => body.size_hint(),
        }
    }
}
