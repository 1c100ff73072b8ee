//! Weighing: which cells of a group the gate releases, as a pure function of what the group holds now.
//!
//! A cell needs `k` contributors. In a group that adds up to a total more has to stay inside, see
//! [`crate::cells::suppress`]; what is hidden is added up into `other` where the family has a channel. A group whose
//! total is hidden shows nothing at all, and what platforms charged is nobody's.
//!
//! The totals that are known outside: takings, for the attribution of every model; the conversions with a touch of a
//! month, for its chain, paths, lengths and days, because each of these adds up to it. That total itself is the sum over
//! the month's takings, see [`crate::cells::days`]. The paths that a channel helped in add up to its assists, and those
//! of so many steps to their length, but for repeated touches: these are told when what the hidden paths among them come
//! to is large enough too.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::attribution::Model;
use crate::cell::Dim;
use crate::cells::group::{Entry, Group, GroupKey, Parts, is_other};
use crate::cells::months::NullPaths;
use crate::cells::naming::channel_dims;
use crate::cells::suppress::{Part, hidden};
use crate::label::{Channel, Dictionary};
use crate::settings::BrandSettings;
use crate::sums::{CellKey, MonthGroup, Sums};

type Entries = FxHashMap<CellKey, Entry>;

/// Says of every cell of a group whether the gate releases it.
pub(super) fn weigh(
    key: &GroupKey,
    group: &mut Group,
    null: Option<&NullPaths>,
    settings: &BrandSettings,
    words: &Dictionary,
) {
    let k = i64::try_from(settings.k).unwrap_or(i64::MAX);
    match (&mut group.parts, key) {
        (Parts::One(entry), GroupKey::Alone(key)) => {
            let k = match key {
                CellKey::SpendDay { .. } => 0,
                CellKey::Visits { .. } => i64::try_from(settings.k_traffic).unwrap_or(i64::MAX),
                _ => k,
            };
            entry.open = entry.exists() && entry.sums.contributors.max(0) >= k;
        }
        (Parts::Many(entries), GroupKey::Month(of)) => {
            let none = NullPaths::default();
            let mut total = 0;
            if let Some(chain) = &group.chain {
                total = chain.persons(k);
                // No noise would hide what one path does to all effects.
                if settings.noise.is_none() {
                    solve(*of, entries, chain.solve(null.unwrap_or(&none), words));
                }
            }
            admit(entries, k);
            if k > 1 {
                month(entries, total, k, words);
                add_up(entries, &mut group.other, total >= k);
            }
        }
        (Parts::Many(entries), _) => {
            admit(entries, k);
            if k > 1 {
                let is_total = |key: &CellKey| {
                    matches!(key, CellKey::StoreDay { .. } | CellKey::OrdersDay { .. })
                };
                let is_touched = |key: &CellKey| matches!(key, CellKey::Touched { .. });
                let behind = |is: &dyn Fn(&CellKey) -> bool| {
                    let entry = entries.iter().find(|(key, _)| is(key));
                    entry.map_or(0, |(_, entry)| entry.sums.contributors)
                };
                let (total, touched) = (behind(&is_total), behind(&is_touched));
                takings(entries, total, touched, k, words);
                add_up(entries, &mut group.other, total >= k);
            }
        }
        (Parts::One(_), _) => {}
    }
}

/// The plain gate.
fn admit(entries: &mut Entries, k: i64) {
    for entry in entries.values_mut() {
        entry.open = entry.exists() && entry.sums.contributors.max(0) >= k;
    }
}

/// Puts what the chain gives each channel in the place of what it gave.
fn solve(group: MonthGroup, entries: &mut Entries, solved: impl Iterator<Item = (Channel, Sums)>) {
    for (key, entry) in &mut *entries {
        if matches!(key, CellKey::MarkovMonth { .. }) {
            let changed = entry.sums.changed;
            entry.sums = Sums::default();
            entry.sums.changed = changed;
        }
    }
    for (channel, sums) in solved {
        let entry = entries.entry(CellKey::MarkovMonth { group, channel });
        entry.or_default().sums = sums;
    }
}

/// The attribution of takings: a channel is hidden by every model or by none. What has a touch and what has none are
/// told apart where both may be seen; then the channels add up to what has a touch.
fn takings(entries: &mut Entries, total: i64, touched: i64, k: i64, words: &Dictionary) {
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
    let name = |channel: &Channel| channel_dims(*channel, words);
    let hidden: FxHashSet<Channel> = hidden(channels, parted, k, name).into_iter().collect();
    for (key, entry) in entries {
        if let CellKey::Attribution { channel, .. } = key {
            entry.open = entry.exists() && !hidden.contains(channel);
        }
    }
}

