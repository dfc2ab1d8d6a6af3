//! The body of a request, taken whole: it names the model, and it may have to be sent twice.
use crate::refusal::Refusal;
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// How long a client may be silent in the middle of its body.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Bodies under way take at most this many times the largest one.
const LARGEST_BODIES: usize = 4;
/// One permit stands for so many bytes.
const UNIT: usize = 1 << 10;

/// Memory for bodies.
pub(crate) struct Bodies {
    largest: usize,
    room: Arc<Semaphore>,
}

/// A body and the room that it takes.
pub(crate) struct ReceivedBody {
    pub(crate) bytes: Bytes,
    _room: Vec<OwnedSemaphorePermit>,
}

impl Bodies {
    pub(crate) fn new(largest: usize) -> Self {
        Self { largest, room: Arc::new(Semaphore::new(largest / UNIT * LARGEST_BODIES)) }
    }

    /// All of a body.
    pub(crate) async fn take(
        &self,
        headers: &HeaderMap,
        mut body: Incoming,
    ) -> Result<ReceivedBody, Refusal> {
        check_framing(headers)?;
        let declared = body.size_hint().upper();
        if declared.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > self.largest))
        {
            return Err(self.too_large());
        }
        let (mut all, mut room) = (Vec::new(), Vec::new());
        let mut paid = 0;
        loop {
            let frame = match timeout(READ_TIMEOUT, body.frame()).await {
                Err(_) => {
                    return Err(Refusal::new(
                        408,
                        format!("no more of the body came for {} s", READ_TIMEOUT.as_secs()),
                    ));
                }
                Ok(None) => break,
                Ok(Some(Err(error))) => {
                    return Err(Refusal::new(400, format!("cannot read the body: {error}")));
                }
                Ok(Some(Ok(frame))) => frame,
            };
            let Some(data) = frame.data_ref() else { continue };
            if all.len() + data.len() > self.largest {
                return Err(self.too_large());
            }
            all.extend_from_slice(data);
            while paid < all.len() {
                room.push(self.reserve(64)?);
                paid += 64 * UNIT;
            }
        }
        Ok(ReceivedBody { bytes: Bytes::from(all), _room: room })
    }

    fn reserve(&self, units: u32) -> Result<OwnedSemaphorePermit, Refusal> {
        let permit = Arc::clone(&self.room).try_acquire_many_owned(units);
        permit.map_err(|_| {
            Refusal::new(503, "too many large bodies are under way: try again in 5 s").retry_after(5)
        })
    }

    fn too_large(&self) -> Refusal {
        Refusal::new(413, format!("the body is larger than {} MiB", self.largest >> 20))
    }
}

/// Two lengths of one body would let a reader behind us see another request in it. Ours is sent anew with one length, and
/// who sends two is refused all the same.
pub(crate) fn check_framing(headers: &HeaderMap) -> Result<(), Refusal> {
    let lengths = headers.get_all(CONTENT_LENGTH).iter().count();
    let chunked = headers.contains_key(TRANSFER_ENCODING);
    if lengths > 1 || (lengths == 1 && chunked) {
        return Err(Refusal::new(400, "the body has two lengths"));
    }
    Ok(())
}
