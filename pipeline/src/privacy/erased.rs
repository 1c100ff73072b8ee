//! People who were erased lately: a backup of the ledger that is restored does not
//! bring them back.
//!
//! Before a ledger is rewritten without a person, tombstones of everything that
//! the rewrite looks for are on disk beside it ([`tributary_rights::tombstones`]).
//! A start that continues after an accepted loss rewrites the ledger, which may be
//! an older one, without what the tombstones cover. They cover only what had
//! arrived before the erasure, so that a person who returns is not touched, and
//! the rewrite may be repeated.
//!
//! The broker keeps copies, sealed ([`copies`](super::tombstone_copies)), from which
//! a start completes the file.
//!
//! Tombstones are kept for `ledger.backup_days`. The daily retention pass removes
//! those that are older.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use tributary_config::model::Config;
use tributary_ledger::EarlierIds;
use tributary_operators::event::Event;
use tributary_operators::record::{BrandId, IdSet};
use tributary_rights::tombstones::copies::Copied;
use tributary_rights::tombstones::{Reach, Tombstones};
use tributary_rights::{BrandKeys, Head, KeyLevel};

use crate::privacy::rights::files;

/// Name of the file.
pub const TOMBSTONES: &str = "erased";

/// The name by which a ledger records the level of the secret under which the tombstones of a brand are written.
pub fn level_name(brand: &str) -> String {
    format!("{TOMBSTONES}/{brand}")
}

/// The level of pseudonyms that have passed a number of links.
pub fn level_of(links: usize) -> KeyLevel {
    KeyLevel(u32::try_from(links).unwrap_or(u32::MAX))
}

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// The people who were erased from the ledger of this process.
pub struct Erased {
    /// Keys of the brands.
    keys: BTreeMap<BrandId, BrandKeys>,
    /// Their tombstones, locked during a change.
    tombstones: Mutex<Tombstones>,
    /// How long a tombstone is kept, milliseconds.
    kept: i64,
}

/// The path of the file of a process.
pub fn path(config: &Config) -> PathBuf {
    files::directory(config).join(TOMBSTONES)
}

impl Erased {
    /// Reads the tombstones of this process.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, was changed, or was written under another
    /// secret.
    pub fn open(config: &Config, path: &Path) -> anyhow::Result<Erased> {
        let keys: Vec<BrandKeys> = config.brands.iter().map(files::keys).collect();
        let mut tombstones =
            Tombstones::open(path, &keys).context("the tombstones of erased people")?;
        // From the first start with a newer secret on the older one writes nothing that counts.
        if !tombstones.is_under_newest() {
            let saved = tombstones.save();
            saved.context("the tombstones of erased people")?;
        }
        let brands = config.brands.iter();
        Ok(Erased {
            keys: brands
                .map(|brand| BrandId::of(&brand.name))
                .zip(keys)
                .collect(),
            tombstones: Mutex::new(tombstones),
            kept: i64::from(config.ledger.backup_days) * DAY,
        })
    }

