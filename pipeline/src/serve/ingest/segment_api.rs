//! The calls of Segment's HTTP tracking API, as its SDKs and RudderStack's make
//! them: the write key names the source.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;

use super::super::access::Peer;
use super::super::response::{JSON, text};
use super::reply::Rejection;
use super::segment;
use super::server::{IngestServer, idempotency_key, max_payload, parse, respond};
use super::target::Target;

/// `POST /v1/<call>` of Segment's API.
pub(super) async fn call(
    State(server): State<Arc<IngestServer>>,
    Path(call): Path<String>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match segment::message_type(&call) {
        Some(of_type) => receive(&server, of_type, None, peer, &headers, body).await,
        None => {
            let message = "Segment's API has no such call: there are track, page, screen, identify, alias, group, batch and import";
            Rejection::new(StatusCode::NOT_FOUND, "not_found", message).response()
        }
    }
}

/// `POST /beacon/v1/batch?writeKey=…` of RudderStack's SDK.
pub(super) async fn beacon(
    State(server): State<Arc<IngestServer>>,
    uri: Uri,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let query = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let mut keys = query.filter(|(name, _)| name.eq_ignore_ascii_case("writeKey"));
    let key = keys.next().map(|(_, key)| key.into_owned());
    receive(&server, "", key, peer, &headers, body).await
}

/// Receives a call of Segment's API: 200 as its SDKs expect it.
async fn receive(
    server: &Arc<IngestServer>,
    of_type: &'static str,
    in_address: Option<String>,
    peer: Option<Extension<Peer>>,
    headers: &HeaderMap,
    body: Body,
) -> Response {
    let peer = peer.map(|Extension(peer)| peer);
    // No key can be right, so that no body is read for it.
    if !server.targets.has_segment() {
        return Rejection::unauthorized().response();
    }
    let read = async {
        let max = max_payload(server.writer()?);
        let key = idempotency_key(headers)?;
        let received = server.limits.read(body).await?;
        let data = received.data.clone();
        let parsed = parse(data.len(), move || {
            let call = segment::Call::parse(&data)?;
            let write_key = call.write_key().map(|key| key.into_owned());
            Ok((write_key, call.messages(of_type, max)?))
        });
        let (write_key, messages) = parsed.await?;
        Ok((received, key, write_key, messages))
    };
    // A key in a header is checked before the body is read.
    let targets = &server.targets;
    let early = headers.contains_key(AUTHORIZATION) || in_address.is_some();
    let admitted = match early {
        true => match targets.by_write_key(headers, in_address.as_deref(), peer) {
            Ok(admitted) => Some(admitted),
            Err(rejection) => return rejection.response(),
        },
        false => None,
    };
    let (received, key, write_key, messages) = match read.await {
        Ok(read) => read,
        Err(rejection) => {
            let target = admitted.as_ref().map(|admitted| admitted.target);
            return respond(target, Err(rejection));
        }
    };
    let admitted = match admitted {
        Some(admitted) => admitted,
        None => match targets.by_write_key(headers, write_key.as_deref(), peer) {
            Ok(admitted) => admitted,
            Err(rejection) => return rejection.response(),
        },
    };
    let begun = Instant::now();
    let stored = server.store(&admitted, Vec::new(), key, messages).await;
    let Target { brand, source } = admitted.target;
    let outcome = stored.map(|()| {
        let bytes = received.data.len();
        let metrics = &server.metrics;
        metrics.http_ingest_accepted(brand, &source.name, bytes, begun.elapsed());
        text(StatusCode::OK, JSON, "{\"success\":true}\n")
    });
    respond(Some(admitted.target), outcome)
}
