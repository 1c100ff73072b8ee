//! The threshold: which cells of a group may be released, as a pure function of their current values.
//!
//! A cell needs `k` contributors. In a group that adds up to a total, more cells must be suppressed, see
//! [`crate::cells::suppress`]. Suppressed cells are summed in `other` if the family has a channel. A group whose total is
//! suppressed publishes nothing. Spend is not personal and needs no threshold.
//!
//! These totals are known to a reader: the takings, for the attribution of every model; and the conversions with a
//! touchpoint of a month, for its chain, paths, path lengths and days, because each of these adds up to it. That total is
//! itself the sum over the month's takings, see [`crate::cells::disclosure`]. Paths add up to other published values in so
//! many ways that they are published in multiples of `k`.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::aggregate::{Aggregate, CellKey, MonthGroup};
use crate::attribution::Model;
use crate::cell::{Family, Names, Threshold};
use crate::cells::group::{CellEntry, Group, GroupCells};
use crate::cells::group_key::{GroupKey, is_other, is_total};
use crate::cells::suppress::{Part, hidden};
use crate::label::{Channel, LabelNames};
use crate::settings::BrandSettings;

/// The cells of a group by key.
pub(super) type Entries = FxHashMap<CellKey, CellEntry>;

/// Sets for every cell of a group whether it may be released
/// ([`CellEntry::is_releasable`](super::group::CellEntry::is_releasable)), and computes `other`.
///
/// The result depends on the current values alone, never on what was published. A group with a
/// chain takes its credits from the last solution.
pub(super) fn apply_threshold(
    key: &GroupKey,
    group: &mut Group,
    settings: &BrandSettings,
    names: Names<'_>,
) {
    let k = Threshold::K.contributors(settings);
    match (&mut group.parts, key) {
        (GroupCells::One(entry), GroupKey::Alone(family, _)) => {
            let k = family.row().threshold.contributors(settings);
            entry.is_releasable = entry.exists() && entry.sums.contributors.max(0) >= k;
        }
        (GroupCells::Many(entries), GroupKey::Month(of)) => {
            let mut total = 0;
            if let Some(chain) = &group.chain {
                total = chain.persons(k);
                // No noise would hide what one path does to all effects.
                if settings.noise.is_none() {
                    put_credits(*of, entries, chain.credits());
                }
            }
            apply_minimum(entries, k);
            if k > 1 {
                month(entries, total, k, names);
                if settings.noise.is_none() {
                    coarsen(entries, k);
                }
                add_up(entries, &mut group.other, total >= k);
            }
        }
        (GroupCells::Many(entries), _) => {
            apply_minimum(entries, k);
            if k > 1 {
                let is_touched = |key: &CellKey| matches!(key, CellKey::Touched { .. });
                let behind = |is: &dyn Fn(&CellKey) -> bool| {
                    let entry = entries.iter().find(|(key, _)| is(key));
                    entry.map_or(0, |(_, entry)| entry.sums.contributors)
                };
                let (total, touched) = (behind(&is_total), behind(&is_touched));
                takings(entries, total, touched, k, names.words);
                add_up(entries, &mut group.other, total >= k);
            }
        }
        (GroupCells::One(_), _) => {}
    }
}

/// The threshold of the path families of a month that the ladder publishes: `total` persons have a touchpoint.
pub(super) fn apply_to_paths(entries: &mut Entries, total: i64, k: i64, names: Names<'_>) {
    apply_minimum(entries, k);
    month(entries, total, k, names);
    coarsen(entries, k);
}

/// Applies the threshold of `k` contributors to each cell separately.
fn apply_minimum(entries: &mut Entries, k: i64) {
    for entry in entries.values_mut() {
        entry.is_releasable = entry.exists() && entry.sums.contributors.max(0) >= k;
    }
}

/// Replaces the cells of the chain by the credits of its current solution. The contributors that
/// changed a cell stay, until the cell is published.
fn put_credits(
    group: MonthGroup,
    entries: &mut Entries,
    credits: impl Iterator<Item = (Channel, Aggregate)>,
) {
    for (key, entry) in &mut *entries {
        if matches!(key, CellKey::MarkovMonth { .. }) {
            let changed = entry.sums.changed;
            entry.sums = Aggregate::default();
            entry.sums.changed = changed;
        }
    }
    for (channel, sums) in credits {
        let entry = entries.entry(CellKey::MarkovMonth { group, channel });
        entry.or_default().sums = sums;
    }
}

