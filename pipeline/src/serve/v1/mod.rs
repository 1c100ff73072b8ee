//! `GET /v1/cells/<family>`: queries over released cells, and
//! `GET /v1/openapi.json`, their description ([`openapi`]). Rights requests are in
//! [`rights`].
//!
//! The words are those of [`cell_query`](crate::report::cell_query), and `brand`,
//! which may be omitted if the viewer may read one brand only. An error is JSON
//! that names the parameter and the remedy. The next page is `next` in JSON, and
//! a `Link` header with `rel="next"` (RFC 8288) in every format.
//!
//! Queries read a copy of the cells that shares their partitions, taken when the
//! cells have changed, on blocking threads of which few compute at a time;
//! [`cache`] keeps recent answers. The numbers are those that this process holds.

mod cache;
pub mod ingest_paths;
mod kept;
pub mod openapi;
pub mod rights;

use std::num::NonZero;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::extract::{Extension, Path, State};
use axum::http::header::LINK;
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::Response;
use serde_json::json;
use tokio::sync::Semaphore;
use tributary_operators::cell::Family;
use url::form_urlencoded;

use super::access::Viewer;
use super::page::Page;
use super::response::{ARROW, JSON, text};
use crate::report::cell_query::{CellQuery, Format, QueryError, run, write};
use crate::report::published_cells::{PublishedCells, SharedCells};
use cache::{Cache, Cached};

/// Content type of NDJSON.
const NDJSON: &str = "application/x-ndjson";
/// Content type of CSV (RFC 4180).
const CSV: &str = "text/csv; charset=utf-8; header=present";

/// Number of queries that compute at a time: as many as there are processors,
/// because more would only delay each other.
fn at_once() -> usize {
    std::thread::available_parallelism().map_or(2, NonZero::get)
}

/// The queries of the server.
pub struct CellQueries {
    /// The brands, their current days, and whether the release gate hides cells.
    page: Arc<Page>,
    /// The released cells.
    cells: SharedCells,
    /// The copy that queries read.
    snapshot: Mutex<Option<Arc<PublishedCells>>>,
    /// Recent answers.
    cache: Cache,
    /// Limits computations.
    computing: Semaphore,
}

impl CellQueries {
    /// Queries over the cells of a process.
    pub fn new(page: &Arc<Page>, cells: &SharedCells) -> CellQueries {
        CellQueries {
            page: page.clone(),
            cells: cells.clone(),
            snapshot: Mutex::default(),
            cache: Cache::default(),
            computing: Semaphore::new(at_once()),
        }
    }

    /// A copy of the cells as they are now.
    fn snapshot(&self) -> Arc<PublishedCells> {
        let mut snapshot = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        let cells = self.cells.lock();
        match &*snapshot {
            Some(same) if same.stamp() == cells.stamp() => same.clone(),
            _ => snapshot.insert(Arc::new(cells.clone())).clone(),
        }
    }
}

/// An answer of the interface that is an error, with its status.
fn error(status: StatusCode, error: &QueryError) -> Response {
    text(status, JSON, format!("{}\n", json!({ "error": error })))
}

/// `GET /v1/openapi.json`.
pub async fn description() -> Response {
    static TEXT: OnceLock<String> = OnceLock::new();
    let body = TEXT.get_or_init(|| format!("{:#}\n", openapi::openapi()));
    text(StatusCode::OK, JSON, body.as_str())
}

/// `GET /v1/cells/<family>`.
pub async fn cells(
    State(queries): State<Arc<CellQueries>>,
    Extension(viewer): Extension<Viewer>,
    Path(family): Path<String>,
    uri: Uri,
) -> Response {
    let pairs: Vec<(String, String)> =
        form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
    let brand = match brand(&queries.page, &viewer, &pairs) {
        Ok(brand) => brand,
        Err(refusal) => return *refusal,
    };
    let Some(family) = Family::of(&family) else {
        let fix = format!(
            "the families are {}",
            Family::ALL.map(Family::name).join(", ")
        );
        let unknown = QueryError::new("family", "is not known", fix);
        return error(StatusCode::NOT_FOUND, &unknown);
    };
    let words = pairs.iter().filter(|(name, _)| name != "brand");
    let words = words.map(|(name, text)| (name.as_str(), text.as_str()));
    let query = match CellQuery::read(family, words) {
        Ok(query) => query,
        Err(wrong) => return error(StatusCode::BAD_REQUEST, &wrong),
    };
    match answer(&queries, brand, query).await {
        Ok(found) => respond(&found, &uri),
        Err(response) => *response,
    }
}

