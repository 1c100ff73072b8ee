//! Stream: whether the rights stream is still the one of the start.
//!
//! It holds the requests that wait and the receipts of those that were answered, nowhere else. One that is deleted,
//! purged or made anew under a running worker has lost them. Were it made anew and used, the next start would find in
//! it what this process had published since, and might miss nothing. So the process answers no more requests, is not
//! ready and says why until it is started again; that start compares everything, and refuses what does not fit together
//! unless the loss is accepted.
//!
//! A stream whose settings no longer do is said as well, until it is set right.

use std::sync::Arc;
use std::time::Duration;

use tributary_connectors::nats::{self, NatsError, NatsErrorKind};

use super::published_heads::subject;
use crate::report::health::Health;

/// How long a round is.
const ROUND: Duration = Duration::from_secs(2);

/// So many rounds one after the other have to miss something: a server that has just started may not know all its
/// streams yet.
const ROUNDS: u32 = 3;

/// How the stream is found.
enum Look {
    Whole,
    /// It can no longer do its work.
    Unfit(String),
    /// What it held is lost.
    Lost(String),
}

/// The stream as it was at the start.
pub(super) struct Stream {
    pub config: tributary_config::model::Config,
    pub client: nats::Client,
    pub health: Arc<Health>,
    pub created_ns: i64,
}

impl Stream {
    /// Comes back, with the reason, when what the stream held is lost.
    pub(super) async fn lost(&self) -> String {
        let mut unfit = None;
        let mut missed = 0;
        loop {
            tokio::time::sleep(ROUND).await;
            let why = match self.look().await {
                Ok(Look::Whole) => None,
                Ok(Look::Unfit(why)) => Some(why),
                Ok(Look::Lost(why)) => {
                    missed += 1;
                    if missed == ROUNDS {
                        return why;
                    }
                    continue;
                }
                // That the broker is away is said elsewhere.
                Err(error) if error.is_transient() => continue,
                Err(error) => Some(error.to_string()),
            };
            missed = 0;
            if why != unfit {
                match &why {
                    Some(why) => tracing::error!("{why}"),
                    None => {
                        tracing::info!("the stream of rights requests is in order again")
                    }
                }
                self.health.set_rights(why.clone());
                unfit = why;
            }
        }
    }

    async fn look(&self) -> Result<Look, NatsError> {
        let name = &self.config.nats.rights_stream;
        match nats::stream_state(&self.client, name).await {
            Err(error) if error.kind() == NatsErrorKind::Stream => {
                return Ok(Look::Lost(format!("the stream {name} is missing")));
            }
            Err(error) => return Err(error),
            Ok(state) if state.created_ns != self.created_ns => {
                return Ok(Look::Lost(format!(
                    "the stream {name} is another one than before"
                )));
            }
            Ok(_) => {}
        }
        // This process has published its heads there when it started, and others in their place since.
        let heads = subject(self.config.workers.process);
        if !nats::has_messages(&self.client, name, &heads).await? {
            return Ok(Look::Lost(format!("the stream {name} was emptied")));
        }
        match nats::check_rights_stream(&self.client, &self.config.nats).await {
            Err(error) if error.kind() == NatsErrorKind::Stream => {
                Ok(Look::Unfit(error.to_string()))
            }
            judged => judged.map(|()| Look::Whole),
        }
    }
}

/// What an operator reads where the stream was lost.
pub(super) fn named(why: &str) -> String {
    format!(
        "{why}: the rights requests that waited in it and the receipts are lost, and no request is answered. Restore the \
         stream and start the worker again, or, to go on without what is lost, start it with: tributary run --accept-loss"
    )
}
