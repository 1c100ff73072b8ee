//! Policy filter: which records count, and for which uses.
//!
//! A record is *current* by its arrival ([`crate::upsert`]), and *admitted* by the policies of its identifiers. Withdrawals,
//! objections and renewals are therefore changes of a collection like any other: they retract what was admitted, and admit
//! it again.
//!
//! The rules, all of them functions of the current records as invariant I1 requires:
//!
//! - A record with any restricted identifier is excluded from all cells.
//! - The allowed uses are the intersection over all statements about its identifiers. If its source requires consent and
//!   there is no statement about its cookie (about any identifier, if it has no cookie), no use is allowed.
//! - A web record, and any record of a source that requires consent, needs [`Use::Hold`] to count at all.
//! - What a partner reports of a device needs a statement about that device, and its own uses
//!   ([`required_uses`](crate::record::Body::required_uses)), to count at all.
//! - Without [`Use::Credit`] a contact is not a touchpoint. Without [`Use::Join`] it is not joined with in-store
//!   transactions. Without [`Use::Link`] only one identifier of the record counts.
//! - A record without identifiers is always admitted.
//!
//! Records are grouped by their identifier set, so that one change of a policy finds all of them; [`crate::id_sets`] keeps them.
//! Its `set_policy` decides about a record, its `links` find the records whose links expire, and [`answers`] reads the contents for
//! questions.

mod answers;

use std::collections::BTreeMap;
use std::rc::Rc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::ask::labels;
use crate::current_settings::CurrentSettings;
use crate::delta_buffer::DeltaBuffer;
use crate::engine::{Diff, Epoch, KeyedOperator, Table, extrapolate};
use crate::hash_key::HashKey;
use crate::horizons::EarliestHeld;
use crate::id_sets::changes::{IdSetKey, OwnChanges};
use crate::id_sets::packed_records::{Part, key_bytes, pack, release, unpack};
use crate::id_sets::set_policy::{Admitted, UNRESTRICTED};
use crate::id_sets::store::{IdSets, SharedIdSets};
use crate::label_numbers::LabelNumbers;
use crate::label_uses::LabelUses;
use crate::policy::Policy;
use crate::record::{BrandId, IdSet, Pseudonym, Record, RecordKey};
use crate::routing::{Routed, route};
use crate::stats::Stats;

/// The input of [`PolicyFilter`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PolicyFilterIn {
    /// The current content of a key; it replaces the previous content with the same identifier set.
    Held(RecordKey, Box<Record>),
    /// The key no longer has a record with this identifier set.
    Removed(RecordKey, BrandId, u128),
    /// The reference time for the links of a brand, Unix milliseconds, for one worker (last field).
    LinkTime(BrandId, i64, u64),
    /// The policy of a member of an identifier set.
    Policy(BrandId, u128, Pseudonym, Policy),
}

/// A record without identifiers: its brand, and itself, packed.
type FreeRecord = (BrandId, Box<[u8]>);

/// The current content of a key, if any.
type Content = Option<Box<Record>>;

/// The updates of one identifier set in one epoch.
#[derive(Default)]
struct Changes {
    /// Contents by record key; `None` if the key no longer has a record of the set.
    records: Vec<(RecordKey, Content)>,
    /// Policies of members that are inserted or retracted.
    policies: Vec<(Pseudonym, Policy, Diff)>,
}

/// The operator. State: the current records, packed, grouped by identifier set.
pub struct PolicyFilter {
    settings: CurrentSettings,
    stats: Rc<Stats>,
    /// The records with identifiers.
    sets: SharedIdSets,
    /// The index of the worker.
    worker: u64,
    /// What the current epoch changes of the sets of its records.
    own: OwnChanges,
    /// The records without identifiers.
    free: Table<HashKey, FreeRecord>,
    /// The labels and channels of the records without identifiers.
    numbers: LabelNumbers,
    /// The age of the oldest records of each brand.
    oldest: BTreeMap<BrandId, EarliestHeld>,
    /// The labels of all records on this worker.
    uses: LabelUses,
    deltas: DeltaBuffer,
}

