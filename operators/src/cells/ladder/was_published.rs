//! What was published of a month before a restart under a stricter gate withdrew it.
//!
//! Whether somebody has changed the month since it was last published is not known after a restart. It is found out by computing
//! the cells of then again from the conversions of now: if they are the same, nobody has, as far as a reader can tell.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::aggregate::MonthGroup;
use crate::cell::{Dim, Family};
use crate::cells::ladder::naming::{Naming, pattern_of, rule_of};
use crate::cells::ladder::progress::RevenueSums;
use crate::cells::ladder::published::{CellId, Published};
use crate::cells::ladder::rows::channel_name;
use crate::label::LabelNames;
use crate::release::{Members, Pattern, SaleRow};
use crate::settings::BrandSettings;

/// The families that are computed from more than the conversions in a pattern.
const OTHERS: [Family; 3] = [Family::Assists, Family::MarkovMonth, Family::VisitLift];

/// The families of paths, which a gate without a ladder publishes in another way.
const PATHS: [Family; 3] = [Family::Paths, Family::PathLength, Family::PathDays];

/// The published cells of the finished days, and how they came about.
pub(super) struct WasPublished {
    /// The settings of the brand, with the thresholds of then.
    settings: BrandSettings,
    /// The pattern of the cells, if the ladder published them.
    pattern: Pattern,
    cells: Published,
}

impl WasPublished {
    /// The cells that were published under some settings, of which some count their members alone.
    pub(super) fn new(
        settings: BrandSettings,
        cells: Published,
        members: &BTreeMap<CellId, Members>,
    ) -> WasPublished {
        WasPublished {
            pattern: match settings.has_ladder() {
                true => pattern_of(&rule_of(&settings), cells.keys(), members),
                false => Pattern::default(),
            },
            settings,
            cells,
        }
    }

    /// By how much the conversions and the value differ from those that were published, if some conversions give other cells.
    pub(super) fn difference(
        &self,
        group: MonthGroup,
        words: &Arc<LabelNames>,
        rows: &[(SaleRow, i64)],
    ) -> Option<[i128; 2]> {
        let naming = Naming {
            group,
            settings: &self.settings,
            words,
        };
        let (was, now) = match self.settings.has_ladder() {
            true => {
                let mut was = self.cells.clone();
                was.retain(|(family, _), _| !OTHERS.contains(family));
                let rule = rule_of(&self.settings);
                (was, naming.cells(&rule, &self.pattern, rows))
            }
            false => (self.totals(), totals_of(&naming, rows)),
        };
        let [was_sums, now_sums] = [&was, &now].map(revenue_sums);
        let differences = now_sums.into_iter().zip(was_sums);
        let differences: Vec<i128> = differences.map(|(now, was)| now - was).collect();
        (was != now).then(|| differences.try_into().unwrap_or_default())
    }

    /// Revenue by cell, and credits by model and channel.
    fn totals(&self) -> Published {
        let mut totals = Published::new();
        for ((family, dims), values) in &self.cells {
            let id = match family {
                of if OTHERS.contains(of) || PATHS.contains(of) => continue,
                // The brand, the model and the three dimensions of a channel.
                Family::Attribution => (*family, dims.iter().take(5).cloned().collect()),
                _ => (*family, dims.clone()),
            };
            add(&mut totals, id, values);
        }
        totals
    }
}

/// The conversions and the value of the cells of revenue. Visits have no value.
fn revenue_sums(cells: &Published) -> [i128; 2] {
    let mut sums = [0; 2];
    for ((family, _), values) in cells {
        let own = match (family, &values[..]) {
            (Family::StoreDay | Family::OrdersDay, [conversions, value, ..]) => {
                [*conversions, *value]
            }
            (Family::ScanDay, [visits, ..]) | (Family::VisitMatch, [_, visits, ..]) => [*visits, 0],
            _ => continue,
        };
        for (sum, value) in sums.iter_mut().zip(own) {
            *sum += value;
        }
    }
    sums
}

fn add(totals: &mut Published, id: CellId, values: &[i128]) {
    let sums = totals.entry(id).or_default();
    sums.resize(sums.len().max(values.len()), 0);
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += value;
    }
}

/// The totals of conversions, as a gate publishes them that has no ladder.
fn totals_of(naming: &Naming<'_>, rows: &[(SaleRow, i64)]) -> Published {
    let mut totals = Published::new();
    let mut revenue: BTreeMap<CellId, RevenueSums> = BTreeMap::new();
    let mut persons: BTreeMap<CellId, std::collections::BTreeSet<u64>> = BTreeMap::new();
    for (row, count) in rows {
        let times = i128::from(*count);
        let id = naming.revenue_of_row(row);
        let sums = revenue.entry(id.clone()).or_default();
        sums.conversions += i128::from(row.conversions) * times;
        sums.value += i128::from(row.value) * times;
        sums.scans += i128::from(row.scans) * times;
        sums.weight += i128::from(row.millionths()) * times;
        persons
            .entry(id)
            .or_default()
            .extend(row.is_person.then_some(row.who));
        for credit in row.credits.iter() {
            let channel = channel_name(credit.channel, naming.words);
            let word = |word: &Option<Arc<str>>| word.clone().map_or(Dim::Null, Dim::Text);
            let dims = vec![
                naming.brand(),
                Dim::Text(credit.model.name().into()),
                word(&channel.source),
                word(&channel.medium),
                word(&channel.campaign),
            ];
            let values = [credit.millionths, credit.value].map(|of| i128::from(of) * times);
            add(&mut totals, (Family::Attribution, dims), &values);
        }
    }
    for (id, mut sums) in revenue {
        sums.persons = persons.get(&id).map_or(0, |of| of.len() as i128);
        if sums != RevenueSums::default() {
            let values = sums.values(id.0);
            add(&mut totals, id, &values);
        }
    }
    totals.retain(|_, values| values.iter().any(|value| *value != 0));
    totals
}
