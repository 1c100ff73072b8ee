//! Delta buffer: sums the contributions of one epoch to the cells before they are sent.
//!
//! An operator adds what each contributor gains and loses, one contributor after the other. A contribution that is retracted
//! and inserted again within an epoch cancels out here, so it is no change of its contributor, whoever else changes the same
//! cell, on any worker: the release gate counts the contributors that changed, and must not count this one. What a conversion
//! of an open source changes is nobody's change, and is summed apart from what the same contributor changes otherwise.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::aggregate::{Aggregate, CellKey};
use crate::cell_hash::cell_hash;
use crate::engine::Diff;
use crate::label::Label;
use crate::record::BrandId;
use crate::settings::Settings;

/// The largest capacity, in cells, that one contributor leaves to the next.
const MAX_IDLE_CAPACITY: usize = 256;

/// The changes of a cell.
struct Change {
    /// The [`cell_hash`] of the key, which is computed once for all tables.
    hash: u64,
    key: CellKey,
    sums: Aggregate,
    /// The number of verified and of open events of the contributor that the cell gains.
    events: [Diff; 2],
}

/// The changes of cells, by their keys.
type Changes = HashTable<Change>;

/// The change of a cell, which begins as nothing.
fn change(changes: &mut Changes, hash: u64, key: CellKey) -> &mut Change {
    let is_it = |held: &Change| held.hash == hash && held.key == key;
    match changes.entry(hash, is_it, |held| held.hash) {
        Entry::Occupied(held) => held.into_mut(),
        Entry::Vacant(vacant) => {
            let none = Change {
                hash,
                key,
                sums: Aggregate::default(),
                events: [0; 2],
            };
            vacant.insert(none).into_mut()
        }
    }
}

/// The contributions of one epoch to the cells, summed by cell. Every addition belongs to the current contributor, which
/// [`end_contributor`](DeltaBuffer::end_contributor) ends.
#[derive(Default)]
pub struct DeltaBuffer {
    /// The differences of all contributors that have ended.
    sums: Changes,
    /// The differences of the current contributor, by whether they count as its change.
    own: [Changes; 2],
    /// The number of cells of the last epoch, for which the next one reserves memory.
    last: usize,
    /// The brands whose months are released by the ladder.
    ladders: BTreeSet<BrandId>,
    /// The brands that count visits.
    visits: BTreeSet<BrandId>,
    /// The brands that count passes and redemptions.
    passes: BTreeSet<BrandId>,
    /// The brands that match sightings with visits.
    stays: BTreeSet<BrandId>,
    /// The brands that compare exposed and unexposed persons.
    panels: BTreeSet<BrandId>,
    /// The open sources of each brand that has any.
    open_sources: BTreeMap<BrandId, BTreeSet<Label>>,
}

impl DeltaBuffer {
    /// An empty buffer for some brands.
    pub fn new(settings: &Settings) -> DeltaBuffer {
        let mut deltas = DeltaBuffer::default();
        deltas.change_settings(settings);
        deltas
    }

    /// The same buffer for the brands of other settings. To be called between two epochs.
    pub fn change_settings(&mut self, settings: &Settings) {
        let brands = settings.brands.iter();
        let ladders = brands.clone().filter(|(_, of)| of.has_ladder());
        let visits = brands.clone().filter(|(_, of)| of.counts_visits());
        let passes = brands.clone().filter(|(_, of)| of.counts_passes());
        let stays = brands.clone().filter(|(_, of)| of.counts_stays());
        let panels = brands.clone().filter(|(_, of)| of.compares_exposure());
        let open = brands.filter(|(_, of)| !of.open_sources.is_empty());
        self.ladders = ladders.map(|(id, _)| *id).collect();
        self.visits = visits.map(|(id, _)| *id).collect();
        self.passes = passes.map(|(id, _)| *id).collect();
        self.stays = stays.map(|(id, _)| *id).collect();
        self.panels = panels.map(|(id, _)| *id).collect();
        self.open_sources = open
            .map(|(id, of)| (*id, of.open_sources.clone()))
            .collect();
    }

    /// Whether the months of a brand are released by the ladder, which takes conversions as [`CellKey::Sale`].
    pub fn has_ladder(&self, brand: BrandId) -> bool {
        self.ladders.contains(&brand)
    }

    /// Whether visits of a brand are counted; see [`BrandSettings::counts_visits`](crate::settings::BrandSettings::counts_visits).
    pub fn counts_visits(&self, brand: BrandId) -> bool {
        self.visits.contains(&brand)
    }

    /// Whether passes and redemptions of a brand are counted.
    pub fn counts_passes(&self, brand: BrandId) -> bool {
        self.passes.contains(&brand)
    }

    /// Whether sightings of a brand are matched with visits.
    pub fn counts_stays(&self, brand: BrandId) -> bool {
        self.stays.contains(&brand)
    }

    /// Whether the visits of exposed and unexposed persons of a brand are compared.
    pub fn compares_exposure(&self, brand: BrandId) -> bool {
        self.panels.contains(&brand)
    }

