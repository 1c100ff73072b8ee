//! Assists and the Markov model of a month: what stands behind their channels, and which of them may be published.
//!
//! Both count the conversions with a touchpoint that the month's cells of revenue count, and each has cells of its own: an
//! assist stands behind every channel before the last touchpoint, and the Markov model's credit behind every channel of its
//! chain, which may merge channels. Where nothing of such a family may be published it is absent and holds nothing back.
//! Assists are published in multiples of `k`, as all path families are.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

use crate::cell::Family;
use crate::cells::ladder::naming::{Naming, cell_name};
use crate::cells::ladder::published::Published;
use crate::cells::ladder::rows::channel_name;
use crate::label::Channel;
use crate::release::by_channel::{ByChannel, Credit, Names, cell_among, decide, take_over};
use crate::release::weight::Rule;
use crate::release::{CellName, Pattern, SaleRow};

/// Channels that a chain merges, each with its replacement.
pub(super) type Folded = FxHashMap<Channel, Channel>;

/// The names of the published cells of each family; none if the family is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PathNames {
    pub(super) assists: Option<Names>,
    pub(super) markov: Option<Names>,
}

/// What stands behind the channels of the conversions that a pattern counts.
pub(super) struct Paths {
    assists: ByChannel,
    markov: ByChannel,
    /// The conversions and their value by the channel that they assist.
    sums: BTreeMap<Channel, [i128; 2]>,
    pub(super) folded: Folded,
}

impl Paths {
    /// The conversions of some rows that a pattern counts.
    pub(super) fn of(
        naming: &Naming<'_>,
        pattern: &Pattern,
        rows: &[(SaleRow, i64)],
        folded: Folded,
    ) -> Paths {
        let mut assists: BTreeMap<Channel, Vec<Credit>> = BTreeMap::new();
        let mut markov: BTreeMap<Channel, Vec<Credit>> = BTreeMap::new();
        let mut sums: BTreeMap<Channel, [i128; 2]> = BTreeMap::new();
        for (row, count) in naming.counted(pattern, rows) {
            let count = i128::from(count);
            let value = i128::from(row.value) * count;
            let credit = Credit {
                who: row.who,
                is_vouched: row.is_vouched,
                day: row.day,
                value: i128::from(row.measure()) * count,
            };
            let earlier = row
                .path
                .split_last()
                .map_or(&[][..], |(_, earlier)| earlier);
            let earlier: BTreeSet<Channel> = earlier.iter().copied().collect();
            for channel in earlier {
                assists.entry(channel).or_default().push(credit);
                let sum = sums.entry(channel).or_default();
                (sum[0], sum[1]) = (sum[0] + count, sum[1] + value);
            }
            let node = |channel: &Channel| folded.get(channel).copied().unwrap_or(*channel);
            let channels: BTreeSet<Channel> = row.path.iter().map(node).collect();
            for channel in channels {
                markov.entry(channel).or_default().push(credit);
            }
        }
        let named = |credits: BTreeMap<Channel, Vec<Credit>>| {
            let credits = credits.into_iter();
            let credits = credits.map(|(of, credits)| (channel_name(of, naming.words), credits));
            credits.collect()
        };
        Paths {
            assists: named(assists),
            markov: named(markov),
            sums,
            folded,
        }
    }

    /// The cells of assists.
    pub(super) fn assist_cells(&self, naming: &Naming<'_>, names: Option<&Names>) -> Published {
        let Some(names) = names else {
            return Published::new();
        };
        let mut cells: BTreeMap<CellName, [i128; 2]> = BTreeMap::new();
        for (channel, sums) in &self.sums {
            let name = cell_among(names, &channel_name(*channel, naming.words));
            let cell = cells.entry(name).or_default();
            for (slot, value) in cell.iter_mut().zip(sums) {
                *slot += value;
            }
        }
        let k = i128::from(naming.settings.k.max(1));
        let cells = cells.into_iter().map(|(name, [conversions, value])| {
            let rounded = conversions - conversions.rem_euclid(k);
            let value = (value * rounded).div_euclid(conversions.max(1));
            (naming.assists(&name), vec![rounded, value])
        });
        cells
            .filter(|(_, values)| values.iter().any(|value| *value != 0))
            .collect()
    }
}

impl PathNames {
    /// The cells of a state on its own.
    pub(super) fn decide(rule: &Rule, now: &Paths) -> PathNames {
        PathNames {
            assists: decide(rule, &now.assists),
            markov: decide(rule, &now.markov),
        }
    }

    /// The cells in use, moved towards decided ones; `None` if the month has to wait. A family that was absent is decided.
    pub(super) fn take_over(
        &self,
        rule: &Rule,
        decided: &PathNames,
        then: &Paths,
        now: &Paths,
    ) -> Option<PathNames> {
        let next = |used: &Option<Names>, decided: &Option<Names>, states: [&ByChannel; 2]| {
            let [_, now] = states;
            let Some(used) = used else {
                return Some(decide(rule, now));
            };
            let names = take_over(rule, used, decided.as_ref().unwrap_or(used), states)?;
            Some((!now.is_empty()).then_some(names))
        };
        let assists = [&then.assists, &now.assists];
        Some(PathNames {
            assists: next(&self.assists, &decided.assists, assists)?,
            markov: next(&self.markov, &decided.markov, [&then.markov, &now.markov])?,
        })
    }

    /// Takes out the names of the Markov model that have no cell, because all its values are 0. A restart knows the published
    /// cells alone.
    pub(super) fn forget_unpublished(&mut self, published: &Published) {
        self.markov = PathNames::of(published).markov;
    }

    /// The cells that stand outside.
    pub(super) fn of(published: &Published) -> PathNames {
        let mut all = PathNames::default();
        for (family, dims) in published.keys() {
            let names = match family {
                Family::Assists => &mut all.assists,
                Family::MarkovMonth => &mut all.markov,
                _ => continue,
            };
            let names = names.get_or_insert_default();
            if let [_, _, _, _, source, medium, campaign] = &dims[..] {
                names.extend(Some(cell_name([source, medium, campaign])));
            }
            names.remove(&CellName::Month);
        }
        all
    }
}
