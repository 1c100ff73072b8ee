//! The rows of a month, now and as last published.
//!
//! A row is kept under the day from the end of which on it is counted ([`counting_day`]): stays wait until their day is settled.
//!
//! Only the difference to the last publication is kept beside the rows, so that a month at rest holds each once. Who has
//! changed it is counted by acts ([`crate::aggregate::Aggregate::changed`]), linked over time: a person is known by other
//! labels before and after a merge, a split or an erasure, but its sales keep their names. Changes that share a contributor,
//! a sale or an act are one, so that a split, a merge or a request counts once in all months, and whoever leaves and returns
//! counts once, too. What changes no sale of a verified source has no act: anybody can invent it.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::aggregate::MonthGroup;
use crate::cells::ladder::packed_row::{PackedRow, from_day, pack, release};
use crate::engine::{Diff, table_bytes};
use crate::label::{Channel, Label, LabelNames};
use crate::label_numbers::LabelNumbers;
use crate::packed_multiset::PackedMultiset;
use crate::record::{Day, SaleKind};
use crate::release::published_days::counting_day;
use crate::release::{ChannelName, Credit, Place, RevenueKind, Sale, SaleRow, Table};

/// The rows of a month.
#[derive(Clone, Default)]
pub(in crate::cells) struct Rows {
    /// The rows, [packed](crate::cells::ladder::packed_row).
    now: PackedMultiset,
    /// What has changed since the last publication among the days that it counted.
    since: PackedMultiset,
    /// The number of entries of both.
    len: usize,
    /// The stores and channels of both.
    numbers: LabelNumbers,
    /// The acts that have changed each sale and day since then, as a set of bits.
    acts: FxHashMap<(Day, u64), u128>,
    /// The last day that the last publication counted.
    pub(in crate::cells) through: Option<Day>,
}

/// A row under the day from the end of which on it is counted.
fn counted(row: &SaleRow, settles_in: Day) -> SaleRow {
    SaleRow {
        day: counting_day(row.day, row.revenue_kind(), settles_in),
        ..row.clone()
    }
}

/// The row that is kept under such a day.
fn uncounted(row: SaleRow, settles_in: Day) -> SaleRow {
    let counted = counting_day(row.day, row.revenue_kind(), settles_in);
    SaleRow {
        day: row.day.saturating_sub(counted.saturating_sub(row.day)),
        ..row
    }
}

impl Rows {
    /// Adds or retracts a row, by acts that are given as a set of bits. `settles_in` is the number of days after a day by which
    /// its sightings are settled, here and below.
    pub(super) fn add(&mut self, row: &SaleRow, acts: u128, diff: Diff, settles_in: Day) {
        let row = &counted(row, settles_in);
        if acts != 0 {
            *self.acts.entry((row.day, row.sale)).or_default() |= acts;
        }
        let is_counted = self.through.is_some_and(|through| row.day <= through);
        let since = is_counted.then_some(&mut self.since);
        for rows in [Some(&mut self.now), since].into_iter().flatten() {
            let packed = pack(row, &mut self.numbers);
            let [before, now] = rows.amend(&packed, diff);
            self.len += usize::from(now != 0);
            self.len -= usize::from(before != 0);
            // An entry uses its labels once. They were used once more to find it.
            let uses = 1 + usize::from(before != 0) - usize::from(now != 0);
            for _ in 0..uses {
                release(PackedRow(&packed), &mut self.numbers);
            }
        }
    }

    /// Whether there are no rows.
    pub(super) fn is_empty(&self) -> bool {
        self.now.is_empty() && self.since.is_empty()
    }

    /// Whether anything has changed since the last publication, if it counts all days up to one.
    pub(super) fn have_changed(&self, through: Day) -> bool {
        !self.since.is_empty() || self.acts.keys().any(|(day, _)| *day <= through)
    }

