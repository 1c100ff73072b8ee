//! Upsert: which content of each record counts.
//!
//! Of everything that arrives under one key the highest `(version, arrival)` is held, whole record for
//! whole record. That is a maximum, so it does not matter in which epoch or on which worker the
//! arrivals come in. The same content again changes nothing.
//!
//! Whether what arrives is a duplicate or a correction is judged here, in the order of arrival, by a hash of the content
//! held; statements that ride on records are neither ([`Record::is_attached`]).
//!
//! A pass over the retention judges what was held at the end of an epoch, and comes epochs later: what began to be held
//! since then was not judged and stays.
//!
//! The contents themselves wait in [`crate::policy_filter`], under the set of identifiers that they name; this stage only
//! knows where, and says of each key that an epoch has key_changes what is held now. What is said about identifiers
//! (consent, rights) goes to [`crate::consent_state`] from here, and so does which sets are named at all.

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

/// What happens to a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RecordChange {
    /// The place in the order of arrival.
    pub arrival: Arrival,
    /// The key.
    pub key: RecordKey,
    /// The version and content that arrive; none retracts. Boxed once, so that a record is not moved about
    /// on its way.
    pub put: Option<(i64, Box<Record>)>,
}

/// What the stage is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum UpsertIn {
    /// Something happens to a key.
    Change(RecordChange),
    /// What was held under a key at the end of an epoch is past its retention. Whatever has changed since was not judged
    /// and stays.
    Expire(RecordKey, Epoch),
}

/// A record that was retracted because it was past its retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExpiredRecord {
    /// The tenant.
    pub brand: BrandId,
    /// What made it one and the same.
    pub key: RecordKey,
    /// The place in the order of arrival behind it and all that it superseded: what arrived under the key before no longer
    /// counts.
    pub behind: Arrival,
}

/// What the stage says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum UpsertOut {
    /// A record is retracted because it is past its retention.
    Expired(ExpiredRecord),
    /// What is held under a key.
    Record(PolicyFilterIn),
    /// What is said about an identifier, and where it is named.
    Statement(ConsentStateIn),
}

/// What is held under a key, and where.
struct Current {
    version: i64,
    /// The place of what is held, its two parts beside each other to save room.
    message: u64,
    line: u32,
    brand: BrandId,
    /// When it began to be held.
    since: Epoch,
    /// The newest message that had something under the key, superseded or not.
    newest: u64,
    set: u128,
    /// A hash of the content.
    content: u64,
    /// The record where it is a statement, so that it can be taken back.
    statement: Option<Box<Record>>,
}

/// What an epoch did to a key: where it was held before, and what is held now.
struct KeyChange {
    before: Option<(BrandId, u128)>,
    now: Option<Box<Record>>,
}

/// The stage. A few words for each key, and the sets that its records name.
pub struct Upsert {
    slots: FxHashMap<RecordKey, Current>,
    sets: FxHashMap<(BrandId, u128), (u64, IdSet)>,
    stats: Rc<Stats>,
}

impl Upsert {
    /// Holds nothing yet.
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
                    // The very line that is held, delivered again.
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
    /// Retracts what has been held under a key since an epoch or longer.
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

/// A hash of what a record says; its source and id are those of its key.
fn content(record: &Record) -> u64 {
    let mut hash = FxHasher::default();
    record.ids.key().hash(&mut hash);
    (record.ts, record.day).hash(&mut hash);
    record.body.hash(&mut hash);
    hash.finish()
}

impl Current {
    /// What is held from now on; a statement is said.
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

    /// For how many records it counts: a statement that rides on another is none.
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

/// What a record says about its identifiers, where it is a statement.
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

/// Counts a record that names a set; the first of this worker is told.
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

/// Counts a record less; the last of this worker is told.
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
                // What was judged was held before this epoch, and so goes before its changes.
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
