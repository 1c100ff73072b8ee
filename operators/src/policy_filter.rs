//! PolicyFilter: which held records count, and for what.
//!
//! A record is *held* by what arrived ([`crate::upsert`]), and *admitted* by what the persons behind it allow. It is
//! judged by the policies of its identifiers, so that a withdrawal, an objection and a renewal are changes of a
//! collection like any other: what was admitted is retracted, and comes back when it may.
//!
//! The rules, of which invariant I1 asks that they are a function of what is held:
//!
//! - A record that is restricted in any of its identifiers is out of every number.
//! - Allowed is what all statements about its identifiers allow. Where its source rests on consent and nothing
//!   was said about its cookie (about any identifier, where it has none), nothing is.
//! - A web record, and any record of a source that rests on consent, needs [`Use::Hold`] to count at all.
//! - Without [`Use::Credit`] a contact is no touch, without [`Use::Join`] nothing of the web and the till meets,
//!   without [`Use::Link`] the record stands for one identifier alone.
//! - A record that names nobody is judged by nobody.
//!
//! The records wait here under their set of identifiers, so that one change of a policy finds them all.

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

/// What the stage is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PolicyFilterIn {
    /// The content held under a key that names a set of identifiers, in the place of the one before.
    Held(RecordKey, Box<Record>),
    /// Nothing is held any more under a key that named the set.
    Removed(RecordKey, BrandId, u128),
    /// The time by which the links of a brand are judged, Unix milliseconds; told to a worker.
    LinkTime(BrandId, i64, u64),
    /// A member of a set stands so.
    Policy(BrandId, u128, Pseudonym, Policy),
    /// Somebody asks for the records of a set, or of every set on a worker.
    Ask(RoutedQuestion, Option<u128>),
}

/// What the stage says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PolicyFilterOut {
    /// A part of an admitted record.
    Routed(Routed),
    /// What is held here names a label of a brand.
    Used(BrandId, Label),
    /// An answer.
    Answer(Answer),
}

/// The records that name one set of identifiers.
#[derive(Default)]
struct IdSetRecords {
    records: SmallMap<RecordKey, Box<Record>>,
    /// The members about whom something was said.
    policies: SmallMap<Pseudonym, Policy>,
}

/// What the policies of a set's members come to.
struct SetPolicy {
    restricted: bool,
    /// What all statements allow.
    allowed: AllowedUses,
    /// Whether there is a statement about a cookie, and about anybody.
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
    /// Whether a record of the set needs to be consented to, and nobody was asked.
    fn lacks_consent(&self, record: &Record, settings: &BrandSettings) -> bool {
        let has_cookie = || record.ids.ids().iter().any(|id| id.kind == IdKind::Cookie);
        let consent = settings.on_consent.contains(&record.source);
        consent && !self.has_cookie_statement && (!self.has_statement || has_cookie())
    }

    /// For what a record of the set counts when links are judged by a time, or why it is out.
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

/// The identifiers that a record still links when links are judged by a time; none where these are all, or one clear value
/// is all that it has. Where it links none any more, it is known as one that may not link.
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

/// The identifiers of one clear value, by which a record is known that may not link; none where there is one alone.
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

/// The stage. The held records, under their sets of identifiers.
pub struct PolicyFilter {
    settings: Arc<Settings>,
    stats: Rc<Stats>,
    sets: FxHashMap<IdSetKey, IdSetRecords>,
    /// The records that name nobody.
    free: FxHashMap<RecordKey, Box<Record>>,
    /// For each brand how far what is held reaches back.
    oldest: BTreeMap<BrandId, EarliestHeld>,
    links: BTreeMap<BrandId, Links>,
    uses: LabelUses,
    deltas: DeltaBuffer,
}

/// The links of a brand whose records do not link for good.
struct Links {
    /// The time by which they are judged; before the first everything links.
    at: i64,
    /// The records that may stop to link, in the order of their times, with their sets.
    records: BTreeSet<(i64, u128, RecordKey)>,
}

impl Links {
    /// A record is held from now on, or no longer.
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

    /// The time by which links are judged moves: the time before, and the records that link more or less than then.
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

/// What becomes of a key: the content that is held, if any.
type Content = Option<Box<Record>>;

/// What an epoch says about one set.
#[derive(Default)]
struct Changes {
    held: Vec<(RecordKey, Content)>,
    policies: Vec<(Pseudonym, Policy, Diff)>,
}

impl PolicyFilter {
    /// Holds nothing yet.
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
            settings,
            stats,
            sets: FxHashMap::default(),
            free: FxHashMap::default(),
            uses: LabelUses::default(),
            deltas: DeltaBuffer::default(),
        }
    }

    /// A record that names nobody, or one that did.
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

    /// The time by which the links of a brand are judged moves. Only what links more or less by it is looked at.
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
        // Most changes are of a record alone, and do not look at the others of its set.
        if !changes.policies.is_empty() {
            let ids = set_records.records.iter().next();
            let ids = ids.map_or_else(IdSet::empty, |(_, record)| record.ids.clone());
            let was = set_records.policy(&ids);
            // A retraction may stand before what it retracts, and only what is there in the end counts.
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

    /// Answers with the records of one set, or with what of all has run out.
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

    /// What of a brand has run out. Nothing is looked at where nothing can have.
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
            // One of its identifiers finds the person.
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

/// The identifiers of a set that a record has named since a time.
fn recent(set_records: &IdSetRecords, since: i64) -> Option<Reply> {
    let mut records = set_records.records.iter();
    let (_, record) = records.find(|(_, record)| is_interaction(record) && record.ts >= since)?;
    let ids = record.ids.ids().iter().map(|id| id.pseudonym);
    Some(Reply::Active(ids.collect()))
}

/// A record is held in the place of another.
fn hold_labels(uses: &mut LabelUses, old: Option<&Record>, new: Option<&Record>) {
    for (record, diff) in [(new, 1), (old, -1)] {
        let Some(record) = record else { continue };
        labels(record).for_each(|label| uses.add(record.brand, label, diff));
    }
}

/// Counts a record that counts for less than it says.
fn count(stats: &Stats, record: &Record, admitted: &Result<Admission, WithholdReason>, diff: Diff) {
    match admitted {
        Err(why) => stats.withheld(*why, diff),
        Ok(of) if !of.credit && matches!(record.body, Body::Contact { .. }) => {
            stats.uncredited(diff);
        }
        Ok(_) => {}
    }
}

/// A record that nobody stands behind counts for everything.
const UNRESTRICTED: Admission = Admission {
    reduced: None,
    credit: true,
    joins: true,
};

/// Takes records apart on their way out.
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

/// Records of one set meet, and those that name nobody are spread by their own keys.
fn home(key: RecordKey, set: u128) -> u64 {
    match set {
        0 => key.0 as u64,
        set => set as u64,
    }
}