    /// The estimated bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.now.heap_bytes()
            + self.since.heap_bytes()
            + self.numbers.bytes()
            + table_bytes(&self.acts)
    }

    /// The number of entries.
    pub(super) fn entries(&self) -> usize {
        self.len + self.acts.len() + self.numbers.len()
    }

    /// The rows of this group of the days up to one, each as often as it occurs.
    pub(super) fn finished(
        &self,
        group: MonthGroup,
        through: Day,
        settles_in: Day,
    ) -> Vec<(SaleRow, i64)> {
        let rows = self.packed_until(through);
        let rows = rows.filter_map(|(row, count)| Some((row.unpack(group, &self.numbers)?, count)));
        rows.map(|(row, count)| (uncounted(row, settles_in), count))
            .collect()
    }

    /// The packed rows of the days up to one.
    fn packed_until(&self, through: Day) -> impl Iterator<Item = (PackedRow<'_>, i64)> {
        let rows = self.now.iter().map(|(row, count)| (PackedRow(row), count));
        rows.take_while(move |(row, _)| row.day() <= through)
    }

    /// The rows of this group as they were last published, each as often as it occurred.
    pub(super) fn before(&self, group: MonthGroup, settles_in: Day) -> Vec<(SaleRow, i64)> {
        let now = self.through.map(|through| self.packed_until(through));
        let now = now.into_iter().flatten();
        let now = now.map(|(row, count)| (row, count - self.since.times(row.0)));
        let since = self.since.iter();
        let retracted = since.filter(|(row, _)| self.now.times(row) == 0);
        // What came since then was not there.
        let retracted = retracted.map(|(row, count)| (PackedRow(row), -count));
        now.chain(retracted)
            .filter(|(_, count)| *count > 0)
            .filter_map(|(row, count)| Some((row.unpack(group, &self.numbers)?, count)))
            .map(|(row, count)| (uncounted(row, settles_in), count))
            .collect()
    }

    /// Calls `each` with every label of a row that the last publication counted and that may have been retracted since.
    pub(super) fn each_label(&self, mut each: impl FnMut(Label)) {
        for (row, _) in self.since.iter() {
            PackedRow(row).each_label(&self.numbers, &mut each);
        }
    }

    /// The month was published with all days up to one.
    pub(super) fn publish(&mut self, through: Day) {
        for (row, _) in std::mem::take(&mut self.since).iter() {
            self.len -= 1;
            release(PackedRow(row), &mut self.numbers);
        }
        self.acts.retain(|(day, _), _| *day > through);
        self.through = Some(through);
    }

    /// What has changed since the last publication, if it counts all days up to one: the difference of conversions and of
    /// value, and a bit for each act; `None` if nothing has changed.
    pub(super) fn changes(&self, through: Day) -> ([i128; 2], Option<u128>) {
        let first = self
            .through
            .map(|before| from_day(before.saturating_add(1)));
        let fresh = self.now.from(first.as_ref().map_or(&[], |first| first));
        let fresh = fresh.take_while(|(row, _)| PackedRow(row).day() <= through);
        let changed = self.since.iter().chain(fresh);
        let mut sums = [0, 0];
        let mut by_sale: BTreeMap<u64, Vec<(PackedRow<'_>, i64)>> = BTreeMap::new();
        for (row, diff) in changed {
            let row = PackedRow(row);
            for (sum, own) in sums.iter_mut().zip(row.sums()) {
                *sum += i128::from(own) * i128::from(diff);
            }
            by_sale.entry(row.sale()).or_default().push((row, diff));
        }
        by_sale.retain(|_, rows| !is_same(rows));
        let bits = (!by_sale.is_empty()).then(|| self.bits(&by_sale));
        (sums, bits)
    }
}

