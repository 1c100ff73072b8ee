//! A desk: what a brand has for its own rights requests, and no other brand (invariant I7).

use std::path::Path;

use anyhow::Context;
use tributary_config::model::Brand;
use tributary_connectors::keys::BrandKey;
use tributary_operators::record::BrandId;
use tributary_rights::audit::{AppendError, AuditLog, Event, Head, Standing};
use tributary_rights::{BrandKeys, RequestKey, Right};

/// One brand's keys and log.
pub struct Desk {
    pub brand: BrandId,
    pub name: String,
    /// What keys the pseudonyms of its persons.
    pub key: BrandKey,
    /// What keys its requests.
    pub keys: BrandKeys,
    /// Its log; the registrar alone keeps one.
    log: Option<AuditLog>,
}

impl Desk {
    /// Opens the log of a brand.
    pub fn open(brand: &Brand, directory: &Path, registrar: bool) -> anyhow::Result<Desk> {
        let keys = super::keys(brand);
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
        Ok(Desk {
            brand: BrandId::of(&brand.name),
            name: brand.name.clone(),
            key: BrandKey::new(brand),
            keys,
            log,
        })
    }

    /// How a request stands.
    pub fn standing(&self, key: RequestKey) -> Option<Standing> {
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
