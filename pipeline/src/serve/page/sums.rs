//! Sums of one brand in one currency, and the rows of stores and channels.

use std::collections::BTreeMap;

use tributary_operators::cell::{Dim, Family};
use tributary_operators::record::Day;

use crate::report::channel_name::Channel;
use crate::report::published_cells::{Periods, PublishedCells};

/// Row of everything without a row of its own, because the page lists only so
/// many. What the release gate publishes together has rows of its own, with
/// `*` in the names that it gave up.
pub const REST: i32 = -1;

/// Number of days in the small charts.
pub const DAYS: i32 = 30;

/// Access to the sums of a brand in a currency.
pub(super) struct Sums<'a, 'b> {
    /// The released cells.
    pub(super) board: &'a PublishedCells,
    /// Name of the brand.
    pub(super) brand: &'b str,
    /// ISO 4217 code.
    pub(super) code: &'b str,
    /// Stores with a row of their own, ascending.
    pub(super) stores: &'b [&'b str],
    /// Rows of the channels.
    pub(super) places: BTreeMap<Channel<'a>, i32>,
    /// Whether the release gate may hide cells.
    pub(super) hides: bool,
}

impl<'a> Sums<'a, '_> {
    /// Calls `take` with each sum in the currency, by the currency and the
    /// dimensions `by`.
    pub(super) fn each(
        &self,
        family: Family,
        periods: Periods,
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

    /// Row of the channel in these dimensions.
    pub(super) fn at(&self, dims: &[&'a Dim]) -> i32 {
        let found = channel(dims).and_then(|(channel, _)| self.places.get(&channel));
        found.copied().unwrap_or(REST)
    }
}

/// Row of a store.
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

/// Text of a dimension.
pub fn word(dim: &Dim) -> Option<&str> {
    match dim {
        Dim::Text(word) => Some(word),
        _ => None,
    }
}

/// Channel and currency of the dimensions `currency`, `source`, `medium`,
/// `campaign`.
pub(super) fn channel<'a>(dims: &[&'a Dim]) -> Option<(Channel<'a>, &'a str)> {
    match dims {
        [currency, source, medium, campaign, ..] => {
            Some(([source, medium, campaign].map(|d| word(d)), word(currency)?))
        }
        _ => None,
    }
}
