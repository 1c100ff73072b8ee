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

use std::collections::hash_map::Entry;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHasher};
use serde::{Deserialize, Serialize};

use crate::consent_state::ConsentStateIn;
use crate::engine::{Diff, Epoch, KeyedOperator};
use crate::policy::Statement;
use crate::policy_filter::PolicyFilterIn;
use crate::record::{Arrival, Body, BrandId, IdSet, Record, RecordKey};
use crate::stats::Stats;

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
}

/// The current record of a key: its version, arrival and location, not its content.
struct Current {
    version: i64,
    /// The arrival of the current record, its two parts unnested to save memory.
    message: u64,
    line: u32,
    brand: BrandId,
    /// The epoch in which the record became current.
    since: Epoch,
    /// The newest message with a record of the key, superseded or not.
    newest: u64,
    set: u128,
    /// A hash of the content.
    content: u64,
    /// The record if it is a statement, so that the statement can be retracted.
    statement: Option<Box<Record>>,
}

/// The change of a key within an epoch: its location before, and its content now.
struct KeyChange {
    before: Option<(BrandId, u128)>,
    now: Option<Box<Record>>,
}

/// The operator. State: a few machine words for each key, and the identifier sets in use.
pub struct Upsert {
    slots: FxHashMap<RecordKey, Current>,
    sets: FxHashMap<(BrandId, u128), (u64, IdSet)>,
    stats: Rc<Stats>,
}

impl Upsert {
    /// An operator without records.
    pub fn new(stats: Rc<Stats>) -> Upsert {
        Upsert {
            slots: FxHashMap::default(),
            sets: FxHashMap::default(),
            stats,
        }
    }

    fn apply(
        &mut self,
        change: RecordChange,
        epoch: Epoch,
        key_changes: &mut FxHashMap<RecordKey, KeyChange>,
        out: &mut Vec<(UpsertOut, Diff)>,
    ) {
        let RecordChange { arrival, key, put } = change;
        let slot = match self.slots.entry(key) {
            Entry::Vacant(vacant) => {
                let Some((version, record)) = put else {
                    return;
                };
                add_set_use(&mut self.sets, &record, out);
                let slot = vacant.insert(Current::of(version, arrival, epoch, &record, out));
                self.stats.held(slot.counts());
                let first = KeyChange {
                    before: None,
                    now: None,
                };
                key_changes.entry(key).or_insert(first).now = Some(record);
                return;
            }
            Entry::Occupied(slot) => slot,
        };
        let held = slot.get();
        let first = KeyChange {
            before: Some((held.brand, held.set)),
            now: None,
        };
        match put {
            None if arrival > held.arrival() => {
                let held = slot.remove();
                held.retract_statement(out);
                remove_set_use(&mut self.sets, held.brand, held.set, out);
                self.stats.held(-held.counts());
                key_changes.entry(key).or_insert(first).now = None;
            }
            None => {}
            Some((version, record)) if (version, arrival) <= (held.version, held.arrival()) => {
                let slot = slot.into_mut();
                slot.newest = arrival.message.max(slot.newest);
                match record.is_attached() {
                    true => self.stats.repeated_statements(),
                    // The broker delivered the current record again.
                    false if arrival == slot.arrival() => self.stats.duplicate(),
                    false => self.stats.superseded(),
                }
            }
            Some((version, record)) => {
                let slot = slot.into_mut();
                let before = (slot.version, slot.content, slot.counts());
                add_set_use(&mut self.sets, &record, out);
                remove_set_use(&mut self.sets, slot.brand, slot.set, out);
                slot.retract_statement(out);
                let newest = slot.newest;
                *slot = Current::of(version, arrival, epoch, &record, out);
                slot.newest = newest.max(slot.newest);
                self.stats.held(slot.counts() - before.2);
                match (
                    record.is_attached(),
                    (slot.version, slot.content) == (before.0, before.1),
                ) {
                    (true, _) => self.stats.repeated_statements(),
                    (false, true) => self.stats.duplicate(),
                    (false, false) => self.stats.correction(),
                }
                key_changes.entry(key).or_insert(first).now = Some(record);
            }
        }
    }
}

impl Upsert {
    /// Retracts the record of a key if it has been current since `as_of` or earlier.
    fn expire(
        &mut self,
        key: RecordKey,
        as_of: Epoch,
        key_changes: &mut FxHashMap<RecordKey, KeyChange>,
        out: &mut Vec<(UpsertOut, Diff)>,
    ) {
        let Entry::Occupied(slot) = self.slots.entry(key) else {
            return;
        };
        if slot.get().since > as_of {
            return;
        }
        let held = slot.remove();
        held.retract_statement(out);
        remove_set_use(&mut self.sets, held.brand, held.set, out);
        self.stats.held(-held.counts());
        let removed = KeyChange {
            before: Some((held.brand, held.set)),
            now: None,
        };
        key_changes.entry(key).or_insert(removed).now = None;
        let behind = Arrival {
            message: held.newest.saturating_add(1),
            line: 0,
        };
        let expired = ExpiredRecord {
            brand: held.brand,
            key,
            behind,
        };
        out.push((UpsertOut::Expired(expired), 1));
    }
}

