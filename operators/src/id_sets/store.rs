//! The identifier sets of a worker: one table for the operators that change them, and the list of what they have not seen yet.
//!
//! The operators are not at the same epoch: the policy filter may be ahead while the graph is still at work. What it changed is
//! therefore listed by epoch ([`OwnChanges`]) until the others have seen it. The facts of a set as of an epoch are those that
//! follow from its records now, less what later epochs changed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::changes::{IdSetKey, OwnChanges};
use super::links::Links;
use super::packed_facts::PackedFacts;
use super::packed_records::{ByRecordKey, Part, key_bytes, key_of, unpack};
use super::set_policy::SetPolicy;
use super::support::Support;
use crate::delta_buffer::DeltaBuffer;
use crate::engine::{Diff, Epoch, GroupedState, State};
use crate::facts::{Fact, IdSetUse};
use crate::hash_key::HashKey;
use crate::identity::components::{NOBODY, Person};
use crate::label_numbers::LabelNumbers;
use crate::packed_runs::PackedRuns;
use crate::policy::Policy;
use crate::record::{BrandId, IdSet, Record, RecordKey};
use crate::routing::facts;
use crate::set_table::{SetTable, SharedSetTable};
use crate::settings::BrandSettings;
use crate::small_map::SmallMap;

/// An identifier set.
pub(crate) struct IdSetState {
    /// Its number in the table of sets, while there are records.
    pub(crate) number: Option<u32>,
    /// The current records.
    pub(crate) records: PackedRuns<ByRecordKey>,
    /// The members with a policy.
    pub(crate) policies: SmallMap<HashKey, Policy>,
    /// The admitted records that use the set.
    pub(super) support: Support,
    /// [`NOBODY`] as long as the graph has not assigned one, and if all identifiers are hubs.
    pub(super) person: Person,
    /// The facts that do not follow from the records of the set: sales, visits, and those of records that only link a part of
    /// their identifiers. A multiset.
    pub(super) others: PackedFacts,
}

impl Default for IdSetState {
    fn default() -> Self {
        IdSetState {
            number: None,
            records: PackedRuns::default(),
            policies: SmallMap::default(),
            support: Support::default(),
            person: NOBODY,
            others: PackedFacts::default(),
        }
    }
}

impl State for IdSetState {
    fn is_empty(&self) -> bool {
        self.records.is_empty()
            && self.policies.is_empty()
            && self.support.is_empty()
            && self.person == NOBODY
            && self.others.is_empty()
    }
}

impl IdSetState {
    /// The combined policy of the members; `ids` are its identifiers.
    pub(crate) fn policy(&self, ids: &IdSet) -> SetPolicy {
        SetPolicy::of(ids, &self.policies)
    }

    /// The identifiers of the set, while there are records.
    pub(crate) fn ids(&self, table: &SetTable) -> Option<IdSet> {
        Some(table.get(self.number?)?.1)
    }

    /// The current records of the set, whose identifiers are given, as far as they are unpacked.
    pub(crate) fn unpacked<'a>(
        &'a self,
        (brand, ids): (BrandId, Option<IdSet>),
        part: Part,
        numbers: &'a LabelNumbers,
    ) -> impl Iterator<Item = (RecordKey, Record)> {
        let entries = self.records.iter();
        entries.filter_map(move |entry| {
            let record = unpack(entry, (brand, ids.as_ref()?), part, numbers);
            Some((key_of(entry), record?))
        })
    }

    /// The current record of a key in the set, whose identifiers are given.
    pub(crate) fn record(
        &self,
        key: RecordKey,
        of: (BrandId, &IdSet),
        numbers: &LabelNumbers,
    ) -> Option<Record> {
        let entry = self.records.get(&key_bytes(key))?;
        unpack(entry, of, Part::Whole, numbers)
    }

    /// The facts that follow from the current records of the set, for the person of the set itself.
    pub(super) fn own_facts(
        &self,
        brand: BrandId,
        (settings, at): (&BrandSettings, i64),
        (table, numbers): (&SetTable, &LabelNumbers),
        deltas: &DeltaBuffer,
    ) -> (Vec<(Fact, Diff)>, u64) {
        let (mut own, mut records) = (Vec::new(), 0);
        let Some(ids) = self.ids(table) else {
            return (own, records);
        };
        let policy = self.policy(&ids);
        let of = (brand, Some(ids.clone()));
        for (_, record) in self.unpacked(of, Part::Whole, numbers) {
            records += 1;
            if let Ok(admission) = policy.admit(&record, settings, at) {
                facts(&record, &admission, deltas, |set, fact| {
                    if set == ids.key() {
                        own.push((fact, 1));
                    }
                });
            }
        }
        (own, records)
    }
}