/// The brand of a request: the one that it names, or the only one that the viewer
/// may read.
fn brand(
    page: &Page,
    viewer: &Viewer,
    pairs: &[(String, String)],
) -> Result<String, Box<Response>> {
    let readable = || page.brands().filter(|brand| viewer.may_read(brand));
    let mut named = pairs.iter().filter(|(name, _)| name == "brand");
    let wrong = |message: &str| {
        let known: Vec<&str> = readable().collect();
        let fix = format!("give one of {}", known.join(", "));
        let wrong = QueryError::new("brand", message, fix);
        Err(Box::new(error(StatusCode::BAD_REQUEST, &wrong)))
    };
    if let Some((_, brand)) = named.clone().next()
        && let Some(other) = page.other(brand)
        && viewer.may_read(brand)
    {
        let place = other.place();
        let fix =
            format!("ask {place}, or `tributary serve`, which shows the brands of all shards");
        let wrong = QueryError::new("brand", format!("is served by {place}"), fix);
        return Err(Box::new(error(StatusCode::BAD_REQUEST, &wrong)));
    }
    if readable().next().is_none() {
        return Err(Box::new(viewer.refuse(NEEDS)));
    }
    match (named.next(), named.next()) {
        (Some(_), Some(_)) => wrong("is given twice"),
        (None, _) => {
            let mut readable = readable();
            match (readable.next(), readable.next()) {
                (Some(only), None) => Ok(only.to_owned()),
                _ => wrong("is missing, and there are several"),
            }
        }
        (Some((_, brand)), None) if readable().any(|known| known == brand) => Ok(brand.clone()),
        // Whether another brand exists is not said.
        (Some(_), None) if matches!(viewer, Viewer::Token { .. }) => {
            Err(Box::new(viewer.refuse(NEEDS)))
        }
        (Some(_), None) => wrong("is not configured"),
    }
}

/// Token that queries need.
const NEEDS: &str = "cells need a token of the brand in `?brand=` with the role read or operate";

/// The answer to a query, from the cache or computed.
async fn answer(
    queries: &Arc<CellQueries>,
    brand: String,
    query: CellQuery,
) -> Result<Arc<Cached>, Box<Response>> {
    let cells = queries.snapshot();
    let today = queries.page.today_of(&brand).unwrap_or_default();
    let key = format!("{brand} {today} {query:?}");
    if let Some(found) = queries.cache.get(&key, cells.stamp()) {
        return Ok(found);
    }
    let unavailable = || {
        let busy = QueryError::new("query", "cannot be answered now", "try again");
        Box::new(error(StatusCode::SERVICE_UNAVAILABLE, &busy))
    };
    let Ok(_place) = queries.computing.acquire().await else {
        return Err(unavailable());
    };
    let (stamp, hides) = (cells.stamp(), queries.page.hides(&brand));
    let computed = tokio::task::spawn_blocking(move || {
        let answer = run(&cells, &brand, &query, today, hides)?;
        let content = match query.format {
            Format::Json => JSON,
            Format::Ndjson => NDJSON,
            Format::Csv => CSV,
            Format::Arrow => ARROW,
        };
        let body = write(&query, &answer)?;
        Ok::<_, QueryError>(Cached {
            stamp,
            content,
            body: body.into(),
            next: answer.next,
        })
    });
    match computed.await {
        Ok(Ok(found)) => Ok(queries.cache.put(key, found)),
        Ok(Err(wrong)) => Err(Box::new(error(StatusCode::BAD_REQUEST, &wrong))),
        Err(failed) => {
            tracing::error!(error = %failed, "cannot answer a query");
            Err(unavailable())
        }
    }
}

/// The response, with a link to the next page.
fn respond(found: &Cached, uri: &Uri) -> Response {
    let mut response = text(StatusCode::OK, found.content, found.body.clone());
    if let Some(next) = &found.next {
        let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs.filter(|(name, _)| name != "after"))
            .append_pair("after", next)
            .finish();
        let link = format!("<{}?{query}>; rel=\"next\"", uri.path());
        if let Ok(link) = HeaderValue::from_str(&link) {
            response.headers_mut().insert(LINK, link);
        }
    }
    response
}

#[cfg(test)]
mod tests;
