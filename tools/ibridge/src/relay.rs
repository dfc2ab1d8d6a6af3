//! A stream of messages on its way from an engine to a client: watched, kept alive, ended with an error where it breaks.
use crate::journal::Entry;
use crate::native::Native;
use crate::refusal::Refusal;
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use messages::translate::Stream;
use messages::usage::Usage;
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep_until, timeout};

/// A client that hears nothing for longer than this is sent a ping. Claude Code says so after 20 s.
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(15);
/// How long a client may take no byte.
const WRITE_TIMEOUT: Duration = Duration::from_secs(300);

/// One stream of messages.
pub(crate) enum AnswerStream {
    /// The engine writes messages itself.
    Native(Box<Native>),
    /// It writes chunks of a chat completion.
    Translated(Box<Stream>),
}

impl AnswerStream {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Native(native) => native.push(bytes, out),
            Self::Translated(stream) => stream.push(bytes, out),
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::Native(native) => native.finish(out),
            Self::Translated(stream) => stream.finish(out),
        }
    }

    fn ping(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::Native(native) => native.ping(out),
            Self::Translated(stream) => stream.ping(out),
        }
    }

    fn failed(&mut self, status: u16, text: &str, out: &mut Vec<u8>) {
        match self {
            Self::Native(native) => native.failed(status, text, out),
            Self::Translated(stream) => stream.failed(status, text, out),
        }
    }

    fn ended(&self) -> bool {
        match self {
            Self::Native(native) => native.ended(),
            Self::Translated(stream) => stream.ended(),
        }
    }

    fn usage(&self) -> Usage {
        match self {
            Self::Native(native) => native.usage(),
            Self::Translated(stream) => stream.usage(),
        }
    }
}

/// The client's end.
pub(crate) struct Client {
    pub(crate) sender: Sender<Bytes>,
    pub(crate) entry: Box<Entry>,
    heard: Instant,
}

impl Client {
    pub(crate) fn new(sender: Sender<Bytes>, entry: Box<Entry>) -> Self {
        Self { sender, entry, heard: Instant::now() }
    }

    /// `false`: the client is gone, or takes nothing.
    async fn send(&mut self, out: &mut Vec<u8>) -> bool {
        if out.is_empty() {
            return true;
        }
        self.entry.record_bytes(&[]);
        let sent = timeout(WRITE_TIMEOUT, self.sender.send(Bytes::from(std::mem::take(out)))).await;
        self.heard = Instant::now();
        matches!(sent, Ok(Ok(())))
    }

    /// Carry the stream to its end. Where the client goes, dropping the engine's answer ends the engine's work.
    pub(crate) async fn relay(mut self, mut turn: AnswerStream, mut answer: Incoming) {
        let mut out = Vec::new();
        while !turn.ended() {
            tokio::select! {
                frame = answer.frame() => match frame {
                    Some(Ok(frame)) => turn.push(frame.data_ref().map_or(&[], |data| data), &mut out),
                    Some(Err(error)) => turn.failed(502, &format!("the engine broke off: {error}"), &mut out),
                    None => turn.finish(&mut out),
                },
                () = self.sender.closed() => return,
                () = sleep_until(self.heard + PING_INTERVAL) => {
                    turn.ping(&mut out);
                    self.heard = Instant::now();
                }
            }
            self.entry.usage = turn.usage();
            if !self.send(&mut out).await {
                return;
            }
        }
        self.entry.ended();
        // What is left of the answer is its end: the connection can be used again.
        drop(timeout(Duration::from_secs(1), answer.frame()).await);
    }

    /// Keep a client that waits for the head of an answer, and return what came of it; `None`: the client is gone.
    pub(crate) async fn wait<T>(
        &mut self,
        turn: &mut AnswerStream,
        mut work: impl Future<Output = Result<T, Refusal>> + Unpin,
    ) -> Option<Result<T, Refusal>> {
        let mut out = Vec::new();
        loop {
            turn.ping(&mut out);
            if !self.send(&mut out).await {
                return None;
            }
            tokio::select! {
                done = &mut work => return Some(done),
                () = self.sender.closed() => return None,
                () = sleep_until(self.heard + PING_INTERVAL) => {}
            }
        }
    }

    /// End a stream that has begun with an error.
    pub(crate) async fn fail(mut self, mut turn: AnswerStream, status: u16, text: &str) {
        let mut out = Vec::new();
        turn.failed(status, text, &mut out);
        self.entry.status = status;
        if self.send(&mut out).await {
            self.entry.ended();
        }
    }
}
