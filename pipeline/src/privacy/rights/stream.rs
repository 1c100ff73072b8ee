//! Watch over the rights stream: whether it is still the one that the start
//! found.
//!
//! The stream alone holds the waiting requests and the receipts. If it is
//! deleted, purged or recreated under a running worker, they are lost. The next
//! start might not notice, because it would find in a recreated stream what
//! this process has published since. The process therefore stops answering, is
//! not ready and reports why until it is restarted; that start compares
//! everything and refuses to continue unless the loss is accepted.
//!
//! Settings of the stream that no longer permit its use are reported until they
//! are corrected.

use std::sync::Arc;
use std::time::Duration;

use tributary_connectors::nats::{self, NatsError, NatsErrorKind};

use super::published_heads::subject;
use crate::report::health::Health;

/// Interval between two checks.
const ROUND: Duration = Duration::from_secs(2);

/// So many rounds one after the other have to miss something: a server that has
/// just started may not know all its streams yet.
const ROUNDS: u32 = 3;

/// Result of one check.
enum Look {
    /// The stream is intact.
    Whole,
    /// The stream is intact, but its settings do not permit its use; the text gives
    /// the reason.
    Unfit(String),
    /// Its content is lost; the text gives the reason.
    Lost(String),
}

/// The rights stream as the start found it.
pub(super) struct Stream {
    pub config: tributary_config::model::Config,
    pub client: nats::Client,
    pub health: Arc<Health>,
    /// Its creation time, Unix nanoseconds.
    pub created_ns: i64,
}

impl Stream {
    /// Checks the stream until its content is lost, and returns the reason.
    /// `ROUNDS` checks in a row must agree.
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

    /// Checks the stream once: its creation time, that the heads of this process
    /// are in it, and its settings.
    ///
    /// # Errors
    ///
    /// A broker that does not answer. A missing stream is a result and not an
    /// error.
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
        let heads = subject(&self.config.workers.name());
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

/// The text about a lost stream for log and `/readyz`.
pub(super) fn named(why: &str) -> String {
    format!(
        "{why}: the rights requests that waited in it and the receipts are lost, and no request is answered. Restore the \
         stream and start the worker again, or, to go on without what is lost, start it with: tributary run --accept-loss"
    )
}