/// The identifier sets of a worker.
#[derive(Default)]
pub struct IdSets {
    pub(crate) sets: GroupedState<BrandId, HashKey, IdSetState>,
    /// The identifiers of those with records.
    pub(crate) table: SharedSetTable,
    /// The labels and channels that packed records and facts use.
    pub(crate) numbers: LabelNumbers,
    /// The links that expire, of each brand with a limit.
    pub(crate) links: BTreeMap<BrandId, Links>,
    /// The changes that the operators behind the policy filter have not seen.
    changes: BTreeMap<Epoch, OwnChanges>,
}

/// The identifier sets of a worker, for its operators.
pub type SharedIdSets = Rc<RefCell<IdSets>>;

impl IdSets {
    /// Adds the changes of an epoch, if there are any.
    pub(crate) fn add_changes(&mut self, epoch: Epoch, changes: OwnChanges) {
        if !changes.uses.is_empty() || !changes.facts.is_empty() {
            self.changes.insert(epoch, changes);
        }
    }

    /// Takes the uses that an epoch changed.
    pub(super) fn take_uses(&mut self, epoch: Epoch) -> Vec<(IdSetUse, Diff)> {
        let Some(changes) = self.changes.get_mut(&epoch) else {
            return Vec::new();
        };
        let uses = std::mem::take(&mut changes.uses);
        if changes.facts.is_empty() {
            self.changes.remove(&epoch);
        }
        uses
    }

    /// Takes the facts that an epoch changed, which nothing else needs any more.
    pub(super) fn take_facts(&mut self, epoch: Epoch) -> Vec<(IdSetKey, Fact, Diff)> {
        let changes = self.changes.remove(&epoch);
        changes.map_or_else(Vec::new, |of| of.facts)
    }

    /// The facts of some sets that epochs after those that were taken changed.
    pub(super) fn later_facts(
        &self,
        of: &FxHashSet<IdSetKey>,
    ) -> FxHashMap<IdSetKey, Vec<(Fact, Diff)>> {
        let mut later: FxHashMap<IdSetKey, Vec<(Fact, Diff)>> = FxHashMap::default();
        if of.is_empty() {
            return later;
        }
        let all = self.changes.values().flat_map(|changes| &changes.facts);
        for (set, fact, diff) in all.filter(|(set, ..)| of.contains(set)) {
            later.entry(*set).or_default().push((fact.clone(), *diff));
        }
        later
    }

    /// The records of one identifier set.
    pub(crate) fn records_of(
        &self,
        brand: BrandId,
        set: u128,
        part: Part,
    ) -> impl Iterator<Item = (RecordKey, Record)> {
        let of = self.sets.get(&brand, &HashKey::from(set));
        let ids = of.and_then(|of| of.ids(&self.table.borrow()));
        of.into_iter()
            .flat_map(move |of| of.unpacked((brand, ids.clone()), part, &self.numbers))
    }

    /// The reference time of the links of a brand, Unix milliseconds.
    pub(crate) fn link_time(&self, brand: BrandId) -> i64 {
        self.links.get(&brand).map_or(i64::MIN, Links::at)
    }

    /// The number of sets, of expiring links, and of labels.
    pub(crate) fn entries(&self) -> usize {
        let links = self.links.values().map(Links::len);
        self.sets.len() + links.sum::<usize>() + self.numbers.len()
    }

    /// The estimated bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        let sets = self.sets.bytes(|of| {
            of.records.heap_bytes()
                + of.policies.heap_bytes(|_| 0)
                + of.support.heap_bytes()
                + of.others.heap_bytes()
        });
        sets + self.numbers.bytes()
    }
}
