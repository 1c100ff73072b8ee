//! `/v1/in/<brand>/<kind>[/<source>]`: records in the format of a source.
//!
//! The path names the source, and the token must be one of that source, so that
//! nothing of a body is read for a stranger. The exception are vendors that
//! repeat a secret in the body instead of sending a token (Meraki).

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::json;
use tributary_config::model::Format;
use tributary_connectors::formats::meraki;
use tributary_connectors::nats::AT_HEADER;

use super::super::access::Peer;
use super::super::response::{JSON, TEXT, text};
use super::body::Received;
use super::reply::Rejection;
use super::server::{IngestServer, LONGEST_HEADERS, idempotency_key, max_payload, parse, respond};
use super::split::{Media, split};
use super::target::{Admitted, Target};

/// The brand, the kind and perhaps the source in a path.
#[derive(serde::Deserialize)]
pub(super) struct Place {
    brand: String,
    kind: String,
    source: Option<String>,
}

/// `POST /v1/in/<brand>/<kind>[/<source>]`.
pub(super) async fn receive(
    State(server): State<Arc<IngestServer>>,
    Path(place): Path<Place>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let peer = peer.map(|Extension(peer)| peer);
    let source = place.source.as_deref();
    let path = (place.brand.as_str(), place.kind.as_str(), source);
    let named = server.targets.named(path.0, path.1, path.2);
    let repeats_secret = named
        .filter(|target| matches!(target.source.format, Format::Meraki))
        .filter(|_| !headers.contains_key(AUTHORIZATION));
    let read = async {
        server.writer()?;
        media(&headers)?;
        server.limits.read(body).await
    };
    // A post that repeats a secret is admitted by its body, any other before it is read.
    let admitted = match repeats_secret {
        None => server.targets.by_path(path, &headers, peer),
        Some(target) => {
            let received = match read.await {
                Ok(received) => received,
                Err(rejection) => return rejection.response(),
            };
            let is_right = std::str::from_utf8(&received.data)
                .is_ok_and(|text| meraki::is_from(text, &target.source.mapping.secret));
            return match server.targets.by_secret(target, is_right, peer) {
                Ok(admitted) => {
                    let outcome = accept(&server, &admitted, &headers, received).await;
                    respond(Some(target), outcome)
                }
                Err(rejection) => rejection.response(),
            };
        }
    };
    let admitted = match admitted {
        Ok(admitted) => admitted,
        Err(rejection) => return rejection.response(),
    };
    let outcome = match read.await {
        Ok(received) => accept(&server, &admitted, &headers, received).await,
        Err(rejection) => Err(rejection),
    };
    respond(Some(admitted.target), outcome)
}

/// `GET /v1/in/<brand>/<kind>[/<source>]`: the validator of a Meraki source.
pub(super) async fn validate(
    State(server): State<Arc<IngestServer>>,
    Path(place): Path<Place>,
) -> Response {
    let source = place.source.as_deref();
    let target = server.targets.named(&place.brand, &place.kind, source);
    match target.and_then(|target| target.source.mapping.validator.clone()) {
        Some(validator) => text(StatusCode::OK, TEXT, validator),
        None => {
            let message = "there is nothing to read here: records are sent by POST, and a `meraki` source with a `validator` answers GET";
            Rejection::new(StatusCode::NOT_FOUND, "not_found", message).response()
        }
    }
}

/// The media type of a body.
///
/// # Errors
/// 415 for any that is not read.
fn media(headers: &HeaderMap) -> Result<Media, Rejection> {
    let given = headers.get(CONTENT_TYPE);
    let media = given.and_then(|value| Media::of(value.to_str().ok()?));
    media.ok_or_else(|| {
        Rejection::unsupported(
            "the content type must be application/json, application/x-ndjson, text/csv, text/tab-separated-values, application/cloudevents+json or application/cloudevents-batch+json",
        )
    })
}

/// Headers of a message: the attributes of a CloudEvent, and for load tests the
/// time of arrival, where the source permits it.
///
/// # Errors
/// 400 for headers that are too long or not ASCII.
fn message_headers(
    headers: &HeaderMap,
    media: Media,
    target: &Target,
) -> Result<Vec<(Cow<'static, str>, String)>, Rejection> {
    let mut out: Vec<(Cow<'static, str>, String)> = Vec::new();
    if let Some(content_type) = media.header() {
        out.push(("Content-Type".into(), content_type.to_owned()));
        return Ok(out);
    }
    for (name, value) in headers {
        let is_attribute = name.as_str().starts_with("ce-");
        let is_arrival =
            target.source.arrival_header && name.as_str().eq_ignore_ascii_case(AT_HEADER);
        if is_attribute || is_arrival {
            let value = value.to_str().map_err(|_| {
                Rejection::malformed("the attributes of a CloudEvent must be percent-encoded")
            })?;
            let name = match is_arrival {
                true => AT_HEADER.to_owned(),
                false => name.as_str().to_owned(),
            };
            out.push((name.into(), value.to_owned()));
        }
    }
    let length: usize = out.iter().map(|(n, v)| n.len() + v.len() + 4).sum();
    match length <= LONGEST_HEADERS {
        true => Ok(out),
        false => Err(Rejection::malformed(format!(
            "the attributes of the CloudEvent have more than {LONGEST_HEADERS} bytes"
        ))),
    }
}

/// Publishes the body of an admitted request: 202 with what was stored.
///
/// # Errors
/// Any rejection of the body, and those of [`IngestServer::store`].
async fn accept(
    server: &Arc<IngestServer>,
    admitted: &Admitted<'_>,
    headers: &HeaderMap,
    received: Received,
) -> Result<Response, Rejection> {
    let media = media(headers)?;
    let key = idempotency_key(headers)?;
    let attributes = message_headers(headers, media, admitted.target)?;
    let max = max_payload(server.writer()?);
    let bytes = received.data.len();
    let (data, target) = (received.data.clone(), admitted.target.clone());
    let worker = server.clone();
    let messages = parse(bytes, move || {
        let mut brands = worker.brands.iter();
        let brand = brands.find(|brand| brand.name == target.brand);
        let brand = brand.ok_or_else(Rejection::unauthorized)?;
        split(media, &data, (brand, &target.source), max)
    })
    .await?;
    let is_event = headers.contains_key("ce-specversion") || headers.contains_key("ce-id");
    if is_event && media.header().is_none() && messages.payloads.len() > 1 {
        // Its id names the records of one message.
        return Err(Rejection::too_large(
            "the data of a CloudEvent in binary mode must fit into one message of 512 KiB",
        ));
    }
    let (lines, count) = (messages.lines, messages.payloads.len());
    let left_out = messages.left_out;
    let begun = Instant::now();
    server.store(admitted, attributes, key, messages).await?;
    let Target { brand, source } = admitted.target;
    let metrics = &server.metrics;
    metrics.http_ingest_accepted(brand, &source.name, bytes, begun.elapsed());
    drop(received);
    let mut body = json!({"lines": lines, "messages": count});
    if left_out > 0
        && let Some(body) = body.as_object_mut()
    {
        body.insert("left_out".to_owned(), left_out.into());
    }
    Ok(text(StatusCode::ACCEPTED, JSON, format!("{body}\n")))
}
