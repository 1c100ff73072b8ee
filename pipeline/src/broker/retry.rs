//! Waiting: for a flag, and for a broker that does not answer.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tributary_connectors::nats::NatsError;

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
