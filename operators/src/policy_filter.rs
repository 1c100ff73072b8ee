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
//! - Without [`Use::Credit`] a contact is not a touchpoint. Without [`Use::Join`] it is not joined with in-store
//!   transactions. Without [`Use::Link`] only one identifier of the record counts.
//! - A record without identifiers is always admitted.
//!
//! Records are grouped by their identifier set, so that one change of a policy finds all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::aggregate::DeltaBuffer;
use crate::allowed_uses::{AllowedUses, Use};
use crate::ask::{Answer, Question, Reply, RoutedQuestion, labels};
use crate::engine::{Diff, Epoch, KeyedOperator};
use crate::horizons::{EarliestHeld, Horizons, is_interaction};
use crate::label::Label;
use crate::label_uses::LabelUses;
use crate::policy::{Admission, Policy, WithholdReason};
use crate::record::{Body, BrandId, IdKind, IdSet, Identifier, Pseudonym, Record, RecordKey};
use crate::routing::{Routed, route};
use crate::settings::{BrandSettings, Settings};
use crate::small_map::SmallMap;
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
    /// A question about the records of one identifier set, or of all sets on a worker.
    Ask(RoutedQuestion, Option<u128>),
}

/// The output of [`PolicyFilter`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PolicyFilterOut {
    /// A part of an admitted record, for the operator that it concerns.
    Routed(Routed),
    /// Records on this worker use a label of a brand.
    Used(BrandId, Label),
    /// A part of an answer.
    Answer(Answer),
}

/// The records with one identifier set.
#[derive(Default)]
struct IdSetRecords {
    records: SmallMap<RecordKey, Box<Record>>,
    /// The members with a policy.
    policies: SmallMap<Pseudonym, Policy>,
}

/// The combined policy of the members of an identifier set.
struct SetPolicy {
    restricted: bool,
    /// The uses that all statements allow.
    allowed: AllowedUses,
    /// Whether there is a consent statement about a cookie, and about any member.
    has_cookie_statement: bool,
    has_statement: bool,
}

impl IdSetRecords {
    fn policy(&self, ids: &IdSet) -> SetPolicy {
        let mut policy = SetPolicy {
            restricted: false,
            allowed: AllowedUses::ALL,
            has_cookie_statement: false,
            has_statement: false,
        };
        if self.policies.is_empty() {
            return policy;
        }
        for id in ids.ids() {
            let Some(member) = self.policies.get(&id.pseudonym) else {
                continue;
            };
            policy.restricted |= member.restricted;
            if let Some(allowed) = member.allowed {
                policy.allowed = policy.allowed.intersect(allowed);
                policy.has_statement = true;
                policy.has_cookie_statement |= id.kind == IdKind::Cookie;
            }
            if member.do_not_sell {
                policy.allowed = policy.allowed.without(Use::Share);
            }
        }
        policy
    }
}

impl SetPolicy {
    /// Whether a record of the set requires consent and has no consent statement.
    fn lacks_consent(&self, record: &Record, settings: &BrandSettings) -> bool {
        let has_cookie = || record.ids.ids().iter().any(|id| id.kind == IdKind::Cookie);
        let consent = settings.on_consent.contains(&record.source);
        consent && !self.has_cookie_statement && (!self.has_statement || has_cookie())
    }

    /// The uses for which a record of the set counts at the link time `at`, or the reason why it is excluded.
    fn admit(
        &self,
        record: &Record,
        settings: &BrandSettings,
        at: i64,
    ) -> Result<Admission, WithholdReason> {
        let free = record.ids.is_empty()
            || matches!(
                record.body,
                Body::Spend { .. } | Body::Consent { .. } | Body::Right { .. }
            );
        if free {
            return Ok(UNRESTRICTED);
        }
        if self.restricted {
            return Err(WithholdReason::Restricted);
        }
        if self.lacks_consent(record, settings) {
            return Err(WithholdReason::NoConsent);
        }
        let allowed = self.allowed;
        let needs_hold = record.body.is_web() || settings.on_consent.contains(&record.source);
        if needs_hold && !allowed.allows(Use::Hold) {
            return Err(WithholdReason::Refused);
        }
        Ok(Admission {
            reduced: match allowed.allows(Use::Link) {
                true => linked(record, settings, at),
                false => alone(&record.ids),
            },
            credit: allowed.allows(Use::Credit),
            joins: allowed.allows(Use::Join),
        })
    }
}

