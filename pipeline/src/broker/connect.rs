//! The first connection of a worker: a broker that is not there yet is waited for.
//!
//! Machines start in any order. While the broker cannot be reached, the worker says so in its log and at `/readyz`, is
//! live, and tries again after a while that grows up to [`MOST`]. What waiting does not mend, such as credentials that
//! are refused, ends the worker at once.

use std::time::Duration;

use tributary_config::model::Nats;
use tributary_connectors::nats::{self, Client, NatsError};

use crate::report::health::Health;

/// How long it takes until it is tried again for the first time. It doubles each time.
const FIRST: Duration = Duration::from_millis(500);

/// The longest that it takes.
const MOST: Duration = Duration::from_secs(15);

/// Connects, and waits where there is no broker yet. Whoever starts the worker ends it by not waiting for this.
///
/// # Errors
/// What waiting does not mend.
pub async fn connect(nats: &Nats, health: &Health) -> Result<Client, NatsError> {
    let mut pause = FIRST;
    loop {
        let error = match nats::connect(nats, "tributary").await {
            Err(error) if error.is_transient() => error,
            connected => return connected,
        };
        let seconds = pause.as_secs_f64();
        tracing::warn!(%error, "waiting for the broker: the next attempt is in {seconds} s");
        health.set_restoring(Some(format!(
            "the worker is waiting for the broker: {error}"
        )));
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MOST);
    }
}
