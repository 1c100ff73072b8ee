//! Client of the service: queries a running worker, and collects the parts of
//! its answer.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use async_nats::service::{NATS_SERVICE_ERROR, NATS_SERVICE_ERROR_CODE};
use async_nats::{Client, Message, StatusCode};
use futures::StreamExt;
use tributary_config::model::{Brand, Config, Nats};
use tributary_connectors::nats;

use super::parts::{LAST, PART};
use super::{ANSWER_WITHIN, Topic};

/// Maximum time to wait for the next part of an answer: longer than the limit
/// of the worker.
pub const PATIENCE: Duration = ANSWER_WITHIN.saturating_add(Duration::from_secs(5));

/// Reason why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody is subscribed to the subject.
    #[error(
        "no worker answers on {0}: start one with `tributary run` on this broker and with this brand in its \
         configuration; `nats micro info tributary` lists those that run, and a worker's /readyz says whether it is ready"
    )]
    NoWorker(String),
    /// Nothing arrived within [`PATIENCE`].
    #[error(
        "no answer on {0} within {PATIENCE:?}: either the worker has stopped or is overloaded (its /readyz and log say so), or these \
         credentials may not ask there, which the broker's log says"
    )]
    Silence(String),
    /// The worker responded with an error.
    #[error("the worker refuses with {code}: {sentence}")]
    Refused {
        /// 400 for a bad request, 503 while the worker stops, 504 for too slow.
        code: u16,
        /// Its reason.
        sentence: String,
    },
    /// A part is missing.
    #[error("part {expected} of the answer is missing: ask again")]
    Gap {
        /// The number of the first part that did not come.
        expected: u64,
    },
    /// The connection failed.
    #[error("cannot ask on {subject}: {reason}")]
    Connection {
        /// Where it was to be asked.
        subject: String,
        /// What the client says.
        reason: String,
    },
}

/// Queries a running worker, and returns the whole answer: lines of JSON, each
/// with its line break.
///
/// # Errors
///
/// See [`AskError`].
pub async fn ask(
    client: &Client,
    topic: Topic,
    brand: &str,
    request: String,
) -> Result<Vec<u8>, AskError> {
    let subject = topic.subject(brand);
    let failed = |reason: &dyn std::fmt::Display| AskError::Connection {
        subject: topic.subject(brand),
        reason: reason.to_string(),
    };
    let inbox = client.new_inbox();
    let mut messages = client
        .subscribe(inbox.clone())
        .await
        .map_err(|error| failed(&error))?;
    client
        .publish_with_reply(subject.clone(), inbox, request.into())
        .await
        .map_err(|error| failed(&error))?;
    client.flush().await.map_err(|error| failed(&error))?;
    let mut answer = Answer::default();
    loop {
        match tokio::time::timeout(PATIENCE, messages.next()).await {
            Err(_) => return Err(AskError::Silence(subject)),
            Ok(None) => return Err(failed(&"the connection is closed")),
            Ok(Some(message)) => {
                if answer.take(&message, &subject)? {
                    return Ok(answer.bytes);
                }
            }
        }
    }
}

/// The parts of an answer so far.
#[derive(Default)]
struct Answer {
    /// Their payloads.
    bytes: Vec<u8>,
    /// Their number.
    parts: u64,
}

impl Answer {
    /// Adds a part; returns whether it is the last.
    ///
    /// # Errors
    ///
    /// [`AskError::NoWorker`], [`AskError::Refused`] and [`AskError::Gap`].
    fn take(&mut self, message: &Message, subject: &str) -> Result<bool, AskError> {
        if message.status == Some(StatusCode::NO_RESPONDERS) {
            return Err(AskError::NoWorker(subject.to_owned()));
        }
        let header = |name: &str| {
            let headers = message.headers.as_ref()?;
            headers.get(name).map(async_nats::HeaderValue::as_str)
        };
        if let Some(code) = header(NATS_SERVICE_ERROR_CODE) {
            return Err(AskError::Refused {
                code: code.parse().unwrap_or(500),
                sentence: header(NATS_SERVICE_ERROR).unwrap_or_default().to_owned(),
            });
        }
        let expected = self.parts + 1;
        if header(PART).and_then(|number| number.parse().ok()) != Some(expected) {
            return Err(AskError::Gap { expected });
        }
        self.parts = expected;
        self.bytes.extend_from_slice(&message.payload);
        Ok(header(LAST) == Some("true"))
    }
}

/// The broker, and the brand that a command concerns: from the configuration of a
/// worker, or from a client configuration, which has no secret.
pub struct Asker {
    /// The connection to the broker.
    pub nats: Nats,
    /// Name of the brand.
    pub name: String,
    /// The configuration of a worker, and the index of the brand.
    full: Option<(Config, usize)>,
}

impl Asker {
    /// Reads the configuration and finds the brand, which may be omitted if there
    /// is only one.
    ///
    /// # Errors
    ///
    /// An invalid configuration, an unknown brand, or several brands to choose
    /// from.
    pub fn load(config: &Path, brand: Option<&str>) -> anyhow::Result<Asker> {
        if let Some(client) = tributary_config::load_client(config)? {
            if let Some(wanted) = brand.filter(|wanted| *wanted != client.brand) {
                bail!(
                    "no brand {wanted:?} in the client configuration; it is for {}",
                    client.brand
                );
            }
            return Ok(Asker {
                nats: client.nats,
                name: client.brand,
                full: None,
            });
        }
        let config = crate::load(config)?;
        let position = position(&config, brand)?;
        let Some(brand) = config.brands.get(position) else {
            bail!("the configuration defines no brand");
        };
        Ok(Asker {
            nats: config.nats.clone(),
            name: brand.name.clone(),
            full: Some((config, position)),
        })
    }

    /// Whether the configuration is that of a client, whose credentials are those of
    /// the brand.
    pub fn is_client(&self) -> bool {
        self.full.is_none()
    }

    /// The configuration of a worker; `None` for that of a client.
    pub fn config(&self) -> Option<&Config> {
        self.full.as_ref().map(|(config, _)| config)
    }

    /// The settings of the brand.
    ///
    /// # Errors
    ///
    /// A client configuration.
    pub fn brand(&self) -> anyhow::Result<&Brand> {
        let brand = self
            .full
            .as_ref()
            .and_then(|(config, at)| config.brands.get(*at));
        brand.context(
            "a client configuration does not suffice: this needs the settings of the brand, from the configuration of a worker",
        )
    }

    /// Connects, and queries a running worker.
    ///
    /// # Errors
    ///
    /// A broker that cannot be reached; see [`AskError`].
    pub async fn ask(&self, topic: Topic, request: String) -> anyhow::Result<String> {
        let name = format!("tributary {}", topic.name());
        let client = nats::connect(&self.nats, &name).await?;
        let answer = ask(&client, topic, &self.name, request).await?;
        Ok(String::from_utf8(answer)?)
    }
}

/// Index of a brand by its name, or of the only one.
///
/// # Errors
///
/// An unknown name, or several brands to choose from.
fn position(config: &Config, brand: Option<&str>) -> anyhow::Result<usize> {
    let names: Vec<&str> = config.brands.iter().map(|b| b.name.as_str()).collect();
    let known = names.join(", ");
    match brand {
        Some(wanted) => match names.iter().position(|name| *name == wanted) {
            Some(position) => Ok(position),
            None => bail!("no brand {wanted:?} in the configuration; it has: {known}"),
        },
        None if names.len() == 1 => Ok(0),
        None => bail!("the configuration has several brands, choose one with --brand: {known}"),
    }
}
