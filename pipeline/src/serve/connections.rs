//! Connections: their number is limited, and so is the time for which each may
//! keep the server waiting.
//!
//! Anyone who can reach the address may open connections and send nothing, send
//! a request byte by byte (*Slowloris*), or not read a response. Each of these
//! ends after a while. Above the maximum, the oldest connection that waits for
//! a request is closed for the newest, so that probes and scrapers are answered
//! meanwhile and the ledger always finds a file descriptor. A listener that
//! cannot accept waits and continues.
//!
//! `hyper` limits the time for a head and `tokio-io-timeout` that for a write. `tower-http` works on
//! requests, and so begins where a head has been read; neither it nor `axum::serve` limits the
//! number of connections.

use std::collections::BTreeMap;
use std::future::{Future, ready};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::middleware::map_response;
use axum::response::Response;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_io_timeout::TimeoutStream;

use crate::serve::access::Peer;

/// Maximum number of connections.
const MOST: usize = 512;

/// Maximum time for a client to send the head of a request.
const HEAD: Duration = Duration::from_secs(10);

/// Maximum time for which a client may leave a response unread.
const WRITE: Duration = Duration::from_secs(30);

/// Pause of a listener that cannot accept, for example without free file
/// descriptors.
const REST: Duration = Duration::from_millis(200);

/// For how long the responses of a server that ends still close their connections themselves, so that a client
/// that sends on a kept connection is told before it is closed (RFC 9112, section 9.6).
const LEAVE: Duration = Duration::from_secs(1);

/// Interval between two looks at whether all have left.
const LOOK: Duration = Duration::from_millis(20);

/// The path whose response lasts as long as the connection.
const EVENTS: &str = "/events";

/// An open connection.
struct Connection {
    /// Whether a request is being answered.
    busy: Arc<AtomicBool>,
    /// Ends the connection; `None` for a moment at its beginning.
    task: Option<AbortHandle>,
}

/// Open connections by number, in the order of their arrival.
#[derive(Clone, Default)]
struct Open(Arc<Mutex<BTreeMap<u64, Connection>>>);

impl Open {
    /// Locks the connections. A poisoned lock is used as it is.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Connection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a connection, closing the oldest idle one above the maximum. Returns
    /// false if all are busy.
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

/// Accepts connections until `ended`, then waits for responses in progress for
/// at most `grace`.
pub(super) async fn accept(
    listener: TcpListener,
    router: Router,
    ended: impl Future<Output = ()>,
    grace: Duration,
) {
    let graceful = GracefulShutdown::new();
    let open = Open::default();
    let is_ending = Arc::new(AtomicBool::new(false));
    let router = closing(router, is_ending.clone());
    let mut number = 0;
    let mut ended = std::pin::pin!(ended);
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut ended => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                failing = false;
                number += 1;
                let peer = Peer(peer.ip());
                answer(stream, peer, router.clone(), &open, number, &graceful);
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
    is_ending.store(true, Ordering::Relaxed);
    let until = Instant::now() + LEAVE;
    while !open.lock().is_empty() && Instant::now() < until {
        tokio::time::sleep(LOOK).await;
    }
    // What is not answered by then is not answered.
    let _ = tokio::time::timeout(grace, graceful.shutdown()).await;
}

/// Has every response of a server that ends close its connection.
fn closing(router: Router, is_ending: Arc<AtomicBool>) -> Router {
    router.layer(map_response(move |mut response: Response| {
        if is_ending.load(Ordering::Relaxed) {
            let headers = response.headers_mut();
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        ready(response)
    }))
}

/// Serves a connection on a task of its own, or closes it if there is no room.
fn answer(
    stream: TcpStream,
    peer: Peer,
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
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer);
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
