//! Objections: records of data subjects who have objected are refused before
//! anything stores them (GDPR, Article 21).
//!
//! The objection list contains keyed entries and nothing else of a person.
//! Every process keeps its own copy beside its ledger, on disk before an
//! objection is answered, and checks every record and ping: whatever names an
//! objector is discarded, counted, and written nowhere, not even to the dead
//! letters (invariant I3).
//!
//! A worker thread takes a snapshot of the list in every epoch and holds no
//! lock while it works. No objector is missed: after entering an objection, the
//! registrar queries the stored records of the person, in a later epoch than
//! all that had begun, and retracts those that were accepted under an older
//! snapshot.
//!
//! An objection is entered for the pseudonym that the process makes at the
//! time. After a key rotation, a record is still recognized by the pseudonyms
//! of its identifiers under the older secrets; pseudonyms of devices never
//! change.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use anyhow::Context;
use tributary_config::model::Config;
use tributary_operators::event::Event;
use tributary_operators::record::{BrandId, IdSet, Pseudonym};
use tributary_rights::suppression::{Record, SuppressionFile, SuppressionSet};
use tributary_rights::{BrandKeys, Head, KeyLevel, LedgerWatermark};

/// Name of the file.
pub const LIST: &str = "objections";

/// The objection list of this process.
pub struct Objections {
    /// Keys of the brands.
    keys: Arc<BTreeMap<BrandId, BrandKeys>>,
    /// The list in memory. It is replaced as a whole, and locked only while the
    /// pointer is copied.
    set: RwLock<Arc<SuppressionSet>>,
    /// The list on disk, locked during a change; `None` in a replay, which has no
    /// list.
    file: Mutex<Option<SuppressionFile>>,
}

impl Objections {
    /// An empty list without a file.
    pub fn nobody() -> Objections {
        Objections {
            keys: Arc::default(),
            set: RwLock::default(),
            file: Mutex::default(),
        }
    }

    /// Opens the list beside the ledger with this ID, in a directory that is
    /// created if it does not exist.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, is damaged, or was written under another secret.
    pub fn open(config: &Config, directory: &Path, ledger: [u8; 16]) -> anyhow::Result<Objections> {
        let keys: Vec<BrandKeys> = config
            .brands
            .iter()
            .map(crate::privacy::rights::files::keys)
            .collect();
        let path = directory.join(LIST);
        let opened = SuppressionFile::open(&path, &keys, ledger).context("the objection list")?;
        if opened.cut_bytes > 0 {
            tracing::warn!(
                bytes = opened.cut_bytes,
                "cut an unfinished record of the objection list; its request is answered again"
            );
        }
        let brands = config.brands.iter();
        let ids = brands.map(|brand| BrandId::of(&brand.name));
        Ok(Objections {
            keys: Arc::new(ids.zip(keys).collect()),
            set: RwLock::new(Arc::new(opened.set)),
            file: Mutex::new(Some(opened.file)),
        })
    }

    /// A snapshot of the list, which later objections do not change.
    pub fn snapshot(&self) -> ObjectionSnapshot {
        ObjectionSnapshot {
            keys: self.keys.clone(),
            set: self.set(),
        }
    }

    /// Head of the file; `None` without a file.
    pub fn head(&self) -> Option<Head> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.as_ref().map(SuppressionFile::head)
    }

    /// Closes the file, for whoever opens it next. The list goes on refusing, and nothing
    /// more is entered.
    pub fn close(&self) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        *file = None;
    }

    /// Number of identifiers on the list, over all brands.
    pub fn total(&self) -> u64 {
        self.set().total()
    }

    /// Records how far the ledger has advanced.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn mark(&self, ledger: &LedgerWatermark) -> anyhow::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let marked = file
            .as_mut()
            .map_or(Ok(()), |file| file.record_watermark(ledger));
        marked.context("the objection list")
    }

    /// The current list.
    fn set(&self) -> Arc<SuppressionSet> {
        let set = self.set.read().unwrap_or_else(PoisonError::into_inner);
        set.clone()
    }

    /// Enters objections of a brand at `at`, Unix milliseconds: `ids` as this
    /// process keys them, and devices. They are on disk when this returns, and in
    /// every snapshot from then on. Returns the number of new entries.
    ///
    /// # Errors
    ///
    /// A file that cannot be written; nothing is then entered.
    pub fn add(
        &self,
        brand: BrandId,
        ids: &[Pseudonym],
        devices: &[Pseudonym],
        at: i64,
    ) -> anyhow::Result<u64> {
        let Some(keys) = self.keys.get(&brand) else {
            return Ok(0);
        };
        let ids = ids.iter().map(|id| (keys.newest(), *id));
        let devices = devices.iter().map(|device| (KeyLevel::OLDEST, *device));
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.set();
        let all = ids.chain(devices);
        let fresh: Vec<Record> = all
            .filter(|(level, id)| !current.contains(keys, *level, *id))
            .filter_map(|(level, id)| Record::objected(keys, level, id, at))
            .collect();
        if let Some(file) = &mut *file {
            file.append(keys, &fresh).context("the objection list")?;
        }
        if fresh.is_empty() {
            return Ok(0);
        }
        let mut set = SuppressionSet::clone(&current);
        let entered = fresh.iter().filter(|record| set.apply(record)).count();
        if entered > 0 {
            let set = Arc::new(set);
            *self.set.write().unwrap_or_else(PoisonError::into_inner) = set;
        }
        Ok(entered as u64)
    }
}

/// A snapshot of the objection list.
pub struct ObjectionSnapshot {
    /// Keys of the brands.
    keys: Arc<BTreeMap<BrandId, BrandKeys>>,
    /// The list at the time of the snapshot.
    set: Arc<SuppressionSet>,
}

impl ObjectionSnapshot {
    /// Whether an event names a person who has objected. `earlier` holds its
    /// identifiers under older secrets, each with its level.
    pub fn refuses<'a>(
        &self,
        event: &Event,
        earlier: impl IntoIterator<Item = (KeyLevel, &'a IdSet)>,
    ) -> bool {
        let (brand, ids) = match event {
            Event::Put { record, .. } => (record.brand, &record.ids),
            Event::Evidence { brand, ids, .. } => (*brand, ids),
            Event::Ping { ping } => {
                let keys = self.keys.get(&ping.brand);
                return keys
                    .is_some_and(|keys| self.set.contains(keys, KeyLevel::OLDEST, ping.device));
            }
            Event::Drop { .. }
            | Event::TokenizedPing { .. }
            | Event::DropDevice { .. }
            | Event::SettledHour { .. }
            | Event::SettledDevices { .. }
            | Event::ClosedVisits { .. }
            | Event::UnmatchedStays { .. }
            | Event::SightingsSettled { .. }
            | Event::SaltDaysClosed { .. }
            | Event::LinkTime { .. }
            | Event::LabelName { .. } => return false,
        };
        let Some(keys) = self.keys.get(&brand) else {
            return false;
        };
        let any = |level: KeyLevel, ids: &IdSet| {
            let mut ids = ids.ids().iter();
            ids.any(|id| self.set.contains(keys, level, id.pseudonym))
        };
        any(keys.newest(), ids) || earlier.into_iter().any(|(level, ids)| any(level, ids))
    }
}
