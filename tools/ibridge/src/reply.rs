//! The body of an answer.
use crate::journal::Entry;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
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
