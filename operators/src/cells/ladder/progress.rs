//! The revenue of the days in progress.
//!
//! A day that is not over publishes the revenue of each store with enough contributors at the cadence of the gate, and
//! nothing else: its conversions are credited when it is finished. A published value stays until `k_delta` contributors
//! have changed it. When the day ends, its cells become part of the month.

use std::collections::{BTreeMap, BTreeSet};

use crate::cell::{Dim, Family, NO_VALUE};
use crate::cells::ladder::held_back::HeldBack;
use crate::cells::ladder::published::{CellId, Published};
use crate::engine::Diff;
use crate::label::{Label, LabelNames};
use crate::record::{Day, SaleKind};
use crate::release::weight::{Rule, Weight};
use crate::release::{RevenueKind, SaleRow};
use crate::settings::BrandSettings;

/// What a contributor has in a store and day.
#[derive(Clone, Copy, Default)]
struct Share {
    rows: i64,
    /// The rows of verified sources.
    vouched: i64,
    conversions: i64,
    value: i64,
    scans: i64,
    is_person: bool,
}

/// A store and day in progress.
#[derive(Default)]
struct StoreDay {
    shares: BTreeMap<u64, Share>,
    /// The contributors and the sales that changed since it was last published.
    changed: [BTreeSet<u64>; 2],
    /// The acts that changed it, as a set of bits.
    acts: u128,
    /// Whether it is published.
    is_published: bool,
    /// Whether it was published, and withdrawn since by a stricter gate.
    is_withdrawn: bool,
    is_dirty: bool,
}

/// The stores and days in progress, and what is published of them.
#[derive(Default)]
pub(in crate::cells) struct Progress {
    store_days: BTreeMap<(Day, Label), StoreDay>,
    pub(super) published: Published,
}

impl Progress {
    /// Adds or retracts a row of a day in progress, by acts that are given as a set of bits. Stays are counted on finished
    /// days alone: they come when their day is settled.
    pub(super) fn add(&mut self, row: &SaleRow, acts: u128, diff: Diff) {
        if row.revenue_kind() == RevenueKind::Stay {
            return;
        }
        let store_day = self.store_days.entry((row.day, row.store)).or_default();
        let share = store_day.shares.entry(row.who).or_default();
        share.rows += diff;
        share.vouched += if row.is_vouched { diff } else { 0 };
        share.conversions += row.conversions * diff;
        share.value += row.value * diff;
        share.scans += i64::from(row.scans) * diff;
        share.is_person = row.is_person;
        if share.rows == 0 {
            store_day.shares.remove(&row.who);
        }
        if row.is_vouched {
            for (changed, of) in store_day.changed.iter_mut().zip([row.who, row.sale]) {
                changed.insert(of);
            }
        }
        store_day.acts |= acts;
        store_day.is_dirty = true;
    }

    /// Whether nothing is in progress or outside.
    pub(super) fn is_empty(&self) -> bool {
        self.store_days.is_empty() && self.published.is_empty()
    }

    /// The number of entries.
    pub(super) fn entries(&self) -> usize {
        let days = self.store_days.values();
        days.map(|of| of.shares.len()).sum::<usize>() + self.published.len()
    }

    /// Ends the days up to one. Returns what is published of them.
    pub(super) fn finish(&mut self, through: Day) -> Published {
        self.store_days.retain(|(day, _), _| *day > through);
        let is_over =
            |(id, _): &(&CellId, &mut Vec<i128>)| day_of(id).is_some_and(|day| day <= through);
        self.published
            .extract_if(.., |id, values| is_over(&(id, values)))
            .collect()
    }

    /// The stores and days that are not published, and the published ones with a change that waits.
    pub(super) fn held_back(&self) -> HeldBack {
        let mut counts = HeldBack::default();
        for of in self.store_days.values() {
            let waits = of.is_published && of.changed.iter().any(|changed| !changed.is_empty());
            counts.waiting += u64::from(waits);
            counts.hidden += u64::from(!of.is_published && !of.shares.is_empty());
        }
        counts
    }

    /// Takes the restored cells as what was last published, and others as withdrawn. Who has changed them since then is not
    /// known, so that they wait for others, if changes wait at all.
    pub(super) fn restore(
        &mut self,
        (cells, withdrawn): (Published, &BTreeSet<CellId>),
        settings: &BrandSettings,
        id: impl Fn(Day, Label) -> CellId,
    ) {
        self.published.extend(cells);
        for ((day, store), of) in &mut self.store_days {
            let id = id(*day, *store);
            of.is_withdrawn |= withdrawn.contains(&id);
            let is_known = of.is_withdrawn || self.published.contains_key(&id);
            if is_known && settings.k_delta() > 1 {
                of.changed.iter_mut().for_each(BTreeSet::clear);
                of.acts = 0;
            }
        }
    }

