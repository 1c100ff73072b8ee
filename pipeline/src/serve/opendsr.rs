//! OpenDSR 2.0 over HTTP: a thin interface to the rights stream.
//! [`tributary_rights::opendsr`] defines its bodies.
//!
//! | | |
//! |---|---|
//! | `GET /v2/discovery` | capabilities |
//! | `POST /v2/requests?brand=…` | submits a request, like any other interface |
//! | `GET /v2/requests/<id>?brand=…` | the newest status that the stream has for the ID |
//! | `DELETE /v2/requests/<id>?brand=…` | cancels it before it starts |
//! | `GET /opendsr.pem` | the certificate that signs, if the process has it |
//!
//! The same paths exist without `/v2`, and under the names that the
//! specification had before: `/opendsr_requests`, `/opengdpr_requests`, `/v1`.
//! `brand` may be omitted if there is only one. Responses are signed if there is
//! a certificate; callbacks are stored with the request, see
//! [`crate::privacy::rights::callbacks`]. The interface is enabled if `http.opendsr_domain` is set. If there are
//! access tokens, a request needs one of its brand with the role `privacy`;
//! otherwise the proxy that terminates TLS authenticates requesters and limits
//! each to its brand (invariant I7). Requests of browsers are refused,
//! because a page that somebody visits could erase people through them.
//!
//! It stores nothing but what it has read. A request waits in the stream, and its
//! status is read there ([`statuses`]), from any worker (invariant I4).

mod statuses;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Extension, Path, State};
use axum::http::header::ORIGIN;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use axum::routing::get;
use serde::Serialize;
use tokio::sync::Mutex;
use tributary_config::model::Config;
use tributary_connectors::nats::Client;
use tributary_rights::opendsr::{
    COMPLETION_MS, Cancellation, Created, Discovery, ErrorBody, StatusBody, Submission,
};
use tributary_rights::request::MAX_REQUEST;
use tributary_rights::status::Status;
use tributary_rights::{Reason, Refusal, RequestId};

use super::access::Viewer;
use super::response::{JSON, TEXT, text};
use crate::privacy::rights::callbacks::permitted;
use crate::privacy::rights::cancel;
use crate::privacy::rights::signature::{Signer, processor_headers};
use crate::privacy::rights::submit::{NotSubmitted, submit};
use statuses::{Statuses, WITHIN};

/// Maximum time to wait whether a cancellation came in time. A registrar that is
/// busy for longer finds it before it starts the request.
const OUTCOME: Duration = Duration::from_secs(5);

/// Pause between two looks at the outcome of a cancellation.
const PAUSE: Duration = Duration::from_millis(200);

/// The endpoints of OpenDSR.
pub struct OpenDsr {
    /// Domain of the processor; `None` if the interface is disabled.
    domain: Option<String>,
    /// Names of the configured brands.
    brands: Vec<String>,
    /// Signs responses; `None` if a proxy does.
    signer: Option<Arc<Signer>>,
    /// The origins that may be called back.
    callbacks: Vec<String>,
    /// Name of the rights stream.
    stream: String,
    /// Connection to the broker, once it exists.
    client: OnceLock<Client>,
    /// The statuses of each brand. One look-up reads at a time.
    statuses: BTreeMap<String, Mutex<Statuses>>,
}

impl OpenDsr {
    /// The endpoints of a configuration. They respond with 503 before
    /// [`OpenDsr::open`].
    pub fn new(config: &Config, signer: Option<Arc<Signer>>) -> OpenDsr {
        OpenDsr {
            domain: config.http.opendsr_domain.clone(),
            brands: config.brands.iter().map(|b| b.name.clone()).collect(),
            signer,
            callbacks: config.http.opendsr_callbacks.clone(),
            stream: config.nats.rights_stream.clone(),
            client: OnceLock::new(),
            statuses: (config.brands.iter())
                .map(|brand| (brand.name.clone(), Mutex::default()))
                .collect(),
        }
    }

    /// Provides the connection to the broker; the rights stream exists from now on.
    pub fn open(&self, client: Client) {
        let _ = self.client.set(client);
    }