/// The identifiers that a record still links at the link time `at`, or `None` if these are all of them. A record
/// whose identifiers have all expired is reduced to one, like a record that may not link.
fn linked(record: &Record, settings: &BrandSettings, at: i64) -> Option<IdSet> {
    let ids = record.ids.ids();
    let links = |id: &&Identifier| settings.links(id.kind, record.ts, at);
    let kept: Vec<_> = ids.iter().filter(links).copied().collect();
    match kept.len() {
        0 => alone(&record.ids),
        all if all == ids.len() => None,
        _ => Some(IdSet::new(kept)),
    }
}

/// The identifiers of the one clear value that represents a record without permission to link, or `None` if it has no
/// other.
fn alone(ids: &IdSet) -> Option<IdSet> {
    const ORDER: [IdKind; 7] = [
        IdKind::Cookie,
        IdKind::Customer,
        IdKind::Wallet,
        IdKind::Device,
        IdKind::Email,
        IdKind::Phone,
        IdKind::NamePostcode,
    ];
    let rank = |kind: IdKind| ORDER.iter().position(|other| *other == kind);
    let first = ids
        .ids()
        .iter()
        .min_by_key(|id| (rank(id.kind), id.value))?;
    let same = |id: &&Identifier| id.value == first.value && id.kind == first.kind;
    let kept: Vec<_> = ids.ids().iter().filter(same).copied().collect();
    (kept.len() < ids.ids().len()).then(|| IdSet::new(kept))
}

type IdSetKey = (BrandId, u128);

/// The operator. State: the current records, grouped by identifier set.
pub struct PolicyFilter {
    settings: Arc<Settings>,
    stats: Rc<Stats>,
    sets: FxHashMap<IdSetKey, IdSetRecords>,
    /// The records without identifiers.
    free: FxHashMap<RecordKey, Box<Record>>,
    /// The age of the oldest records of each brand.
    oldest: BTreeMap<BrandId, EarliestHeld>,
    links: BTreeMap<BrandId, Links>,
    uses: LabelUses,
    deltas: DeltaBuffer,
}

/// The links of a brand that expire (`link_ttl`).
struct Links {
    /// The reference time; `i64::MIN` before the first, when everything links.
    at: i64,
    /// The records whose links may expire, ordered by time, each with its identifier set.
    records: BTreeSet<(i64, u128, RecordKey)>,
}

impl Links {
    /// Adds or removes a record.
    fn hold(&mut self, key: RecordKey, record: &Record, settings: &BrandSettings, held: bool) {
        let ids = record.ids.ids();
        let ends = |id: &Identifier| settings.link_ttl[id.kind as usize].is_some();
        if ids.len() > 1 && ids.iter().any(ends) {
            let entry = (record.ts, record.ids.key(), key);
            match held {
                true => drop(self.records.insert(entry)),
                false => drop(self.records.remove(&entry)),
            }
        }
    }

    /// Moves the reference time. Returns the previous time and the records whose links may change.
    fn set_time(
        &mut self,
        at: i64,
        settings: &BrandSettings,
    ) -> (i64, BTreeSet<(u128, RecordKey)>) {
        let before = std::mem::replace(&mut self.at, at);
        let (from, to) = (before.min(at), before.max(at));
        let mut moved = BTreeSet::new();
        for ttl in settings.link_ttl.into_iter().flatten() {
            let edge = |at: i64| (at.saturating_sub(ttl), 0, RecordKey(0));
            let records = self.records.range(edge(from)..edge(to));
            moved.extend(records.map(|(_, set, key)| (*set, *key)));
        }
        (before, moved)
    }
}

/// The current content of a key, if any.
type Content = Option<Box<Record>>;

/// The updates of one identifier set in one epoch.
#[derive(Default)]
struct Changes {
    held: Vec<(RecordKey, Content)>,
    policies: Vec<(Pseudonym, Policy, Diff)>,
}

impl PolicyFilter {
    /// An operator without records.
    pub fn new(settings: Arc<Settings>, stats: Rc<Stats>) -> PolicyFilter {
        PolicyFilter {
            oldest: settings
                .brands
                .keys()
                .map(|brand| (*brand, EarliestHeld::default()))
                .collect(),
            links: settings
                .brands
                .iter()
                .filter(|(_, of)| of.links_end())
                .map(|(brand, _)| {
                    let (at, records) = (i64::MIN, BTreeSet::new());
                    (*brand, Links { at, records })
                })
                .collect(),
            deltas: DeltaBuffer::new(&settings),
            settings,
            stats,
            sets: FxHashMap::default(),
            free: FxHashMap::default(),
            uses: LabelUses::default(),
        }
    }

