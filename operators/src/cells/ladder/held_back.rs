//! What a month holds back, for the metrics: cells of the finest grain that are not published under their own name, and
//! published cells that would change.
//!
//! A month leaves whole, so all its published cells wait as soon as any conversion behind them has changed.

use std::collections::BTreeSet;

use crate::attribution::Model;
use crate::record::Day;
use crate::release::weight::Rule;
use crate::release::{CellName, Pattern, RevenueName, Table};

/// Numbers of cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::cells) struct HeldBack {
    /// Months that wait although a batch could publish them: in no pattern they may be, or they were changed before a restart.
    pub(in crate::cells) months: u64,
    /// Cells of a store and day, or of a channel and model, that are not published under their own name.
    pub(in crate::cells) hidden: u64,
    /// Published cells with a change that waits.
    pub(in crate::cells) waiting: u64,
}

/// The cells of the finest grain in a table that a pattern does not name.
pub(super) fn count_hidden(rule: &Rule, pattern: Option<&Pattern>, table: &Table) -> u64 {
    let mut days: BTreeSet<(Day, u32)> = BTreeSet::new();
    let mut credits: BTreeSet<(Model, u32)> = BTreeSet::new();
    for sale in &table.sales {
        days.insert((sale.day, sale.place));
        credits.extend(
            sale.credits
                .iter()
                .map(|credit| (credit.model, credit.channel)),
        );
    }
    days.retain(|(day, place)| {
        let place = table.places.get(*place as usize).cloned();
        let name = RevenueName::StoreDay(*day, place.unwrap_or_default());
        pattern.is_none_or(|pattern| !pattern.revenue.contains(&name))
    });
    credits.retain(|(model, channel)| {
        let name = table.channels.get(*channel as usize).cloned();
        let name = name.map(CellName::Channel);
        let names = pattern.map(|pattern| match rule.shared.contains(model) {
            true => &pattern.shared,
            false => &pattern.single,
        });
        !name
            .zip(names)
            .is_some_and(|(name, names)| names.contains(&name))
    });
    (days.len() + credits.len()) as u64
}