    /// Whether a record of a source puts persons into the panel. A ladder takes them for contributors, so that a source that
    /// anybody can write to does not count.
    pub fn is_in_panel(&self, brand: BrandId, source: Label) -> bool {
        let is_vouched = !self.has_ladder(brand) || !self.is_open(brand, source);
        self.compares_exposure(brand) && is_vouched
    }

    /// Whether anybody can write to a source of a brand.
    pub fn is_open(&self, brand: BrandId, source: Label) -> bool {
        let open = self.open_sources.get(&brand);
        open.is_some_and(|open| open.contains(&source))
    }

    /// Adds `count` times the sums to a cell, for the current contributor, whose change it is if the sums name any.
    pub fn add(&mut self, key: CellKey, sums: Aggregate, count: i64) {
        let [nobodys, own] = &mut self.own;
        let of = if sums.changed == 0 { nobodys } else { own };
        change(of, cell_hash(&key), key).sums.add(&sums, count);
    }

    /// Adds `count` events of the current contributor to a cell, each with the sums. `is_open` says that they are conversions of
    /// an open source. [`DeltaBuffer::end_member`] passes their number on.
    pub fn add_events(&mut self, key: CellKey, sums: Aggregate, is_open: bool, count: Diff) {
        let hash = cell_hash(&key);
        let [nobodys, own] = &mut self.own;
        let is_change = sums.changed != 0;
        if !is_change && !sums.is_zero() {
            change(nobodys, hash, key.clone()).sums.add(&sums, count);
        }
        let own = change(own, hash, key);
        own.events[usize::from(is_open)] += count;
        if is_change {
            own.sums.add(&sums, count);
        }
    }

    /// Ends the current contributor: what has not canceled out by now is a change by it.
    pub fn end_contributor(&mut self) {
        self.end_member(|_, _, _| [Aggregate::default(); 2]);
    }

    /// Ends the current contributor. For each cell that gained or lost verified or open events of it, `membership` gets the
    /// [`cell_hash`], the key and their numbers, and returns what follows for the cell and is nobody's change, and what is the
    /// contributor's.
    pub fn end_member(
        &mut self,
        mut membership: impl FnMut(u64, &CellKey, [Diff; 2]) -> [Aggregate; 2],
    ) {
        if self.sums.capacity() == 0 && self.own.iter().any(|of| !of.is_empty()) {
            self.sums.reserve(self.last, |held| held.hash);
        }
        let sums = &mut self.sums;
        let mut add = |hash, key, added: &[Aggregate]| {
            if added.iter().any(|added| !added.is_zero()) {
                let sum = change(sums, hash, key);
                added.iter().for_each(|added| sum.sums.add(added, 1));
            }
        };
        let [nobodys, own] = &mut self.own;
        for Change {
            hash, key, sums, ..
        } in nobodys.drain()
        {
            add(hash, key, &[sums]);
        }
        for Change {
            hash,
            key,
            mut sums,
            events,
        } in own.drain()
        {
            let mut of_nobody = Aggregate::default();
            if events != [0; 2] {
                let [nobodys, own] = membership(hash, &key, events);
                of_nobody = nobodys;
                if !own.is_zero() {
                    sums.add(&own, 1);
                }
            }
            if sums.is_zero() {
                // What cancels out is no change.
                sums.changed = 0;
            }
            add(hash, key, &[of_nobody, sums]);
        }
        for of in &mut self.own {
            // The cost of emptying a map grows with its capacity. No contributor must pay for a larger one before it.
            if of.capacity() > MAX_IDLE_CAPACITY {
                *of = Changes::default();
            }
        }
    }

    /// Takes the changes. Releases the buffer, whose memory the operators downstream may need.
    pub fn drain(&mut self) -> impl Iterator<Item = (CellKey, Aggregate)> + use<> {
        self.end_contributor();
        let sums = std::mem::take(&mut self.sums);
        self.last = sums.len();
        let sums = sums.into_iter();
        let sums = sums.filter(|of| !of.sums.is_zero() || of.sums.changed != 0);
        sums.map(|of| (of.key, of.sums))
    }

    /// Takes the changes and emits each as a row.
    pub fn drain_into<D>(
        &mut self,
        row: impl Fn(CellKey, Aggregate) -> D,
        out: &mut Vec<(D, Diff)>,
    ) {
        out.extend(self.drain().map(|(key, sums)| (row(key, sums), 1)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_contributor_takes_back_and_adds_again_is_no_change() {
        let key = CellKey::Identity { brand: BrandId(0) };
        let one = |who| Aggregate::of(&[1]).changed_by(who);
        let mut deltas = DeltaBuffer::default();
        deltas.add(key.clone(), one(1), -1);
        deltas.add(key.clone(), one(1), 1);
        deltas.end_contributor();
        assert_eq!(deltas.drain().count(), 0);
        // Two contributors that cancel out have both changed.
        deltas.add(key.clone(), one(1), -1);
        deltas.end_contributor();
        deltas.add(key.clone(), one(2), 1);
        let mut out = Vec::new();
        deltas.drain_into(|key, sums| (key, sums), &mut out);
        let both = Aggregate::default().changed_by(1).changed_by(2);
        assert_eq!(out, [((key, both), 1)]);
    }
}
