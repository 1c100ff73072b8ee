//! Admit: which held records count, and for what.
//!
//! A record is *held* by what arrived ([`crate::hold`]), and *admitted* by what the persons behind it allow. It is
//! judged by the stances of its identifiers, so that a withdrawal, an objection and a renewal are changes of a
//! collection like any other: what was admitted is retracted, and comes back when it may.
//!
//! The rules, of which invariant I1 asks that they are a function of what is held:
//!
//! - A record that is restricted in any of its identifiers is out of every number.
//! - Allowed is what all statements about its identifiers allow. Where its source rests on consent and nothing
//!   was said about its cookie (about any identifier, where it has none), nothing is.
//! - A web record, and any record of a source that rests on consent, needs [`Step::Hold`] to count at all.
//! - Without [`Step::Credit`] a contact is no touch, without [`Step::Join`] nothing of the web and the till meets,
//!   without [`Step::Link`] the record stands for one identifier alone.
//! - A record that names nobody is judged by nobody.
//!
//! The records wait here under their set of identifiers, so that one change of a stance finds them all.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::ask::{Answer, Asked, Question, Reply, labels};
use crate::engine::{Diff, Epoch, Stage};
use crate::facts::{Routed, route};
use crate::label::Label;
use crate::label_uses::LabelUses;
use crate::record::{Body, BrandId, IdKind, IdSet, Identifier, Pseudonym, Record, RecordKey};
use crate::retention::{Cutoffs, Oldest, is_interaction};
use crate::settings::{BrandSettings, Settings};
use crate::small_map::SmallMap;
use crate::statements::Stance;
use crate::stats::Stats;
use crate::steps::{Step, Steps};
use crate::sums::Tally;

/// For what a record counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The identifiers that it stands for, where it may not link all of its own.
    pub reduced: Option<IdSet>,
    /// Whether it may be credited.
    pub credit: bool,
    /// Whether web and till may meet in it.
    pub joins: bool,
}

/// Why a record is in no number. Of several causes the first counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// A right restricts it.
    Restricted,
    /// Its source rests on consent, and nobody has said anything.
    Unasked,
    /// What was said does not allow it.
    Refused,
}

/// What the stage is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AdmitIn {
    /// The content held under a key that names a set of identifiers, in the place of the one before.
    Held(RecordKey, Box<Record>),
    /// Nothing is held any more under a key that named the set.
    Gone(RecordKey, BrandId, u128),
    /// The time by which the links of a brand are judged, Unix milliseconds; told to a worker.
    LinkTime(BrandId, i64, u64),
    /// A member of a set stands so.
    Stance(BrandId, u128, Pseudonym, Stance),
    /// Somebody asks for the records of a set, or of every set on a worker.
    Ask(Asked, Option<u128>),
}

/// What the stage says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AdmitOut {
    /// A part of an admitted record.
    Routed(Routed),
    /// What is held here names a label of a brand.
    Used(BrandId, Label),
    /// An answer.
    Answer(Answer),
}

/// The records that name one set of identifiers.
#[derive(Default)]
struct Group {
    records: SmallMap<RecordKey, Box<Record>>,
    /// The members about whom something was said.
    stances: SmallMap<Pseudonym, Stance>,
}

/// What the stances of a set's members come to.
struct Verdict {
    restricted: bool,
    /// What all statements allow.
    allowed: Steps,
    /// Whether there is a statement about a cookie, and about anybody.
    cookie_said: bool,
    said: bool,
}

impl Group {
    fn verdict(&self, ids: &IdSet) -> Verdict {
        let mut verdict = Verdict {
            restricted: false,
            allowed: Steps::ALL,
            cookie_said: false,
            said: false,
        };
        if self.stances.is_empty() {
            return verdict;
        }
        for id in ids.ids() {
            let Some(stance) = self.stances.get(&id.pseudonym) else {
                continue;
            };
            verdict.restricted |= stance.restricted;
            if let Some(allowed) = stance.allowed {
                verdict.allowed = verdict.allowed.and(allowed);
                verdict.said = true;
                verdict.cookie_said |= id.kind == IdKind::Cookie;
            }
            if stance.do_not_sell {
                verdict.allowed = verdict.allowed.without(Step::Share);
            }
        }
        verdict
    }
}

impl Verdict {
    /// Whether a record of the set needs to be consented to, and nobody was asked.
    fn is_unasked(&self, record: &Record, settings: &BrandSettings) -> bool {
        let has_cookie = || record.ids.ids().iter().any(|id| id.kind == IdKind::Cookie);
        let consent = settings.on_consent.contains(&record.source);
        consent && !self.cookie_said && (!self.said || has_cookie())
    }