    /// Updates a record without identifiers.
    fn free(&mut self, key: RecordKey, held: Content, out: &mut Vec<(PolicyFilterOut, Diff)>) {
        let mut parts = RoutedParts::new(&mut self.deltas, out);
        let old = match held {
            Some(record) => self.free.insert(key, record),
            None => self.free.remove(&key),
        };
        let (old, new) = (old.as_deref(), self.free.get(&key).map(Box::as_ref));
        if old != new {
            hold_labels(&mut self.uses, old, new);
            old.iter().for_each(|old| parts.add(old, &UNRESTRICTED, -1));
            new.iter().for_each(|new| parts.add(new, &UNRESTRICTED, 1));
            parts.deltas.end_contributor();
        }
    }

    /// Moves the reference time for the links of a brand. Visits only the records whose links may change.
    fn set_link_time(&mut self, brand: BrandId, at: i64, out: &mut Vec<(PolicyFilterOut, Diff)>) {
        let settings = self.settings.brands.get(&brand);
        let Some((settings, links)) = settings.zip(self.links.get_mut(&brand)) else {
            return;
        };
        let (before, moved) = links.set_time(at, settings);
        self.stats.steps(moved.len() as u64);
        let mut parts = RoutedParts::new(&mut self.deltas, out);
        for (set, key) in moved {
            let Some(set_records) = self.sets.get(&(brand, set)) else {
                continue;
            };
            let Some(record) = set_records.records.get(&key) else {
                continue;
            };
            let policy = set_records.policy(&record.ids);
            let was = policy.admit(record, settings, before);
            let is = policy.admit(record, settings, at);
            if was != is {
                was.iter().for_each(|was| parts.add(record, was, -1));
                is.iter().for_each(|is| parts.add(record, is, 1));
                parts.deltas.end_contributor();
            }
        }
    }

    fn change(&mut self, key: IdSetKey, changes: Changes, out: &mut Vec<(PolicyFilterOut, Diff)>) {
        let Some(settings) = self.settings.brands.get(&key.0) else {
            return;
        };
        let mut links = self.links.get_mut(&key.0);
        let at = links.as_ref().map_or(i64::MIN, |links| links.at);
        let set_records = self.sets.entry(key).or_default();
        let mut parts = RoutedParts::new(&mut self.deltas, out);
        // Most updates change a single record and do not visit the others of its set.
        if !changes.policies.is_empty() {
            let ids = set_records.records.iter().next();
            let ids = ids.map_or_else(IdSet::empty, |(_, record)| record.ids.clone());
            let was = set_records.policy(&ids);
            // A retraction may precede the insertion that it retracts; only the final state counts.
            let mut policies = changes.policies;
            policies.sort_unstable_by_key(|(_, _, diff)| *diff);
            for (id, policy, diff) in policies {
                match diff > 0 {
                    true => drop(set_records.policies.insert(id, policy)),
                    false => drop(set_records.policies.remove(&id)),
                }
            }
            let is = set_records.policy(&ids);
            self.stats.steps(set_records.records.len() as u64);
            for (_, record) in set_records.records.iter() {
                let before = was.admit(record, settings, at);
                let now = is.admit(record, settings, at);
                if before != now {
                    count(&self.stats, record, &before, -1);
                    count(&self.stats, record, &now, 1);
                    before
                        .iter()
                        .for_each(|before| parts.add(record, before, -1));
                    now.iter().for_each(|now| parts.add(record, now, 1));
                    parts.deltas.end_contributor();
                }
            }
        }
        self.stats.steps(changes.held.len() as u64);
        for (key, held) in changes.held {
            let old = match held {
                Some(record) => set_records.records.insert(key, record),
                None => set_records.records.remove(&key),
            };
            let (old, new) = (
                old.as_deref(),
                set_records.records.get(&key).map(Box::as_ref),
            );
            if let Some(links) = &mut links {
                old.iter()
                    .for_each(|old| links.hold(key, old, settings, false));
                new.iter()
                    .for_each(|new| links.hold(key, new, settings, true));
            }
            let Some(one) = new.or(old).filter(|_| old != new) else {
                continue;
            };
            hold_labels(&mut self.uses, old, new);
            let policy = set_records.policy(&one.ids);
            for (record, diff) in [(old, -1), (new, 1)] {
                let Some(record) = record else { continue };
                let admitted = policy.admit(record, settings, at);
                count(&self.stats, record, &admitted, diff);
                if let Ok(admitted) = admitted {
                    parts.add(record, &admitted, diff);
                }
            }
            parts.deltas.end_contributor();
        }
        if set_records.records.is_empty() && set_records.policies.is_empty() {
            self.sets.remove(&key);
        }
    }

