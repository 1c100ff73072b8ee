//! The keys and the audit log of one brand's rights requests; no other brand's requests use them (invariant I7).

use std::path::Path;

use anyhow::Context;
use tributary_config::model::Brand;
use tributary_connectors::keys::BrandKey;
use tributary_operators::record::BrandId;
use tributary_rights::audit::{AppendError, AuditLog, Checkpoint, Event, RequestState};
use tributary_rights::{BrandKeys, Head, RequestKey, Right};

use super::files;

/// One brand's keys and log.
pub struct BrandLog {
    pub brand: BrandId,
    pub name: String,
    /// What keys the pseudonyms of its persons.
    pub key: BrandKey,
    /// What keys its requests.
    pub keys: BrandKeys,
    /// Its log; the registrar alone keeps one.
    log: Option<AuditLog>,
    /// Up to which entry of the log receipts are with the broker.
    receipted: u64,
}

impl BrandLog {
    /// Opens the log of a brand.
    ///
    /// # Errors
    /// Where it cannot be read, or is not what was written.
    pub fn open(
        brand: &Brand,
        directory: &Path,
        registrar: bool,
        receipted: u64,
    ) -> anyhow::Result<BrandLog> {
        let keys = files::keys(brand);
        let log = match registrar {
            false => None,
            true => {
                let opened = AuditLog::open(&directory.join("audit"), &keys)
                    .with_context(|| format!("the audit log of {}", brand.name))?;
                if opened.cut_bytes > 0 {
                    tracing::warn!(
                        brand = brand.name,
                        bytes = opened.cut_bytes,
                        "cut an unfinished line of the audit log; its step is taken again"
                    );
                }
                Some(opened.log)
            }
        };
        Ok(BrandLog {
            brand: BrandId::of(&brand.name),
            name: brand.name.clone(),
            key: BrandKey::new(brand),
            keys,
            log,
            receipted,
        })
    }

    /// Where the log ends; none where there is no log.
    pub fn head(&self) -> Option<Head> {
        self.log.as_ref().map(AuditLog::head)
    }

    /// Notes in the log how far the files beside it are.
    pub fn checkpoint(&mut self, at: i64, checkpoint: Checkpoint) -> anyhow::Result<()> {
        if let Some(log) = &mut self.log {
            log.checkpoint(at, checkpoint)?;
        }
        Ok(())
    }

    /// The entry that says that a request is completed, where its receipt is not with the broker yet.
    pub fn unreceipted(&self, standing: &RequestState) -> Option<Head> {
        let missing = standing.seq > self.receipted;
        let log = self.log.as_ref().filter(|_| missing)?;
        log.head_at(standing.seq)
    }

    /// The broker has the receipt of this entry.
    pub fn receipted(&mut self, head: Head) {
        self.receipted = self.receipted.max(head.seq);
    }

    /// How a request stands.
    pub fn standing(&self, key: RequestKey) -> Option<RequestState> {
        self.log.as_ref()?.find(key).copied()
    }

    /// Notes a step of a request, durably. The end of the chain, where there is a log.
    pub fn log(
        &mut self,
        at: i64,
        key: RequestKey,
        right: Right,
        event: Event,
    ) -> Result<Option<Head>, AppendError> {
        self.log
            .as_mut()
            .map(|log| log.append(at, key, right, event))
            .transpose()
    }
}