    /// For what a record of the set counts when links are judged by a time, or why it is out.
    fn admit(
        &self,
        record: &Record,
        settings: &BrandSettings,
        at: i64,
    ) -> Result<Admitted, Withheld> {
        let free = record.ids.is_empty()
            || matches!(
                record.body,
                Body::Spend { .. } | Body::Consent { .. } | Body::Right { .. }
            );
        if free {
            return Ok(FREE);
        }
        if self.restricted {
            return Err(Withheld::Restricted);
        }
        if self.is_unasked(record, settings) {
            return Err(Withheld::Unasked);
        }
        let allowed = self.allowed;
        let needs_hold = record.body.is_web() || settings.on_consent.contains(&record.source);
        if needs_hold && !allowed.allow(Step::Hold) {
            return Err(Withheld::Refused);
        }
        Ok(Admitted {
            reduced: match allowed.allow(Step::Link) {
                true => linked(record, settings, at),
                false => alone(&record.ids),
            },
            credit: allowed.allow(Step::Credit),
            joins: allowed.allow(Step::Join),
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

type GroupKey = (BrandId, u128);

/// The stage. The held records, under their sets of identifiers.
pub struct Admit {
    settings: Arc<Settings>,
    stats: Rc<Stats>,
    groups: FxHashMap<GroupKey, Group>,
    /// The records that name nobody.
    free: FxHashMap<RecordKey, Box<Record>>,
    /// For each brand how far what is held reaches back.
    oldest: BTreeMap<BrandId, Oldest>,
    links: BTreeMap<BrandId, Links>,
    uses: LabelUses,
    tally: Tally,
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
    fn turn(&mut self, at: i64, settings: &BrandSettings) -> (i64, BTreeSet<(u128, RecordKey)>) {
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
type Held = Option<Box<Record>>;

/// What an epoch says about one set.
#[derive(Default)]
struct Changes {
    held: Vec<(RecordKey, Held)>,
    stances: Vec<(Pseudonym, Stance, Diff)>,
}

impl Admit {
    /// Holds nothing yet.
    pub fn new(settings: Arc<Settings>, stats: Rc<Stats>) -> Admit {
        Admit {
            oldest: settings
                .brands
                .keys()
                .map(|brand| (*brand, Oldest::default()))
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
            groups: FxHashMap::default(),
            free: FxHashMap::default(),
            uses: LabelUses::default(),
            tally: Tally::default(),
        }
    }

    /// A record that names nobody, or one that did.
    fn free(&mut self, key: RecordKey, held: Held, out: &mut Vec<(AdmitOut, Diff)>) {
        let mut parts = Parts::new(&mut self.tally, out);
        let old = match held {
            Some(record) => self.free.insert(key, record),
            None => self.free.remove(&key),
        };
        let (old, new) = (old.as_deref(), self.free.get(&key).map(Box::as_ref));
        if old != new {
            hold_labels(&mut self.uses, old, new);
            old.iter().for_each(|old| parts.add(old, &FREE, -1));
            new.iter().for_each(|new| parts.add(new, &FREE, 1));
            parts.tally.end_contributor();
        }
    }

    /// The time by which the links of a brand are judged moves. Only what links more or less by it is looked at.
    fn turn(&mut self, brand: BrandId, at: i64, out: &mut Vec<(AdmitOut, Diff)>) {
        let settings = self.settings.brands.get(&brand);
        let Some((settings, links)) = settings.zip(self.links.get_mut(&brand)) else {
            return;
        };
        let (before, moved) = links.turn(at, settings);
        self.stats.steps(moved.len() as u64);
        let mut parts = Parts::new(&mut self.tally, out);
        for (set, key) in moved {
            let Some(group) = self.groups.get(&(brand, set)) else {
                continue;
            };
            let Some(record) = group.records.get(&key) else {
                continue;
            };
            let verdict = group.verdict(&record.ids);
            let was = verdict.admit(record, settings, before);
            let is = verdict.admit(record, settings, at);
            if was != is {
                was.iter().for_each(|was| parts.add(record, was, -1));
                is.iter().for_each(|is| parts.add(record, is, 1));
                parts.tally.end_contributor();
            }
        }
    }

    fn change(&mut self, key: GroupKey, changes: Changes, out: &mut Vec<(AdmitOut, Diff)>) {
        let Some(settings) = self.settings.brands.get(&key.0) else {
            return;
        };
        let mut links = self.links.get_mut(&key.0);
        let at = links.as_ref().map_or(i64::MIN, |links| links.at);
        let group = self.groups.entry(key).or_default();
        let mut parts = Parts::new(&mut self.tally, out);
        // Most changes are of a record alone, and do not look at the others of its set.
        if !changes.stances.is_empty() {
            let ids = group.records.iter().next();
            let ids = ids.map_or_else(IdSet::empty, |(_, record)| record.ids.clone());
            let was = group.verdict(&ids);
            // A retraction may stand before what it retracts, and only what is there in the end counts.
            let mut stances = changes.stances;
            stances.sort_unstable_by_key(|(_, _, diff)| *diff);
            for (id, stance, diff) in stances {
                match diff > 0 {
                    true => drop(group.stances.insert(id, stance)),
                    false => drop(group.stances.remove(&id)),
                }
            }
            let is = group.verdict(&ids);
            self.stats.steps(group.records.len() as u64);
            for (_, record) in group.records.iter() {
                let before = was.admit(record, settings, at);
                let now = is.admit(record, settings, at);
                if before != now {
                    count(&self.stats, record, &before, -1);
                    count(&self.stats, record, &now, 1);
                    before
                        .iter()
                        .for_each(|before| parts.add(record, before, -1));
                    now.iter().for_each(|now| parts.add(record, now, 1));
                    parts.tally.end_contributor();
                }
            }
        }
        self.stats.steps(changes.held.len() as u64);
        for (key, held) in changes.held {
            let old = match held {
                Some(record) => group.records.insert(key, record),
                None => group.records.remove(&key),
            };
            let (old, new) = (old.as_deref(), group.records.get(&key).map(Box::as_ref));
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
            let verdict = group.verdict(&one.ids);
            for (record, diff) in [(old, -1), (new, 1)] {
                let Some(record) = record else { continue };
                let admitted = verdict.admit(record, settings, at);
                count(&self.stats, record, &admitted, diff);
                if let Ok(admitted) = admitted {
                    parts.add(record, &admitted, diff);
                }
            }
            parts.tally.end_contributor();
        }
        if group.records.is_empty() && group.stances.is_empty() {
            self.groups.remove(&key);
        }
    }

    /// Answers with the records of one set, or with what of all has run out.
    fn answer(&mut self, asked: &Asked, set: Option<u128>, out: &mut Vec<(AdmitOut, Diff)>) {
        let replies = match (&asked.question, set) {
            (Question::Records { brand, .. }, Some(set)) => {
                let group = self.groups.get(&(*brand, set)).into_iter();
                let records = group.flat_map(|group| group.records.iter());
                records
                    .map(|(key, record)| Reply::Record(*key, record.clone()))
                    .collect()
            }
            (Question::Recent { brand, since, .. }, Some(set)) => {
                let group = self.groups.get(&(*brand, set));
                let recent = group.and_then(|group| recent(group, *since));
                recent.into_iter().collect()
            }
            (Question::Expired { brand, cutoffs }, None) => self.expired(*brand, cutoffs),
            _ => Vec::new(),
        };
        let replies = replies.into_iter();
        out.extend(replies.map(|reply| (AdmitOut::Answer(asked.answer(reply)), 1)));
    }

    /// What of a brand has run out. Nothing is looked at where nothing can have.
    fn expired(&mut self, brand: BrandId, cutoffs: &Cutoffs) -> Vec<Reply> {
        let oldest = self.oldest.get_mut(&brand);
        let Some(oldest) = oldest.filter(|oldest| oldest.reach_behind(cutoffs)) else {
            return Vec::new();
        };
        *oldest = Oldest::default();
        let mut replies = Vec::new();
        let groups = self.groups.iter().filter(|((of, _), _)| *of == brand);
        for (_, group) in groups {
            let (mut goes, mut acts) = (None, false);
            for (key, record) in group.records.iter() {
                oldest.note(record);
                cutoffs.judge(*key, record, &mut replies);
                acts |= cutoffs.is_recent(record);
                if cutoffs.goes_with_person(record) {
                    goes = goes.or(Some(&record.ids));
                }
            }
            // One of its identifiers finds the person.
            if let Some(ids) = goes.filter(|_| !acts) {
                let ids = ids.ids().iter();
                replies.extend(ids.map(|id| Reply::Quiet(id.pseudonym)));
            }
        }
        let free = self.free.iter().filter(|(_, record)| record.brand == brand);
        for (key, record) in free {
            oldest.note(record);
            cutoffs.judge(*key, record, &mut replies);
        }
        replies.sort_unstable();
        replies.dedup();
        replies
    }
}

/// The identifiers of a set that a record has named since a time.
fn recent(group: &Group, since: i64) -> Option<Reply> {
    let mut records = group.records.iter();
    let (_, record) = records.find(|(_, record)| is_interaction(record) && record.ts >= since)?;
    let ids = record.ids.ids().iter().map(|id| id.pseudonym);
    Some(Reply::Recent(ids.collect()))
}

/// A record is held in the place of another.
fn hold_labels(uses: &mut LabelUses, old: Option<&Record>, new: Option<&Record>) {
    for (record, diff) in [(new, 1), (old, -1)] {
        let Some(record) = record else { continue };
        labels(record).for_each(|label| uses.add(record.brand, label, diff));
    }
}

/// Counts a record that counts for less than it says.
fn count(stats: &Stats, record: &Record, admitted: &Result<Admitted, Withheld>, diff: Diff) {
    match admitted {
        Err(why) => stats.withheld(*why, diff),
        Ok(of) if !of.credit && matches!(record.body, Body::Contact { .. }) => {
            stats.uncredited(diff);
        }
        Ok(_) => {}
    }
}

/// A record that nobody stands behind counts for everything.
const FREE: Admitted = Admitted {
    reduced: None,
    credit: true,
    joins: true,
};

/// Takes records apart on their way out.
struct Parts<'a> {
    tally: &'a mut Tally,
    routed: Vec<(Routed, Diff)>,
    out: &'a mut Vec<(AdmitOut, Diff)>,
}

impl<'a> Parts<'a> {
    fn new(tally: &'a mut Tally, out: &'a mut Vec<(AdmitOut, Diff)>) -> Parts<'a> {
        Parts {
            tally,
            routed: Vec::new(),
            out,
        }
    }

    fn add(&mut self, record: &Record, admitted: &Admitted, diff: Diff) {
        route(record, admitted, diff, self.tally, &mut self.routed);
        let routed = self.routed.drain(..);
        self.out
            .extend(routed.map(|(routed, diff)| (AdmitOut::Routed(routed), diff)));
    }
}

impl Stage for Admit {
    type In = AdmitIn;
    type Out = AdmitOut;
    const NAME: &'static str = "Admit";

    fn route(update: &AdmitIn) -> u64 {
        match update {
            AdmitIn::Held(key, record) => home(*key, record.ids.key()),
            AdmitIn::Gone(key, _, set) => home(*key, *set),
            AdmitIn::Stance(_, set, ..) | AdmitIn::Ask(_, Some(set)) => *set as u64,
            AdmitIn::Ask(asked, None) => asked.target,
            AdmitIn::LinkTime(_, _, target) => *target,
        }
    }

    fn entries(&self) -> usize {
        let links = self.links.values().map(|links| links.records.len());
        self.groups.len() + self.free.len() + links.sum::<usize>() + self.uses.len()
    }

    fn step(&mut self, _: Epoch, updates: Vec<(AdmitIn, Diff)>, out: &mut Vec<(AdmitOut, Diff)>) {
        let mut changes: FxHashMap<GroupKey, Changes> = FxHashMap::default();
        let mut questions = Vec::new();
        let mut times: BTreeMap<BrandId, i64> = BTreeMap::new();
        for (update, diff) in updates {
            if let AdmitIn::Held(_, record) = &update
                && let Some(oldest) = self.oldest.get_mut(&record.brand)
            {
                oldest.note(record);
            }
            match update {
                AdmitIn::Held(key, record) if record.ids.is_empty() => {
                    self.free(key, Some(record), out);
                }
                AdmitIn::Gone(key, _, 0) => self.free(key, None, out),
                AdmitIn::Held(key, record) => {
                    let group = (record.brand, record.ids.key());
                    let changes = changes.entry(group).or_default();
                    changes.held.push((key, Some(record)));
                }
                AdmitIn::Gone(key, brand, set) => {
                    let changes = changes.entry((brand, set)).or_default();
                    changes.held.push((key, None));
                }
                AdmitIn::Stance(brand, set, id, stance) => {
                    let changes = changes.entry((brand, set)).or_default();
                    changes.stances.push((id, stance, diff));
                }
                AdmitIn::LinkTime(brand, at, _) => {
                    let time = times.entry(brand).or_insert(at);
                    *time = at.max(*time);
                }
                AdmitIn::Ask(asked, set) => questions.push((asked, set)),
            }
        }
        for (brand, at) in times {
            self.turn(brand, at, out);
        }
        for (key, changes) in changes {
            self.change(key, changes, out);
        }
        out.extend(
            self.tally
                .drain()
                .map(|sum| (AdmitOut::Routed(Routed::Sum(Box::new(sum))), 1)),
        );
        let used = self.uses.drain().into_iter();
        out.extend(used.map(|((brand, label), diff)| (AdmitOut::Used(brand, label), diff)));
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
