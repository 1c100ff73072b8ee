//! Gauges of waiting requests: their number, and the age of the oldest.
//!
//! The broker is the source, because a request waits there from its submission
//! until it is complete everywhere; requests that the worker has not read, or
//! cannot finish, are included. While the broker does not answer, the last
//! known number is kept and its age increases.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use tributary_config::model::Config;
use tributary_connectors::nats::{Client, subject as subjects};

use super::time::now;
use crate::report::metrics::Metrics;

/// Interval between two reads.
const EVERY: Duration = Duration::from_secs(5);

/// Updates the gauges forever; returns at once on a process that is not the
/// registrar.
pub async fn watch(config: Config, client: Client, metrics: Arc<Metrics>) {
    if config.workers.process != 0 {
        return;
    }
    // Of each brand how many wait, and when the oldest came, Unix milliseconds.
    let mut known = vec![(0, None); config.brands.len()];
    loop {
        for (brand, known) in config.brands.iter().zip(&mut known) {
            match waiting(&client, &config.nats.rights_stream, &brand.name).await {
                Ok(waiting) => *known = waiting,
                Err(error) => {
                    tracing::debug!(error = format!("{error:#}"), "counting rights requests");
                }
            }
            let (open, since) = *known;
            let oldest = since.map_or(0, |since| now().saturating_sub(since));
            let oldest = Duration::from_millis(oldest.try_into().unwrap_or(0));
            metrics.rights_waiting(&brand.name, open, oldest);
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Number of waiting requests of a brand, and the arrival of the oldest, Unix
/// milliseconds.
///
/// # Errors
///
/// A broker that does not answer.
async fn waiting(client: &Client, stream: &str, brand: &str) -> anyhow::Result<(u64, Option<i64>)> {
    let jetstream = async_nats::jetstream::new(client.clone());
    let stream = jetstream.get_stream_no_info(stream).await?;
    let subject = subjects::rights_requests(brand);
    let mut counts = stream.info_with_subjects(&subject).await?;
    let mut open = 0;
    while let Some((_, count)) = counts.try_next().await? {
        open += count as u64;
    }
    if open == 0 {
        return Ok((0, None));
    }
    let oldest = stream.get_first_raw_message_by_subject(&subject, 1).await?;
    let since = oldest.time.unix_timestamp_nanos() / 1_000_000;
    Ok((open, i64::try_from(since).ok()))
}
