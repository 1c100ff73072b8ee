//! Connections: how many there may be, and for how long each may keep one waiting.
//!
//! Whoever reaches the address may open connections and send nothing, or send a request by the byte, or read no answer.
//! Each of these ends after a while. Where there are too many, the oldest that waits for a request makes room for the
//! newest, so that probes and scrapers are answered meanwhile and the ledger always finds a file descriptor. A listener
//! that cannot accept waits and goes on.
//!
//! `hyper` limits the time for a head and `tokio-io-timeout` that for a write. `tower-http` works on requests, and so
//! begins where a head has been read; neither it nor `axum::serve` limits how many connections there are.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_io_timeout::TimeoutStream;

/// The most connections at once.
const MOST: usize = 512;

/// How long a client may take to send the head of a request, the first or the next.
const HEAD: Duration = Duration::from_secs(10);

/// How long a client may leave an answer unread.
const WRITE: Duration = Duration::from_secs(30);

/// How long a listener rests that cannot accept, as when there are no file descriptors.
const REST: Duration = Duration::from_millis(200);

/// The path whose answer goes on for as long as the connection.
const EVENTS: &str = "/events";

/// An open connection.
struct Connection {
    /// Whether a request is being answered.
    busy: Arc<AtomicBool>,
    /// Ends it; none for a moment at its beginning.
    task: Option<AbortHandle>,
}

/// The connections that are open, in the order in which they came.
#[derive(Clone, Default)]
struct Open(Arc<Mutex<BTreeMap<u64, Connection>>>);

impl Open {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Connection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection in, in the place of the oldest idle one where there are too many; false where all are busy.
    fn take(&self, number: u64, busy: Arc<AtomicBool>) -> bool {
        let mut open = self.lock();
        if open.len() >= MOST {
            let idle = |connection: &Connection| !connection.busy.load(Ordering::Relaxed);
            let oldest = open.iter().find(|(_, connection)| idle(connection));
            let Some(number) = oldest.map(|(number, _)| *number) else {
                return false;
            };
            if let Some(task) = open.remove(&number).and_then(|connection| connection.task) {
                task.abort();
            }
        }
        open.insert(number, Connection { busy, task: None });
        true
    }
}

/// Accepts connections until `ended` comes back, and then waits for the answers under way for `grace` at most.
pub(super) async fn accept(
    listener: TcpListener,
    router: Router,
    ended: impl Future<Output = ()>,
    grace: Duration,
) {
    let graceful = GracefulShutdown::new();
    let open = Open::default();
    let mut number = 0;
    let mut ended = std::pin::pin!(ended);
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut ended => break,
        };
        match accepted {
            Ok((stream, _)) => {
                failing = false;
                number += 1;
                answer(stream, router.clone(), &open, number, &graceful);
            }
            Err(error) => {
                if !failing {
                    tracing::warn!(%error, "cannot accept HTTP connections, retrying");
                }
                failing = true;
                tokio::time::sleep(REST).await;
            }
        }
    }
    drop(listener);
    // What is not answered by then is not answered.
    let _ = tokio::time::timeout(grace, graceful.shutdown()).await;
}

fn answer(
    stream: TcpStream,
    router: Router,
    open: &Open,
    number: u64,
    graceful: &GracefulShutdown,
) {
    let busy = Arc::new(AtomicBool::new(false));
    // Whoever finds no place is hung up on: a connection that waits would hold a descriptor, too.
    if !open.take(number, busy.clone()) {
        return;
    }
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE));
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let goes_on = request.uri().path() == EVENTS;
        busy.store(true, Ordering::Relaxed);
        let (busy, answered) = (busy.clone(), router.call(request));
        async move {
            let response = answered.await;
            busy.store(goes_on, Ordering::Relaxed);
            response
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    let connection = graceful.watch(connection);
    let closed = open.clone();
    let task = tokio::spawn(async move {
        // A client that goes away or is too slow is its own affair.
        let _ = connection.await;
        closed.lock().remove(&number);
    });
    if let Some(connection) = open.lock().get_mut(&number) {
        connection.task = Some(task.abort_handle());
    }
}
