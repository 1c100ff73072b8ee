//! Deciding a pattern for a state, without regard to what was published before.
//!
//! Grain by grain, from fine to coarse, what is safe gets a name; what is left of it goes up whole. Where a total is known
//! outside, nothing may be left at the end: published cells join the rest of the month, the coarsest first, of these the one
//! with the fewest contributors, then the first by name, until the rest is empty or safe.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::contribution::Contribution;
use super::name::{MONTH_GRAIN, Name};
use super::pattern::{Ladder, Names, Rest};
use super::threshold::{Set, contributors};

/// Contributions by chain: what no cell of a ladder separates.
pub(super) type Keys<'a> = BTreeMap<&'a [Name], Set<'a>>;

/// Contributions by chain.
pub(super) fn keys(contributions: &[Contribution]) -> Keys<'_> {
    let mut keys = Keys::new();
    for of in contributions {
        keys.entry(&of.chain).or_default().push(of);
    }
    keys
}

/// The pattern of a ladder; none where nothing of it can be published.
pub(super) fn decide(ladder: &Ladder, contributions: &[Contribution]) -> Option<Names> {
    decide_among(ladder, keys(contributions), |_| true)
}

/// The same where a cell must also be `allowed` to count just these chains. Chains may come without contributions.
pub(super) fn decide_among(
    ladder: &Ladder,
    keys: Keys,
    allowed: impl Fn(&BTreeSet<&[Name]>) -> bool,
) -> Option<Names> {
    let (mut published, mut left) = grain_by_grain(ladder, keys, allowed);
    let is_enough = |left: &Keys| {
        let rest = all(left);
        ladder.rest == Rest::HeldBack || rest.is_empty() || ladder.threshold.is_met(&rest)
    };
    while !is_enough(&left) {
        let next = published.iter().min_by_key(|(name, keys)| {
            let coarsest = Reverse(name.grain());
            (coarsest, contributors(&all(keys)), (*name).clone())
        });
        let next = next.map(|(name, _)| name.clone())?;
        left.extend(published.remove(&next).unwrap_or_default());
    }
    Some(published.into_keys().collect())
}

/// The cells that are safe on their own, and what is left. The rest of a month with a known total is none of them.
pub(super) fn grain_by_grain<'a>(
    ladder: &Ladder,
    keys: Keys<'a>,
    allowed: impl Fn(&BTreeSet<&[Name]>) -> bool,
) -> (BTreeMap<Name, Keys<'a>>, Keys<'a>) {
    let mut published = BTreeMap::new();
    let mut left = keys;
    for grain in 0..=MONTH_GRAIN {
        if grain == MONTH_GRAIN && ladder.rest == Rest::Published {
            break;
        }
        let mut candidates: BTreeMap<Name, Keys> = BTreeMap::new();
        for (chain, set) in &left {
            if let Some(name) = chain.iter().find(|name| name.grain() == grain) {
                let keys = candidates.entry(name.clone()).or_default();
                keys.insert(chain, set.clone());
            }
        }
        for (name, keys) in candidates {
            let chains = keys.keys().copied().collect();
            if ladder.threshold.is_met(&all(&keys)) && allowed(&chains) {
                left.retain(|chain, _| !chains.contains(chain));
                published.insert(name, keys);
            }
        }
    }
    (published, left)
}

fn all<'a>(keys: &Keys<'a>) -> Set<'a> {
    keys.values().flatten().copied().collect()
}
