//! Suppressed: who objected is refused at the door.
//!
//! The objection list holds keyed entries and nothing else of a person. Every process keeps its own copy beside its
//! ledger, on disk before an objection is answered, and looks at every record and ping before anything keeps it: what
//! names an objector is left out, counted, and written nowhere, not even among the dead letters (invariant I3).

use std::path::Path;
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};

use anyhow::Context;
use tributary_config::model::Config;
use tributary_operators::event::Event;
use tributary_operators::record::{BrandId, Pseudonym};
use tributary_rights::BrandKeys;
use tributary_rights::suppression::{Record, SuppressionFile, SuppressionSet};

/// The objection list of this process.
pub struct Suppressed {
    keys: Vec<BrandKeys>,
    set: RwLock<SuppressionSet>,
    /// None where nothing is kept: in a replay.
    file: Mutex<Option<SuppressionFile>>,
}

impl Suppressed {
    /// Nobody has objected, and nothing is kept.
    pub fn nobody() -> Suppressed {
        Suppressed {
            keys: Vec::new(),
            set: RwLock::default(),
            file: Mutex::default(),
        }
    }

    /// The list of a process, in a directory that is made where it is missing.
    ///
    /// # Errors
    /// Where the file cannot be read, or was written with another secret.
    pub fn open(config: &Config, directory: &Path) -> anyhow::Result<Suppressed> {
        let keys: Vec<BrandKeys> = config.brands.iter().map(crate::rights::keys).collect();
        let path = directory.join("objections");
        let opened = SuppressionFile::open(&path, &keys).context("the objection list")?;
        Ok(Suppressed {
            keys,
            set: RwLock::new(opened.set),
            file: Mutex::new(Some(opened.file)),
        })
    }

    /// Looks at what comes in, until the guard is gone.
    pub fn door(&self) -> SuppressedDoor<'_> {
        SuppressedDoor {
            keys: &self.keys,
            set: self.set.read().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Enters objections of a brand: on disk when it comes back, and refused at the door from then on. How many are
    /// new. `at` is Unix milliseconds.
    ///
    /// # Errors
    /// Where the disk does not take them; then none is entered.
    pub fn object(&self, brand: BrandId, ids: &[Pseudonym], at: i64) -> anyhow::Result<u64> {
        let Some(keys) = self.keys.get(usize::from(brand.0)) else {
            return Ok(0);
        };
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh: Vec<Record> = {
            let set = self.set.read().unwrap_or_else(PoisonError::into_inner);
            let ids = ids.iter().filter(|id| !set.contains(keys, **id));
            ids.map(|id| Record::objected(keys, *id, at)).collect()
        };
        if let Some(file) = &mut *file {
            file.append(keys, &fresh).context("the objection list")?;
        }
        let mut set = self.set.write().unwrap_or_else(PoisonError::into_inner);
        let entered = fresh.iter().filter(|record| set.apply(record)).count();
        Ok(entered as u64)
    }
}

/// The objection list as it stands.
pub struct SuppressedDoor<'a> {
    keys: &'a [BrandKeys],
    set: RwLockReadGuard<'a, SuppressionSet>,
}

impl SuppressedDoor<'_> {
    /// Whether an event names somebody who objected.
    pub fn refuses(&self, event: &Event) -> bool {
        let is = |brand: BrandId, id: Pseudonym| {
            let keys = self.keys.get(usize::from(brand.0));
            keys.is_some_and(|keys| self.set.contains(keys, id))
        };
        let any = |brand: BrandId, ids: &tributary_operators::record::IdSet| {
            ids.ids().iter().any(|id| is(brand, id.pseudonym))
        };
        match event {
            Event::Put { record, .. } => any(record.brand, &record.ids),
            Event::Evidence { brand, ids, .. } => any(*brand, ids),
            Event::Ping { ping, .. } => is(ping.brand, ping.device),
            Event::Drop { .. } | Event::Heard { .. } | Event::Word { .. } => false,
        }
    }
}
