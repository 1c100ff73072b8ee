//! Agreement: the processes of a cluster compute with the same settings, or
//! none of them starts.
//!
//! Before a process connects to the others it publishes its settings; the
//! processes connect only if they have the same ([`super::peers`]). When they have
//! not, and before any record is fed, each reads what all have published. If
//! two differ, every process stops and names the setting. Which settings are compared says
//! [`crate::shared_settings`].
//!
//! Noise is drawn by the ID of a ledger, and each process has its own. All of
//! them use that of process 0, which is published with the settings: any worker
//! may publish any cell, and another number of workers moves cells.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use async_nats::jetstream;
use tributary_config::model::Config;
use tributary_connectors::nats::{self, Client, subject};
use tributary_connectors::settings::NoiseDraw;

use crate::broker::retry::retry_transient;
use crate::shared_settings::{Shared, difference, shared};

/// Maximum time that a process which has found a difference waits for the
/// others to find it as well.
const PATIENCE: Duration = Duration::from_secs(30);

/// Publishes the settings of this process and the ID of its ledger, in place of
/// those of an earlier run. Must precede the connection to the other processes.
///
/// # Errors
///
/// A broker that does not store them.
pub async fn publish(client: &Client, config: &Config, ledger: [u8; 16]) -> anyhow::Result<()> {
    if config.workers.hosts.len() <= 1 {
        return Ok(());
    }
    let name = config.workers.name();
    let stream = jetstream::new(client.clone())
        .get_stream_no_info(&config.nats.rights_stream)
        .await
        .context("cannot publish the settings of this process")?;
    // What an earlier run of this process has published says nothing about this one.
    for topic in [SETTINGS, READ] {
        let stale = subject::cluster_topic(topic, &name);
        let purged = stream.purge().filter(stale).await;
        purged.context("cannot delete the settings of an earlier run")?;
    }
    let mut all = shared(config);
    all.insert(LEDGER.to_owned(), hex(ledger));
    let text = serde_json::to_string(&all)?;
    say(client, SETTINGS, &name, text).await
}

/// The draw of noise of the whole cluster: the ID of the ledger of process 0.
/// `own` is that of this process. Waits for process 0 if any brand has noise.
///
/// What process 0 has published may be of an earlier run; [`compare`] finds a
/// ledger that was replaced since.
///
/// # Errors
///
/// A broker that does not answer.
pub async fn noise_draw(
    client: &Client,
    config: &Config,
    own: [u8; 16],
) -> anyhow::Result<NoiseDraw> {
    let is_alone = config.workers.hosts.len() <= 1 || config.workers.process == 0;
    if is_alone || !has_noise(config) {
        return Ok(NoiseDraw(own));
    }
    tracing::info!("waiting for the ledger ID of process 0, by which noise is drawn");
    loop {
        let all = published(client, config, SETTINGS).await?;
        if let Some(text) = all.get(&0) {
            let there: Shared = serde_json::from_str(text).unwrap_or_default();
            let id = there.get(LEDGER).and_then(|id| parse_hex(id));
            // Without an ID it is another version, which the comparison refuses.
            return Ok(NoiseDraw(id.unwrap_or_default()));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Whether any brand has noise.
fn has_noise(config: &Config) -> bool {
    let mut brands = config.brands.iter();
    brands.any(|brand| brand.noise.epsilon_thousandths.is_some())
}

/// An ID as 32 hexadecimal digits.
fn hex(id: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(id))
}

/// The ID of 32 hexadecimal digits.
fn parse_hex(text: &str) -> Option<[u8; 16]> {
    let number = u128::from_str_radix(text, 16).ok()?;
    (text.len() == 32).then_some(number.to_be_bytes())
}

/// Path of the ledger ID of a process among its settings. It differs between
/// processes and is not compared.
const LEDGER: &str = "ID of the ledger";

/// Interval between two looks for what process 0 has published.
const POLL: Duration = Duration::from_millis(200);

/// Topic of the settings of a process.
const SETTINGS: &str = "settings";
/// Topic on which a process confirms that it has read all settings.
const READ: &str = "settings_read";

/// Publishes a text on a topic of this process.
///
/// # Errors
///
/// A broker that does not store the message.
async fn say(client: &Client, topic: &str, process: &str, text: String) -> anyhow::Result<()> {
    let subject = subject::cluster_topic(topic, process);
    jetstream::new(client.clone())
        .publish(subject, text.into())
        .await
        .context("cannot publish the settings of this process")?
        .await
        .context("cannot publish the settings of this process")?;
    Ok(())
}

/// What each process of this cluster has published on a topic.
///
/// # Errors
///
/// A broker that does not answer.
async fn published(
    client: &Client,
    config: &Config,
    topic: &str,
) -> anyhow::Result<BTreeMap<usize, String>> {
    let filter = subject::cluster_topic(topic, "*");
    let stream = &config.nats.rights_stream;
    let mut values = retry_transient(|| nats::last_values(client, stream, &filter)).await?;
    let mut all = BTreeMap::new();
    loop {
        let batch = values.next_batch(1_000).await?;
        if batch.is_empty() {
            return Ok(all);
        }
        for message in batch {
            let process = message.subject.rsplit('.').next();
            if let Some(process) = process.and_then(|process| config.workers.index_of(process)) {
                let text = String::from_utf8_lossy(&message.payload).into_owned();
                all.insert(process, text);
            }
        }
    }
}

/// Compares the settings of all processes, or only those of one that has
/// published some. The comparison of all must follow the connection to the
/// other processes and precede every record. `draw` is the draw of noise that
/// this process uses.
///
/// # Errors
///
/// Two processes that differ, or a broker that does not answer.
pub async fn compare(
    client: &Client,
    config: &Config,
    draw: NoiseDraw,
    only: Option<usize>,
) -> anyhow::Result<()> {
    let processes = config.workers.hosts.len();
    if processes <= 1 {
        return Ok(());
    }
    let here = shared(config);
    let all = published(client, config, SETTINGS).await?;
    let process = config.workers.process;
    say(client, READ, &config.workers.name(), String::new()).await?;
    let others = (0..processes).filter(|other| *other != process);
    let is_meant = |other: &usize| match only {
        Some(only) => *other == only && all.contains_key(other),
        None => true,
    };
    for other in others.filter(is_meant) {
        let text = all.get(&other).map_or("{}", String::as_str);
        let mut there: Shared = serde_json::from_str(text)
            .with_context(|| format!("cannot read the settings of process {other}"))?;
        let ledger = there.remove(LEDGER);
        let is_other_draw = other == 0 && ledger != Some(hex(draw.0)) && has_noise(config);
        if is_other_draw && difference(&here, &there).is_none() {
            bail!(
                "process 0 has begun another ledger while this process {process} started, and noise is drawn by its \
                 ID. Start this process again"
            );
        }
        let Some((path, mine, theirs)) = difference(&here, &there) else {
            continue;
        };
        // A process that ends now would take the others down before they can say why.
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let read = published(client, config, READ).await?;
            // Whoever has published nothing has not begun, and finds out by itself.
            if all.keys().all(|process| read.contains_key(process)) {
                break;
            }
        }
        bail!(
            "process {other} has another setting than this process {process}: {path} is {theirs} there and {mine} \
             here. Give every process of the cluster the same configuration, secrets and build of the program, and start \
             all of them again"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_ledger_is_read_back() {
        for id in [[0; 16], [7; 16], [255; 16]] {
            assert_eq!(parse_hex(&hex(id)), Some(id));
        }
        assert_eq!(parse_hex("7"), None);
    }
}
