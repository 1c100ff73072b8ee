//! A month of the ladder: its rows, the pattern in use, and what is published.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::cells::ladder::held_back::HeldBack;
use crate::cells::ladder::panel_rows::PanelRows;
use crate::cells::ladder::path_cells::{Folded, PathNames};
use crate::cells::ladder::plan::Plan;
use crate::cells::ladder::progress::Progress;
use crate::cells::ladder::published::{CellId, Published, published_bytes};
use crate::cells::ladder::rows::Rows;
use crate::cells::ladder::was_published::WasPublished;
use crate::cells::restored::Restored;
use crate::label::Label;
use crate::record::Day;
use crate::release::{ChannelName, Pattern};

/// A month of one kind and currency.
#[derive(Default)]
pub(in crate::cells) struct LadderGroup {
    /// The conversions of all days, which a look at the month shares.
    pub(super) rows: Arc<Rows>,
    /// The panel of the month, which a look at the month shares.
    pub(super) panel: Arc<PanelRows>,
    /// The channels whose exposed persons are or were compared with others.
    pub(super) compared: BTreeSet<ChannelName>,
    /// The last finished day at the last publication that changed anything outside, if the month has been published.
    pub(super) published_through: Option<Day>,
    /// The pattern in use, if the month has been published.
    pub(super) pattern: Option<Pattern>,
    /// The cells of assists and of the Markov model in use.
    pub(super) paths: PathNames,
    /// The channels that the published chain merged.
    pub(super) folded: Folded,
    /// The pattern that the last batch decided.
    pub(super) decided: Option<(Pattern, PathNames)>,
    /// The last finished day when the last batch looked at the month.
    pub(super) looked_through: Option<Day>,
    /// Whether anything changed since then.
    pub(super) is_dirty: bool,
    /// The number of cells of the finest grain that are not published, when a batch last looked at the month.
    pub(super) hidden: u64,
    /// What is published of the finished days.
    pub(super) published: Published,
    /// The revenue of the days in progress.
    pub(super) progress: Progress,
    /// Whether the published cells are restored, and not yet reconciled.
    pub(in crate::cells) has_restored: bool,
    /// Restored credits of single days, which a gate without a ladder publishes.
    pub(super) restored_by_day: Published,
    /// How the restored cells were published.
    pub(in crate::cells) restored: Restored,
    /// Whether the month was published, and withdrawn since by a stricter gate.
    pub(super) is_withdrawn: bool,
    /// Whether it may have been changed since then by contributors that are not known after a restart.
    pub(super) has_unknown_changes: bool,
    /// By how much they have changed its conversions and its value, if a look has found that.
    pub(super) unknown_changes: [i128; 2],
    /// Whether the last look found no pattern in which it may be published.
    pub(super) is_blocked: bool,
    /// What a restart withdrew, until a look at the month has compared it.
    pub(super) was_published: Option<Arc<WasPublished>>,
    /// The next publication.
    pub(in crate::cells) plan: Option<Box<Plan>>,
}

impl LadderGroup {
    /// Whether nothing is held of the month and nothing is published.
    pub(in crate::cells) fn is_empty(&self) -> bool {
        self.rows.is_empty()
            && self.panel.is_empty()
            && self.published.is_empty()
            && self.progress.is_empty()
            && self.restored_by_day.is_empty()
            && self.plan.is_none()
    }

    /// Calls `each` with every label of the rows.
    pub(in crate::cells) fn each_label(&self, each: impl FnMut(Label)) {
        self.rows.each_label(each);
    }

    /// What is published.
    pub(in crate::cells) fn outside(&self) -> impl Iterator<Item = (&CellId, &Vec<i128>)> {
        self.published.iter().chain(&self.progress.published)
    }

    /// The number of entries in the state.
    pub(in crate::cells) fn entries(&self) -> usize {
        let outside = self.published.len() + self.restored_by_day.len();
        self.rows.entries() + self.panel.entries() + outside + self.progress.entries()
    }

    /// The estimated bytes of its rows on the heap.
    pub(in crate::cells) fn heap_bytes(&self) -> usize {
        self.rows.heap_bytes() + self.panel.heap_bytes() + published_bytes(&self.published)
    }

    /// What the month holds back of the days up to one, as of the last look at it, and of the days in progress, as of now.
    pub(in crate::cells) fn held_back(&self, through: Day) -> HeldBack {
        let in_progress = self.progress.held_back();
        let waits = self.pattern.is_some()
            && (self.rows.have_changed(through)
                || !self.compared.is_empty() && self.panel.have_changed());
        let of_month = if waits {
            self.published.len() as u64
        } else {
            0
        };
        HeldBack {
            months: u64::from(self.is_blocked || self.has_unknown_changes),
            hidden: self.hidden + in_progress.hidden,
            waiting: of_month + in_progress.waiting,
        }
    }
}
