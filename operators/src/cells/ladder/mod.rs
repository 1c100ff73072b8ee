//! Months that are released by the ladder: their rows, the pattern in use, and what stands outside.
//!
//! A month of one kind and currency is a group of its own, with its revenue and all that its conversions are credited to.
//! It counts finished days only and leaves whole, in a batch; the rule itself is [`crate::release`]. The day in progress
//! publishes its revenue alone ([`progress`]).
//!
//! | file | concept |
//! |---|---|
//! | [`rows`] | the rows of a month, now and as last published |
//! | [`progress`] | the revenue of the days in progress |
//! | [`plan`] | the next publication of a month, while its Markov chain is solved |
//! | [`cells`] | the cells of a publication, and patterns read back from them |
//! | [`turn`] | the part of the ladder in an epoch of the operator |

pub(super) mod cells;
pub(super) mod plan;
pub(super) mod progress;
pub(super) mod rows;
pub(super) mod turn;

use std::collections::BTreeMap;

use crate::cell::{Dim, Family};
use crate::record::Day;
use crate::release::Pattern;
use plan::Plan;
use progress::Progress;
use rows::Rows;

/// The name of a published cell.
pub(super) type CellId = (Family, Vec<Dim>);

/// Published cells with their values.
pub(super) type Published = BTreeMap<CellId, Vec<i128>>;

/// A month of one kind and currency.
#[derive(Default)]
pub(super) struct LadderGroup {
    /// The conversions of all days.
    pub(super) rows: Rows,
    /// The pattern in use, if the month has been published.
    pub(super) pattern: Option<Pattern>,
    /// The pattern that the last batch decided.
    pub(super) decided: Option<Pattern>,
    /// The last finished day when the last batch looked at the month.
    pub(super) looked_through: Option<Day>,
    /// Whether anything changed since then.
    pub(super) is_dirty: bool,
    /// What stands outside of the finished days.
    pub(super) published: Published,
    /// The revenue of the days in progress.
    pub(super) progress: Progress,
    /// Whether the published cells are restored, and not yet reconciled.
    pub(super) has_restored: bool,
    /// The next publication.
    pub(super) plan: Option<Box<Plan>>,
}

impl LadderGroup {
    /// Whether nothing is held of the month and nothing stands outside.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
            && self.published.is_empty()
            && self.progress.is_empty()
            && self.plan.is_none()
    }

    /// What stands outside.
    pub(super) fn outside(&self) -> impl Iterator<Item = (&CellId, &Vec<i128>)> {
        self.published.iter().chain(&self.progress.published)
    }

    /// The number of entries in the state.
    pub(super) fn entries(&self) -> usize {
        self.rows.entries() + self.published.len() + self.progress.entries()
    }
}