    /// The routes; none if the interface is disabled.
    pub fn routes<S: Clone + Send + Sync + 'static>(self: &Arc<Self>) -> Router<S> {
        if self.domain.is_none() {
            return Router::new();
        }
        let mut routes = Router::new().route("/discovery", get(discovery));
        for name in ["requests", "opendsr_requests", "opengdpr_requests"] {
            routes = routes
                .route(&format!("/{name}"), axum::routing::post(create))
                .route(&format!("/{name}/{{id}}"), get(status).delete(withdraw));
        }
        let versions = routes.clone().nest("/v1", routes.clone());
        let mut routes = versions.nest("/v2", routes);
        if self.signer.is_some() {
            routes = routes.route("/opendsr.pem", get(certificate));
        }
        routes.with_state(self.clone())
    }

    /// Domain of the processor.
    fn domain(&self) -> &str {
        self.domain.as_deref().unwrap_or_default()
    }

    /// The brand of a request, and the connection to the broker.
    ///
    /// # Errors
    ///
    /// A request of a browser, a viewer who may not, an unknown or missing brand, or
    /// a worker that is starting.
    fn admit(
        &self,
        viewer: &Viewer,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<(&str, &Client), Fault> {
        if headers.contains_key(ORIGIN) {
            return Err(Fault::of(
                StatusCode::FORBIDDEN,
                Reason::Unsupported,
                "no browser is let in here",
            ));
        }
        let pairs = uri.query().into_iter().flat_map(|query| query.split('&'));
        let mut named = pairs.filter_map(|pair| pair.strip_prefix("brand="));
        let brand = match (named.next(), &self.brands[..]) {
            (Some(named), brands) => brands.iter().find(|brand| *brand == named),
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        let may = |brand: &String| viewer.may_request_rights(brand);
        let is_permitted = brand.map_or_else(|| self.brands.iter().any(may), may);
        if !is_permitted || brand.is_none() && matches!(viewer, Viewer::Token { .. }) {
            return Err(Fault::Denied(Box::new(viewer.refuse(NEEDS))));
        }
        let brand = brand.ok_or_else(|| {
            Fault::of(
                StatusCode::BAD_REQUEST,
                Reason::UnknownBrand,
                "`?brand=` must be one of the configuration",
            )
        })?;
        let starting = || Fault::Unavailable("the worker is starting: ask again\n".to_owned());
        Ok((brand, self.client.get().ok_or_else(starting)?))
    }

    /// A JSON response with the headers of the processor.
    fn answer(&self, status: StatusCode, body: &impl Serialize) -> Response {
        // Texts and numbers: nothing in it can fail.
        let body = serde_json::to_string(body).unwrap_or_default();
        let headers = match &self.signer {
            Some(signer) => signer.headers(body.as_bytes()),
            None => processor_headers(self.domain()),
        };
        let mut response = text(status, JSON, body);
        response.headers_mut().extend(headers);
        response
    }

    /// Checks the callback URLs of a submission.
    ///
    /// # Errors
    ///
    /// A URL whose origin is not configured.
    fn check_callbacks(&self, urls: &[String]) -> Result<(), Refusal> {
        match urls
            .iter()
            .all(|url| permitted(url, &self.callbacks).is_some())
        {
            true => Ok(()),
            false => Err(Refusal::new(
                Reason::Unsupported,
                "`status_callback_urls` has an origin that the operator has not permitted (http.opendsr_callbacks): leave it out, and ask for `/v2/requests/<id>`",
            )),
        }
    }

    /// The status of a request, within a time limit.
    ///
    /// # Errors
    ///
    /// An unknown ID, or a broker that does not answer in time.
    async fn status(
        &self,
        client: &Client,
        brand: &str,
        id: &RequestId,
    ) -> Result<(i64, Status), Fault> {
        let find = async {
            let statuses = self.statuses.get(brand)?;
            let mut statuses = statuses.lock().await;
            let found = statuses.find(client, &self.stream, brand, id).await;
            found
                .inspect_err(|error| tracing::warn!(%error, "cannot read the status of a request"))
                .ok()
        };
        let found = tokio::time::timeout(WITHIN, find).await.ok().flatten();
        let found = found.ok_or_else(|| {
            Fault::Unavailable("the broker did not return the status: try again\n".to_owned())
        })?;
        found.ok_or_else(unknown)
    }
}

/// Token that requests need.
const NEEDS: &str = "rights requests need a token of the brand in `?brand=` with the role privacy";

/// Reason for an error response.
enum Fault {
    /// The viewer may not do this.
    Denied(Box<Response>),
    /// The client is at fault.
    Refused(StatusCode, Refusal),
    /// The request may be repeated.
    Unavailable(String),
}

impl Fault {
    /// A refusal with a status and a sentence.
    fn of(status: StatusCode, reason: Reason, sentence: &str) -> Fault {
        Fault::Refused(status, Refusal::new(reason, sentence))
    }

    /// The response.
    fn answer(self, opendsr: &OpenDsr) -> Response {
        match self {
            Fault::Denied(response) => *response,
            Fault::Refused(status, refusal) => {
                opendsr.answer(status, &ErrorBody::new(status.as_u16(), &refusal))
            }
            Fault::Unavailable(sentence) => text(StatusCode::SERVICE_UNAVAILABLE, TEXT, sentence),
        }
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Fault {
        let status = match refusal.reason {
            Reason::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        };
        Fault::Refused(status, refusal)
    }
}

/// `GET /discovery`.
async fn discovery(State(opendsr): State<Arc<OpenDsr>>) -> Response {
    let certificate = format!("https://{}/opendsr.pem", opendsr.domain());
    opendsr.answer(StatusCode::OK, &Discovery::new(&certificate))
}

/// `POST /requests`.
async fn create(
    State(opendsr): State<Arc<OpenDsr>>,
    Extension(viewer): Extension<Viewer>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let created = async {
        let (brand, client) = opendsr.admit(&viewer, &uri, &headers)?;
        let too_large = |_| {
            let detail = format!("the request has more than {MAX_REQUEST} bytes or is cut off");
            Fault::from(Refusal::new(Reason::TooLarge, detail))
        };
        let body = to_bytes(body, MAX_REQUEST).await.map_err(too_large)?;
        let submission = Submission::parse(&body, brand, opendsr.domain())?;
        opendsr.check_callbacks(&submission.callbacks)?;
        let request = submission.to_request().to_vec();
        let request = submit(client, brand, request, &submission.callbacks)
            .await
            .map_err(|error| match error {
                NotSubmitted::Refused(refusal) => Fault::from(refusal),
                NotSubmitted::Broker(_) => Fault::Unavailable(format!("{error}\n")),
            })?;
        tracing::info!(brand, "a rights request was submitted over HTTP");
        let now = jiff::Timestamp::now().as_millisecond();
        let created = Created::new(brand, &request.id, &body, now, now + COMPLETION_MS);
        Ok(opendsr.answer(StatusCode::CREATED, &created))
    };
    created
        .await
        .unwrap_or_else(|fault: Fault| fault.answer(&opendsr))
}

/// `GET /requests/<id>`.
async fn status(
    State(opendsr): State<Arc<OpenDsr>>,
    Extension(viewer): Extension<Viewer>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let answer = async {
        let (brand, client) = opendsr.admit(&viewer, &uri, &headers)?;
        let id = RequestId::read(&id).ok_or_else(unknown)?;
        let (first, status) = opendsr.status(client, brand, &id).await?;
        let body = StatusBody::new(brand, &id, opendsr.domain(), status, first + COMPLETION_MS);
        Ok(opendsr.answer(StatusCode::OK, &body))
    };
    answer
        .await
        .unwrap_or_else(|fault: Fault| fault.answer(&opendsr))
}

/// The refusal of an ID that no request of the brand has.
fn unknown() -> Fault {
    let sentence = "no request of this brand has this id";
    Fault::of(StatusCode::NOT_FOUND, Reason::NotFound, sentence)
}

/// `DELETE /requests/<id>`. "Requests MAY be cancelled by the Controller while
/// in status pending" (9); a cancellation of a canceled request is confirmed
/// again.
async fn withdraw(
    State(opendsr): State<Arc<OpenDsr>>,
    Extension(viewer): Extension<Viewer>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let cancelled = async {
        let (brand, client) = opendsr.admit(&viewer, &uri, &headers)?;
        let id = RequestId::read(&id).ok_or_else(unknown)?;
        let now = jiff::Timestamp::now().as_millisecond();
        let begun = Instant::now();
        let (_, mut status) = opendsr.status(client, brand, &id).await?;
        if status == Status::Pending {
            let published = cancel::cancel(client, brand, &id).await;
            published.map_err(|error| Fault::Unavailable(format!("{error}: try again\n")))?;
            tracing::info!(
                brand,
                "the cancellation of a rights request was submitted over HTTP"
            );
        }
        while status == Status::Pending && begun.elapsed() < OUTCOME {
            tokio::time::sleep(PAUSE).await;
            (_, status) = opendsr.status(client, brand, &id).await?;
        }
        match status {
            Status::Pending | Status::Rejected(Reason::Cancelled) => {
                let body = Cancellation::new(brand, &id, now);
                Ok(opendsr.answer(StatusCode::ACCEPTED, &body))
            }
            _ => Err(Fault::of(
                StatusCode::BAD_REQUEST,
                Reason::Unsupported,
                "only a pending request can be cancelled: ask for its status",
            )),
        }
    };
    cancelled
        .await
        .unwrap_or_else(|fault: Fault| fault.answer(&opendsr))
}

/// `GET /opendsr.pem`.
async fn certificate(State(opendsr): State<Arc<OpenDsr>>) -> Response {
    let pem = opendsr.signer.as_ref().map(|signer| signer.certificate());
    let pem = pem.as_deref().unwrap_or_default().to_owned();
    text(StatusCode::OK, "application/x-pem-file", pem)
}