impl PolicyFilter {
    /// An operator of a worker, which has an index, without records.
    pub fn new(
        settings: CurrentSettings,
        stats: Rc<Stats>,
        sets: SharedIdSets,
        worker: u64,
    ) -> PolicyFilter {
        let mut filter = PolicyFilter {
            oldest: BTreeMap::new(),
            deltas: DeltaBuffer::default(),
            settings,
            stats,
            sets,
            worker,
            own: OwnChanges::default(),
            free: Table::default(),
            numbers: LabelNumbers::default(),
            uses: LabelUses::default(),
        };
        filter.add_brands();
        filter
    }

    /// Prepares for the brands of the current settings that are new.
    fn add_brands(&mut self) {
        let mut sets = self.sets.borrow_mut();
        for (brand, of) in &self.settings.brands {
            self.oldest.entry(*brand).or_default();
            if of.links_end() {
                sets.links.entry(*brand).or_default();
            }
        }
        self.deltas.change_settings(&self.settings);
    }

    /// Replaces a record without identifiers.
    fn replace_free(&mut self, key: RecordKey, content: Content, out: &mut Vec<(Routed, Diff)>) {
        let (of, numbers, new) = (key.0.into(), &mut self.numbers, content.as_deref());
        let held = match new {
            Some(record) => {
                let entry = pack(key, record, numbers).into();
                self.free.insert(of, (record.brand, entry))
            }
            None => self.free.remove(&of),
        };
        let old = held.as_ref().and_then(|of| unpack_free(of, numbers));
        if let Some((_, entry)) = &held {
            release(entry, numbers);
        }
        let old = old.as_ref();
        if old != new {
            hold_labels(&mut self.uses, old, new);
            let mut emit = Emitter::new(&self.stats, &mut self.deltas, &mut self.own, out);
            let admitted = Ok(UNRESTRICTED);
            emit.replace(
                old.map(|old| (old, &admitted)),
                new.map(|new| (new, &admitted)),
            );
        }
    }

    /// Moves the reference time for the links of a brand. Visits only the records whose links may change.
    fn set_link_time(&mut self, brand: BrandId, at: i64, out: &mut Vec<(Routed, Diff)>) {
        let settings = self.settings.brands.get(&brand);
        let IdSets {
            sets,
            numbers,
            links,
            table,
            ..
        } = &mut *self.sets.borrow_mut();
        let table = &*table.borrow();
        let Some((settings, links)) = settings.zip(links.get_mut(&brand)) else {
            return;
        };
        let (before, moved) = links.set_time(at, settings);
        self.stats.steps(moved.len() as u64);
        let mut emit = Emitter::new(&self.stats, &mut self.deltas, &mut self.own, out);
        for (set, key) in moved {
            let set = HashKey::from(set);
            let Some(of) = sets.get(&brand, &set) else {
                continue;
            };
            let ids = of.ids(table);
            let record = ids.and_then(|ids| of.record(key, (brand, &ids), numbers));
            if let Some(record) = record {
                let policy = of.policy(&record.ids);
                let was = policy.admit(&record, settings, before);
                let is = policy.admit(&record, settings, at);
                emit.readmit(&record, &was, &is);
            }
        }
    }

