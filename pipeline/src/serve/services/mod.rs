//! The NATS micro service `tributary`: queries, explanations, retention
//! previews and rights requests, for each brand on subjects of its own.
//!
//! `tributary.query.<brand>`, `tributary.explain.<brand>` and
//! `tributary.rights-request.<brand>` are the only interfaces of a brand;
//! `tributary.contributions.<brand>`, exact, and `tributary.retention.<brand>` are
//! for the workers' account. A rights request is answered as soon as the
//! broker has stored it; its progress is published on the status subject. The
//! brand is part of the subject and never of a request, so that the permissions
//! of the broker separate brands (I7). Any worker process answers for the whole
//! cluster, because a query enters the dataflow like any input
//! ([`crate::epochs::queries`]) and collects its parts from every worker.
//! `tributary.partner.<brand>.<partner>` answers one partner of a brand
//! ([`partner`]). `tributary.keys.<brand>.<process>` is for the operator, and each process
//! answers for itself ([`key_rotation`]). Requests are JSON ([`request`]);
//! answers are NDJSON ([`reply`]), in one message or in several numbered ones
//! ([`parts`]); [`client`] is the other end.
//!
//! The service follows the NATS service API (ADR-32), which reports statistics,
//! including the last error, to anyone who may request them: no error text
//! repeats anything of a request.

pub mod client;
pub mod key_rotation;
pub mod partner;
pub mod parts;
pub mod released;
pub mod reply;
pub mod request;
pub mod retention_preview;
mod schema;
pub mod topic;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use async_nats::Client;
use async_nats::client::RequestErrorKind;
use async_nats::service::{self, Request, Service, ServiceExt};
use futures::StreamExt;
use futures::stream::{BoxStream, SelectAll};
use jiff::tz::TimeZone;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tributary_config::model::{Brand, Config};
use tributary_operators::ask::{Question, Reply};
use tributary_operators::currency;
use tributary_operators::record::{BrandId, Currency};
use tributary_rights::status::{self, Status};

use crate::epochs::clock;
use crate::epochs::queries::Queries;
use crate::privacy::retention::Retention;
use crate::privacy::rights::submit::{NotSubmitted, submit};
use crate::report::cell_query::{CellQuery, ndjson, run};
use crate::report::published_cells::PublishedCells;
use crate::serve::services::key_rotation::KeyRotations;
pub use topic::{ANSWER_WITHIN, Topic};

use partner::PartnerSources;
use released::CellInQuestion;
use reply::Names;
use request::Refusal;

/// Name of the service.
pub const NAME: &str = "tributary";

/// Maximum number of requests that a process answers concurrently.
const AT_ONCE: usize = 16;

/// Maximum time for the last answers when the service stops.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Serves until `shutdown`. See [`Services::start`] and [`Services::run`].
///
/// # Errors
///
/// Subscriptions that the broker refuses, or a connection that is closed for
/// good.
pub async fn serve(
    client: Client,
    config: Config,
    queries: Queries,
    exchanges: KeyRotations,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    Services::start(client, &config, queries)
        .await?
        .with_key_rotation(&config, exchanges)
        .await?
        .run(shutdown)
        .await
}

/// The service, subscribed to its subjects.
pub struct Services {
    /// Connection to the broker.
    client: Client,
    /// Handle of the service.
    service: Service,
    /// Requests of all endpoints.
    requests: SelectAll<Requests>,
    /// Queries to the dataflow.
    queries: Queries,
    /// Maximum time for an answer.
    answer_within: Duration,
}

/// Requests, each with the endpoint that answers it.
type Requests = BoxStream<'static, (Arc<Endpoint>, Request)>;

