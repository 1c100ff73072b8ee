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
//! Sightings of partners are settled by salt day. From then on a sighting of that day counts as retracted when it arrives, so
//! that nothing depends on which of several ledgers is read first.
//!
//! The contents themselves live in [`crate::policy_filter`], grouped by their identifier set; this operator keeps only
//! their location, and emits the current content of each key that an epoch changed. It sends statements about identifiers
//! (consent, rights), and the identifier sets in use, to [`crate::consent_state`].

mod current;

use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::consent_state::ConsentStateIn;
use crate::engine::{Diff, Entry, Epoch, KeyedOperator, Table};
use crate::hash_key::HashKey;
use crate::policy_filter::PolicyFilterIn;
use crate::reach::Reach;
use crate::record::{Arrival, Body, BrandId, Day, IdSet, Pseudonym, Record, RecordKey};
use crate::set_table::{SetTable, SharedSetTable};
use crate::stats::Stats;
use current::{Current, Keys};

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
    /// Retracts the record of a key, unless it arrived after what an erasure covers.
    Erase(RecordKey, Reach),
    /// To a worker: the sightings of a brand on salt days before the given one are settled. They are retracted, whether they
    /// arrived or will arrive. Unless it is durable, those that have arrived are not reported as expired: their ledgers keep them.
    Settled(u64, BrandId, Day, bool),
    /// To a worker: it is durable that the sightings of a brand on salt days before the given one are settled. Records that they
    /// superseded may be in ledgers of other processes, and are reported as expired.
    SettledDurably(u64, BrandId, Day),
}

/// A record that was retracted because its retention period ended, or because it is a sighting that is settled.
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
    /// A record was retracted because its retention period ended, or because it is a sighting that is settled.
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

/// What is kept of a current record that is a sighting.
#[derive(Clone, Copy, Debug)]
struct HeldSighting {
    brand: BrandId,
    salt_day: Day,
    /// Whether records of other arrivals have its key.
    has_others: bool,
}

/// The operator. State: 40 bytes for each key, and the table of identifier sets.
pub struct Upsert {
    /// The current record of each key.
    keys: Keys,
    /// The identifier sets of the worker, which [`crate::policy_filter`] enters too.
    sets: SharedSetTable,
    /// The current records that are sightings.
    sightings: Table<HashKey, HeldSighting>,
    /// Retracted sightings whose key other records have, by salt day, until it is durable that they are settled. A ledger
    /// that erases a sighting does not know the records of its key in other ledgers, which would count again after a restart.
    settling: Vec<(Day, ExpiredRecord)>,
    /// For each brand, the first salt day that is not settled.
    settled: FxHashMap<BrandId, Day>,
    stats: Rc<Stats>,
}

