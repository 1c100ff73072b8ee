//! The sums of one brand in one currency, as a board has them, and the places of stores and channels in the rows.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use tributary_operators::cell::{Dim, Family};
use tributary_operators::record::Day;

use crate::report::published_cells::PublishedCells;

/// The place of what is added up in a last row.
pub const REST: i32 = -1;

/// How many days the small charts go back.
pub const DAYS: i32 = 30;

/// Source, medium and campaign.
pub(super) type Channel<'a> = [Option<&'a str>; 3];

/// The sums of a brand in a currency.
pub(super) struct Sums<'a, 'b> {
    pub(super) board: &'a PublishedCells,
    pub(super) brand: &'b str,
    pub(super) code: &'b str,
    pub(super) stores: &'b [&'b str],
    pub(super) places: BTreeMap<Channel<'a>, i32>,
}

impl<'a> Sums<'a, '_> {
    /// Takes each of the sums by the currency and these dimensions that is in the currency.
    pub(super) fn each(
        &self,
        family: Family,
        periods: RangeInclusive<i32>,
        by: &[&str],
        mut take: impl FnMut(&[&'a Dim], &[i128]),
    ) {
        let board = self.board;
        let by: Vec<&str> = ["currency"].iter().chain(by).copied().collect();
        for (dims, values) in board.sums(family, self.brand, periods, &by) {
            if dims.first().copied().and_then(word) == Some(self.code) {
                take(&dims, &values);
            }
        }
    }

    pub(super) fn at(&self, dims: &[&'a Dim]) -> i32 {
        let found = channel(dims).and_then(|(channel, _)| self.places.get(&channel));
        found.copied().unwrap_or(REST)
    }
}

/// The place of a store in the rows.
pub fn place(stores: &[&str], store: &Dim) -> i32 {
    let found = stores.binary_search(&word(store).unwrap_or(""));
    found
        .ok()
        .and_then(|at| i32::try_from(at).ok())
        .unwrap_or(REST)
}

/// Something of each of the last days, the current one last.
pub fn daily<T>(today: Day, of: impl FnMut(Day) -> T) -> Vec<T> {
    (today.saturating_sub(DAYS - 1)..=today).map(of).collect()
}

/// The text of a dimension.
pub fn word(dim: &Dim) -> Option<&str> {
    match dim {
        Dim::Text(word) => Some(word),
        _ => None,
    }
}

/// The channel and the currency of `currency`, `source`, `medium`, `campaign`.
pub(super) fn channel<'a>(dims: &[&'a Dim]) -> Option<(Channel<'a>, &'a str)> {
    match dims {
        [currency, source, medium, campaign, ..] => {
            Some(([source, medium, campaign].map(|d| word(d)), word(currency)?))
        }
        _ => None,
    }
}
