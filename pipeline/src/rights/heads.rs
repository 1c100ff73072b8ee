//! Heads: the ledger, the objection list, the audit logs and the broker each name how far the others are.
//!
//! In an order that no kill can make a lie: whoever names a head does so after it is durable, so that a file is never
//! shorter than what is named of it. `losses` compares them at a start.
//!
//! 1. An objection is on the list; the ledger names the head of the list.
//! 2. The ledger has done its part; the list and the logs note how far it is.
//! 3. The log says that a request is completed; its receipt names the head of the log.
//! 4. The broker has the heads of this process; the ledger names the heads of the logs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use async_nats::jetstream;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tributary_connectors::nats::subject as subjects;
use tributary_ledger::{FileHead, FileHeads, Watermark};
use tributary_operators::record::BrandId;
use tributary_rights::audit::Checkpoint;
use tributary_rights::{Head, LedgerWatermark};

use super::losses::Found;
use super::{LOOK, Rights, Stopping, is_passing, now};
use crate::commits::Word;
use crate::start::PATIENCE;
use crate::suppressed::LIST;

/// What a process publishes of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PublishedHeads {
    pub ledger: LedgerWatermark,
    pub objections: Head,
    /// How many identifiers the list keeps out.
    pub kept_out: u64,
}

/// Where a process publishes its heads.
pub(super) fn subject(process: usize) -> String {
    subjects::cluster_topic("heads", &process.to_string())
}

/// How far a ledger is, as the other files note it.
pub fn mark(of: Watermark) -> LedgerWatermark {
    LedgerWatermark::new(of.ledger, of.manifest, of.commits)
}

/// The audit log of a brand, below the directory of the rights.
pub(super) fn log(brand: &str) -> String {
    format!("audit/{brand}.jsonl")
}

impl Rights {
    /// Names all heads everywhere at a start, so that they are compared from the next one on. A loss that was accepted is
    /// then in the past.
    pub(super) async fn bind_at_start(&mut self, found: &Found) -> anyhow::Result<()> {
        if !found.losses.is_empty() {
            let brands = self.desks.keys().copied().collect();
            let accepted = self.desks.values().map(|desk| {
                let published = found.published.get(&desk.name).copied();
                (desk.brand, published.unwrap_or(Head::new(0, [0; 32])))
            });
            let accepted = accepted.collect();
            self.bind(&brands, &accepted).await?;
        }
        // First: a ledger that names heads says that the broker has them, too.
        let begun = Instant::now();
        while let Err(error) = self.publish_heads().await {
            if !is_passing(&error) || begun.elapsed() > PATIENCE {
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

    /// Notes in the list, and in the logs of these brands, how far the ledger is.
    pub(super) async fn bind(
        &mut self,
        brands: &BTreeSet<BrandId>,
        accepted: &BTreeMap<BrandId, Head>,
    ) -> anyhow::Result<()> {
        self.name_heads().await?;
        self.suppressed.mark(&self.mark)?;
        let Some(objections) = self.suppressed.head() else {
            return Ok(());
        };
        let ledger = self.mark;
        for brand in brands {
            if let Some(desk) = self.desks.get_mut(brand) {
                let checkpoint = Checkpoint {
                    ledger,
                    objections,
                    accepted: accepted.get(brand).copied(),
                };
                desk.checkpoint(now(), checkpoint)?;
            }
        }
        Ok(())
    }

    /// Names the heads of the list and of the logs in the ledger.
    pub(super) async fn name_heads(&mut self) -> anyhow::Result<()> {
        let named = |head: Head| FileHead::new(head.seq, *head.hash.as_bytes());
        let mut heads = FileHeads::new();
        if let Some(head) = self.suppressed.head() {
            heads.insert(LIST.to_owned(), named(head));
        }
        for desk in self.desks.values() {
            if let Some(head) = desk.head() {
                heads.insert(log(&desk.name), named(head));
            }
        }
        let (done, is_named) = oneshot::channel();
        self.words
            .send(Word::Name(heads, done))
            .map_err(|_| Stopping)?;
        self.mark = mark(is_named.await.map_err(|_| Stopping)?);
        Ok(())
    }

    /// Publishes the heads of this process, in the place of those before.
    pub(super) async fn publish_heads(&self) -> anyhow::Result<()> {
        let Some(objections) = self.suppressed.head() else {
            return Ok(());
        };
        let heads = PublishedHeads {
            ledger: self.mark,
            objections,
            kept_out: self.suppressed.total(),
        };
        let subject = subject(self.config.workers.process);
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