impl Services {
    /// Announces the service and subscribes for every brand. When this returns, the
    /// broker knows all subscriptions; requests wait until [`Services::run`].
    ///
    /// # Errors
    ///
    /// Subscriptions that the broker refuses.
    pub async fn start(
        client: Client,
        config: &Config,
        queries: Queries,
    ) -> anyhow::Result<Services> {
        let service = client
            .service_builder()
            .description("Released cells of a brand, why they are what they are, what its retention takes back, and the rights of its persons")
            .start(NAME, env!("CARGO_PKG_VERSION"))
            .await
            .map_err(|error| anyhow!(error))
            .context("cannot start the NATS service")?;
        let mut requests = SelectAll::new();
        for brand in &config.brands {
            for topic in Topic::ALL {
                let gate = config.release.of_brand(&brand.release);
                let endpoint = Endpoint::new(&client, topic, brand, gate.k);
                requests.push(endpoint.open(&service).await?);
            }
            for partner in &brand.partner {
                let gate = config.release.of_brand(&brand.release);
                let endpoint = Endpoint {
                    partner: Some((partner.name.clone(), PartnerSources::of(brand, partner))),
                    ..Endpoint::new(&client, Topic::Partner, brand, gate.k)
                };
                requests.push(endpoint.open(&service).await?);
            }
        }
        confirm_subscriptions(&client).await?;
        Ok(Services {
            client,
            service,
            requests,
            queries,
            answer_within: ANSWER_WITHIN,
        })
    }

    /// Subscribes to key rotations of this process as well.
    ///
    /// # Errors
    ///
    /// Subscriptions that the broker refuses.
    pub async fn with_key_rotation(
        mut self,
        config: &Config,
        exchanges: KeyRotations,
    ) -> anyhow::Result<Services> {
        let topic = Topic::Keys(exchanges.process());
        for brand in &config.brands {
            let gate = config.release.of_brand(&brand.release);
            let endpoint = Endpoint::new(&self.client, topic, brand, gate.k);
            let endpoint = Endpoint {
                exchanges: Some(exchanges.clone()),
                ..endpoint
            };
            self.requests.push(endpoint.open(&self.service).await?);
        }
        confirm_subscriptions(&self.client).await?;
        Ok(self)
    }

    /// Sets another limit than [`ANSWER_WITHIN`].
    pub fn answering_within(mut self, limit: Duration) -> Services {
        self.answer_within = limit;
        self
    }

    /// Answers requests until `shutdown`. It then accepts no more, answers those
    /// that wait with 503 (another worker can answer them), and returns when that
    /// is sent.
    ///
    /// # Errors
    ///
    /// A connection that is closed for good.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let Services {
            client,
            service,
            mut requests,
            queries,
            answer_within,
        } = self;
        if requests.is_empty() {
            shutdown.await;
            return Ok(());
        }
        let (stop, stopping) = watch::channel(false);
        let mut under_way = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                Some(done) = under_way.join_next() => log_failure(done),
                next = requests.next(), if under_way.len() < AT_ONCE => {
                    let Some((endpoint, request)) = next else {
                        bail!("the connection to NATS was closed: queries can no longer be answered");
                    };
                    let (queries, stopping) = (queries.clone(), stopping.clone());
                    under_way.spawn(async move {
                        endpoint.serve(&request, &queries, answer_within, stopping).await
                    });
                }
            }
        }
        let _ = service.stop().await;
        let _ = stop.send(true);
        let last_words = async {
            while let Some((_, request)) = requests.next().await {
                log_failure(Ok(refuse(&request, Refusal::stopping()).await));
            }
            while let Some(done) = under_way.join_next().await {
                log_failure(done);
            }
            confirm_subscriptions(&client).await
        };
        // Without a connection nobody hears them.
        let _ = tokio::time::timeout(LAST_WORDS, last_words).await;
        Ok(())
    }
}

/// Waits until the broker has processed everything that was sent on this
/// connection. A flush only empties the buffers of the client; a request
/// without responders is answered by the broker itself, in order.
///
/// # Errors
///
/// A closed connection. A login that may not publish there receives no answer,
/// and is not waited for long.
async fn confirm_subscriptions(client: &Client) -> anyhow::Result<()> {
    let request = async_nats::Request::new().timeout(Some(LAST_WORDS));
    match client.send_request(client.new_inbox(), request).await {
        Err(error) if error.kind() == RequestErrorKind::Other => {
            Err(error).context("the broker does not take the subscriptions of the NATS service")
        }
        _ => Ok(()),
    }
}

