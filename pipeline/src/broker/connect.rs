//! The first connection of a worker, which waits for a broker that is not
//! available yet.
//!
//! Machines start in any order. While the broker cannot be reached, the worker
//! reports this in its log and in `/readyz`, is live, and tries again after a
//! pause that doubles up to 15 seconds. An error that waiting does not resolve,
//! such as refused credentials, ends the worker at once.

use std::time::Duration;

use tributary_config::model::Nats;
use tributary_connectors::nats::{self, Client, NatsError};

use crate::report::health::Health;

/// Pause after the first failed attempt. It doubles with each further one.
const FIRST: Duration = Duration::from_millis(500);

/// Maximum pause between two attempts.
const MOST: Duration = Duration::from_secs(15);

/// Connects to the broker, and waits while it is not available. The caller ends
/// the wait by dropping the future.
///
/// # Errors
///
/// Errors that waiting does not resolve.
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
