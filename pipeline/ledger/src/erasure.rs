//! Erasure: removes every entry that a filter covers, for thousands of requests
//! at once (GDPR, Article 17).
//!
//! One rewrite serves all requests that the filter combines: each entry is
//! looked up once. The active segment is sealed first, so that the rewrite
//! covers all earlier commits; later commits are left to the next one. A crash
//! before the rewrite is installed leaves everything; after it, nothing remains
//! once the ledger has been opened again. Erasing twice is harmless. A request
//! is complete when [`crate::Removal::run`] returns; after a crash it is
//! repeated until then.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use tributary_operators::event::Event;
use tributary_operators::reach::Reach;
use tributary_operators::record::{Body, BrandId, Day, IdSet, Pseudonym, RecordKey, Token};

use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::rewrite::Rewrite;

/// Describes the entries to erase. Debug output shows only how many conditions
/// there are.
#[derive(Clone, Default)]
pub struct ErasureFilter {
    /// Keys of records to erase: every version, and their drops.
    pub records: FxHashSet<RecordKey>,
    /// Whether to erase all drops together with the records that they dropped.
    pub dropped: bool,
    /// Every record of a brand that contains one of these pseudonyms, made under
    /// any secret of the brand, as far as the erasure of the pseudonym reaches, and all
    /// evidence. The drop of such a record stays unless its key is in
    /// [`ErasureFilter::records`].
    pub pseudonyms: FxHashMap<(BrandId, Pseudonym), Reach>,
    /// Every ping of a brand with one of these tokens.
    pub tokens: FxHashSet<(BrandId, Token)>,
    /// All evidence of a brand older than this time, Unix milliseconds.
    pub evidence_before: FxHashMap<BrandId, i64>,
    /// All pings of a brand on salt days before this one; these days are settled.
    pub pings_before: FxHashMap<BrandId, Day>,
    /// All sightings of a brand, and visits without tokens, on salt days before this
    /// one; these sightings are settled.
    pub sightings_before: FxHashMap<BrandId, Day>,
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
    /// Whether an event is to be erased.
    pub fn covers(&self, event: &Event) -> bool {
        match event {
            Event::Put {
                key,
                version,
                arrival,
                record,
            } => {
                let reached = |reach: &Reach| reach.covers(record, *version, *arrival);
                self.records.contains(key)
                    || self.any(record.brand, &record.ids, reached)
                    || matches!(record.body, Body::Sighting { salt_day, .. }
                        if self.is_settled(record.brand, salt_day))
            }
            Event::Evidence { brand, ids, ts, .. } => {
                let before = self.evidence_before.get(brand);
                before.is_some_and(|before| ts < before) || self.any(*brand, ids, |_| true)
            }
            // What it has superseded goes with it.
            Event::Drop { key, .. } => self.dropped || self.records.contains(key),
            Event::TokenizedPing { ping } => {
                let before = self.pings_before.get(&ping.brand);
                before.is_some_and(|before| ping.salt_day < *before)
                    || self.tokens.contains(&(ping.brand, ping.token))
            }
            Event::ClosedVisits { visits } => self.is_settled(visits.brand, visits.salt_day),
            Event::LabelName { .. }
            | Event::Ping { .. }
            | Event::DropDevice { .. }
            | Event::SettledHour { .. }
            | Event::SettledDevices { .. }
            | Event::UnmatchedStays { .. }
            | Event::SightingsSettled { .. }
            | Event::SaltDaysClosed { .. }
            | Event::LinkTime { .. } => false,
        }
    }

    /// Whether the sightings of a salt day are settled.
    fn is_settled(&self, brand: BrandId, salt_day: Day) -> bool {
        let before = self.sightings_before.get(&brand);
        before.is_some_and(|before| salt_day < *before)
    }