/// Logs a failed answer. Requests and answers themselves are never logged.
fn log_failure(done: Result<Result<(), async_nats::PublishError>, tokio::task::JoinError>) {
    match done {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "cannot send an answer"),
        Err(_) => tracing::error!("a request was dropped because of an internal error"),
    }
}

/// Responds with an error.
async fn refuse(request: &Request, refusal: Refusal) -> Result<(), async_nats::PublishError> {
    if request.message.reply.is_none() {
        return Ok(());
    }
    let error = service::error::Error {
        status: refusal.sentence,
        code: refusal.code,
    };
    request.respond(Err(error)).await
}

/// Answers the requests of one brand on one topic.
struct Endpoint {
    /// Connection to the broker, for answers in several parts.
    client: Client,
    /// The topic.
    topic: Topic,
    /// ID of the brand.
    brand: BrandId,
    /// Name of the brand.
    name: String,
    /// Its time zone.
    zone: TimeZone,
    /// Currency of the brand.
    currency: Option<Currency>,
    /// Names of its sources.
    names: Names,
    /// Its retention.
    retention: Retention,
    /// Minimum number of contributors of a released cell.
    k: u64,
    /// Key rotations of this process, for their topic.
    exchanges: Option<KeyRotations>,
    /// Name and channel sources of a partner, for its topic.
    partner: Option<(String, PartnerSources)>,
}

impl Endpoint {
    /// An endpoint for a brand and a topic.
    fn new(client: &Client, topic: Topic, brand: &Brand, k: u64) -> Endpoint {
        Endpoint {
            client: client.clone(),
            topic,
            brand: BrandId::of(&brand.name),
            name: brand.name.clone(),
            zone: brand.timezone.clone(),
            currency: currency::of(&brand.currency).map(|(currency, _)| currency),
            names: Names::of(brand),
            retention: Retention::of(brand),
            k,
            exchanges: None,
            partner: None,
        }
    }

    /// Subscribes, and returns the stream of requests.
    ///
    /// # Errors
    ///
    /// A subscription that the broker refuses.
    async fn open(self, service: &Service) -> anyhow::Result<Requests> {
        let answering = Arc::new(self);
        let (topic, brand) = (answering.topic, &answering.name);
        let (mut subject, mut name) = (topic.subject(brand), format!("{}-{brand}", topic.name()));
        if let Topic::Keys(process) = topic {
            name = format!("{name}-{process}");
        }
        if let Some((partner, _)) = &answering.partner {
            subject = format!("{subject}.{partner}");
            name = format!("{name}-{partner}");
        }
        let endpoint = service
            .endpoint_builder()
            .name(name)
            .metadata(schema::metadata(topic))
            .add(&subject)
            .await
            .map_err(|error| anyhow!(error))
            .with_context(|| format!("cannot listen on {subject}"))?;
        Ok(endpoint
            .map(move |request| (answering.clone(), request))
            .boxed())
    }

    /// Answers a request with an answer or an error, within the limit.
    async fn serve(
        &self,
        request: &Request,
        queries: &Queries,
        limit: Duration,
        mut stopping: watch::Receiver<bool>,
    ) -> Result<(), async_nats::PublishError> {
        if request.message.reply.is_none() {
            return Ok(());
        }
        let answer = tokio::select! {
            answer = self.answer(&request.message.payload, queries) => answer,
            () = tokio::time::sleep(limit) => Err(Refusal::too_slow(limit)),
            _ = stopping.wait_for(|stop| *stop) => Err(Refusal::stopping()),
        };
        match answer {
            Ok(answer) => parts::send(&self.client, request, &answer).await,
            Err(refusal) => refuse(request, refusal).await,
        }
    }

