//! The contacts of a month by channel, day and contributor, now and as last published.
//!
//! Each contributor has one entry per channel and day with its number of contacts, so that the state grows with the
//! contributors of the finest cells and with no coarser one. What has changed since the last publication is kept beside it as
//! differences, so that a month at rest holds each entry once. Distinct contributors of a union are only counted where
//! the bounds that its parts give do not decide: the largest part is a lower bound for their number, and the sum of the
//! largest shares an upper bound for the largest share.

use std::cell::Cell as Cached;
use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::aggregate::Aggregate;
use crate::cell::ContributorId;
use crate::engine::{Diff, table_bytes, tree_bytes};
use crate::label::Channel;
use crate::record::Day;
use crate::release::grain::{Contributions, Finding};
use crate::small_map::SmallMap;

/// A channel on a day.
pub(super) type ChannelDay = (Channel, Day);

/// Impressions, clicks and views.
type Sums = [i64; 3];

/// The contributors of a channel on a day.
#[derive(Default)]
struct Field {
    sums: Sums,
    /// The number of contacts by contributor.
    shares: SmallMap<ContributorId, i64>,
    /// What has changed since the last publication.
    since: Sums,
    shares_since: SmallMap<ContributorId, i64>,
    /// What stands behind the field now, until it changes.
    size: Cached<Option<Size>>,
}

/// What stands behind a channel on a day.
#[derive(Clone, Copy, Default)]
struct Size {
    contributors: u64,
    persons: u64,
    /// The number of contacts.
    contacts: i64,
    /// The most contacts of one contributor.
    largest: i64,
}

impl Size {
    fn of(shares: impl Iterator<Item = (ContributorId, i64)>) -> Size {
        let mut size = Size::default();
        for (who, contacts) in shares {
            size.contributors += 1;
            size.persons += u64::from(who.is_person());
            size.contacts += contacts;
            size.largest = size.largest.max(contacts);
        }
        size
    }
}

impl Field {
    fn is_empty(&self) -> bool {
        self.shares.is_empty() && self.shares_since.is_empty()
    }

    /// The shares now, or as last published.
    fn shares(&self, is_before: bool) -> Box<dyn Iterator<Item = (ContributorId, i64)> + '_> {
        let now = self.shares.iter().map(|(who, contacts)| (*who, *contacts));
        if !is_before || self.shares_since.is_empty() {
            return Box::new(now);
        }
        let before = now.map(|(who, contacts)| {
            let since = self.shares_since.get(&who).copied().unwrap_or_default();
            (who, contacts - since)
        });
        let since = self.shares_since.iter();
        let left = since.filter(|(who, _)| self.shares.get(who).is_none());
        let left = left.map(|(who, since)| (*who, -since));
        Box::new(before.chain(left).filter(|(_, contacts)| *contacts != 0))
    }

    fn size(&self, is_before: bool) -> Size {
        if is_before && !self.shares_since.is_empty() {
            return Size::of(self.shares(true));
        }
        let size = self.size.get();
        let size = size.unwrap_or_else(|| Size::of(self.shares(false)));
        self.size.set(Some(size));
        size
    }
}

/// Adds to a count, and removes it at zero.
fn bump(shares: &mut SmallMap<ContributorId, i64>, who: ContributorId, by: i64) {
    let count = shares.get(&who).copied().unwrap_or_default() + by;
    match count {
        0 => drop(shares.remove(&who)),
        count => drop(shares.insert(who, count)),
    }
}

/// The bit of a contributor that changes by an act of its own, as in [`Aggregate::changed`].
fn own_act(who: ContributorId) -> u128 {
    Aggregate::default().changed_by(who.label()).changed
}

/// The contacts of a month.
#[derive(Default)]
pub(super) struct Contacts {
    fields: BTreeMap<ChannelDay, Field>,
    /// The acts by which contributors changed since then on a day, as in [`Aggregate::changed`], where they are not the
    /// contributor itself: one statement or request may change many.
    acts: FxHashMap<(Day, ContributorId), u128>,
    /// The last day that the last publication counted.
    through: Option<Day>,
}

