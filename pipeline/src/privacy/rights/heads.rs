//! Heads: ledger, objection list, tombstones, audit logs and broker each record the heads
//! of the others.
//!
//! A head is recorded only after it is durable, so that a kill at any point
//! leaves every file at least as long as its recorded head. `losses` compares
//! them at a start.
//!
//! 1. An objection is on the list; the ledger records the head of the list.
//! 2. The ledger has done its part; the list and the logs record its watermark.
//! 3. The log records that a request is completed; its receipt names the head
//!    of the log.
//! 4. The broker has the heads of this process; the ledger records the heads of
//!    the logs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use async_nats::jetstream;
use tokio::sync::oneshot;
use tributary_ledger::{FileHead, FileHeads};
use tributary_operators::record::BrandId;
use tributary_rights::Head;
use tributary_rights::audit::Checkpoint;

use super::files::log;
use super::losses::LossReport;
use super::published_heads::{PublishedHeads, mark, subject};
use super::task::{LOOK, Rights, is_passing};
use super::time::now;
use crate::broker::retry::RETRY_LIMIT;
use crate::durability::command::LedgerCommand;
use crate::epochs::queries::WorkerStopped;
use crate::privacy::erased::{TOMBSTONES, level_name};
use crate::privacy::objections::LIST;

impl Rights {
    /// Records all heads everywhere at a start, so that the next start can compare
    /// them. An accepted loss is then in the past: each log gets a checkpoint with
    /// the highest entry that was ever published.
    ///
    /// # Errors
    ///
    /// A stopped worker, or a broker that does not answer within `RETRY_LIMIT`.
    pub(super) async fn bind_at_start(&mut self, found: &LossReport) -> anyhow::Result<()> {
        if !found.losses.is_empty() {
            let brands = self.brand_logs.keys().copied().collect();
            let accepted = self.brand_logs.values().map(|brand_log| {
                let published = found.published.get(&brand_log.name).copied();
                (brand_log.brand, published.unwrap_or(Head::new(0, [0; 32])))
            });
            let accepted = accepted.collect();
            self.bind(&brands, &accepted).await?;
        }
        // First: a ledger that names heads says that the broker has them, too.
        let begun = Instant::now();
        while let Err(error) = self.publish_heads().await {
            if !is_passing(&error) || begun.elapsed() > RETRY_LIMIT {
                return Err(error);
            }
            tracing::warn!(
                error = format!("{error:#}"),
                "retrying to publish the heads of this process"
            );
            tokio::time::sleep(LOOK).await;
        }
        self.name_heads().await
    }

    /// Records the ledger's watermark in the list and in the logs of `brands`.
    /// `accepted` holds the heads of lost logs.
    ///
    /// # Errors
    ///
    /// A stopped worker, or a file that cannot be written.
    pub(super) async fn bind(
        &mut self,
        brands: &BTreeSet<BrandId>,
        accepted: &BTreeMap<BrandId, Head>,
    ) -> anyhow::Result<()> {
        self.name_heads().await?;
        self.objections.mark(&self.mark)?;
        let Some(objections) = self.objections.head() else {
            return Ok(());
        };
        let ledger = self.mark;
        for brand in brands {
            if let Some(brand_log) = self.brand_logs.get_mut(brand) {
                let checkpoint = Checkpoint {
                    ledger,
                    objections,
                    accepted: accepted.get(brand).copied(),
                };
                brand_log.checkpoint(now(), checkpoint)?;
            }
        }
        Ok(())
    }

    /// Records the heads of the list, the tombstones and the logs in the ledger's manifest.
    ///
    /// # Errors
    ///
    /// [`WorkerStopped`].
    pub(super) async fn name_heads(&mut self) -> anyhow::Result<()> {
        let named = |head: Head| FileHead::new(head.seq, *head.hash.as_bytes());
        let mut heads = FileHeads::new();
        if let Some(head) = self.objections.head() {
            heads.insert(LIST.to_owned(), named(head));
        }
        for brand_log in self.brand_logs.values() {
            if let Some(head) = brand_log.head() {
                self.telemetry.metrics.audit_head(&brand_log.name, head);
                heads.insert(log(&brand_log.name), named(head));
            }
        }
        let (erased, levels) = self.erased.head();
        if let Some(head) = erased {
            heads.insert(TOMBSTONES.to_owned(), named(head));
        }
        for (brand, level) in levels {
            let level = Head::new(level.0.into(), [0; 32]);
            heads.insert(level_name(&brand), named(level));
        }
        let (done, is_named) = oneshot::channel();
        self.ledger_tx
            .send(LedgerCommand::NameHeads(heads, done))
            .map_err(|_| WorkerStopped)?;
        self.mark = mark(is_named.await.map_err(|_| WorkerStopped)?);
        Ok(())
    }

    /// Publishes the heads of this process and deletes the previous message.
    ///
    /// # Errors
    ///
    /// A broker that does not store the message. A previous message that cannot be
    /// deleted is only logged.
    pub(super) async fn publish_heads(&self) -> anyhow::Result<()> {
        let Some(objections) = self.objections.head() else {
            return Ok(());
        };
        let heads = PublishedHeads {
            ledger: self.mark,
            objections,
            kept_out: self.objections.total(),
            erased: self.erased.head().0,
        };
        let subject = subject(&self.config.workers.name());
        let text = serde_json::to_string(&heads)?;
        self.publish(subject.clone(), text).await?;
        let stream = jetstream::new(self.client.clone())
            .get_stream_no_info(&self.config.nats.rights_stream)
            .await?;
        // What stays behind for a moment is passed over: the last one counts.
        if let Err(error) = stream.purge().keep(1).filter(subject).await {
            tracing::warn!(%error, "cannot delete the previous heads");
        }
        Ok(())
    }
}