    /// The answer to a request.
    ///
    /// # Errors
    ///
    /// 400 for an invalid request, 409 for refused secrets, 503 while the worker
    /// stops or without a broker.
    async fn answer(&self, payload: &[u8], queries: &Queries) -> Result<Vec<u8>, Refusal> {
        let question = match self.topic {
            Topic::Query | Topic::Partner => {
                let (question, query) = match &self.partner {
                    Some((_, sources)) => sources.read(payload, self.brand)?,
                    None => request::query(payload, self.brand)?,
                };
                let replies = self.cells(question.clone(), queries).await?;
                return match query {
                    Some(query) => self.rows(replies, &query),
                    None => reply::answer(&question, replies, &self.names, self.k),
                };
            }
            Topic::Explain => return self.explain(payload, queries).await,
            Topic::Contributions => request::explain(payload, self.brand, self.currency)?,
            Topic::Retention => {
                let asked = retention_preview::At::read(payload)?;
                return retention_preview::answer(
                    queries,
                    self.brand,
                    &self.name,
                    &self.retention,
                    asked,
                )
                .await;
            }
            Topic::Rights => return self.submit(payload).await,
            Topic::Keys(_) => {
                let exchanges = self.exchanges.as_ref().ok_or_else(Refusal::stopping)?;
                return exchanges.answer(payload).await;
            }
        };
        let replies = queries
            .submit(question.clone())
            .await
            .ok_or_else(Refusal::stopping)?;
        reply::answer(&question, replies, &self.names, self.k)
    }

    /// The released cells that a question selects: of a partner its own alone.
    ///
    /// # Errors
    ///
    /// 503 while the worker stops.
    async fn cells(&self, question: Question, queries: &Queries) -> Result<Vec<Reply>, Refusal> {
        let replies = queries.submit(question).await;
        let replies = replies.ok_or_else(Refusal::stopping)?;
        Ok(match &self.partner {
            Some((_, sources)) => sources.own(replies),
            None => replies,
        })
    }

    /// The rows of a query over released cells, and a last line with the position of
    /// the next page.
    ///
    /// # Errors
    ///
    /// 400 for a position of another query.
    fn rows(&self, replies: Vec<Reply>, query: &CellQuery) -> Result<Vec<u8>, Refusal> {
        let mut cells = PublishedCells::default();
        for reply in replies {
            if let Reply::Cell(cell) = reply {
                cells.apply(&cell);
            }
        }
        let today = clock::day(jiff::Timestamp::now(), &self.zone);
        let answer = run(&cells, &self.name, query, today, self.k > 1)
            .map_err(|wrong| Refusal::bad(format!("`{}` {}", wrong.parameter, wrong.fix)))?;
        let next = reply::line(&serde_json::json!({ "next": answer.next }))?;
        Ok([ndjson(query, &answer).into_bytes(), next].concat())
    }

    /// Explains a cell from released cells.
    ///
    /// # Errors
    ///
    /// 400 or 403 for an invalid request, 503 while the worker stops.
    async fn explain(&self, payload: &[u8], queries: &Queries) -> Result<Vec<u8>, Refusal> {
        let own = self.currency.as_ref().map_or("", Currency::as_str);
        let asked = CellInQuestion::read(payload, own)?;
        let mut replies = Vec::new();
        for family in released::FAMILIES {
            let question = Question::Cells {
                brand: self.brand,
                family: Some(family),
            };
            let of_family = queries.submit(question).await;
            replies.extend(of_family.ok_or_else(Refusal::stopping)?);
        }
        reply::line(&asked.answer(replies))
    }

    /// Submits a rights request, and confirms that it waits.
    ///
    /// # Errors
    ///
    /// 400 for an invalid request, 503 without a broker.
    async fn submit(&self, payload: &[u8]) -> Result<Vec<u8>, Refusal> {
        let request = submit(&self.client, &self.name, payload.to_vec(), &[])
            .await
            .map_err(|error| match error {
                NotSubmitted::Refused(_) => Refusal::bad(error.to_string()),
                NotSubmitted::Broker(_) => Refusal::unavailable(error.to_string()),
            })?;
        let status = status::StatusMessage {
            brand: &self.name,
            id: &request.id,
            right: Some(request.asked.right()),
            status: Status::Pending,
            at: jiff::Timestamp::now().as_millisecond(),
            detail: None,
        };
        Ok((status.to_json() + "\n").into_bytes())
    }
}
