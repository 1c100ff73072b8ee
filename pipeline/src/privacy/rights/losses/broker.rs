//! The comparison with the broker: published heads and receipts against list,
//! logs and ledger.

use std::collections::{BTreeMap, BTreeSet};

use tributary_connectors::nats::{self, Client};
use tributary_rights::audit::AuditLogContents;
use tributary_rights::suppression::ObjectionListContents;
use tributary_rights::tombstones::Tombstones;
use tributary_rights::{Head, LedgerWatermark, RequestKey};

use super::super::files::{self, is_registrar, log};
use super::super::published_heads::{PublishedHeads, subject};
use super::messages::{newest, receipts, waiting};
use super::search::{File, Search};
use crate::broker::retry::retry_transient;
use crate::privacy::objections::LIST;

impl Search<'_> {
    /// Compares list, tombstones and ledger with the heads that this process has published.
    ///
    /// Before the first objection nothing is compared: a ledger may then be
    /// deleted, and all messages read again.
    ///
    /// # Errors
    ///
    /// A broker that does not answer.
    pub async fn published_heads(
        &mut self,
        client: &Client,
        list: &File<ObjectionListContents>,
        tombstones: &File<Tombstones>,
    ) -> anyhow::Result<()> {
        let stream = &self.config.nats.rights_stream;
        let subject = subject(&self.config.workers.name());
        let newest = retry_transient(|| newest(client, stream, &subject)).await?;
        let by = format!("stream {stream}");
        let Some(message) = newest else {
            if self.found.is_named {
                let what = "no longer holds what this process has published there, nor requests that may have waited";
                self.lost(&by, what);
            }
            return Ok(());
        };
        let Ok(published) = serde_json::from_slice::<PublishedHeads>(&message.payload) else {
            let sequence = message.sequence;
            let what = format!("holds a damaged message of this process at sequence {sequence}");
            self.lost(&by, &what);
            return Ok(());
        };
        let by = format!("{by}, sequence {},", message.sequence);
        if let Some(erased) = &published.erased {
            self.compare_tombstones(tombstones, erased, &by);
        }
        // Where nobody has objected yet a ledger may be left behind, and all be read again.
        if published.objections.seq == 0 {
            return Ok(());
        }
        self.compare_list(list, &published.objections, &by);
        let file = self.manifest.display().to_string();
        match self.ledger {
            Some(here) => self.compare_ledger(&file, &here, &published.ledger, &by),
            None => self.lost(&file, &format!("is missing, but {by} names it")),
        }
        Ok(())
    }

    /// Compares the ledger with what the last renewal of this process's lease states
    /// of it.
    ///
    /// A missing ledger is not compared: it may be left behind, and all messages read
    /// again. Neither is that of a holder with another copy: a standby takes over
    /// with an older one than its leader's, and reads the rest again.
    ///
    /// # Errors
    ///
    /// A broker that does not answer.
    pub async fn lease(&mut self, client: &Client, copy: &str) -> anyhow::Result<()> {
        let Some(here) = self.ledger else {
            return Ok(());
        };
        let output = &self.config.nats.output_stream;
        let holders = retry_transient(|| nats::holders(client, output)).await?;
        let name = self.config.workers.name();
        let mut holders = holders.into_iter().map(|(holder, _)| holder);
        let Some(last) = holders.find(|holder| holder.name() == name) else {
            return Ok(());
        };
        let is_another_copy = !last.copy.is_empty() && last.copy != copy;
        if is_another_copy || last.ledger != data_encoding::HEXLOWER.encode(&here.id()) {
            return Ok(());
        }
        let stated = LedgerWatermark::new(here.id(), last.manifest, last.commits);
        let file = self.manifest.display().to_string();
        let by = format!(
            "the lease of process {name} (`nats kv get {} process-{name}`)",
            nats::leases_bucket(output)
        );
        self.compare_ledger(&file, &here, &stated, &by);
        Ok(())
    }

    /// Compares the empty list of a process that is new in its cluster with the
    /// list of process 0, which publishes its heads once every process has an
    /// objection on its list.
    ///
    /// # Errors
    ///
    /// A broker that does not answer.
    pub async fn list_of_process_0(
        &mut self,
        client: &Client,
        list: &File<ObjectionListContents>,
    ) -> anyhow::Result<()> {
        let stream = &self.config.nats.rights_stream;
        let is_empty = match list {
            File::Missing => true,
            File::Damaged => false,
            File::Read(list) => list.set().total() == 0,
        };
        if is_registrar(self.config) || !is_empty {
            return Ok(());
        }
        let subject = subject(&self.config.workers.name_of(0));
        let newest = retry_transient(|| newest(client, stream, &subject)).await?;
        let published = newest.and_then(|message| serde_json::from_slice(&message.payload).ok());
        if let Some(PublishedHeads { kept_out: 1.., .. }) = published {
            let what = format!(
                "keeps out nobody, but that of process 0 does (stream {stream}); copy the list of process 0 there"
            );
            self.lost(&self.path(LIST), &what);
        }
        Ok(())
    }

    /// Compares each log with the receipts at the broker. A completed request needs
    /// a receipt, or must still wait in the stream.
    ///
    /// # Errors
    ///
    /// A broker that does not answer.
    pub async fn receipts(
        &mut self,
        client: &Client,
        logs: &BTreeMap<String, File<AuditLogContents>>,
    ) -> anyhow::Result<()> {
        let stream = &self.config.nats.rights_stream;
        for brand in self.config.brands.iter() {
            let Some(of_brand) = logs.get(&brand.name) else {
                continue;
            };
            let keys = files::keys(brand);
            let read = match of_brand {
                File::Read(log) => Some(log),
                File::Missing | File::Damaged => None,
            };
            let receipts = retry_transient(|| receipts(client, stream, &keys, read)).await?;
            let name = log(&brand.name);
            let (accepted_at, accepted) = match read.and_then(|log| log.accepted) {
                Some((seq, head)) => (seq, Some(head)),
                None => (0, None),
            };
            let all = [receipts.newest, receipts.unknown, accepted];
            if let Some(head) = all.into_iter().flatten().max_by_key(|head| head.seq) {
                self.found.published.insert(brand.name.clone(), head);
            }
            let newest = receipts.newest.map_or(0, |head| head.seq);
            self.found.receipted.insert(brand.name.clone(), newest);
            let by = format!("a receipt of {} in stream {stream}", brand.name);
            let is_accepted = |head: &Head| accepted.is_some_and(|end| head.seq <= end.seq);
            if let Some(head) = receipts.unknown.filter(|head| !is_accepted(head)) {
                match of_brand {
                    File::Damaged => {}
                    File::Missing => self.compare(&name, None, &head, &by),
                    File::Read(log) => self.compare(&name, Some(&log.entries), &head, &by),
                }
            }
            let Some(log) = read else {
                continue;
            };
            let mut open: BTreeSet<RequestKey> =
                log.completed_after(newest.max(accepted_at)).collect();
            if open.is_empty() {
                continue;
            }
            let waiting = retry_transient(|| waiting(client, stream, &keys)).await?;
            open.retain(|request| !waiting.contains(request));
            if !open.is_empty() {
                let damaged = match receipts.damaged {
                    Some(sequence) => format!("; the message at sequence {sequence} is damaged"),
                    None => String::new(),
                };
                let what = format!(
                    "has no receipts for {} requests that {} records as completed{damaged}",
                    open.len(),
                    self.path(&name)
                );
                self.lost(&format!("stream {stream}"), &what);
            }
        }
        Ok(())
    }
}
