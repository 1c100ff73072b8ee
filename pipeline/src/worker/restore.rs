//! Restore: the state of before a restart is fed into the dataflow again.
//!
//! The blocks of the ledger are fed as they are read, many per epoch, and the
//! worker threads decrypt them. Process 0 then feeds the published cells of all
//! brands. All of this belongs to epochs with small numbers, below those of any
//! clock. The last of them, `LAST`, has the same number on every process of the
//! cluster: when it is finished, every process has restored its state.
//!
//! The ledger contains no derived state. Sessions, identity graph, attribution
//! and cells are recomputed from the records, on any number of threads, by the
//! operators that process live input: there is no second code path that could
//! disagree with the first. The published cells are fed to compare them with
//! the recomputed ones, so that only differences are published after a restart.
//!
//! A standby has fed most blocks before it leads ([`crate::standby`]): the restore goes
//! on where it stopped.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;
use tokio::sync::mpsc;
use tributary_config::model::Config;
use tributary_connectors::nats::{self, Client, NatsError, OutgoingMessage};
use tributary_connectors::out::parse_cell;
use tributary_ledger::Recovery;
use tributary_operators::cell::Family;

use crate::broker::retry::retry_transient;
use crate::epochs::batch::{Batch, Restored};
use crate::otlp::spans::Work;
use crate::report::tally::Tally;
use crate::report::telemetry::Telemetry;
use crate::worker::publisher::PublisherCommand;
use crate::worker::threads::Workers;

/// Approximate number of ledger entries per epoch.
pub const ENTRIES: u64 = 20_000;

/// The first epoch of a restore.
pub const FIRST: u64 = 1;

/// Maximum number of published cells per epoch.
const CELLS: usize = 20_000;

/// The epoch that ends the restore: above all epochs of the restore, below
/// those of any clock.
const LAST: u64 = 1 << 32;

/// Restores the state, and returns the workers once every process has done so.
/// `now` is the time of this start in Unix milliseconds: a cell that was
/// released by a clock ahead of it counts as released now. `first` is the first epoch,
/// [`FIRST`] unless the workers have restored a part before.
///
/// With `again`, every message of the output stream is published once more, as it is. What another process has sent before it lost
/// its lease may arrive late, and the broker refuses that where a newer message stands: so nothing stands as it was.
///
/// # Errors
///
/// A damaged ledger, a broker that does not answer, or worker threads that have
/// stopped.
#[expect(clippy::too_many_arguments, reason = "the parts of a worker")]
pub async fn restore(
    client: &Client,
    config: &Config,
    recovered: Recovery,
    workers: Workers,
    telemetry: &Telemetry,
    tally: &Tally,
    out: &mpsc::UnboundedSender<PublisherCommand>,
    now: i64,
    first: u64,
    again: bool,
) -> anyhow::Result<Workers> {
    let begun = Instant::now();
    let (workers, mut epoch, entries) =
        tokio::task::block_in_place(|| ledger(recovered, workers, telemetry, first))?;
    let reading = Reading {
        client,
        config,
        workers: &workers,
        out,
        now,
        again,
    };
    epoch = reading.all(epoch, telemetry).await?;
    debug_assert!(epoch < LAST);
    let threads = config.workers.threads.max(1);
    let last = Batch {
        epoch: LAST,
        ..Batch::default()
    };
    if !workers.send(last) {
        bail!("the worker threads have stopped");
    }
    while tally.finished_before(threads) <= LAST && tally.unreadable().is_none() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // However fast the epochs went by, a block that could not be opened is missing from them.
    if let Some(error) = tally.unreadable() {
        bail!("the ledger cannot be read: {error}");
    }
    let took = begun.elapsed();
    telemetry.health.set_restoring(None);
    telemetry.metrics.restored(took, entries);
    let counts = [("entries", entries)];
    telemetry.traces.work(Work::Restore, begun, false, &counts);
    if entries > 0 {
        tracing::info!(entries, seconds = took.as_secs_f64(), "restored the ledger");
    }
    Ok(workers)
}