impl Contacts {
    /// Adds the contacts of a contributor, `diff` times.
    pub(super) fn add(&mut self, at: ChannelDay, who: ContributorId, sums: &Aggregate, diff: Diff) {
        if sums.changed != 0 && sums.changed != own_act(who) {
            *self.acts.entry((at.1, who)).or_default() |= sums.changed;
        }
        let is_published = self.through.is_some_and(|through| at.1 <= through);
        let field = self.fields.entry(at).or_default();
        let mut contacts = 0;
        for ((now, since), value) in field.sums.iter_mut().zip(&mut field.since).zip(sums.values) {
            let value = i64::try_from(value).unwrap_or_default() * diff;
            *now += value;
            *since += if is_published { value } else { 0 };
            contacts += value;
        }
        bump(&mut field.shares, who, contacts);
        if is_published {
            bump(&mut field.shares_since, who, contacts);
        }
        field.size.set(None);
        if field.is_empty() {
            self.fields.remove(&at);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The number of entries.
    pub(super) fn entries(&self) -> usize {
        let fields = self.fields.values();
        let entries = fields.map(|field| field.shares.len() + field.shares_since.len());
        entries.sum::<usize>() + self.acts.len()
    }

    /// The estimated bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        let fields = self.fields.values();
        let fields = fields
            .map(|field| field.shares.heap_bytes(|_| 0) + field.shares_since.heap_bytes(|_| 0));
        tree_bytes::<ChannelDay, Field>(self.fields.len())
            + fields.sum::<usize>()
            + table_bytes(&self.acts)
    }

    /// The channels and days up to one, as of now and as last published, in order.
    pub(super) fn parts(&self, through: Day) -> Vec<ChannelDay> {
        let parts = self.fields.keys().filter(|(_, day)| *day <= through);
        parts.copied().collect()
    }

    /// The state now, or as last published, over some parts. `k` contributors make a set safe if none holds more
    /// than `dominance` percent of its contacts.
    pub(super) fn moment(
        &self,
        parts: &[ChannelDay],
        is_before: bool,
        rule: (u64, u64),
    ) -> Moment<'_> {
        let through = self.through;
        let is_counted = |day: Day| !is_before || through.is_some_and(|through| day <= through);
        let fields = parts.iter().map(|part| {
            let field = self.fields.get(part).filter(|_| is_counted(part.1));
            field.map(|field| (field, field.size(is_before)))
        });
        let (k, dominance) = rule;
        Moment {
            fields: fields.collect(),
            is_before,
            k,
            dominance,
        }
    }

    /// The month was published with all days up to one, or nothing of it is published.
    pub(super) fn publish(&mut self, through: Option<Day>) {
        for field in self.fields.values_mut() {
            field.since = Sums::default();
            field.shares_since = SmallMap::default();
        }
        self.fields.retain(|_, field| !field.is_empty());
        self.acts
            .retain(|(day, _), _| through.is_none_or(|through| *day > through));
        self.through = through;
    }

    /// What has changed since the last publication, if it counts all days up to one: the differences of the sums, and a bit
    /// for each act, as in [`Aggregate::changed`].
    ///
    /// A person is known by another label after a merge, a split or an erasure. So who loses contacts with a channel on a day
    /// explains as many gains there: only as many contributors count as the losses cannot have become, or, if more is lost
    /// than gained, as the gains cannot have been. Contributors that change by one act count once.
    pub(super) fn changes(&self, through: Day) -> ([i64; 5], u128) {
        let mut sums = [0; 5];
        let mut bits = 0;
        for ((_, day), field) in &self.fields {
            let is_new = self.through.is_none_or(|before| before < *day);
            if *day > through || !is_new && field.shares_since.is_empty() && field.since == [0; 3] {
                continue;
            }
            let (of, shares) = match is_new {
                true => (field.sums, &field.shares),
                false => (field.since, &field.shares_since),
            };
            for (sum, value) in sums.iter_mut().zip(of) {
                *sum += value;
            }
            let side = |sign: i64| {
                let shares = shares.iter().filter(move |(_, by)| by.signum() == sign);
                let mut side: Vec<(i64, ContributorId)> =
                    shares.map(|(who, by)| (by.abs(), *who)).collect();
                side.sort_unstable();
                side
            };
            let (gains, losses) = (side(1), side(-1));
            type Side = [(i64, ContributorId)];
            let unexplained = |side: &Side, other: &Side| -> Vec<ContributorId> {
                let mut explained: i64 = other.iter().map(|(by, _)| by).sum();
                let side = side.iter().filter(|(by, _)| {
                    explained -= by;
                    explained < 0
                });
                side.map(|(_, who)| *who).collect()
            };
            let (gained, lost) = (unexplained(&gains, &losses), unexplained(&losses, &gains));
            let most = if gained.len() >= lost.len() {
                gained
            } else {
                lost
            };
            let act = |who: &ContributorId| {
                let acts = self.acts.get(&(*day, *who)).copied();
                let acts = acts.unwrap_or_else(|| own_act(*who));
                acts & acts.wrapping_neg()
            };
            bits |= most.iter().map(act).fold(0, |all, bit| all | bit);
            // All of it may have been one act.
            if bits == 0 {
                let first = gains.first().or(losses.first());
                bits = first.map_or(0, |(_, who)| act(who));
            }
        }
        (sums, bits)
    }