/// What is told of a month: four ways to part its conversions, and the assists.
fn month(entries: &mut Entries, total: i64, k: i64, words: &Dictionary) {
    let families: [fn(&CellKey) -> bool; 4] = [
        |key| matches!(key, CellKey::MarkovMonth { .. }),
        |key| matches!(key, CellKey::Paths { .. }),
        |key| matches!(key, CellKey::PathLength { .. }),
        |key| matches!(key, CellKey::PathDays { .. }),
    ];
    for family in families {
        let by_steps = sides(entries, |path| Some(path.len() as u32));
        let of_family = entries
            .iter()
            .filter(|(key, entry)| family(key) && entry.exists());
        let parts = of_family.map(|(key, entry)| Part {
            hidden: is_other(key)
                || matches!(key, CellKey::PathLength { touches, .. }
                    if !Sides::of(&by_steps, touches).are_safe(&entry.sums, k)),
            key: key.clone(),
            contributors: vec![Some(entry.sums.contributors)],
        });
        for key in hidden(parts.collect(), total, k, |key| part_dims(key, words)) {
            if let Some(entry) = entries.get_mut(&key) {
                entry.open = false;
            }
        }
    }
    let helped = sides(entries, |path| {
        let earlier = path.split_last().map_or(&[][..], |(_, earlier)| earlier);
        earlier.iter().copied().collect::<FxHashSet<Channel>>()
    });
    for (key, entry) in entries {
        if let CellKey::Assists { channel, .. } = key {
            entry.open &= total >= k && Sides::of(&helped, channel).are_safe(&entry.sums, k);
        }
    }
}

/// What tells the parts of a month apart.
fn part_dims(key: &CellKey, words: &Dictionary) -> Vec<Dim> {
    match key {
        CellKey::MarkovMonth { channel, .. } => channel_dims(*channel, words).into(),
        CellKey::Paths { path, .. } => {
            let word = |label| words.word(label).cloned();
            let path = path.iter();
            let path = path.map(|step| [word(step.source), word(step.medium), word(step.campaign)]);
            vec![Dim::Path(path.collect())]
        }
        CellKey::PathLength { touches, .. } => vec![Dim::Count((*touches).into())],
        CellKey::PathDays { days, .. } => vec![Dim::Count((*days).into())],
        _ => Vec::new(),
    }
}

/// The paths that a cell of another family is about, on both sides of the gate.
#[derive(Clone, Copy, Default)]
struct Sides {
    released: i128,
    behind_released: i64,
    hidden: u64,
    largest_hidden: i64,
}

impl Sides {
    fn of<K: std::hash::Hash + Eq>(sides: &FxHashMap<K, Sides>, key: &K) -> Sides {
        sides.get(key).copied().unwrap_or_default()
    }

    /// Whether the released paths can be taken from the cell and leave nothing, or nobody in particular. Repeated
    /// touches, which no path shows, may be in it too.
    fn are_safe(self, cell: &Sums, k: i64) -> bool {
        let behind = cell.contributors - self.behind_released;
        cell.values[0] == self.released || self.hidden != 1 && self.largest_hidden.max(behind) >= k
    }
}

/// Both sides of what each of some keys has of the paths.
fn sides<K: std::hash::Hash + Eq, I: IntoIterator<Item = K>>(
    entries: &Entries,
    keys: impl Fn(&[Channel]) -> I,
) -> FxHashMap<K, Sides> {
    let mut all: FxHashMap<K, Sides> = FxHashMap::default();
    for (key, entry) in entries.iter().filter(|(_, entry)| entry.exists()) {
        let CellKey::Paths { path, .. } = key else {
            continue;
        };
        for key in keys(path) {
            let sides = all.entry(key).or_default();
            if entry.open {
                sides.released += entry.sums.values[0];
                sides.behind_released += entry.sums.contributors;
            } else {
                sides.hidden += 1;
                sides.largest_hidden = sides.largest_hidden.max(entry.sums.contributors);
            }
        }
    }
    all
}

/// Adds up what is hidden into `other`, where the family has a channel; `open` where the total is released.
fn add_up(entries: &Entries, other: &mut BTreeMap<CellKey, Entry>, open: bool) {
    for entry in other.values_mut() {
        entry.sums = Sums::default();
    }
    for (key, entry) in entries {
        let Some(key) = other_of(key) else {
            continue;
        };
        if !entry.open {
            other.entry(key).or_default().sums.add(&entry.sums, 1);
        } else if entry.told.values().is_none() {
            // It was in here when the group was told last.
            other.entry(key).or_default().sums.changed |= entry.sums.changed;
        }
    }
    for entry in other.values_mut() {
        entry.open = open && entry.exists();
    }
}

/// The cell that adds up a cell if it is hidden.
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