    /// Answers with the records of one set, or with the expired records of all sets.
    fn answer(
        &mut self,
        asked: &RoutedQuestion,
        set: Option<u128>,
        out: &mut Vec<(PolicyFilterOut, Diff)>,
    ) {
        let replies = match (&asked.question, set) {
            (Question::Records { brand, .. }, Some(set)) => {
                let set_records = self.sets.get(&(*brand, set)).into_iter();
                let records = set_records.flat_map(|set_records| set_records.records.iter());
                records
                    .map(|(key, record)| Reply::Record(*key, record.clone()))
                    .collect()
            }
            (Question::ActiveSince { brand, since, .. }, Some(set)) => {
                let set_records = self.sets.get(&(*brand, set));
                let recent = set_records.and_then(|set_records| recent(set_records, *since));
                recent.into_iter().collect()
            }
            (Question::Expired { brand, horizons }, None) => self.expired(*brand, horizons),
            _ => Vec::new(),
        };
        let replies = replies.into_iter();
        out.extend(replies.map(|reply| (PolicyFilterOut::Answer(asked.answer(reply)), 1)));
    }

    /// The expired records of a brand. Skips the scan if no record can have expired.
    fn expired(&mut self, brand: BrandId, horizons: &Horizons) -> Vec<Reply> {
        let oldest = self.oldest.get_mut(&brand);
        let Some(oldest) = oldest.filter(|oldest| oldest.may_have_expired(horizons)) else {
            return Vec::new();
        };
        *oldest = EarliestHeld::default();
        let mut replies = Vec::new();
        let sets = self.sets.iter().filter(|((of, _), _)| *of == brand);
        for (_, set_records) in sets {
            let (mut goes, mut acts) = (None, false);
            for (key, record) in set_records.records.iter() {
                oldest.note(record);
                horizons.judge(*key, record, &mut replies);
                acts |= horizons.is_recent(record);
                if horizons.goes_with_person(record) {
                    goes = goes.or(Some(&record.ids));
                }
            }
            // Any identifier of the set finds the person.
            if let Some(ids) = goes.filter(|_| !acts) {
                let ids = ids.ids().iter();
                replies.extend(ids.map(|id| Reply::Inactive(id.pseudonym)));
            }
        }
        let free = self.free.iter().filter(|(_, record)| record.brand == brand);
        for (key, record) in free {
            oldest.note(record);
            horizons.judge(*key, record, &mut replies);
        }
        replies.sort_unstable();
        replies.dedup();
        replies
    }
}

/// The identifiers of the set if a record since `since` is an interaction.
fn recent(set_records: &IdSetRecords, since: i64) -> Option<Reply> {
    let mut records = set_records.records.iter();
    let (_, record) = records.find(|(_, record)| is_interaction(record) && record.ts >= since)?;
    let ids = record.ids.ids().iter().map(|id| id.pseudonym);
    Some(Reply::Active(ids.collect()))
}

/// Updates the label uses when a record replaces another.
fn hold_labels(uses: &mut LabelUses, old: Option<&Record>, new: Option<&Record>) {
    for (record, diff) in [(new, 1), (old, -1)] {
        let Some(record) = record else { continue };
        labels(record).for_each(|label| uses.add(record.brand, label, diff));
    }
}

/// Counts a record that is excluded or may not be credited.
fn count(stats: &Stats, record: &Record, admitted: &Result<Admission, WithholdReason>, diff: Diff) {
    match admitted {
        Err(why) => stats.withheld(*why, diff),
        Ok(of) if !of.credit && matches!(record.body, Body::Contact { .. }) => {
            stats.uncredited(diff);
        }
        Ok(_) => {}
    }
}

