//! The HTTP server for probes, Prometheus and people: `/metrics`, `/livez`,
//! `/readyz`, `/config`, `/v1` and `/`.
//!
//! All of these are read-only and name no person: released cells, health of the
//! process, and the configuration with masked secrets. [`super::access`] says
//! who may see what; `http.hosts` lists the names by which the server answers. If
//! the configuration enables it, [`crate::serve::opendsr`] is served at the same
//! address.
//!
//! The time limit of a request is a function of its own, because the layer of `tower-http` answers
//! without a sentence and without the headers that every other answer has. Nothing is compressed: the
//! runtime would do that on the threads that keep the connection to the broker, and a reverse proxy
//! does it better.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::access::{Access, Peer, Viewer};
use super::connections;
use super::page::events::events;
use super::page::{Page, PageState};
use super::response::{JSON, TEXT, text};
use super::state::HttpState;
use super::v1;
use crate::live_config::LiveConfig;
use crate::report::telemetry::Telemetry;
use crate::serve::access::Identified;
use axum::Router;
use axum::extract::{Extension, Request, State};
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get;

mod host;

/// Content type of the Prometheus text format.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Maximum time from the head of a request to the beginning of its response,
/// including the time to send the request's body.
const REQUEST: Duration = Duration::from_secs(30);

/// Maximum time for responses in progress when the server ends.
const GRACE: Duration = Duration::from_secs(5);

/// Serves until `shutdown`; responses in progress then have a few seconds more.
pub async fn serve(
    listener: tokio::net::TcpListener,
    state: HttpState,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let page = state.page.clone();
    let ended = async move {
        shutdown.await;
        page.end();
    };
    connections::accept(listener, router(state), ended, GRACE).await;
}

/// All routes, with their common checks.
fn router(state: HttpState) -> Router {
    let (live, access) = (state.live.clone(), state.access.clone());
    let identified = live.clone();
    let router = Router::new()
        .route("/", get(document))
        .route("/events", get(events))
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/config", get(config))
        .route("/v1/cells/{family}", get(v1::cells))
        .route("/v1/rights", get(v1::rights::register))
        .route("/v1/audit", get(v1::rights::audit))
        .route("/v1/openapi.json", get(v1::description))
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
            let hint = "not found: there are /, /events, /metrics, /livez, /readyz, /config, /v1/openapi.json, /v1/rights, /v1/audit and /v1/cells/<family>\n";
            text(StatusCode::NOT_FOUND, TEXT, hint)
        })
        .layer(from_fn(move |request, next| {
            identify(access.clone(), identified.clone(), request, next)
        }))
        .layer(from_fn(within))
        .layer(from_fn(move |request, next| {
            let config = live.now();
            async move { host::check(&config.http, request, next).await }
        }))
        .with_state(state)
}

/// Adds the viewer of a request, by its credentials.
async fn identify(
    access: Arc<Access>,
    live: LiveConfig,
    mut request: Request,
    next: Next,
) -> Response {
    // Taken first: a reload that comes in between is noticed.
    let by = Identified(live.now());
    let peer = request.extensions().get::<Peer>().copied();
    match access.viewer(request.headers(), peer) {
        Ok(viewer) => {
            request.extensions_mut().insert(viewer);
            request.extensions_mut().insert(by);
            next.run(request).await
        }
        Err(refusal) => *refusal,
    }
}

/// Responds with 408 if a response does not begin in time.
async fn within(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => text(
            StatusCode::REQUEST_TIMEOUT,
            TEXT,
            "the request took too long\n",
        ),
    }
}

/// `GET /`: the live page.
async fn document(State(page): State<Arc<Page>>) -> Response {
    page.response()
}

/// `GET /metrics`: the metrics that the viewer sees, encoded on a blocking thread,
/// because the connection to the broker must not wait for many series.
async fn metrics(State(state): State<PageState>, Extension(viewer): Extension<Viewer>) -> Response {
    // Many series take a while to write, and the broker's connection must not wait for it.
    let encoded = tokio::task::spawn_blocking(move || {
        let Telemetry {
            metrics, health, ..
        } = &state.telemetry;
        metrics.ready(health.not_ready().is_empty());
        metrics.lag(health.lag_seconds());
        metrics.encode_for(&state.audience(&viewer))
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

/// `GET /livez`: whether the process is live.
async fn livez(State(telemetry): State<Telemetry>, headers: HeaderMap) -> Response {
    probe("live", &telemetry.health.not_live(), None, &headers)
}

/// `GET /readyz`: whether the process is ready, and which leader it follows if it is a
/// standby.
async fn readyz(State(telemetry): State<Telemetry>, headers: HeaderMap) -> Response {
    let Telemetry { health, .. } = &telemetry;
    probe("ready", &health.not_ready(), health.standby(), &headers)
}

/// `GET /config`: the effective configuration with masked secrets.
async fn config(State(live): State<LiveConfig>, Extension(viewer): Extension<Viewer>) -> Response {
    if !viewer.may_configure() {
        return viewer
            .refuse("the configuration needs a token for all brands with the role operate");
    }
    text(StatusCode::OK, TEXT, tributary_config::print(&live.now()))
}

/// 200 without reasons against it, otherwise 503 with one reason per line, or
/// as JSON if requested. `note` is a further line.
fn probe(word: &str, against: &[String], note: Option<String>, headers: &HeaderMap) -> Response {
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
        let mut body = serde_json::Map::new();
        body.insert(word.to_owned(), against.is_empty().into());
        body.insert("reasons".to_owned(), against.into());
        if let Some(note) = note {
            body.insert("note".to_owned(), note.into());
        }
        let body = serde_json::Value::Object(body);
        return text(status, JSON, format!("{body}\n"));
    }
    let mut lines = match against {
        [] => vec![word.to_owned()],
        _ => against.to_vec(),
    };
    lines.extend(note);
    text(status, TEXT, lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests;