    /// Whether an identifier set contains one of the pseudonyms, and its erasure
    /// reaches that far.
    fn any(&self, brand: BrandId, ids: &IdSet, reached: impl Fn(&Reach) -> bool) -> bool {
        let named = |pseudonym| {
            let reach = self.pseudonyms.get(&(brand, pseudonym));
            reach.is_some_and(&reached)
        };
        let mut ids = ids.ids().iter();
        !self.pseudonyms.is_empty() && ids.any(|id| named(id.pseudonym) || named(id.value))
    }

    /// Adds a pseudonym of a brand, whose erasure reaches that far.
    pub fn erase_person(&mut self, of: (BrandId, Pseudonym), reach: Reach) {
        let mine = self.pseudonyms.entry(of).or_insert(reach);
        *mine = mine.join(&reach);
    }

    /// Adds the conditions of another filter. Of two times or days of a brand the
    /// later one applies.
    pub fn extend(&mut self, other: ErasureFilter) {
        self.records.extend(other.records);
        self.dropped |= other.dropped;
        for (of, reach) in other.pseudonyms {
            self.erase_person(of, reach);
        }
        self.tokens.extend(other.tokens);
        for (brand, before) in other.evidence_before {
            let mine = self.evidence_before.entry(brand).or_insert(before);
            *mine = (*mine).max(before);
        }
        for (mine, others) in [
            (&mut self.pings_before, other.pings_before),
            (&mut self.sightings_before, other.sightings_before),
        ] {
            for (brand, before) in others {
                let mine = mine.entry(brand).or_insert(before);
                *mine = (*mine).max(before);
            }
        }
    }
}

impl Ledger {
    /// Begins a rewrite without the entries that the filter covers, and without
    /// superseded entries.
    ///
    /// # Errors
    ///
    /// Any error of the disk; nothing is lost.
    ///
    /// # Example
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tributary_ledger::{ErasureFilter, Keyring, Ledger, Options, Position, WriteBatch};
    /// use tributary_operators::event::Event;
    /// use tributary_operators::record::{Arrival, BrandId, RecordKey};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let text = "[nats]\nurl = \"nats://127.0.0.1:4222\"\n\
    /// #     [[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_env = \"SECRET\"\n";
    /// # let environment = |name: &str| (name == "SECRET").then(|| "224ff3c627f30dd0f8e3fdb63bf28aa6".to_owned());
    /// # let config = tributary_config::parse_in(text, "tributary.toml".as_ref(), &environment)?.config;
    /// # let directory = tempfile::tempdir()?;
    /// let keyring = Arc::new(Keyring::new(&config));
    /// let (mut ledger, _) = Ledger::open(Options::new(directory.path()), keyring)?;
    /// let mut batch = WriteBatch::default();
    /// for key in [RecordKey(1), RecordKey(2)] {
    ///     batch.push(BrandId::of("acme"), &Event::Drop { key, arrival: Arrival::default() });
    /// }
    /// ledger.append(batch);
    /// ledger.commit(Position::default())?;
    ///
    /// let mut filter = ErasureFilter::default();
    /// filter.records.insert(RecordKey(1));
    /// let result = ledger.erase(filter)?.run(&mut |_done, _total| ())?;
    /// assert_eq!(result.erased.drop, 1);
    /// let removed = ledger.install(result)?.run()?;
    /// assert_eq!((removed.files, ledger.stats().entries.drop), (1, 1));
    /// # Ok(())
    /// # }
    /// ```
    pub fn erase(&mut self, mut forget: ErasureFilter) -> Result<Rewrite, LedgerError> {
        // The rewrite sees what the newest secret makes; whoever names a pseudonym may have an older one.
        let mut moved = Vec::new();
        for ((brand, pseudonym), reach) in &forget.pseudonyms {
            let keys = self.keyring.of(*brand);
            let links = keys.map_or(0, |keys| keys.links());
            moved.extend((0..links).filter_map(|from| {
                let moved = keys?.chain().rekey_from(*pseudonym, from);
                Some(((*brand, moved), *reach))
            }));
        }
        for (of, reach) in moved {
            forget.erase_person(of, reach);
        }
        self.rewrite(Arc::new(move |event, _| !forget.covers(event)))
    }
}