/// The admission of a record without identifiers: all uses.
const UNRESTRICTED: Admission = Admission {
    reduced: None,
    credit: true,
    joins: true,
};

/// Splits admitted records into the parts that downstream operators consume.
struct RoutedParts<'a> {
    deltas: &'a mut DeltaBuffer,
    routed: Vec<(Routed, Diff)>,
    out: &'a mut Vec<(PolicyFilterOut, Diff)>,
}

impl<'a> RoutedParts<'a> {
    fn new(
        deltas: &'a mut DeltaBuffer,
        out: &'a mut Vec<(PolicyFilterOut, Diff)>,
    ) -> RoutedParts<'a> {
        RoutedParts {
            deltas,
            routed: Vec::new(),
            out,
        }
    }

    fn add(&mut self, record: &Record, admitted: &Admission, diff: Diff) {
        route(record, admitted, diff, self.deltas, &mut self.routed);
        let routed = self.routed.drain(..);
        self.out
            .extend(routed.map(|(routed, diff)| (PolicyFilterOut::Routed(routed), diff)));
    }
}

impl KeyedOperator for PolicyFilter {
    type In = PolicyFilterIn;
    type Out = PolicyFilterOut;
    const NAME: &'static str = "PolicyFilter";

    fn route(update: &PolicyFilterIn) -> u64 {
        match update {
            PolicyFilterIn::Held(key, record) => home(*key, record.ids.key()),
            PolicyFilterIn::Removed(key, _, set) => home(*key, *set),
            PolicyFilterIn::Policy(_, set, ..) | PolicyFilterIn::Ask(_, Some(set)) => *set as u64,
            PolicyFilterIn::Ask(asked, None) => asked.target,
            PolicyFilterIn::LinkTime(_, _, target) => *target,
        }
    }

    fn entries(&self) -> usize {
        let links = self.links.values().map(|links| links.records.len());
        self.sets.len() + self.free.len() + links.sum::<usize>() + self.uses.len()
    }

    fn apply_epoch(
        &mut self,
        _: Epoch,
        updates: Vec<(PolicyFilterIn, Diff)>,
        out: &mut Vec<(PolicyFilterOut, Diff)>,
    ) {
        let mut changes: FxHashMap<IdSetKey, Changes> = FxHashMap::default();
        let mut questions = Vec::new();
        let mut times: BTreeMap<BrandId, i64> = BTreeMap::new();
        for (update, diff) in updates {
            if let PolicyFilterIn::Held(_, record) = &update
                && let Some(oldest) = self.oldest.get_mut(&record.brand)
            {
                oldest.note(record);
            }
            match update {
                PolicyFilterIn::Held(key, record) if record.ids.is_empty() => {
                    self.free(key, Some(record), out);
                }
                PolicyFilterIn::Removed(key, _, 0) => self.free(key, None, out),
                PolicyFilterIn::Held(key, record) => {
                    let set_records = (record.brand, record.ids.key());
                    let changes = changes.entry(set_records).or_default();
                    changes.held.push((key, Some(record)));
                }
                PolicyFilterIn::Removed(key, brand, set) => {
                    let changes = changes.entry((brand, set)).or_default();
                    changes.held.push((key, None));
                }
                PolicyFilterIn::Policy(brand, set, id, policy) => {
                    let changes = changes.entry((brand, set)).or_default();
                    changes.policies.push((id, policy, diff));
                }
                PolicyFilterIn::LinkTime(brand, at, _) => {
                    let time = times.entry(brand).or_insert(at);
                    *time = at.max(*time);
                }
                PolicyFilterIn::Ask(asked, set) => questions.push((asked, set)),
            }
        }
        for (brand, at) in times {
            self.set_link_time(brand, at, out);
        }
        for (key, changes) in changes {
            self.change(key, changes, out);
        }
        out.extend(
            self.deltas
                .drain()
                .map(|sum| (PolicyFilterOut::Routed(Routed::Sum(Box::new(sum))), 1)),
        );
        let used = self.uses.drain().into_iter();
        out.extend(used.map(|((brand, label), diff)| (PolicyFilterOut::Used(brand, label), diff)));
        for (asked, set) in questions {
            self.answer(&asked, set, out);
        }
    }
}

/// The routing hash: by identifier set, or by record key for records without identifiers.
fn home(key: RecordKey, set: u128) -> u64 {
    match set {
        0 => key.0 as u64,
        set => set as u64,
    }
}
