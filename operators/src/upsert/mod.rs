//! Upsert: selects the current content of each record.
//!
//! Of all contents that arrive under one key, the one with the highest `(version, arrival)` is current. A maximum does not
//! depend on the epoch or worker in which a record arrives. The same content again changes nothing.
//!
//! Duplicates and corrections are distinguished here, in the order of arrival, by a hash of the current content. Statements
//! that are attached to records are neither ([`Record::is_attached`]).
//!
//! A retention pass evaluates the state at the end of an epoch, and its retractions arrive epochs later: records that
//! became current since then were not evaluated and stay.
//!
//! The contents themselves live in [`crate::policy_filter`], grouped by their identifier set; this operator keeps only
//! their location, and emits the current content of each key that an epoch changed. It sends statements about identifiers
//! (consent, rights), and the identifier sets in use, to [`crate::consent_state`].

mod current;

use std::collections::hash_map::Entry;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::consent_state::ConsentStateIn;
use crate::engine::{Diff, Epoch, KeyedOperator, KeyedState, State, table_bytes};
use crate::policy_filter::PolicyFilterIn;
use crate::record::{Arrival, BrandId, IdSet, Pseudonym, Record, RecordKey};
use crate::stats::Stats;
use current::Current;

/// An upsert or retraction of one key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RecordChange {
    /// The position in the order of arrival.
    pub arrival: Arrival,
    /// The key.
    pub key: RecordKey,
    /// The version and content that arrive; `None` retracts. Boxed once, so that records are not copied between
    /// operators.
    pub put: Option<(i64, Box<Record>)>,
}

/// The input of [`Upsert`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum UpsertIn {
    /// An upsert or retraction.
    Change(RecordChange),
    /// Retracts the record of a key that a retention pass evaluated at the end of an epoch. A record that changed
    /// since was not evaluated and stays.
    Expire(RecordKey, Epoch),
}

/// A record that was retracted because its retention period ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExpiredRecord {
    /// The brand.
    pub brand: BrandId,
    /// The key of the record.
    pub key: RecordKey,
    /// The first position in the order of arrival after the record and all records that it superseded: records of the
    /// key that arrived before it no longer count.
    pub behind: Arrival,
}

/// The output of [`Upsert`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum UpsertOut {
    /// A record was retracted because its retention period ended.
    Expired(ExpiredRecord),
    /// The current content of a key, or its removal.
    Record(PolicyFilterIn),
    /// A statement about an identifier, or its membership in an identifier set.
    Statement(ConsentStateIn),
    /// The changes of this epoch to these identifiers are one act: a statement names all of them, or a correction replaces
    /// some by others.
    Act(BrandId, Arc<[Pseudonym]>),
}

/// The change of a key within an epoch: its location before, and its content now.
struct KeyChange {
    /// Brand and identifier set before the epoch; `None` for a new key.
    before: Option<(BrandId, u128)>,
    /// The current record; `None` if the key has none any more.
    now: Option<Box<Record>>,
}

/// The keys that an epoch changed.
type KeyChanges = FxHashMap<RecordKey, KeyChange>;

/// The use of an identifier set on this worker.
#[derive(Default)]
struct SetUse {
    /// The number of current records with the set.
    records: u64,
    /// The identifiers, while there are records.
    ids: Option<IdSet>,
}

impl State for SetUse {
    fn is_empty(&self) -> bool {
        self.records == 0
    }
}

/// The operator. State: a few machine words for each key, and the identifier sets in use.
pub struct Upsert {
    /// The current record of each key.
    current: FxHashMap<RecordKey, Current>,
    /// The identifier sets in use.
    sets: KeyedState<(BrandId, u128), SetUse>,
    stats: Rc<Stats>,
}

impl Upsert {
    /// An operator without records.
    pub fn new(stats: Rc<Stats>) -> Upsert {
        Upsert {
            current: FxHashMap::default(),
            sets: KeyedState::default(),
            stats,
        }
    }

