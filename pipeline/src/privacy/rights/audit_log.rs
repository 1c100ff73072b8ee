//! The keys and the audit log of one brand's rights requests; no other brand's
//! requests use them (invariant I7).

use std::path::Path;

use anyhow::Context;
use tributary_config::model::Brand;
use tributary_connectors::keys::BrandKey;
use tributary_operators::record::BrandId;
use tributary_rights::audit::{AppendError, AuditLog, Checkpoint, Event, RequestState};
use tributary_rights::{BrandKeys, Head, RequestKey, Right};

use super::files;

/// Keys and audit log of one brand.
pub struct BrandLog {
    /// ID of the brand, a hash of its name.
    pub brand: BrandId,
    /// Name of the brand in the configuration.
    pub name: String,
    /// Key of the pseudonyms of its persons.
    pub key: BrandKey,
    /// Keys of its requests, receipts and objections.
    pub keys: BrandKeys,
    /// Its audit log; `None` on a process that is not the registrar.
    log: Option<AuditLog>,
    /// Number of the last log entry whose receipt the broker has.
    receipted: u64,
}

impl BrandLog {
    /// Opens the log of a brand, or creates it. An unfinished last line, which a
    /// kill leaves, is removed.
    ///
    /// # Errors
    ///
    /// A log that cannot be read, or is damaged.
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

    /// Head of the log; `None` without a log.
    pub fn head(&self) -> Option<Head> {
        self.log.as_ref().map(AuditLog::head)
    }

    /// Appends a checkpoint: how far the ledger and the objection list are.
    ///
    /// # Errors
    ///
    /// An entry that cannot be written.
    pub fn checkpoint(&mut self, at: i64, checkpoint: Checkpoint) -> anyhow::Result<()> {
        if let Some(log) = &mut self.log {
            log.checkpoint(at, checkpoint)?;
        }
        Ok(())
    }

    /// The entry that completed a request, if its receipt is not known to be at the
    /// broker.
    pub fn unreceipted(&self, standing: &RequestState) -> Option<Head> {
        let missing = standing.seq > self.receipted;
        let log = self.log.as_ref().filter(|_| missing)?;
        log.head_at(standing.seq)
    }

    /// Notes that the broker has the receipt of this entry.
    pub fn receipted(&mut self, head: Head) {
        self.receipted = self.receipted.max(head.seq);
    }

    /// The recorded state of a request; `None` for an unknown request, and on a
    /// process without a log.
    pub fn standing(&self, key: RequestKey) -> Option<RequestState> {
        self.log.as_ref()?.find(key).copied()
    }

    /// Appends a step of a request durably and returns the new head; `None` without
    /// a log.
    ///
    /// # Errors
    ///
    /// A step that the request cannot make, or a file that cannot be written.
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