/// Suppresses channels of the attribution of revenue: each in all models or in none.
///
/// `total` is the number of contributors of the revenue, `touched` of the conversions with a
/// touchpoint. If both conversions with and without a touchpoint may be released, they are
/// separated, and the channels add up to those with a touchpoint.
fn takings(entries: &mut Entries, total: i64, touched: i64, k: i64, words: &LabelNames) {
    let mut channels: BTreeMap<Channel, Vec<Option<i64>>> = BTreeMap::new();
    for (key, entry) in entries.iter().filter(|(_, entry)| entry.exists()) {
        if let CellKey::Attribution { model, channel, .. } = key {
            let counts = channels.entry(*channel);
            let counts = counts.or_insert_with(|| vec![None; Model::ALL.len()]);
            if let Some(count) = counts.get_mut(*model as usize) {
                *count = Some(entry.sums.contributors);
            }
        }
    }
    let parts = channels.into_iter().map(|(channel, contributors)| Part {
        hidden: channel == Channel::other(),
        key: channel,
        contributors,
    });
    let is_nothing =
        |channel: &Channel| [Channel::unattributed(), Channel::oversized()].contains(channel);
    let (nothing, mut channels): (Vec<_>, Vec<_>) = parts.partition(|part| is_nothing(&part.key));
    let mut parted = touched;
    if touched < k || nothing.iter().any(|part| part.fewest() < k) {
        channels.extend(nothing);
        parted = total;
    }
    let name = |channel: &Channel| channel.labels().map(|label| words.word(label));
    let hidden: FxHashSet<Channel> = hidden(channels, parted, k, name).into_iter().collect();
    for (key, entry) in entries {
        if let CellKey::Attribution { channel, .. } = key {
            entry.is_releasable = entry.exists() && !hidden.contains(channel);
        }
    }
}

/// Suppresses parts of the families of a month: four partitions of its conversions, and the
/// assists. `total` is the number of contributors of these conversions.
fn month(entries: &mut Entries, total: i64, k: i64, names: Names<'_>) {
    let overlaps = |key: &CellKey| key.family().is_some_and(|family| family.row().overlaps);
    let mut families = Family::ALL.to_vec();
    families.retain(|family| family.is_monthly() && !family.row().overlaps);
    for family in families {
        let of_family = entries
            .iter()
            .filter(|(key, entry)| key.family() == Some(family) && entry.exists());
        let parts = of_family.map(|(key, entry)| Part {
            hidden: is_other(key) || is_several(key),
            key: key.clone(),
            contributors: vec![Some(entry.sums.contributors)],
        });
        for key in hidden(parts.collect(), total, k, |key| key.dims(names)) {
            if let Some(entry) = entries.get_mut(&key) {
                entry.is_releasable = false;
            }
        }
    }
    for (key, entry) in entries {
        entry.is_releasable &= total >= k || !overlaps(key);
    }
}

/// Rounds the path families to multiples of `k`. They add up in many ways to the daily attribution:
/// to `first` by their first step, to `last` by their last. Rounding prevents differencing.
fn coarsen(entries: &mut Entries, k: i64) {
    for (key, entry) in entries {
        if key
            .family()
            .is_some_and(|family| family.row().is_path_statistic)
        {
            entry.grain = k;
        }
    }
}

/// Whether a cell of the chain stands for several channels. Their joint number of persons is not counted, so they are
/// suppressed into `other`.
fn is_several(key: &CellKey) -> bool {
    matches!(key, CellKey::MarkovMonth { channel, .. } if channel.is_several())
}

/// Sums the suppressed cells of families with a channel in `other`, which may be released if the
/// total may.
fn add_up(entries: &Entries, other: &mut BTreeMap<CellKey, CellEntry>, total_is_releasable: bool) {
    for entry in other.values_mut() {
        entry.sums = Aggregate::default();
    }
    for (key, entry) in entries {
        let Some(key) = other_of(key) else {
            continue;
        };
        if !entry.is_releasable {
            other.entry(key).or_default().sums.add(&entry.sums, 1);
        } else if entry.published.values().is_none() {
            // It was part of `other` when the group was last published.
            other.entry(key).or_default().sums.changed |= entry.sums.changed;
        }
    }
    for entry in other.values_mut() {
        entry.is_releasable = total_is_releasable && entry.exists();
    }
}

/// The `other` cell that sums a cell if it is suppressed, or `None` if its family has no channel.
fn other_of(key: &CellKey) -> Option<CellKey> {
    let mut key = match key {
        CellKey::Attribution { .. } | CellKey::MarkovMonth { .. } => key.clone(),
        _ => return None,
    };
    if let CellKey::Attribution { channel, .. } | CellKey::MarkovMonth { channel, .. } = &mut key {
        *channel = Channel::other();
    }
    Some(key)
}
