//! Suppression: which parts of a published total stay inside, so that no hidden one can be computed by subtraction.
//!
//! GroupCells that add up to a total are released or hidden. Whoever knows the total knows what the hidden ones come to,
//! whether it is written as `other` or not. So the hidden parts must be at least two, and at least `k` contributors
//! must stand behind them; until that holds the smallest released part joins them: the one with the fewest
//! contributors, then the one that comes first by name. When all parts are hidden, what they come to is the total
//! itself, which is known.
//!
//! How many stand behind several parts is only known from below, because one person may stand behind all of them: as
//! many as behind the largest one, and at least those of the total that stand behind no released part.
//!
//! One total may be parted in several ways at once, as every model parts the same takings over the same channels. Then
//! a channel is hidden in all of them or in none: where every path has two touches, `linear` is the mean of `first` and
//! `last`, and any two of the three would show the third.

/// A part of a total.
pub(super) struct Part<K> {
    /// What it is called here.
    pub(super) key: K,
    /// The contributors behind it, for each way to part the total; none where it has no share.
    pub(super) contributors: Vec<Option<i64>>,
    /// Whether it is hidden in any case.
    pub(super) hidden: bool,
}

impl<K> Part<K> {
    /// The contributors behind it in the way that has the fewest.
    pub(super) fn fewest(&self) -> i64 {
        let counts = self.contributors.iter().flatten();
        counts.min().copied().unwrap_or_default()
    }
}

/// What is hidden and what is released, for one way to part the total.
#[derive(Clone, Copy, Default)]
struct Balance {
    hidden: u64,
    largest: i64,
    released: i64,
}

/// GroupCells a total of which every part has `k` contributors, or takes part in a sum that nobody can see through. Gives the
/// keys of the hidden ones. `total` is the number of contributors behind the total.
pub(super) fn hidden<K, N: Ord>(
    parts: Vec<Part<K>>,
    total: i64,
    k: i64,
    name: impl Fn(&K) -> N,
) -> Vec<K> {
    let ways = parts.first().map_or(0, |part| part.contributors.len());
    let (inside, mut outside): (Vec<_>, Vec<_>) = parts
        .into_iter()
        .partition(|part| total < k || part.hidden || part.fewest() < k);
    let mut keys = Vec::new();
    if inside.is_empty() {
        return keys;
    }
    let mut balances = vec![Balance::default(); ways];
    for part in &outside {
        for (balance, count) in balances.iter_mut().zip(&part.contributors) {
            balance.released += count.unwrap_or_default();
        }
    }
    let mut hide = |part: Part<K>, balances: &mut [Balance], was_out: bool| {
        for (balance, count) in balances.iter_mut().zip(&part.contributors) {
            let Some(count) = *count else {
                continue;
            };
            balance.hidden += 1;
            balance.largest = balance.largest.max(count);
            balance.released -= if was_out { count } else { 0 };
        }
        keys.push(part.key);
    };
    for part in inside {
        hide(part, &mut balances, false);
    }
    let holds = |balances: &[Balance]| {
        balances.iter().all(|balance| {
            let behind = balance.largest.max(total - balance.released);
            balance.hidden == 0 || balance.hidden > 1 && behind >= k
        })
    };
    if !holds(&balances) {
        outside.sort_by_cached_key(|part| (part.fewest(), name(&part.key)));
        for part in outside {
            hide(part, &mut balances, true);
            if holds(&balances) {
                break;
            }
        }
    }
    keys
}
