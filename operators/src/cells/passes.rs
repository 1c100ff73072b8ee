//! Wallet passes by platform and day, for brands whose gate hides nothing.
//!
//! The number of active passes at the end of a day is a sum over all days up to it, so that one change may change every later day.
//! All days of a brand are therefore on one worker, which adds them up once per release.

use std::collections::BTreeMap;

use crate::aggregate::Aggregate;
use crate::engine::Diff;
use crate::record::{Day, WalletPlatform};

/// What passes add to a day. The fields are those of the family.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct PassDay {
    issued: i128,
    installed: i128,
    removed: i128,
    voided: i128,
    /// The passes with a record.
    records: i128,
    pushes: i128,
    opens: i128,
}

/// The values of a cell, in the order of the family.
pub(super) type Values = [i128; 7];

/// The passes of a brand.
#[derive(Default)]
pub(super) struct PassDays {
    days: BTreeMap<(WalletPlatform, Day), PassDay>,
    /// The published cells.
    pub(super) published: BTreeMap<(WalletPlatform, Day), Values>,
    /// Whether anything changed since the last release.
    pub(super) is_dirty: bool,
    /// Whether a published cell is from before a restart.
    pub(super) has_restored: bool,
}

impl PassDays {
    /// Adds the values of a part, `diff` times.
    pub(super) fn add(
        &mut self,
        at: (WalletPlatform, Day),
        is_touches: bool,
        sums: &Aggregate,
        diff: Diff,
    ) {
        let of = self.days.entry(at).or_default();
        let PassDay {
            issued,
            installed,
            removed,
            voided,
            records,
            pushes,
            opens,
        } = of;
        let passes = [issued, installed, removed, voided, records];
        let slots = match is_touches {
            false => passes.into_iter().collect::<Vec<_>>(),
            true => vec![pushes, opens],
        };
        for (slot, value) in slots.into_iter().zip(sums.values) {
            *slot += value * i128::from(diff);
        }
        if *of == PassDay::default() {
            self.days.remove(&at);
        }
        self.is_dirty = true;
    }

    /// The cells that exist.
    pub(super) fn cells(&self) -> BTreeMap<(WalletPlatform, Day), Values> {
        let mut cells = BTreeMap::new();
        let mut active: BTreeMap<WalletPlatform, i128> = BTreeMap::new();
        for (at, of) in &self.days {
            let active = active.entry(at.0).or_default();
            *active += of.installed - of.removed;
            let values = [
                of.issued,
                of.installed,
                of.removed,
                *active,
                of.voided,
                of.pushes,
                of.opens,
            ];
            if values != [0; 7] {
                cells.insert(*at, values);
            }
        }
        cells
    }

    /// Whether nothing is known and nothing is published.
    pub(super) fn is_empty(&self) -> bool {
        self.days.is_empty() && self.published.is_empty()
    }

    /// The number of entries.
    pub(super) fn entries(&self) -> usize {
        self.days.len() + self.published.len()
    }

    /// The number of published cells.
    pub(super) fn published_cells(&self) -> u64 {
        self.published.len() as u64
    }
}