/// A hash of the content of a record. Source and id are part of its key.
fn content(record: &Record) -> u64 {
    let mut hash = FxHasher::default();
    record.ids.key().hash(&mut hash);
    (record.ts, record.day).hash(&mut hash);
    record.body.hash(&mut hash);
    hash.finish()
}

impl Current {
    /// The state for a record that becomes current. Emits its statement, if it is one.
    fn of(
        version: i64,
        arrival: Arrival,
        since: Epoch,
        record: &Record,
        out: &mut Vec<(UpsertOut, Diff)>,
    ) -> Current {
        let slot = Current {
            version,
            message: arrival.message,
            line: arrival.line,
            since,
            newest: arrival.message,
            brand: record.brand,
            set: record.ids.key(),
            content: content(record),
            statement: statement_of(&record.body).map(|_| Box::new(record.clone())),
        };
        slot.emit_statement(1, out);
        slot
    }

    /// The number of records that it counts for: 0 for a statement that is attached to another record, else 1.
    fn counts(&self) -> i64 {
        i64::from(
            !self
                .statement
                .as_ref()
                .is_some_and(|record| record.is_attached()),
        )
    }

    fn arrival(&self) -> Arrival {
        Arrival {
            message: self.message,
            line: self.line,
        }
    }

    fn retract_statement(&self, out: &mut Vec<(UpsertOut, Diff)>) {
        self.emit_statement(-1, out);
    }

    fn emit_statement(&self, diff: Diff, out: &mut Vec<(UpsertOut, Diff)>) {
        let Some(record) = &self.statement else {
            return;
        };
        let Some(said) = statement_of(&record.body) else {
            return;
        };
        for id in record.ids.ids() {
            let word = ConsentStateIn::Statement(record.brand, id.pseudonym, record.ts, said);
            out.push((UpsertOut::Statement(word), diff));
        }
    }
}

/// The statement of a record, if it is one.
fn statement_of(body: &Body) -> Option<Statement> {
    match body {
        Body::Consent { steps, string } => Some(Statement::Consent(*steps, *string)),
        Body::Right { right, stands } => Some(Statement::Right(*right, *stands)),
        _ => None,
    }
}

type Sets = FxHashMap<(BrandId, u128), (u64, IdSet)>;

fn emit_set_use(brand: BrandId, ids: &IdSet, diff: Diff, out: &mut Vec<(UpsertOut, Diff)>) {
    for id in ids.ids() {
        let named = ConsentStateIn::Named(brand, id.pseudonym, ids.key());
        out.push((UpsertOut::Statement(named), diff));
    }
}

/// Counts a record of an identifier set, and emits the set with its first record on this worker.
fn add_set_use(sets: &mut Sets, record: &Record, out: &mut Vec<(UpsertOut, Diff)>) {
    if record.ids.is_empty() {
        return;
    }
    let key = (record.brand, record.ids.key());
    let set = sets.entry(key).or_insert_with(|| (0, record.ids.clone()));
    set.0 += 1;
    if set.0 == 1 {
        emit_set_use(record.brand, &record.ids, 1, out);
    }
}

/// Removes a record from the count of its identifier set, and retracts the set with its last record on this worker.
fn remove_set_use(sets: &mut Sets, brand: BrandId, set: u128, out: &mut Vec<(UpsertOut, Diff)>) {
    if let Entry::Occupied(mut slot) = sets.entry((brand, set)) {
        slot.get_mut().0 -= 1;
        if slot.get().0 == 0 {
            let (_, ids) = slot.remove();
            emit_set_use(brand, &ids, -1, out);
        }
    }
}

impl KeyedOperator for Upsert {
    type In = UpsertIn;
    type Out = UpsertOut;
    const NAME: &'static str = "Upsert";

    fn route(update: &UpsertIn) -> u64 {
        match update {
            UpsertIn::Change(RecordChange { key, .. }) | UpsertIn::Expire(key, _) => key.0 as u64,
        }
    }

    fn entries(&self) -> usize {
        self.slots.len() + self.sets.len()
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
                out.push((
                    UpsertOut::Record(PolicyFilterIn::Removed(key, brand, set)),
                    1,
                ));
            }
            if let Some(now) = now {
                out.push((UpsertOut::Record(PolicyFilterIn::Held(key, now)), 1));
            }
        }
    }
}
