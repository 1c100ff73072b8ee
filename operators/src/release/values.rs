//! The values of the cells of a pattern.

use std::collections::BTreeMap;

use crate::attribution::Model;
use crate::release::pattern::{CellName, Pattern, cell_of};
use crate::release::revenue_names::RevenueName;
use crate::release::table::Table;
use crate::release::weight::Rule;

/// The published cells of a month.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishedValues {
    /// The conversions and their value in minor units, by cell of revenue.
    pub revenue: BTreeMap<RevenueName, [i128; 2]>,
    /// Millionths of conversions and minor units, by model and cell.
    pub credits: BTreeMap<(Model, CellName), [i128; 2]>,
}

impl Rule {
    /// The values of the cells of a pattern. Sales that no cell of revenue covers are left out of all of them.
    pub fn values(&self, pattern: &Pattern, table: &Table) -> PublishedValues {
        let mut values = PublishedValues::default();
        let add = |sums: &mut [i128; 2], count: i128, value: i128| {
            sums[0] += count;
            sums[1] += value;
        };
        for sale in &table.sales {
            let Some(name) = pattern.revenue_of(sale.day, &table.place(sale)) else {
                continue;
            };
            let sums = values.revenue.entry(name).or_default();
            add(sums, sale.conversions, sale.value);
            for credit in &sale.credits {
                let names = match self.shared.contains(&credit.model) {
                    true => &pattern.shared,
                    false => &pattern.single,
                };
                let Some(channel) = table.channels.get(credit.channel as usize) else {
                    continue;
                };
                if let Some(name) = cell_of(names, channel) {
                    let sums = values.credits.entry((credit.model, name)).or_default();
                    add(sums, credit.millionths, credit.value);
                }
            }
        }
        values
    }
}