    /// Calls `each` with every channel.
    pub(super) fn each_channel(&self, mut each: impl FnMut(Channel)) {
        self.fields.keys().for_each(|(channel, _)| each(*channel));
    }
}

/// The contacts of a month in one state.
pub(super) struct Moment<'a> {
    /// By part.
    fields: Vec<Option<(&'a Field, Size)>>,
    is_before: bool,
    k: u64,
    dominance: u64,
}

impl Moment<'_> {
    fn of<'a>(&'a self, parts: &'a [u32]) -> impl Iterator<Item = &'a (&'a Field, Size)> + Clone {
        let fields = parts
            .iter()
            .filter_map(|part| self.fields.get(*part as usize));
        fields.flatten()
    }

    /// The contributors of the union of some parts, each with its contacts.
    fn union(&self, parts: &[u32]) -> FxHashMap<ContributorId, i64> {
        let mut all: FxHashMap<ContributorId, i64> = FxHashMap::default();
        for (field, _) in self.of(parts) {
            for (who, contacts) in field.shares(self.is_before) {
                *all.entry(who).or_default() += contacts;
            }
        }
        all
    }

    fn has_enough(&self, parts: &[u32]) -> bool {
        if self.of(parts).any(|(_, size)| size.contributors >= self.k) {
            return true;
        }
        let mut all: FxHashSet<ContributorId> = FxHashSet::default();
        for (field, _) in self.of(parts) {
            all.extend(field.shares(self.is_before).map(|(who, _)| who));
            if all.len() as u64 >= self.k {
                return true;
            }
        }
        false
    }

    fn is_dominated(&self, parts: &[u32]) -> bool {
        let total: i64 = self.of(parts).map(|(_, size)| size.contacts).sum();
        let exceeds = |largest: i64| {
            i128::from(largest) * 100 > i128::from(total) * i128::from(self.dominance)
        };
        exceeds(self.of(parts).map(|(_, size)| size.largest).sum())
            && exceeds(self.union(parts).into_values().max().unwrap_or_default())
    }

    /// The impressions, clicks, views and distinct persons of some parts. Meant for the state now.
    pub(super) fn values(&self, parts: &[u32]) -> Vec<i128> {
        let mut values = vec![0; 4];
        for (field, _) in self.of(parts) {
            for (value, sum) in values.iter_mut().zip(field.sums) {
                *value += i128::from(sum);
            }
        }
        let persons = match parts {
            [_] => self.of(parts).map(|(_, size)| size.persons).sum(),
            _ => {
                let all = self.union(parts);
                all.keys().filter(|who| who.is_person()).count() as u64
            }
        };
        if let Some(value) = values.last_mut() {
            *value = persons.into();
        }
        values
    }
}

impl Contributions for Moment<'_> {
    fn judge(&self, parts: &[u32]) -> Finding {
        let is_empty = self.of(parts).all(|(_, size)| size.contributors == 0);
        let is_safe = !is_empty && self.has_enough(parts) && !self.is_dominated(parts);
        Finding {
            is_empty,
            is_safe,
            is_publishable: is_safe,
        }
    }

    fn contributors(&self, parts: &[u32]) -> u64 {
        self.union(parts).len() as u64
    }
}