/// Whether the changes of a sale cancel out but for its contributor.
fn is_same(rows: &[(PackedRow<'_>, i64)]) -> bool {
    let mut net: BTreeMap<_, i64> = BTreeMap::new();
    for (row, diff) in rows {
        *net.entry(row.without_who()).or_default() += diff;
    }
    net.values().all(|diff| *diff == 0)
}

/// The sets of sales that are linked.
#[derive(Default)]
struct Links(FxHashMap<u64, u64>);

impl Links {
    /// The smallest sale of the set of one.
    fn root(&mut self, of: u64) -> u64 {
        let mut at = of;
        while let Some(parent) = self.0.get(&at).copied().filter(|parent| *parent != at) {
            at = parent;
        }
        self.0.insert(of, at);
        at
    }

    fn join(&mut self, one: u64, other: u64) {
        let (one, other) = (self.root(one), self.root(other));
        self.0.insert(one.max(other), one.min(other));
    }
}

impl Rows {
    /// A bit for each set of changes that are linked by contributors and acts: the lowest of its acts, so that an act has
    /// the same bit in all months. Sets without an act have none.
    fn bits(&self, by_sale: &BTreeMap<u64, Vec<(PackedRow<'_>, i64)>>) -> u128 {
        let mut links = Links::default();
        let mut of_person: FxHashMap<u64, u64> = FxHashMap::default();
        let mut of_bit: FxHashMap<u32, u64> = FxHashMap::default();
        let acts = |rows: &[(PackedRow<'_>, i64)]| {
            let of_rows = rows
                .iter()
                .filter_map(|(row, _)| self.acts.get(&(row.day(), row.sale())));
            of_rows.fold(0, |all, acts| all | acts)
        };
        for (sale, rows) in by_sale {
            for (row, _) in rows {
                links.join(*sale, *of_person.entry(row.who()).or_insert(*sale));
            }
            let own = acts(rows);
            for bit in (0..u128::BITS).filter(|bit| own >> bit & 1 == 1) {
                links.join(*sale, *of_bit.entry(bit).or_insert(*sale));
            }
        }
        let mut of_set: BTreeMap<u64, u128> = BTreeMap::new();
        for (sale, rows) in by_sale {
            *of_set.entry(links.root(*sale)).or_default() |= acts(rows);
        }
        let lowest = of_set.values().map(|bits| bits & bits.wrapping_neg());
        lowest.fold(0, |all, bit| all | bit)
    }
}

/// A table of rows. Rows that occur several times are as many sales.
pub(super) fn table(rows: &[(SaleRow, i64)], words: &LabelNames) -> Table {
    let mut table = Table::default();
    let mut channels: FxHashMap<Channel, u32> = FxHashMap::default();
    let mut places: FxHashMap<(RevenueKind, Label), u32> = FxHashMap::default();
    for (row, count) in rows {
        let place = places.entry((row.revenue_kind(), row.store));
        let place = *place.or_insert_with(|| {
            table.places.push(place_of(row, words));
            table.places.len() as u32 - 1
        });
        let mut credits = Vec::with_capacity(row.credits.len());
        for credit in row.credits.iter() {
            let channel = *channels.entry(credit.channel).or_insert_with(|| {
                table.channels.push(channel_name(credit.channel, words));
                table.channels.len() as u32 - 1
            });
            credits.push(Credit {
                model: credit.model,
                channel,
                millionths: credit.millionths.into(),
                value: match row.group.kind {
                    SaleKind::Visit => credit.millionths,
                    SaleKind::Order | SaleKind::Transaction => credit.value,
                }
                .into(),
            });
        }
        let sale = Sale {
            who: row.who,
            is_vouched: row.is_vouched,
            place,
            day: row.day,
            conversions: row.conversions.into(),
            value: row.measure().into(),
            credits,
        };
        for _ in 1..*count {
            table.sales.push(sale.clone());
        }
        if *count > 0 {
            table.sales.push(sale);
        }
    }
    table
}

/// Where a row is counted on its day.
pub(super) fn place_of(row: &SaleRow, words: &LabelNames) -> Place {
    Place {
        kind: row.revenue_kind(),
        store: words.word(row.store).cloned(),
    }
}

/// The name of a channel.
pub(super) fn channel_name(channel: Channel, words: &LabelNames) -> ChannelName {
    let word = |label| words.word(label).cloned();
    ChannelName {
        source: word(channel.source),
        medium: word(channel.medium),
        campaign: word(channel.campaign),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::record::{BrandId, Currency};

    const GROUP: MonthGroup = MonthGroup {
        brand: BrandId(0),
        kind: SaleKind::Order,
        month: 0,
        currency: Currency(*b"EUR"),
    };

    fn row(who: u64, day: Day) -> SaleRow {
        SaleRow {
            group: GROUP,
            sale: who,
            who,
            is_person: true,
            is_vouched: true,
            store: Label::ABSENT,
            day,
            conversions: 1,
            value: 100,
            scans: 0,
            path: Arc::new([]),
            days: 0,
            credits: Arc::new([]),
        }
    }

    #[test]
    fn the_rows_before_are_those_that_were_published() {
        let mut rows = Rows::default();
        rows.add(&row(1, 3), 1, 1, 0);
        rows.add(&row(2, 3), 1, 1, 0);
        rows.publish(5);
        // One leaves, one comes on a day that was counted, and one on a day that was not.
        rows.add(&row(1, 3), 2, -1, 0);
        rows.add(&row(3, 4), 2, 1, 0);
        rows.add(&row(4, 6), 2, 1, 0);
        let mut before: Vec<(u64, i64)> = rows
            .before(GROUP, 0)
            .iter()
            .map(|(row, count)| (row.who, *count))
            .collect();
        before.sort_unstable();
        assert_eq!(before, [(1, 1), (2, 1)]);
    }
}