    /// Removes the tombstones that are older than every backup. `now` is Unix
    /// milliseconds.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn remove_expired(&self, now: i64) -> anyhow::Result<()> {
        let mut tombstones = self
            .tombstones
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match tombstones.remove_before(now - self.kept) {
            0 => Ok(()),
            _ => tombstones.save().context("the tombstones of erased people"),
        }
    }

    /// How long a tombstone is kept, milliseconds; 0 for not at all.
    pub fn kept(&self) -> i64 {
        self.kept
    }

    /// Reads a copy of tombstones into `copied`, unless they have expired at `now`, Unix
    /// milliseconds.
    pub fn read_copy(&self, copy: &[u8], now: i64, copied: &mut Copied) {
        let tombstones = self
            .tombstones
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        tombstones.read_copy(copy, now - self.kept, copied);
    }

    /// Completes the tombstones from their copies. Returns the number of those that
    /// were missing, which are durable when this returns.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn join(&self, copied: &Copied) -> anyhow::Result<usize> {
        let mut tombstones = self
            .tombstones
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let entered = tombstones.join(copied);
        if entered > 0 {
            let saved = tombstones.save();
            saved.context("the tombstones of erased people")?;
        }
        Ok(entered)
    }

    /// Sealed copies of the tombstones that are in none yet, each with the time of the
    /// last erasure in it, Unix milliseconds. Whoever has stored them says so with
    /// [`Erased::set_copied`], before more are added.
    pub fn uncopied(&self) -> Vec<(i64, Vec<u8>)> {
        let tombstones = self
            .tombstones
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        tombstones.uncopied()
    }

    /// Notes that the copies of [`Erased::uncopied`] are stored.
    pub fn set_copied(&self) {
        let mut tombstones = self
            .tombstones
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        tombstones.set_copied();
    }

    /// Adds erased people of brands: for each brand, the pseudonyms as this process
    /// keys them, and tokens of devices. They are durable when this returns.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn add<'a>(
        &self,
        erased: impl IntoIterator<Item = (BrandId, &'a [u128], &'a [u128])>,
        reach: Reach,
    ) -> anyhow::Result<()> {
        if self.kept == 0 {
            return Ok(());
        }
        let mut tombstones = self
            .tombstones
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for (brand, ids, tokens) in erased {
            if let Some(keys) = self.keys.get(&brand) {
                tombstones.add(keys, keys.newest(), ids.iter().copied(), reach);
                tombstones.add(keys, KeyLevel::OLDEST, tokens.iter().copied(), reach);
            }
        }
        tombstones.save().context("the tombstones of erased people")
    }

    /// The head of the file, and the level under which the tombstones of each brand are written.
    pub fn head(&self) -> (Option<Head>, Vec<(String, KeyLevel)>) {
        let tombstones = self
            .tombstones
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let levels = tombstones.levels();
        let levels = levels.map(|(brand, level)| (brand.to_owned(), level));
        (tombstones.head(), levels.collect())
    }

    /// Whether an event of a ledger was erased. `earlier` holds its identifiers under older secrets: a tombstone is that of the
    /// pseudonym at the time of the erasure.
    pub fn covers(&self, event: &Event, earlier: &EarlierIds) -> bool {
        let tombstones = self
            .tombstones
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let of = |brand: &BrandId, level: Option<KeyLevel>, id: u128| {
            let keys = self.keys.get(brand)?;
            tombstones.find(keys, level.unwrap_or(keys.newest()), id)
        };
        let any = |brand: &BrandId, ids: &IdSet, reached: &dyn Fn(Reach) -> bool| {
            let earlier = earlier
                .iter()
                .map(|(level, ids)| (Some(level_of(*level)), ids));
            let mut all = [(None, ids)].into_iter().chain(earlier);
            all.any(|(level, ids)| {
                let mut ids = ids.ids().iter().flat_map(|id| [id.pseudonym, id.value]);
                ids.any(|id| of(brand, level, id).is_some_and(reached))
            })
        };
        match event {
            Event::Put {
                record,
                version,
                arrival,
                ..
            } => any(&record.brand, &record.ids, &|reach| {
                reach.covers(record, *version, *arrival)
            }),
            Event::Evidence { brand, ids, ts, .. } => any(brand, ids, &|reach| *ts <= reach.at),
            Event::TokenizedPing { ping } => {
                let reach = of(&ping.brand, Some(KeyLevel::OLDEST), ping.token.0);
                reach.is_some_and(|reach| ping.second.saturating_mul(1_000) <= reach.at)
            }
            Event::Ping { .. }
            | Event::Drop { .. }
            | Event::DropDevice { .. }
            | Event::SettledHour { .. }
            | Event::SettledDevices { .. }
            | Event::ClosedVisits { .. }
            | Event::UnmatchedStays { .. }
            | Event::SightingsSettled { .. }
            | Event::SaltDaysClosed { .. }
            | Event::LinkTime { .. }
            | Event::LabelName { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests;
