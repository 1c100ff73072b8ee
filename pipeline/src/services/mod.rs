//! The NATS micro service `tributary`: queries, explanations and rights requests, for each brand on subjects of its own.
//!
//! `tributary.query.<brand>`, `tributary.explain.<brand>`, `tributary.retention.<brand>` and
//! `tributary.rights-request.<brand>` are a brand's only doors. A rights request is answered as soon as the broker has it;
//! how it goes on is told on the status subject. A brand stands in the subject and never
//! in a request, so that the broker's permissions keep brands apart (I7). Any worker process answers for the
//! whole cluster, because a question goes through the dataflow like any input ([`crate::asks`]) and gathers its
//! parts from every worker. `tributary.keys.<brand>.<process>` is the operator's, and each process answers for itself
//! ([`crate::exchange`]). Requests are JSON ([`request`]), answers NDJSON ([`reply`]) in one message or in
//! several numbered ones ([`parts`]); [`client`] is the other end.
//!
//! Micro tells its statistics, the last error among them, to whoever may ask for them: no error text repeats
//! anything that stood in a request.

pub mod client;
pub mod going;
pub mod parts;
pub mod reply;
pub mod request;
mod schema;

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
use tokio::sync::watch;
use tokio::task::JoinSet;
use tributary_config::model::{Brand, Config};
use tributary_operators::currency;
use tributary_operators::record::{BrandId, Currency};
use tributary_rights::status::{self, Status};

use crate::asks::Asks;
use crate::exchange::Exchanges;
use crate::retention::Retention;
use crate::rights::submit::{NotSubmitted, submit};
use reply::Names;
use request::Refusal;

/// The name under which micro lists the service.
pub const NAME: &str = "tributary";

/// How long a question may take. Whoever asks waits a little longer, to hear of it.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How many requests a process answers at once; the others wait.
const AT_ONCE: usize = 16;

/// How long the last answers may take on their way out when the service stops.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What a brand may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Released cells.
    Query,
    /// Why two pseudonyms are one person, and why a cell is what it is.
    Explain,
    /// How much is past its retention at a time, or will be.
    Retention,
    /// A data subject's right, to be handed in.
    Rights,
    /// That one process exchanges its secrets; not for the brand.
    Keys(usize),
}

impl Topic {
    /// Those that any process answers for the whole cluster.
    pub const ALL: [Topic; 4] = [
        Topic::Query,
        Topic::Explain,
        Topic::Retention,
        Topic::Rights,
    ];

    /// The name of its endpoints.
    pub fn name(self) -> &'static str {
        match self {
            Topic::Query => "query",
            Topic::Explain => "explain",
            Topic::Retention => "retention",
            Topic::Rights => "rights",
            Topic::Keys(_) => "keys",
        }
    }

    /// Where a brand is asked: `tributary.query.<brand>`, `tributary.explain.<brand>`, `tributary.retention.<brand>`,
    /// `tributary.rights-request.<brand>`, `tributary.keys.<brand>.<process>`.
    pub fn subject(self, brand: &str) -> String {
        let word = match self {
            // The stream of rights captures what is below `tributary.rights`, unchecked.
            Topic::Rights => "rights-request",
            Topic::Query | Topic::Explain | Topic::Retention => self.name(),
            Topic::Keys(process) => return format!("tributary.keys.{brand}.{process}"),
        };
        format!("tributary.{word}.{brand}")
    }
}

/// Serves until `shutdown`. See [`Services::start`] and [`Services::run`].
///
/// # Errors
/// Where the broker does not take the subscriptions, or the connection is closed for good.
pub async fn serve(
    client: Client,
    config: Config,
    asks: Asks,
    exchanges: Exchanges,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    Services::start(client, &config, asks)
        .await?
        .exchanging(&config, exchanges)
        .await?
        .run(shutdown)
        .await
}

/// The service, listening.
pub struct Services {
    client: Client,
    service: Service,
    requests: SelectAll<Requests>,
    asks: Asks,
    answer_within: Duration,
}

type Requests = BoxStream<'static, (Arc<Desk>, Request)>;

impl Services {
    /// Announces the service and listens for every brand. When it returns, the broker knows all the
    /// subscriptions; requests wait until [`Services::run`].
    ///
    /// # Errors
    /// Where the broker does not take the subscriptions.
    pub async fn start(client: Client, config: &Config, asks: Asks) -> anyhow::Result<Services> {
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
                let desk = Desk::new(&client, topic, brand, config.release.k);
                requests.push(desk.open(&service).await?);
            }
        }
        heard(&client).await?;
        Ok(Services {
            client,
            service,
            requests,
            asks,
            answer_within: ANSWER_WITHIN,
        })
    }

    /// Listens for exchanges of this process's secrets, too.
    ///
    /// # Errors
    /// Where the broker does not take the subscriptions.
    pub async fn exchanging(
        mut self,
        config: &Config,
        exchanges: Exchanges,
    ) -> anyhow::Result<Services> {
        let topic = Topic::Keys(exchanges.process());
        for brand in &config.brands {
            let desk = Desk::new(&self.client, topic, brand, config.release.k);
            let desk = Desk {
                exchanges: Some(exchanges.clone()),
                ..desk
            };
            self.requests.push(desk.open(&self.service).await?);
        }
        heard(&self.client).await?;
        Ok(self)
    }

    /// Another limit than [`ANSWER_WITHIN`].
    pub fn answering_within(mut self, limit: Duration) -> Services {
        self.answer_within = limit;
        self
    }

    /// Answers until `shutdown`. Then it no longer takes requests, tells those that still wait that the worker
    /// stops (503: another one can answer), and returns when that is said.
    ///
    /// # Errors
    /// Where the connection is closed for good.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let Services {
            client,
            service,
            mut requests,
            asks,
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
                Some(done) = under_way.join_next() => told(done),
                next = requests.next(), if under_way.len() < AT_ONCE => {
                    let Some((desk, request)) = next else {
                        bail!("the connection to NATS was closed: queries can no longer be answered");
                    };
                    let (asks, stopping) = (asks.clone(), stopping.clone());
                    under_way.spawn(async move {
                        desk.serve(&request, &asks, answer_within, stopping).await
                    });
                }
            }
        }
        let _ = service.stop().await;
        let _ = stop.send(true);
        let last_words = async {
            while let Some((_, request)) = requests.next().await {
                told(Ok(refuse(&request, Refusal::stopping()).await));
            }
            while let Some(done) = under_way.join_next().await {
                told(done);
            }
            heard(&client).await
        };
        // Without a connection nobody hears them.
        let _ = tokio::time::timeout(LAST_WORDS, last_words).await;
        Ok(())
    }
}