    /// Applies the changes of one identifier set.
    fn change(&mut self, key: IdSetKey, changes: Changes, out: &mut Vec<(Routed, Diff)>) {
        let Some(settings) = self.settings.brands.get(&key.0) else {
            return;
        };
        let IdSets {
            sets,
            numbers,
            links,
            table,
            ..
        } = &mut *self.sets.borrow_mut();
        let table = &mut *table.borrow_mut();
        let mut links = links.get_mut(&key.0);
        let at = links.as_ref().map_or(i64::MIN, |links| links.at());
        let mut emit = Emitter::new(&self.stats, &mut self.deltas, &mut self.own, out);
        let (uses, stats) = (&mut self.uses, &self.stats);
        let brand = key.0;
        sets.amend(brand, key.1, |set| {
            // Most updates change a single record and do not visit the others of its set.
            if !changes.policies.is_empty() {
                let ids = set.ids(table).unwrap_or_else(IdSet::empty);
                let was = set.policy(&ids);
                // A retraction may precede the insertion that it retracts; only the final state counts.
                let mut policies = changes.policies;
                policies.sort_unstable_by_key(|(_, _, diff)| *diff);
                for (id, policy, diff) in policies {
                    match diff > 0 {
                        true => drop(set.policies.insert(id.into(), policy)),
                        false => drop(set.policies.remove(&id.into())),
                    }
                }
                let is = set.policy(&ids);
                let of = (brand, Some(ids.clone()));
                for (record_key, seen) in set.unpacked(of, Part::WithoutId, numbers) {
                    stats.steps(1);
                    let before = was.admit(&seen, settings, at);
                    let now = is.admit(&seen, settings, at);
                    if before != now
                        && let Some(record) = set.record(record_key, (brand, &ids), numbers)
                    {
                        emit.readmit(&record, &before, &now);
                    }
                }
            }
            stats.steps(changes.records.len() as u64);
            for (record_key, content) in changes.records {
                let new = content.as_deref();
                if let Some(record) = new {
                    let number = &mut set.number;
                    number.get_or_insert_with(|| table.settle_here(brand, &record.ids));
                }
                let entry = new.map(|record| pack(record_key, record, numbers));
                let replaced = set
                    .records
                    .replace(&key_bytes(record_key), entry.as_deref());
                let old = replaced.as_ref().and_then(|entry| {
                    let ids = match new {
                        Some(record) => record.ids.clone(),
                        None => set.ids(table)?,
                    };
                    unpack(entry, (brand, &ids), Part::Whole, numbers)
                });
                if let Some(entry) = &replaced {
                    release(entry, numbers);
                }
                let old = old.as_ref();
                if let Some(links) = &mut links {
                    links.replace(record_key, old, new, settings);
                }
                let Some(one) = new.or(old).filter(|_| old != new) else {
                    continue;
                };
                hold_labels(uses, old, new);
                let policy = set.policy(&one.ids);
                let [was, is] =
                    [old, new].map(|record| Some((record?, policy.admit(record?, settings, at))));
                emit.replace(
                    was.as_ref().map(|(record, admitted)| (*record, admitted)),
                    is.as_ref().map(|(record, admitted)| (*record, admitted)),
                );
            }
            if set.records.is_empty()
                && let Some(number) = set.number.take()
            {
                table.leave(number);
            }
        });
    }
}

/// A record without identifiers.
fn unpack_free((brand, entry): &FreeRecord, numbers: &LabelNumbers) -> Option<Record> {
    unpack(entry, (*brand, &IdSet::empty()), Part::Whole, numbers)
}

/// Updates the label uses when a record replaces another.
fn hold_labels(uses: &mut LabelUses, old: Option<&Record>, new: Option<&Record>) {
    for (record, diff) in [(new, 1), (old, -1)] {
        let Some(record) = record else { continue };
        labels(record).for_each(|label| uses.add(record.brand, label, diff));
    }
}

/// Emits the parts of admitted records, and counts the records that are excluded or may not be credited. Each record is a
/// contributor of its own: what it retracts and emits again in one change cancels out.
struct Emitter<'a> {
    stats: &'a Stats,
    deltas: &'a mut DeltaBuffer,
    own: &'a mut OwnChanges,
    out: &'a mut Vec<(Routed, Diff)>,
}

impl<'a> Emitter<'a> {
    fn new(
        stats: &'a Stats,
        deltas: &'a mut DeltaBuffer,
        own: &'a mut OwnChanges,
        out: &'a mut Vec<(Routed, Diff)>,
    ) -> Emitter<'a> {
        Emitter {
            stats,
            deltas,
            own,
            out,
        }
    }

    /// Retracts the parts of one record and emits those of another, which is the same or replaces it.
    fn replace(&mut self, old: Option<(&Record, &Admitted)>, new: Option<(&Record, &Admitted)>) {
        for (admitted, diff) in [(old, -1), (new, 1)] {
            let Some((record, admitted)) = admitted else {
                continue;
            };
            match admitted {
                Err(reason) => self.stats.withheld(*reason, diff),
                Ok(admission) => {
                    if !admission.credit && record.body.contact().is_some() {
                        self.stats.uncredited(diff);
                    }
                    route(record, admission, diff, self.deltas, self.own, self.out);
                }
            }
        }
        self.deltas.end_contributor();
    }

    /// Emits the difference that another admission of the same record makes.
    fn readmit(&mut self, record: &Record, was: &Admitted, is: &Admitted) {
        if was != is {
            self.replace(Some((record, was)), Some((record, is)));
        }
    }
}

