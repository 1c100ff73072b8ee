//! Access of the commit task to its ledger: blocking work runs on a blocking
//! thread, and lack of disk space is retried.
//!
//! The ledger moves to the blocking thread and back, so that no lock is needed.

use std::time::Instant;

use anyhow::{Context, anyhow};
use tributary_connectors::nats::Fence;
use tributary_ledger::{Kind, Ledger, LedgerError, Position, WriteBatch};

use super::{Commits, PAUSE};

impl Commits {
    /// Has a lease state how far a ledger is durable.
    pub(super) fn state(lease: &Fence, ledger: &Ledger) {
        let durable = ledger.watermark();
        lease.set_durable(durable.ledger, durable.manifest, durable.commits);
    }

    /// Appends write batches and commits them at `position`.
    ///
    /// # Errors
    ///
    /// Any error of the ledger other than a full disk, which is retried.
    pub(super) async fn write(
        &mut self,
        pages: Vec<WriteBatch>,
        position: Position,
    ) -> anyhow::Result<()> {
        let begun = Instant::now();
        self.with_ledger(move |ledger| {
            for page in pages {
                ledger.append(page);
            }
            Ok(())
        })
        .await?;
        self.retry_while_full(move |ledger| ledger.commit(position))
            .await?;
        if let Some(ledger) = &self.ledger {
            let stats = ledger.stats();
            self.telemetry
                .metrics
                .committed(begun.elapsed(), stats.entries.total(), stats.bytes);
        }
        Ok(())
    }

    /// Runs `work` on the ledger, and repeats it every `PAUSE` while the disk is
    /// full. `/readyz` gives the reason until it succeeds.
    ///
    /// # Errors
    ///
    /// Any error of the ledger other than a full disk.
    pub(super) async fn retry_while_full<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Ledger) -> Result<T, LedgerError> + Clone + Send + 'static,
    ) -> anyhow::Result<T> {
        loop {
            let work = work.clone();
            let error = match self.with_ledger(move |ledger| Ok(work(ledger)?)).await {
                Ok(done) => {
                    self.telemetry.health.set_ledger(None);
                    return Ok(done);
                }
                Err(error) => error,
            };
            if !is_full(&error) {
                return Err(error);
            }
            tracing::error!(
                error = format!("{error:#}"),
                "the ledger is waiting for disk space"
            );
            self.telemetry.health.set_ledger(Some(format!("{error:#}")));
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Runs `work` on the ledger on a thread that may block.
    ///
    /// # Errors
    ///
    /// The error of `work`; an error if an earlier call has panicked and taken the
    /// ledger with it.
    pub(super) async fn with_ledger<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Ledger) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let mut ledger = self
            .ledger
            .take()
            .ok_or_else(|| anyhow!("the ledger thread has stopped"))?;
        let (mut ledger, done) = tokio::task::spawn_blocking(move || {
            let done = work(&mut ledger);
            (ledger, done)
        })
        .await?;
        self.telemetry
            .not_overwritten(ledger.take_not_overwritten());
        // Before the next change: what a standby copies and the lease states is never behind the manifest.
        self.extent.send_replace(ledger.extent());
        if let Some(lease) = &self.lease {
            Commits::state(lease, &ledger);
        }
        self.ledger = Some(ledger);
        done.context("the ledger")
    }
}

/// The kind of the ledger error at the root of an error, if there is one.
pub(super) fn kind(error: &anyhow::Error) -> Option<Kind> {
    error.downcast_ref::<LedgerError>().map(LedgerError::kind)
}

/// Whether an error means that the disk is full.
fn is_full(error: &anyhow::Error) -> bool {
    kind(error) == Some(Kind::Full)
}

/// Turns a lack of disk space into a value with its reason: the rewrite is retried
/// later.
///
/// # Errors
///
/// Any other error.
pub(super) fn unless_full<T>(compacted: anyhow::Result<T>) -> anyhow::Result<Result<T, String>> {
    match compacted {
        Err(error) if is_full(&error) => Ok(Err(format!("{error:#}"))),
        compacted => compacted.map(Ok),
    }
}