/// Waits until the broker has taken in all that was sent on this connection: a flush only empties the client's
/// buffers. A request to a subject where nobody listens comes back from the broker itself, in its turn.
///
/// # Errors
/// Where the connection is closed. A login that may not publish there gets no answer, and is not waited for long.
async fn heard(client: &Client) -> anyhow::Result<()> {
    let request = async_nats::Request::new().timeout(Some(LAST_WORDS));
    match client.send_request(client.new_inbox(), request).await {
        Err(error) if error.kind() == RequestErrorKind::Other => {
            Err(error).context("the broker does not take the subscriptions of the NATS service")
        }
        _ => Ok(()),
    }
}

/// Says what went wrong with an answer; requests and answers themselves are never logged.
fn told(done: Result<Result<(), async_nats::PublishError>, tokio::task::JoinError>) {
    match done {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "cannot send an answer"),
        Err(_) => tracing::error!("a request was dropped because of an internal error"),
    }
}

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

/// Where one brand's requests on one topic are answered.
struct Desk {
    client: Client,
    topic: Topic,
    brand: BrandId,
    name: String,
    currency: Option<Currency>,
    names: Names,
    retention: Retention,
    k: u64,
    exchanges: Option<Exchanges>,
}

impl Desk {
    fn new(client: &Client, topic: Topic, brand: &Brand, k: u64) -> Desk {
        Desk {
            client: client.clone(),
            topic,
            brand: BrandId::of(&brand.name),
            name: brand.name.clone(),
            currency: currency::of(&brand.currency).map(|(currency, _)| currency),
            names: Names::of(brand),
            retention: Retention::of(brand),
            k,
            exchanges: None,
        }
    }

    /// Listens.
    async fn open(self, service: &Service) -> anyhow::Result<Requests> {
        let desk = Arc::new(self);
        let (topic, brand) = (desk.topic, &desk.name);
        let subject = topic.subject(brand);
        let name = match topic {
            Topic::Keys(process) => format!("keys-{brand}-{process}"),
            _ => format!("{}-{brand}", topic.name()),
        };
        let endpoint = service
            .endpoint_builder()
            .name(name)
            .metadata(schema::metadata(topic))
            .add(&subject)
            .await
            .map_err(|error| anyhow!(error))
            .with_context(|| format!("cannot listen on {subject}"))?;
        Ok(endpoint.map(move |request| (desk.clone(), request)).boxed())
    }

    /// Answers a request, with an answer or an error.
    async fn serve(
        &self,
        request: &Request,
        asks: &Asks,
        limit: Duration,
        mut stopping: watch::Receiver<bool>,
    ) -> Result<(), async_nats::PublishError> {
        if request.message.reply.is_none() {
            return Ok(());
        }
        let answer = tokio::select! {
            answer = self.answer(&request.message.payload, asks) => answer,
            () = tokio::time::sleep(limit) => Err(Refusal::too_slow(limit)),
            _ = stopping.wait_for(|stop| *stop) => Err(Refusal::stopping()),
        };
        match answer {
            Ok(answer) => parts::send(&self.client, request, &answer).await,
            Err(refusal) => refuse(request, refusal).await,
        }
    }

    async fn answer(&self, payload: &[u8], asks: &Asks) -> Result<Vec<u8>, Refusal> {
        let question = match self.topic {
            Topic::Query => request::query(payload, self.brand)?,
            Topic::Explain => request::explain(payload, self.brand, self.currency)?,
            Topic::Retention => {
                let asked = going::At::read(payload)?;
                return going::answer(asks, self.brand, &self.name, &self.retention, asked).await;
            }
            Topic::Rights => return self.submit(payload).await,
            Topic::Keys(_) => {
                let exchanges = self.exchanges.as_ref().ok_or_else(Refusal::stopping)?;
                return exchanges.answer(payload).await;
            }
        };
        let told = asks
            .ask(question.clone())
            .await
            .ok_or_else(Refusal::stopping)?;
        reply::answer(&question, told, &self.names, self.k)
    }

    /// Hands a rights request in, and says that it waits.
    async fn submit(&self, payload: &[u8]) -> Result<Vec<u8>, Refusal> {
        let request = submit(&self.client, &self.name, payload.to_vec())
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
        };
        Ok((status.to_json() + "\n").into_bytes())
    }
}
