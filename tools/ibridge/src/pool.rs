//! Connections to one server, kept between requests.
use crate::address::Address;
use crate::connection::BUFFER;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// The most that wait for a request.
const IDLE: usize = 64;
/// llama.cpp's server closes a connection that is silent for five seconds.
const IDLE_LIMIT: Duration = Duration::from_secs(4);
const CONNECT: Duration = Duration::from_secs(5);

/// A question as it goes to a server.
pub(crate) type Question = Request<Full<Bytes>>;

/// Why a server gave no answer.
#[derive(Debug)]
pub(crate) enum UpstreamError {
    /// Nobody took the request.
    Unreachable(String),
    /// It may have been read, and no byte of an answer came.
    Lost(String),
}

impl UpstreamError {
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Unreachable(text) | Self::Lost(text) => text,
        }
    }
}

struct Idle {
    sender: SendRequest<Full<Bytes>>,
    since: Instant,
}

/// Connections that wait for a request.
#[derive(Default)]
pub(crate) struct Pool {
    idle: Mutex<Vec<Idle>>,
}

impl Pool {
    /// Send a request, and wait for the head of the answer. Where a connection that was kept turns out to be closed, the
    /// request goes over a new one: the server closed it before it read the request.
    pub(crate) async fn ask(
        self: &Arc<Self>,
        address: &Address,
        question: &Question,
    ) -> Result<Response<Incoming>, UpstreamError> {
        if let Some(sender) = self.take_idle() {
            match self.send(sender, copy(question)).await {
                Err(error) if error.is_canceled() || error.is_incomplete_message() || is_reset(&error) => {}
                Err(error) => return Err(UpstreamError::Lost(text(&error))),
                Ok(answer) => return Ok(answer),
            }
        }
        let sender = connect(address).await.map_err(UpstreamError::Unreachable)?;
        self.send(sender, copy(question)).await.map_err(|error| UpstreamError::Lost(text(&error)))
    }

    /// The connection comes back once the answer was read to its end; one that was not is closed, by which the server
    /// knows that nobody waits any more.
    async fn send(
        self: &Arc<Self>,
        mut sender: SendRequest<Full<Bytes>>,
        question: Question,
    ) -> hyper::Result<Response<Incoming>> {
        let answer = sender.send_request(question).await?;
        let pool = Arc::clone(self);
        tokio::spawn(async move {
            if sender.ready().await.is_ok() {
                pool.put_back(sender);
            }
        });
        Ok(answer)
    }

    fn take_idle(&self) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|kept| !kept.sender.is_closed() && kept.since.elapsed() < IDLE_LIMIT);
        idle.pop().map(|kept| kept.sender)
    }

    fn put_back(&self, sender: SendRequest<Full<Bytes>>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(Idle { sender, since: Instant::now() });
        }
    }

    /// Close those that have waited for long: each takes memory here and a thread there.
    pub(crate) fn drop_stale(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|kept| !kept.sender.is_closed() && kept.since.elapsed() < IDLE_LIMIT);
        idle.shrink_to_fit();
    }
}

async fn connect(address: &Address) -> Result<SendRequest<Full<Bytes>>, String> {
    let to = (address.host.as_str(), address.port);
    let stream = match timeout(CONNECT, TcpStream::connect(to)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(tool::io_text(&error)),
        Err(_) => return Err("no connection within five seconds".to_owned()),
    };
    // A request is one write, and each event of an answer matters at once.
    stream.set_nodelay(true).ok();
    let made = http1::Builder::new().max_buf_size(BUFFER).handshake(TokioIo::new(stream)).await;
    let (sender, connection) = made.map_err(|error| text(&error))?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            log::debug!("a connection to an engine ended: {error}");
        }
    });
    Ok(sender)
}

fn copy(question: &Question) -> Question {
    let mut copy = Request::new(question.body().clone());
    question.method().clone_into(copy.method_mut());
    question.uri().clone_into(copy.uri_mut());
    question.headers().clone_into(copy.headers_mut());
    copy
}

fn is_reset(error: &hyper::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            return matches!(io.kind(), BrokenPipe | ConnectionReset);
        }
        source = cause.source();
    }
    false
}

/// The system's words where there are any.
fn text(error: &hyper::Error) -> String {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            return tool::io_text(io);
        }
        source = cause.source();
    }
    error.to_string()
}