impl KeyedOperator for PolicyFilter {
    type In = PolicyFilterIn;
    type Out = Routed;
    const NAME: &'static str = "PolicyFilter";

    /// By the identifier set, so that one change of a policy reaches all records of the set.
    fn route(update: &PolicyFilterIn) -> u64 {
        match update {
            PolicyFilterIn::Held(key, record) => home(*key, record.ids.key()),
            PolicyFilterIn::Removed(key, _, set) => home(*key, *set),
            PolicyFilterIn::Policy(_, set, ..) => *set as u64,
            PolicyFilterIn::LinkTime(_, _, target) => *target,
        }
    }

    fn entries(&self) -> usize {
        self.sets.borrow().entries() + self.free.len() + self.uses.len() + self.numbers.len()
    }

    fn bytes(&self) -> usize {
        let free = self.free.sample().map(|(_, entry)| entry.len());
        let own = self.free.bytes() + extrapolate(self.free.len(), free);
        self.sets.borrow().bytes() + own + self.numbers.bytes()
    }

    fn apply_epoch(
        &mut self,
        epoch: Epoch,
        updates: Vec<(PolicyFilterIn, Diff)>,
        out: &mut Vec<(Routed, Diff)>,
    ) {
        if self.settings.take_change().is_some() {
            self.add_brands();
        }
        let mut changes: FxHashMap<IdSetKey, Changes> = FxHashMap::default();
        let mut times: BTreeMap<BrandId, i64> = BTreeMap::new();
        for (update, diff) in updates {
            if let PolicyFilterIn::Held(_, record) = &update
                && let Some(oldest) = self.oldest.get_mut(&record.brand)
            {
                oldest.note(record);
            }
            match update {
                PolicyFilterIn::Held(key, record) if record.ids.is_empty() => {
                    self.replace_free(key, Some(record), out);
                }
                PolicyFilterIn::Removed(key, _, 0) => self.replace_free(key, None, out),
                PolicyFilterIn::Held(key, record) => {
                    let set = (record.brand, record.ids.key().into());
                    let changes = changes.entry(set).or_default();
                    changes.records.push((key, Some(record)));
                }
                PolicyFilterIn::Removed(key, brand, set) => {
                    let changes = changes.entry((brand, set.into())).or_default();
                    changes.records.push((key, None));
                }
                PolicyFilterIn::Policy(brand, set, id, policy) => {
                    let changes = changes.entry((brand, set.into())).or_default();
                    changes.policies.push((id, policy, diff));
                }
                PolicyFilterIn::LinkTime(brand, at, _) => {
                    let time = times.entry(brand).or_insert(at);
                    *time = at.max(*time);
                }
            }
        }
        for (brand, at) in times {
            self.set_link_time(brand, at, out);
        }
        for (key, changes) in changes {
            self.change(key, changes, out);
        }
        let own = std::mem::take(&mut self.own);
        if !own.uses.is_empty() {
            out.push((Routed::OwnUses(self.worker), 1));
        }
        if !own.facts.is_empty() {
            out.push((Routed::OwnFacts(self.worker), 1));
        }
        self.sets.borrow_mut().add_changes(epoch, own);
        self.deltas
            .drain_into(|key, sums| Routed::Sum(Box::new((key, sums))), out);
        let used = self.uses.drain().into_iter();
        out.extend(used.map(|((brand, label), diff)| (Routed::LabelUse(brand, label), diff)));
    }
}

/// The routing hash: by identifier set, or by record key for records without identifiers.
fn home(key: RecordKey, set: u128) -> u64 {
    match set {
        0 => key.0 as u64,
        set => set as u64,
    }
}
