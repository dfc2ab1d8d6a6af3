//! The listener, its connections, and the end of both.
use crate::bridge::Bridge;
use crate::connection::{BUFFER, Connection};
use crate::discovery::{Discovery, Source};
use crate::journal::Journal;
use crate::routing::Router;
use crate::settings::{Mode, Settings};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use tool::{Code, Failure};

/// How long a client may take for the head of a request, or keep a connection without one.
const HEAD: Duration = Duration::from_secs(60);
/// After a failure to accept: no descriptor is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serve until told to stop; then let streams end, as long as the grace lasts.
pub(crate) fn serve(settings: Settings) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::io(Code::Unmet, "cannot start the event loop", &error))?;
    runtime.block_on(run(settings))
}

async fn run(settings: Settings) -> Result<u8, Failure> {
    let unmet = |what: &str, error: &io::Error| Failure::io(Code::Unmet, what, error);
    allow_descriptors();
    let mut signals = Signals::listen().map_err(|error| unmet("cannot listen to signals", &error))?;
    let listener = listen(&settings).await?;
    let address = listener.local_addr().map_err(|error| unmet("cannot tell where it listens", &error))?;
    let journal = Journal::start()?;
    let (router, engines) = routers(&settings)?;
    let grace = settings.grace;
    journal.say(format!(
        "listens on http://{address}{}",
        if settings.access.wants_key() { ", with a key" } else { "" }
    ));
    let room = Arc::new(Semaphore::new(settings.max_connections));
    let connections = settings.max_connections;
    let bridge = Arc::new(Bridge::new(settings, (router, engines), Arc::clone(&journal)));
    let (close, closing) = watch::channel(false);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &room) => accepted,
            () = signals.stop_requested() => break,
        };
        match accepted {
            Ok((stream, permit)) => {
                tokio::spawn(connection(stream, Arc::clone(&bridge), closing.clone(), permit));
            }
            Err(error) => {
                log::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    close.send_replace(true);
    journal.say("was told to stop: lets what is under way end".to_owned());
    let all = u32::try_from(connections).unwrap_or(u32::MAX);
    tokio::select! {
        _ = timeout(grace, room.acquire_many(all)) => {}
        () = signals.stop_requested() => {}
    }
    journal.flush();
    Ok(0)
}

/// The way to what is behind us; and where that is LiteLLM, the way to the instances behind it.
fn routers(settings: &Settings) -> Result<(Router, Option<Router>), Failure> {
    if let Some(address) = settings.upstream.clone() {
        log::info!("hands all requests to the one upstream that is named");
        let router = if settings.mode == Mode::Litellm { Router::any } else { Router::new };
        return Ok((router(Discovery::start(Source::Server(address, None))?, settings), None));
    }
    match &settings.run_dir {
        Some(run_dir) => log::info!("follows the instances of {}", run_dir.display()),
        None => log::info!("follows the instances of the run directories"),
    }
    let engines = Router::new(Discovery::start(Source::RunDir(settings.run_dir.clone()))?, settings);
    let Some(address) = settings.litellm.clone() else { return Ok((engines, None)) };
    log::info!("hands what clients ask to LiteLLM at {}", address.url());
    let source = Source::Server(address, settings.access.key().cloned());
    Ok((Router::any(Discovery::start(source)?, settings), Some(engines)))
}

async fn listen(settings: &Settings) -> Result<TcpListener, Failure> {
    let addresses: &[SocketAddr] = &settings.access.addresses;
    TcpListener::bind(addresses).await.map_err(|error| {
        let what = format!("cannot listen on {}", settings.listen);
        match error.kind() {
            io::ErrorKind::AddrInUse => Failure::io(Code::Later, what, &error)
                .hint("another process listens there: stop it, or name another port with --listen"),
            _ => Failure::io(Code::Unmet, what, &error),
        }
    })
}

/// The next client, once there is room for it.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, permit))
}

async fn connection(
    stream: TcpStream,
    bridge: Arc<Bridge>,
    mut closing: watch::Receiver<bool>,
    permit: OwnedSemaphorePermit,
) {
    let service = service_fn(move |request| {
        let bridge = Arc::clone(&bridge);
        async move { Ok::<_, Infallible>(bridge.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(BUFFER)
        .serve_connection(Connection::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = async { drop(closing.wait_for(|closing| *closing).await) } => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        log::debug!("a client's connection ended: {error}");
    }
    drop(permit);
}

/// One for each client and one for each engine's connection: the usual limit of 1024 is soon reached.
fn allow_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        log::info!("cannot raise the limit on descriptors: {error}");
    }
}

struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }

    async fn stop_requested(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}
