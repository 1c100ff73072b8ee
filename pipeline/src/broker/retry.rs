//! Waiting: for a flag, and for a broker that does not answer.
//!
//! Retries are plain loops. A retry library (`backon`) takes as many lines for the three that repeat one request
//! ([`retry_transient`], the first connection, the heads of a process at a start), because the limit counts the time of
//! the requests as well; and it cannot express the others, in which an attempt changes what the next one works on: the
//! position of a reader, the queue of a publisher, the ledger.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tributary_connectors::nats::NatsError;

use crate::report::health::Health;

/// For how long a request that fails with a transient error is retried.
pub const RETRY_LIMIT: Duration = Duration::from_secs(60);

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// Returns when the flag is true, or when its sender is dropped.
pub async fn wait_until(mut flag: watch::Receiver<bool>) {
    let _ = flag.wait_for(|set| *set).await;
}

/// Repeats a request to the broker while it fails with a transient error, for
/// [`RETRY_LIMIT`] at most.
///
/// # Errors
/// The first error that is not transient, or the last one at the limit.
pub async fn retry_transient<T, F>(mut request: impl FnMut() -> F) -> Result<T, NatsError>
where
    F: Future<Output = Result<T, NatsError>>,
{
    let begun = Instant::now();
    loop {
        match request().await {
            Err(error) if error.is_transient() && begun.elapsed() < RETRY_LIMIT => {
                tracing::warn!(%error, "retrying the query to the broker");
                tokio::time::sleep(PAUSE).await;
            }
            result => return result,
        }
    }
}

/// As [`retry_transient`], for a process that starts: its health says meanwhile what it waits for.
///
/// # Errors
/// As [`retry_transient`].
pub async fn retry_at_start<T, F>(
    health: &Health,
    mut request: impl FnMut() -> F,
) -> Result<T, NatsError>
where
    F: Future<Output = Result<T, NatsError>>,
{
    let reported = || {
        let request = request();
        async {
            let answer = request.await;
            if let Err(error) = &answer {
                health.set_restoring(Some(format!(
                    "the worker is waiting for the broker: {error}"
                )));
            }
            answer
        }
    };
    let answer = retry_transient(reported).await;
    health.set_starting();
    answer
}

/// Repeats what only the broker can make fail for now, without limit: a process that has changed half-way has nothing to go back to.
///
/// # Errors
///
/// Any other error.
pub async fn persistently<T, F>(mut attempt: impl FnMut() -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    loop {
        let error = match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let mut causes = error
            .chain()
            .filter_map(|of| of.downcast_ref::<NatsError>());
        if !causes.any(NatsError::is_transient) {
            return Err(error);
        }
        tracing::warn!(error = %format_args!("{error:#}"), "waiting for the broker");
        tokio::time::sleep(PAUSE).await;
    }
}