    /// Withdraws what is not what would be published now. Returns the cells that close, and those that stay, with their values.
    pub(super) fn withdraw(
        &mut self,
        rule: &Rule,
        id: impl Fn(Day, Label) -> CellId,
    ) -> Vec<(CellId, Option<Vec<i128>>)> {
        let before = std::mem::take(&mut self.published);
        for ((day, store), of) in &mut self.store_days {
            of.is_dirty = true;
            let id = id(*day, *store);
            let Some(was) = before.get(&id) else {
                continue;
            };
            let now = of.values(rule, *day, id.0);
            of.is_published = now.as_ref() == Some(was);
            match now.filter(|_| of.is_published) {
                Some(values) => drop(self.published.insert(id, values)),
                None => of.is_withdrawn = true,
            }
        }
        let changes = before.into_keys().map(|id| {
            let values = self.published.get(&id).cloned();
            (id, values)
        });
        changes.collect()
    }

    /// Publishes what may be published of the days in progress. Returns the changed cells, with their values or none.
    pub(super) fn release(
        &mut self,
        rule: &Rule,
        settings: &BrandSettings,
        id: impl Fn(Day, Label) -> CellId,
    ) -> Vec<(CellId, Option<Vec<i128>>)> {
        let mut updates = Vec::new();
        for ((day, store), of) in &mut self.store_days {
            if !std::mem::take(&mut of.is_dirty) {
                continue;
            }
            let id = id(*day, *store);
            let was = self.published.get(&id);
            of.is_published = was.is_some();
            let is_enough = of.acts() >= settings.k_delta();
            if (was.is_some() || of.is_withdrawn) && !is_enough {
                continue;
            }
            let now = of.values(rule, *day, id.0);
            if was == now.as_ref() {
                continue;
            }
            of.changed.iter_mut().for_each(BTreeSet::clear);
            of.acts = 0;
            of.is_published = now.is_some();
            of.is_withdrawn &= now.is_none();
            match &now {
                Some(values) => self.published.insert(id.clone(), values.clone()),
                None => self.published.remove(&id),
            };
            updates.push((id, now));
        }
        let published = &self.published;
        self.store_days.retain(|(day, store), of| {
            !of.shares.is_empty() || published.contains_key(&id(*day, *store))
        });
        updates
    }
}

impl StoreDay {
    /// How many have changed it at least. Somebody who leaves and returns is known by another label, but by the same sales; a
    /// request that names several identifiers is one act.
    fn acts(&self) -> u64 {
        let counts = self.changed.iter().map(|of| of.len() as u64);
        counts.min().unwrap_or(0).min(self.acts.count_ones().into())
    }

    /// The values of a family of revenue, if they may be published.
    fn values(&self, rule: &Rule, day: Day, family: Family) -> Option<Vec<i128>> {
        let mut weight = Weight::default();
        let mut sums = RevenueSums::default();
        for (who, share) in &self.shares {
            // How the value is spread does not matter here: revenue has no limit of dominance.
            weight.add(None, *who, share.vouched > 0, day, share.value.into());
            sums.conversions += i128::from(share.conversions);
            sums.value += i128::from(share.value);
            sums.scans += i128::from(share.scans);
            sums.persons += i128::from(share.is_person);
        }
        let is_any = sums != RevenueSums::default();
        (weight.is_counted(rule) && is_any).then(|| sums.values(family))
    }
}

/// The day of a cell of revenue, if it is of a single one.
pub(super) fn day_of((_, dims): &CellId) -> Option<Day> {
    dims.iter().find_map(|dim| match dim {
        Dim::Day(day) => Some(*day),
        _ => None,
    })
}

/// What the rows of a cell of revenue add up to.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RevenueSums {
    pub(super) conversions: i128,
    /// Minor units.
    pub(super) value: i128,
    pub(super) scans: i128,
    /// Millionths of conversions.
    pub(super) weight: i128,
    pub(super) persons: i128,
}

impl RevenueSums {
    /// The values of a cell. A visit's redemptions and transactions are counted beside it, by channel and as sales, so that they have
    /// no value here. Of stays those are counted that are matched: once they are settled nobody knows how many devices the others
    /// were, so that their number has no value, and candidates have none without it.
    pub(super) fn values(&self, family: Family) -> Vec<i128> {
        match family {
            Family::ScanDay => vec![
                self.conversions,
                self.scans,
                NO_VALUE,
                self.persons,
                NO_VALUE,
            ],
            Family::VisitMatch => vec![NO_VALUE, self.conversions, NO_VALUE, self.weight],
            _ => vec![self.conversions, self.value, self.persons],
        }
    }
}

/// The name of the revenue of a store and day.
pub(super) fn revenue_id(
    brand: &Dim,
    of: (SaleKind, RevenueKind),
    currency: &Dim,
    day: Dim,
    store: Dim,
) -> CellId {
    match of.0 {
        SaleKind::Transaction => (
            Family::StoreDay,
            vec![brand.clone(), store, day, currency.clone()],
        ),
        SaleKind::Visit => {
            let family = match of.1 {
                RevenueKind::Sale => Family::ScanDay,
                RevenueKind::Stay => Family::VisitMatch,
            };
            (family, vec![brand.clone(), store, day])
        }
        SaleKind::Order => (
            Family::OrdersDay,
            vec![brand.clone(), day, currency.clone()],
        ),
    }
}

/// The dimension of a label.
pub(super) fn label_dim(label: Label, words: &LabelNames) -> Dim {
    let word = words.word(label).cloned();
    word.map_or(Dim::Null, Dim::Text)
}
