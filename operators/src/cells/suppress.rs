//! Complementary suppression: which parts of a published total are suppressed, so that none can be computed by subtraction.
//!
//! The parts of a total are released or suppressed. A reader who knows the total knows the sum of the suppressed parts,
//! whether it is published as `other` or not. So at least two parts must be suppressed, with at least `k` contributors
//! together; until that holds the smallest released part is suppressed too: the one with the fewest contributors, then the
//! first by name. If all parts are suppressed, their sum is the total itself, which is known.
//!
//! The number of contributors of several parts is known only as a lower bound, because one person may contribute to all of
//! them: it is at least that of the largest part, and at least the contributors of the total that are not behind any released
//! part.
//!
//! A total may be partitioned in several ways at once, as every attribution model distributes the same takings over the same
//! channels. Then a channel is suppressed in all of them or in none: if every path has two touchpoints, `linear` is the mean of
//! `first` and `last`, and any two of the three would reveal the third.

/// A part of a total.
pub(super) struct Part<K> {
    /// The key of the part.
    pub(super) key: K,
    /// Its contributors in each partition of the total; `None` if it has no share.
    pub(super) contributors: Vec<Option<i64>>,
    /// Whether it is suppressed in any case.
    pub(super) hidden: bool,
}

impl<K> Part<K> {
    /// The fewest contributors over all partitions.
    pub(super) fn fewest(&self) -> i64 {
        let counts = self.contributors.iter().flatten();
        counts.min().copied().unwrap_or_default()
    }
}

/// The suppressed and released parts of one partition.
#[derive(Clone, Copy, Default)]
struct Balance {
    /// The number of suppressed parts with a share.
    hidden: u64,
    /// The most contributors of any of them.
    largest: i64,
    /// The sum of the contributors of the released parts.
    released: i64,
}

/// Selects the parts to suppress, so that each released part has `k` contributors and no suppressed one can be
/// inferred. Returns the keys of the suppressed parts. `total` is the number of contributors of the total.
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