impl Upsert {
    /// An operator without records, which enters its sets in the table of the worker.
    pub(crate) fn new(stats: Rc<Stats>, sets: SharedSetTable) -> Upsert {
        Upsert {
            keys: Keys::default(),
            sets,
            sightings: Table::default(),
            settling: Vec::new(),
            settled: FxHashMap::default(),
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
            let current = self.keys.get(key);
            if current.is_some_and(|current| arrival > current.arrival) {
                self.remove(key, key_changes, out);
            }
            return;
        };
        let Upsert {
            keys,
            sets,
            sightings,
            stats,
            ..
        } = self;
        let sets = &mut *sets.borrow_mut();
        keys.update(key, |old| {
            if let Some(mut old) = old
                && (version, arrival) <= (old.version, old.arrival)
            {
                match record.is_attached() {
                    true => stats.repeated_statements(),
                    // The broker delivered the current record again.
                    false if arrival == old.arrival => stats.duplicate(),
                    false => stats.superseded(),
                }
                if arrival != old.arrival
                    && let Entry::Occupied(mut held) = sightings.entry(key.0.into())
                {
                    held.get_mut().has_others = true;
                }
                let is_newest = arrival.message > old.newest;
                old.newest = arrival.message.max(old.newest);
                return is_newest.then_some(old);
            }
            let of = (record.brand, record.ids.clone());
            let set = add_set_use(sets, &of, out);
            let mut new = Current::new(version, arrival, epoch, &record, set);
            let mut before = None;
            let has_others = old.is_some();
            match old {
                None => {
                    if new.is_statement() {
                        emit_act(of.0, [Some(&of.1), None], out);
                    }
                    stats.held(new.count());
                }
                Some(old) => {
                    new.newest = old.newest.max(new.newest);
                    let was = sets.get(old.set);
                    if old.set != new.set || new.states_other_than(&old) {
                        let ids = was.as_ref().map(|(_, ids)| ids);
                        emit_act(of.0, [ids, Some(&of.1)], out);
                    }
                    if let Some(was) = was {
                        old.emit_statement(&was, -1, UpsertOut::Statement, out);
                        before = Some((was.0, was.1.key()));
                    }
                    remove_set_use(sets, old.set, out);
                    stats.held(new.count() - old.count());
                    let is_same = (old.version, old.content) == (version, new.content);
                    match (record.is_attached(), is_same) {
                        (true, _) => stats.repeated_statements(),
                        (false, true) => stats.duplicate(),
                        (false, false) => stats.correction(),
                    }
                }
            }
            match record.body {
                Body::Sighting { salt_day, .. } => {
                    let held = HeldSighting {
                        brand: record.brand,
                        salt_day,
                        has_others,
                    };
                    sightings.insert(key.0.into(), held);
                }
                _ if sightings.is_empty() => {}
                _ => drop(sightings.remove(&key.0.into())),
            }
            new.emit_statement(&of, 1, UpsertOut::Statement, out);
            set_content(key_changes, key, before, Some(record));
            Some(new)
        });
    }

    /// Retracts the record of a key if it has been current since `as_of` or earlier.
    fn expire(
        &mut self,
        key: RecordKey,
        as_of: Epoch,
        key_changes: &mut KeyChanges,
        out: &mut Vec<(UpsertOut, Diff)>,
    ) {
        let current = self.keys.get(key);
        if current.is_none_or(|current| current.since > as_of) {
            return;
        }
        self.retract(key, key_changes, out);
    }

    /// Retracts the record of a key if it is a sighting whose salt day is settled, and reports it as expired once that is durable.
    fn settle(
        &mut self,
        key: RecordKey,
        is_durable: bool,
        key_changes: &mut KeyChanges,
        out: &mut Vec<(UpsertOut, Diff)>,
    ) {
        let Some(held) = self.sightings.get(&key.0.into()).copied() else {
            return;
        };
        let before = self.settled.get(&held.brand);
        if before.is_none_or(|before| held.salt_day >= *before) {
            return;
        }
        if is_durable {
            self.retract(key, key_changes, out);
        } else if let Some((brand, removed)) = self.remove(key, key_changes, out)
            && held.has_others
        {
            let expired = ExpiredRecord {
                brand,
                key,
                behind: removed.behind(),
            };
            self.settling.push((held.salt_day, expired));
        }
    }

    /// Retracts the record of a key, and says so to all workers.
    fn retract(
        &mut self,
        key: RecordKey,
        key_changes: &mut KeyChanges,
        out: &mut Vec<(UpsertOut, Diff)>,
    ) {
        if let Some((brand, removed)) = self.remove(key, key_changes, out) {
            let expired = ExpiredRecord {
                brand,
                key,
                behind: removed.behind(),
            };
            out.push((UpsertOut::Expired(expired), 1));
        }
    }

