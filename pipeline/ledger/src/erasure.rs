//! Erasure: removes everything that a filter covers, for thousands of requests at once.
//!
//! One rewrite removes every entry that the filter covers, however many requests it combines: each entry is looked up
//! once. The active segment is sealed first, so the rewrite covers all earlier commits; later commits are left to the
//! next one. A crash before the rewrite is installed leaves everything, a crash after it leaves nothing once the ledger
//! is opened again, and erasing twice is harmless. A request is complete when [`crate::Removal::run`] returns; after a
//! crash it is repeated until then.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use tributary_operators::event::Event;
use tributary_operators::record::{BrandId, Day, IdSet, Pseudonym, RecordKey, Token};

use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::rewrite::Rewrite;

/// What is to be forgotten. Debug output shows how much it is.
#[derive(Clone, Default)]
pub struct ErasureFilter {
    /// Every version of these records, and that they were dropped.
    pub records: FxHashSet<RecordKey>,
    /// That records were dropped, and what was dropped.
    pub dropped: bool,
    /// Every record of the brand that names one of these pseudonyms, made under any of the brand's secrets. That such
    /// a record was dropped stays, unless its key is named, too.
    pub pseudonyms: FxHashSet<(BrandId, Pseudonym)>,
    /// Every ping of the brand under one of these tokens.
    pub tokens: FxHashSet<(BrandId, Token)>,
    /// All evidence of the brand that is older, Unix milliseconds.
    pub evidence_before: FxHashMap<BrandId, i64>,
    /// All pings of the brand of earlier salt days: these have settled.
    pub pings_before: FxHashMap<BrandId, Day>,
}

impl std::fmt::Debug for ErasureFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forget")
            .field("records", &self.records.len())
            .field("dropped", &self.dropped)
            .field("pseudonyms", &self.pseudonyms.len())
            .field("tokens", &self.tokens.len())
            .finish()
    }
}

impl ErasureFilter {
    /// Whether an event is named here.
    pub fn covers(&self, event: &Event) -> bool {
        match event {
            Event::Put { key, record, .. } => {
                self.records.contains(key) || self.any(record.brand, &record.ids)
            }
            Event::Evidence { brand, ids, ts, .. } => {
                let before = self.evidence_before.get(brand);
                before.is_some_and(|before| ts < before) || self.any(*brand, ids)
            }
            // What it has superseded goes with it.
            Event::Drop { key, .. } => self.dropped || self.records.contains(key),
            Event::TokenizedPing { ping } => {
                let before = self.pings_before.get(&ping.brand);
                before.is_some_and(|before| ping.salt_day < *before)
                    || self.tokens.contains(&(ping.brand, ping.token))
            }
            Event::LabelName { .. }
            | Event::Ping { .. }
            | Event::DropDevice { .. }
            | Event::SettledHour { .. }
            | Event::SaltDaysClosed { .. }
            | Event::LinkTime { .. } => false,
        }
    }

    /// Whether any of a record's identifiers is named.
    fn any(&self, brand: BrandId, ids: &IdSet) -> bool {
        let named = |pseudonym| self.pseudonyms.contains(&(brand, pseudonym));
        let mut ids = ids.ids().iter();
        !self.pseudonyms.is_empty() && ids.any(|id| named(id.pseudonym) || named(id.value))
    }

    /// Adds what another one names.
    pub fn extend(&mut self, other: ErasureFilter) {
        self.records.extend(other.records);
        self.dropped |= other.dropped;
        self.pseudonyms.extend(other.pseudonyms);
        self.tokens.extend(other.tokens);
        for (brand, before) in other.evidence_before {
            let mine = self.evidence_before.entry(brand).or_insert(before);
            *mine = (*mine).max(before);
        }
        for (brand, before) in other.pings_before {
            let mine = self.pings_before.entry(brand).or_insert(before);
            *mine = (*mine).max(before);
        }
    }
}

impl Ledger {
    /// Begins a rewrite that leaves out what is named, and what is superseded anyway.
    ///
    /// # Errors
    ///
    /// Any of the disk; nothing is lost.
    pub fn erase(&mut self, mut forget: ErasureFilter) -> Result<Rewrite, LedgerError> {
        // The rewrite sees what the newest secret makes; whoever names a pseudonym may have an older one.
        let mut moved = FxHashSet::default();
        for (brand, pseudonym) in &forget.pseudonyms {
            let keys = self.keyring.of(*brand);
            let links = keys.map_or(0, |keys| keys.links());
            moved.extend((0..links).filter_map(|from| {
                let moved = keys?.chain().rekey_from(*pseudonym, from);
                Some((*brand, moved))
            }));
        }
        forget.pseudonyms.extend(moved);
        self.rewrite(Arc::new(move |event| !forget.covers(event)))
    }
}
