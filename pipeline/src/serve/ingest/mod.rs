//! The HTTP ingest server (`[http_ingest]`): records over HTTP become messages
//! of the input stream.
//!
//! It keeps one promise: *a response of 2xx means that the input stream has
//! acknowledged every line of the body.* It holds nothing itself, so that a
//! crash loses nothing that was promised. Anything else may be sent again. With
//! an `Idempotency-Key`, the repetition counts once even for records without an
//! id of their own.
//!
//! ```text
//! request ─► target: token, source ─► body: limits ─► split: lines, messages ─► window ─► stream ─► 202
//! ```
//!
//! It judges no record. What is no record becomes a dead letter, as from any
//! other sender. It sets no cookie, serves no pixel, and reads neither the
//! address nor the user agent of a client.

mod body;
mod head;
mod native;
mod reply;
mod segment;
mod segment_api;
mod server;
mod split;
mod target;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use axum::Router;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::post;
use tokio::net::TcpListener;
use tower_http::decompression::RequestDecompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tributary_config::model::Config;

use super::connections;
use reply::Rejection;
pub use server::IngestServer;

/// Maximum time for responses in progress when the server ends: more than a
/// response may take to be acknowledged.
const GRACE: Duration = Duration::from_secs(12);

/// Serves until `shutdown`; responses in progress are then completed.
pub async fn serve(
    server: Arc<IngestServer>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    connections::accept(listener, router(server), shutdown, GRACE).await;
}

/// Checks the address of the server.
///
/// # Errors
///
/// An address other than loopback without tokens.
pub fn refuse_unprotected(config: &Config) -> anyhow::Result<()> {
    match config.http_ingest.is_protected() {
        true => Ok(()),
        false => bail!(
            "others can reach http_ingest.listen and no ingest token is set: add [[http_ingest.token]], or listen on 127.0.0.1"
        ),
    }
}

/// All routes, with their common checks.
fn router(server: Arc<IngestServer>) -> Router {
    let not_found = async || {
        let hint = "not found: there are /v1/in/<brand>/<kind>[/<source>] and /v1/{track,page,screen,identify,alias,group,batch,import}";
        Rejection::new(StatusCode::NOT_FOUND, "not_found", hint).response()
    };
    let router = Router::new()
        .route(
            "/v1/in/{brand}/{kind}",
            post(native::receive).get(native::validate),
        )
        .route(
            "/v1/in/{brand}/{kind}/{source}",
            post(native::receive).get(native::validate),
        )
        .route("/v1/{call}", post(segment_api::call))
        .route("/beacon/v1/batch", post(segment_api::beacon))
        .method_not_allowed_fallback(async || {
            let hint = "records are sent by POST";
            Rejection::new(StatusCode::METHOD_NOT_ALLOWED, "method", hint).response()
        })
        .fallback(not_found)
        .layer(RequestDecompressionLayer::new())
        .layer(RequestBodyLimitLayer::new(server.settings.max_body_bytes))
        .layer(from_fn_with_state(server.clone(), head::check));
    let router = match server.settings.origins.is_empty() {
        true => router,
        false => router.layer(head::cors(&server.settings.origins)),
    };
    router
        .layer(from_fn_with_state(server.clone(), head::count))
        .layer(from_fn(head::normalize_encoding))
        .with_state(server)
}
