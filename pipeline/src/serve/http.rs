//! The door for probes, Prometheus and people: `/metrics`, `/livez`, `/readyz`, `/config` and `/`.
//!
//! All of that is read-only, and without names of persons: released numbers, the health of the
//! process, and the configuration with its secrets masked. Nobody is asked who they are, so that the address
//! (`http.listen`) decides who may look, and the name that they ask for (`http.hosts`). Where the configuration opens it, [`crate::serve::opendsr`] is behind the same address.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tributary_config::model::Config;

use crate::report::health::Health;
use crate::report::metrics::Metrics;
use crate::report::published_cells::Board;
use crate::serve::opendsr::Door;
use crate::serve::page::{self, Page};

mod connections;
mod host;

pub(crate) const TEXT: &str = "text/plain; charset=utf-8";
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";
pub(crate) const JSON: &str = "application/json";

/// How long a request may take until its answer begins, the sending of its body included.
const REQUEST: Duration = Duration::from_secs(30);

/// How long answers under way may take once the server is to end.
const GRACE: Duration = Duration::from_secs(5);

/// What the server shows.
pub struct State {
    /// The metrics.
    pub metrics: Metrics,
    /// The released cells.
    pub board: Mutex<Board>,
    /// The health.
    pub health: Health,
    /// The effective configuration, masked.
    pub config: String,
    /// The live page.
    pub page: Page,
    /// The door for rights requests by OpenDSR.
    pub opendsr: Door,
    /// The names by which the server answers, besides addresses and local names.
    pub hosts: Arc<[String]>,
}

impl State {
    /// Nothing counted, nothing released, not ready.
    pub fn new(config: &Config) -> State {
        State {
            metrics: Metrics::new(config),
            board: Mutex::default(),
            health: Health::default(),
            config: tributary_config::print(config),
            page: Page::new(config),
            opendsr: Door::new(config),
            hosts: config
                .http
                .hosts
                .iter()
                .chain(&config.http.opendsr_domain)
                .cloned()
                .collect(),
        }
    }

    /// The board, locked: whoever needs long takes a clone, which is cheap.
    pub fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Shared = extract::State<Arc<State>>;

/// Serves until `shutdown`, and then what is under way for a few seconds more.
pub async fn serve(
    listener: tokio::net::TcpListener,
    state: Arc<State>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let listened = state.clone();
    let ended = async move {
        shutdown.await;
        listened.page.end();
    };
    connections::accept(listener, router(state), ended, GRACE).await;
}

fn router(state: Arc<State>) -> Router {
    let hosts = state.hosts.clone();
    let router = Router::new()
        .route("/", get(document))
        .route("/events", get(page::events))
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/config", get(config))
        .merge(state.opendsr.routes());
    router
        .method_not_allowed_fallback(async || {
            text(
                StatusCode::METHOD_NOT_ALLOWED,
                TEXT,
                "nothing can be changed here: use GET\n",
            )
        })
        .fallback(async || {
            let hint = "not found: there are /, /events, /metrics, /livez, /readyz and /config\n";
            text(StatusCode::NOT_FOUND, TEXT, hint)
        })
        .layer(from_fn(within))
        .layer(from_fn(move |request, next| {
            let hosts = hosts.clone();
            async move { host::check(&hosts, request, next).await }
        }))
        .with_state(state)
}

/// Answers within a time, however slowly the body of a request comes.
async fn within(request: extract::Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => text(
            StatusCode::REQUEST_TIMEOUT,
            TEXT,
            "the request took too long\n",
        ),
    }
}

/// An answer that nobody takes for anything but what it says it is.
pub(crate) fn text(status: StatusCode, content: &'static str, body: impl Into<String>) -> Response {
    let headers = [
        (CONTENT_TYPE, content),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, body.into()).into_response()
}

async fn document(extract::State(state): Shared) -> Response {
    state.page.response()
}

async fn metrics(extract::State(state): Shared) -> Response {
    // Many series take a while to write, and the broker's connection must not wait for it.
    let encoded = tokio::task::spawn_blocking(move || {
        state.metrics.ready(state.health.not_ready().is_empty());
        state.metrics.lag(state.health.lag_seconds());
        state.metrics.encode()
    });
    match encoded.await {
        Ok(body) => text(StatusCode::OK, EXPOSITION, body),
        Err(error) => {
            tracing::error!(%error, "cannot write the metrics");
            text(
                StatusCode::INTERNAL_SERVER_ERROR,
                TEXT,
                "the metrics could not be written\n",
            )
        }
    }
}

async fn livez(extract::State(state): Shared, headers: HeaderMap) -> Response {
    probe("live", &state.health.not_live(), &headers)
}

async fn readyz(extract::State(state): Shared, headers: HeaderMap) -> Response {
    probe("ready", &state.health.not_ready(), &headers)
}

async fn config(extract::State(state): Shared) -> Response {
    text(StatusCode::OK, TEXT, state.config.clone())
}

/// 200 where nothing speaks against it, else 503 with every reason on a line, or as JSON where asked.
fn probe(word: &str, against: &[String], headers: &HeaderMap) -> Response {
    let status = if against.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let accepts = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|accept| accept.to_str().ok());
    if accepts.into_iter().any(|accept| accept.contains(JSON)) {
        let body = serde_json::json!({ word: against.is_empty(), "reasons": against });
        return text(status, JSON, format!("{body}\n"));
    }
    match against {
        [] => text(status, TEXT, format!("{word}\n")),
        _ => text(status, TEXT, against.join("\n") + "\n"),
    }
}

#[cfg(test)]
mod tests;