/// Feeds the salts and blocks of the ledger. Returns the next epoch, and the number of entries.
///
/// # Errors
///
/// A damaged block, or worker threads that have stopped.
fn ledger(
    mut recovered: Recovery,
    workers: Workers,
    telemetry: &Telemetry,
    mut epoch: u64,
) -> anyhow::Result<(Workers, u64, u64)> {
    let mut restored = Restored {
        salts: std::mem::take(&mut recovered.salts),
        ..Restored::default()
    };
    let (mut entries, mut total) = (0, 0);
    while let Some(block) = recovered.next_block()? {
        entries += block.entries();
        total += block.entries();
        restored.blocks.push(block);
        if entries >= ENTRIES {
            let (read, bytes) = (recovered.read_bytes(), recovered.total_bytes());
            let percent = read * 100 / bytes.max(1);
            let reason = format!("the ledger is being restored: {percent} % of {bytes} bytes");
            telemetry.health.set_restoring(Some(reason));
            send(&workers, epoch, std::mem::take(&mut restored))?;
            (epoch, entries) = (epoch + 1, 0);
        }
    }
    send(&workers, epoch, restored)?;
    Ok((workers, epoch + 1, total))
}

/// The reading of the output stream.
struct Reading<'a> {
    client: &'a Client,
    config: &'a Config,
    workers: &'a Workers,
    out: &'a mpsc::UnboundedSender<PublisherCommand>,
    /// The time of this start, Unix milliseconds.
    now: i64,
    /// Whether each message is published once more.
    again: bool,
}

impl Reading<'_> {
    /// Feeds the cells in the output stream, brand by brand, in process 0; in
    /// every process, states their sequences to the publisher. Returns the next
    /// epoch.
    ///
    /// # Errors
    ///
    /// A broker that does not answer.
    async fn all(&self, mut epoch: u64, telemetry: &Telemetry) -> anyhow::Result<u64> {
        let reason = "the output stream is being read, to tell only what differs";
        telemetry.health.set_restoring(Some(reason.to_owned()));
        let mut unreadable = 0u64;
        for brand in &self.config.brands {
            let subjects = format!("tributary.out.{}.>", brand.name);
            // What was put in before a failure is put in again, in later epochs, which changes nothing.
            let next = AtomicU64::new(epoch);
            unreadable += retry_transient(|| self.of_brand(&subjects, &next)).await?;
            epoch = next.into_inner();
        }
        if unreadable > 0 {
            tracing::warn!(
                messages = unreadable,
                "the output stream contains a message that is not a cell of this version"
            );
        }
        Ok(epoch)
    }

    /// Feeds the cells of one brand, beginning with the epoch `next`, and counts that up.
    /// Returns the number of messages that are not cells of this version.
    ///
    /// Feeding a cell twice, after a failed attempt, changes nothing; an epoch that was
    /// fed is never fed again.
    ///
    /// # Errors
    ///
    /// A broker that does not answer.
    async fn of_brand(&self, subjects: &str, next: &AtomicU64) -> Result<u64, NatsError> {
        let mut unreadable = 0;
        // What is published while the stream is read would be read as well, and published again without end.
        let mut again = Vec::new();
        let stream = &self.config.nats.output_stream;
        let mut values = nats::last_values(self.client, stream, subjects).await?;
        loop {
            let messages = values.next_batch(CELLS).await?;
            if messages.is_empty() {
                for message in again {
                    let _ = self.out.send(PublisherCommand::Again(message));
                }
                return Ok(unreadable);
            }
            let stored = messages.iter();
            let stored = stored.map(|message| (message.subject.to_string(), message.sequence));
            // Where nobody publishes any more the process ends.
            let _ = self.out.send(PublisherCommand::Stored(stored.collect()));
            if self.again {
                again.extend(messages.iter().map(OutgoingMessage::again));
            }
            if self.config.workers.process > 0 {
                continue;
            }
            let mut published = Vec::with_capacity(messages.len());
            for message in messages {
                let name = message.subject.split('.').nth(3).unwrap_or_default();
                let family = Family::of(name);
                match family.and_then(|family| parse_cell(family, &message.payload)) {
                    Some((cell, released)) => {
                        published.push((cell, released.min(self.now), message.standing()));
                    }
                    None => unreadable += 1,
                }
            }
            let restored = Restored {
                published,
                ..Restored::default()
            };
            let epoch = next.fetch_add(1, Ordering::Relaxed);
            // Workers that have stopped are noticed when restoring ends.
            let _ = tokio::task::block_in_place(|| send(self.workers, epoch, restored));
        }
    }
}

/// Sends restored state as one epoch.
///
/// # Errors
///
/// Worker threads that have stopped.
pub fn send(workers: &Workers, epoch: u64, restored: Restored) -> anyhow::Result<()> {
    let sent = workers.send(Batch {
        epoch,
        restored: Some(restored),
        ..Batch::default()
    });
    match sent {
        true => Ok(()),
        false => bail!("the worker threads have stopped"),
    }
}