    /// Applies an upsert or retraction.
    fn apply(
        &mut self,
        change: RecordChange,
        epoch: Epoch,
        key_changes: &mut KeyChanges,
        out: &mut Vec<(UpsertOut, Diff)>,
    ) {
        let RecordChange { arrival, key, put } = change;
        let Some((version, record)) = put else {
            let current = self.current.get(&key);
            if current.is_some_and(|current| arrival > current.arrival()) {
                self.remove(key, key_changes, out);
            }
            return;
        };
        match self.current.entry(key) {
            Entry::Vacant(vacant) => {
                let current = vacant.insert(Current::new(version, arrival, epoch, &record));
                if current.is_statement() {
                    emit_act(record.brand, [Some(&record.ids), None], out);
                }
                current.emit_statement(1, UpsertOut::Statement, out);
                self.stats.held(current.count());
                add_set_use(&mut self.sets, &record, out);
                set_content(key_changes, key, None, Some(record));
            }
            Entry::Occupied(entry) => {
                let current = entry.into_mut();
                if (version, arrival) <= (current.version, current.arrival()) {
                    current.newest = arrival.message.max(current.newest);
                    match record.is_attached() {
                        true => self.stats.repeated_statements(),
                        // The broker delivered the current record again.
                        false if arrival == current.arrival() => self.stats.duplicate(),
                        false => self.stats.superseded(),
                    }
                    return;
                }
                let mut new = Current::new(version, arrival, epoch, &record);
                new.newest = current.newest.max(new.newest);
                let old = std::mem::replace(current, new);
                if old.set != current.set || current.states_other_than(&old) {
                    let set = self.sets.get(&(old.brand, old.set));
                    let before = set.and_then(|set| set.ids.as_ref());
                    emit_act(record.brand, [before, Some(&record.ids)], out);
                }
                add_set_use(&mut self.sets, &record, out);
                remove_set_use(&mut self.sets, (old.brand, old.set), out);
                old.emit_statement(-1, UpsertOut::Statement, out);
                current.emit_statement(1, UpsertOut::Statement, out);
                self.stats.held(current.count() - old.count());
                let is_same = (old.version, old.content) == (version, current.content);
                match (record.is_attached(), is_same) {
                    (true, _) => self.stats.repeated_statements(),
                    (false, true) => self.stats.duplicate(),
                    (false, false) => self.stats.correction(),
                }
                let before = Some((old.brand, old.set));
                set_content(key_changes, key, before, Some(record));
            }
        }
    }

    /// Retracts the record of a key if it has been current since `as_of` or earlier.
    fn expire(
        &mut self,
        key: RecordKey,
        as_of: Epoch,
        key_changes: &mut KeyChanges,
        out: &mut Vec<(UpsertOut, Diff)>,
    ) {
        let current = self.current.get(&key);
        if current.is_none_or(|current| current.since > as_of) {
            return;
        }
        if let Some(removed) = self.remove(key, key_changes, out) {
            let expired = ExpiredRecord {
                brand: removed.brand,
                key,
                behind: removed.behind(),
            };
            out.push((UpsertOut::Expired(expired), 1));
        }
    }

    /// Removes the record of a key.
    fn remove(
        &mut self,
        key: RecordKey,
        key_changes: &mut KeyChanges,
        out: &mut Vec<(UpsertOut, Diff)>,
    ) -> Option<Current> {
        let removed = self.current.remove(&key)?;
        if removed.is_statement() {
            let set = self.sets.get(&(removed.brand, removed.set));
            let ids = set.and_then(|set| set.ids.as_ref());
            emit_act(removed.brand, [ids, None], out);
        }
        removed.emit_statement(-1, UpsertOut::Statement, out);
        let set = (removed.brand, removed.set);
        remove_set_use(&mut self.sets, set, out);
        self.stats.held(-removed.count());
        set_content(key_changes, key, Some(set), None);
        Some(removed)
    }
}

/// Sets the content of a key at the end of the epoch. `before` is its location before this change, which counts if it is the
/// first of the epoch.
fn set_content(
    key_changes: &mut KeyChanges,
    key: RecordKey,
    before: Option<(BrandId, u128)>,
    now: Option<Box<Record>>,
) {
    let change = key_changes.entry(key);
    change.or_insert(KeyChange { before, now: None }).now = now;
}