    /// Removes the record of a key. Returns its brand with it.
    fn remove(
        &mut self,
        key: RecordKey,
        key_changes: &mut KeyChanges,
        out: &mut Vec<(UpsertOut, Diff)>,
    ) -> Option<(BrandId, Current)> {
        let removed = self.keys.remove(key)?;
        self.sightings.remove(&key.0.into());
        let sets = &mut *self.sets.borrow_mut();
        let of = sets.get(removed.set)?;
        let (brand, set) = (of.0, of.1.key());
        if removed.is_statement() {
            emit_act(brand, [Some(&of.1), None], out);
        }
        removed.emit_statement(&of, -1, UpsertOut::Statement, out);
        remove_set_use(sets, removed.set, out);
        self.stats.held(-removed.count());
        set_content(key_changes, key, Some((brand, set)), None);
        Some((brand, removed))
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

/// Counts a record of an identifier set, and emits the set with its first record on this worker. Returns its number.
fn add_set_use(
    sets: &mut SetTable,
    of: &(BrandId, IdSet),
    out: &mut Vec<(UpsertOut, Diff)>,
) -> u32 {
    let (number, is_first) = sets.add_record(of.0, &of.1);
    if is_first {
        emit_set_use(of.0, &of.1, 1, out);
    }
    number
}

/// Removes a record from the count of its identifier set, and retracts the set with its last record on this worker.
fn remove_set_use(sets: &mut SetTable, number: u32, out: &mut Vec<(UpsertOut, Diff)>) {
    if let Some((brand, ids)) = sets.remove_record(number) {
        emit_set_use(brand, &ids, -1, out);
    }
}

impl KeyedOperator for Upsert {
    type In = UpsertIn;
    type Out = UpsertOut;
    const NAME: &'static str = "Upsert";

    /// By the record key.
    fn route(update: &UpsertIn) -> u64 {
        match update {
            UpsertIn::Change(RecordChange { key, .. })
            | UpsertIn::Expire(key, _)
            | UpsertIn::Erase(key, _) => key.0 as u64,
            UpsertIn::Settled(target, ..) | UpsertIn::SettledDurably(target, ..) => *target,
        }
    }

    fn entries(&self) -> usize {
        self.keys.len() + self.sets.borrow().len() + self.sightings.len() + self.settling.len()
    }

    fn bytes(&self) -> usize {
        let settling = self.settling.capacity() * size_of::<(Day, ExpiredRecord)>();
        self.keys.bytes() + self.sets.borrow().bytes() + self.sightings.bytes() + settling
    }

    fn apply_epoch(
        &mut self,
        epoch: Epoch,
        updates: Vec<(UpsertIn, Diff)>,
        out: &mut Vec<(UpsertOut, Diff)>,
    ) {
        let mut key_changes = FxHashMap::default();
        let mut changes = Vec::with_capacity(updates.len());
        let (mut settles, mut is_durable) = (false, true);
        for (update, _) in updates {
            match update {
                UpsertIn::Change(change) => changes.push(change),
                // The pass evaluated an earlier epoch, so its retractions precede the changes of this one.
                UpsertIn::Expire(key, as_of) => self.expire(key, as_of, &mut key_changes, out),
                // What it covers has arrived in earlier epochs.
                UpsertIn::Erase(key, reach) => {
                    let current = self.keys.get(key);
                    if current.is_some_and(|one| reach.covers_arrival(one.version, one.arrival)) {
                        self.remove(key, &mut key_changes, out);
                    }
                }
                UpsertIn::Settled(_, brand, before, durable) => {
                    let settled = self.settled.entry(brand).or_insert(before);
                    *settled = before.max(*settled);
                    settles = true;
                    is_durable &= durable;
                }
                UpsertIn::SettledDurably(_, brand, before) => {
                    let is_settled =
                        |(day, of): &mut (Day, ExpiredRecord)| of.brand == brand && *day < before;
                    let settled = self.settling.extract_if(.., is_settled);
                    out.extend(settled.map(|(_, of)| (UpsertOut::Expired(of), 1)));
                }
            }
        }
        changes.sort_unstable_by_key(|change| change.arrival);
        for change in changes {
            let key = change.key;
            self.apply(change, epoch, &mut key_changes, out);
            if !self.settled.is_empty() {
                self.settle(key, true, &mut key_changes, out);
            }
        }
        if settles {
            let sightings = self.sightings.iter();
            let is_settled = |held: &HeldSighting| {
                let before = self.settled.get(&held.brand);
                before.is_some_and(|before| held.salt_day < *before)
            };
            let settled = sightings.filter(|(_, of)| is_settled(of));
            let mut keys: Vec<RecordKey> =
                settled.map(|(key, _)| RecordKey((*key).into())).collect();
            keys.sort_unstable();
            for key in keys {
                self.settle(key, is_durable, &mut key_changes, out);
            }
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
