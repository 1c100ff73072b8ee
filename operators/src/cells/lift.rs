//! The comparison of exposed and unexposed members of the panel, for brands whose gate hides nothing.
//!
//! A cell compares those who were exposed to a channel with all other members of the panel, so that one change of the panel may
//! change every channel of its month. All channels of a month are therefore on one worker, which subtracts once per release.

use std::collections::BTreeMap;

use crate::aggregate::Aggregate;
use crate::engine::Diff;
use crate::label::{Channel, Label};

/// The values of a cell, in the order of the family.
pub(super) type Values = [i128; 4];

/// The panel of a month.
#[derive(Default)]
pub(super) struct LiftMonth {
    /// The members, and the weight of their stays.
    panel: [i128; 2],
    /// The members that were exposed to each channel, the weight of their stays since, and of all their stays.
    channels: BTreeMap<Channel, [i128; 3]>,
    /// The published cells.
    pub(super) published: BTreeMap<Channel, Values>,
    /// Whether anything changed since the last release.
    pub(super) is_dirty: bool,
    /// Whether a published cell is from before a restart.
    pub(super) has_restored: bool,
}

impl LiftMonth {
    /// Adds the values of a part, `diff` times.
    pub(super) fn add(&mut self, channel: Option<Channel>, sums: &Aggregate, diff: Diff) {
        let [count, since, all, ..] = sums.values.map(|value| value * i128::from(diff));
        self.is_dirty = true;
        let Some(channel) = channel else {
            let [members, weight] = &mut self.panel;
            (*members, *weight) = (*members + count, *weight + all);
            return;
        };
        let of = self.channels.entry(channel).or_default();
        for (slot, value) in of.iter_mut().zip([count, since, all]) {
            *slot += value;
        }
        if *of == [0; 3] {
            self.channels.remove(&channel);
        }
    }

    /// The cells that exist.
    pub(super) fn cells(&self) -> BTreeMap<Channel, Values> {
        let [members, weight] = self.panel;
        let cells = self
            .channels
            .iter()
            .map(|(channel, [exposed, since, all])| {
                let values = [*exposed, *since, members - exposed, weight - all];
                (*channel, values)
            });
        cells.filter(|(_, values)| *values != [0; 4]).collect()
    }

    /// Whether nothing is known and nothing is published.
    pub(super) fn is_empty(&self) -> bool {
        self.panel == [0; 2] && self.channels.is_empty() && self.published.is_empty()
    }

    /// The number of entries.
    pub(super) fn entries(&self) -> usize {
        self.channels.len() + self.published.len()
    }

    /// The number of published cells.
    pub(super) fn published_cells(&self) -> u64 {
        self.published.len() as u64
    }

    /// Passes each label that a published cell or a channel is named by to `each`.
    pub(super) fn each_label(&self, mut each: impl FnMut(Label)) {
        for channel in self.published.keys().chain(self.channels.keys()) {
            [channel.source, channel.medium, channel.campaign]
                .into_iter()
                .for_each(&mut each);
        }
    }
}