type Sets = KeyedState<(BrandId, u128), SetUse>;

/// Emits that this worker began or ceased to hold records with an identifier set: one row for each identifier.
fn emit_set_use(brand: BrandId, ids: &IdSet, diff: Diff, out: &mut Vec<(UpsertOut, Diff)>) {
    out.extend(ids.ids().iter().map(|id| {
        let named = ConsentStateIn::Named(brand, id.pseudonym, ids.key());
        (UpsertOut::Statement(named), diff)
    }));
}

/// Emits that all of some identifiers change by one act, if there are several.
fn emit_act(brand: BrandId, of: [Option<&IdSet>; 2], out: &mut Vec<(UpsertOut, Diff)>) {
    let ids = of.into_iter().flatten().flat_map(|ids| ids.ids());
    let mut ids: Vec<Pseudonym> = ids.map(|id| id.pseudonym).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.len() > 1 {
        out.push((UpsertOut::Act(brand, ids.into()), 1));
    }
}

/// Counts a record of an identifier set, and emits the set with its first record on this worker.
fn add_set_use(sets: &mut Sets, record: &Record, out: &mut Vec<(UpsertOut, Diff)>) {
    if record.ids.is_empty() {
        return;
    }
    sets.amend((record.brand, record.ids.key()), |set| {
        set.records += 1;
        if set.records == 1 {
            emit_set_use(record.brand, &record.ids, 1, out);
            set.ids = Some(record.ids.clone());
        }
    });
}

/// Removes a record from the count of its identifier set, and retracts the set with its last record on this worker.
fn remove_set_use(sets: &mut Sets, key: (BrandId, u128), out: &mut Vec<(UpsertOut, Diff)>) {
    sets.amend(key, |set| {
        set.records = set.records.saturating_sub(1);
        if let (0, Some(ids)) = (set.records, &set.ids) {
            emit_set_use(key.0, ids, -1, out);
        }
    });
}

impl KeyedOperator for Upsert {
    type In = UpsertIn;
    type Out = UpsertOut;
    const NAME: &'static str = "Upsert";

    /// By the record key.
    fn route(update: &UpsertIn) -> u64 {
        match update {
            UpsertIn::Change(RecordChange { key, .. }) | UpsertIn::Expire(key, _) => key.0 as u64,
        }
    }

    fn entries(&self) -> usize {
        self.current.len() + self.sets.len()
    }

    fn bytes(&self) -> usize {
        let ids = |of: &SetUse| of.ids.as_ref().map_or(0, IdSet::heap_bytes);
        table_bytes(&self.current) + self.sets.bytes(ids)
    }

    fn apply_epoch(
        &mut self,
        epoch: Epoch,
        updates: Vec<(UpsertIn, Diff)>,
        out: &mut Vec<(UpsertOut, Diff)>,
    ) {
        let mut key_changes = FxHashMap::default();
        let mut changes = Vec::with_capacity(updates.len());
        for (update, _) in updates {
            match update {
                UpsertIn::Change(change) => changes.push(change),
                // The pass evaluated an earlier epoch, so its retractions precede the changes of this one.
                UpsertIn::Expire(key, as_of) => self.expire(key, as_of, &mut key_changes, out),
            }
        }
        changes.sort_unstable_by_key(|change| change.arrival);
        for change in changes {
            self.apply(change, epoch, &mut key_changes, out);
        }
        for (key, KeyChange { before, now }) in key_changes {
            let stays = now
                .as_ref()
                .is_some_and(|now| before == Some((now.brand, now.ids.key())));
            if let Some((brand, set)) = before.filter(|_| !stays) {
                let removed = PolicyFilterIn::Removed(key, brand, set);
                out.push((UpsertOut::Record(removed), 1));
            }
            if let Some(now) = now {
                out.push((UpsertOut::Record(PolicyFilterIn::Held(key, now)), 1));
            }
        }
    }
}
