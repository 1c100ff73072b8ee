//! When a set of contributions may be published.
//!
//! A set is safe if at least `k` contributors are behind it and none of them holds more than `dominance` percent of it, in
//! every model in which the set has anything. Of money that is compared, of mere contacts their number: first the sum of
//! each contributor, then what these sums amount to without their signs. Only what is vouched counts, so that nobody can
//! add invented persons, money or days to carry a real person over the threshold.

use std::collections::{BTreeMap, BTreeSet};

use super::contribution::Contribution;
use super::contributor::Contributor;
use crate::rules::Model;

/// Contributions that one cell counts.
pub(super) type Set<'a> = Vec<&'a Contribution>;

/// What a set must have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Threshold {
    /// Contributors.
    pub(super) k: u64,
    /// The most that one of them may hold, percent; 100 allows all.
    pub(super) dominance: u64,
    /// Contributors outside any one day.
    pub(super) outside_a_day: usize,
}

impl Threshold {
    /// The same for sets that may come from a single day.
    pub(super) fn of_any_days(self) -> Threshold {
        Threshold {
            outside_a_day: 0,
            ..self
        }
    }

    /// Whether a set may be published. An empty one may not.
    pub(super) fn is_met(&self, set: &[&Contribution]) -> bool {
        let models = by_model(set);
        !models.is_empty() && models.values().all(|of| self.is_met_in_model(of))
    }

    fn is_met_in_model(&self, vouched: &[&Contribution]) -> bool {
        let days: BTreeSet<_> = vouched.iter().map(|of| of.day).collect();
        let is_spread = days.iter().all(|day| {
            let others = vouched.iter().filter(|of| of.day != *day);
            let others: BTreeSet<Contributor> = others.map(|of| of.who).collect();
            others.len() >= self.outside_a_day
        });
        let mut sums: BTreeMap<Contributor, i128> = BTreeMap::new();
        for of in vouched {
            *sums.entry(of.who).or_default() += of.weight;
        }
        let all: u128 = sums.values().map(|sum| sum.unsigned_abs()).sum();
        let most = sums.values().map(|sum| sum.unsigned_abs()).max();
        let is_dominated = most.unwrap_or(0) * 100 > all * u128::from(self.dominance);
        sums.len() as u64 >= self.k && is_spread && !is_dominated
    }
}

/// The contributors behind a set: of several models the fewest.
pub(super) fn contributors(set: &[&Contribution]) -> u64 {
    let models = by_model(set);
    let counts = models.values().map(|vouched| {
        let distinct: BTreeSet<Contributor> = vouched.iter().map(|of| of.who).collect();
        distinct.len() as u64
    });
    counts.min().unwrap_or(0)
}

/// What is vouched of a set, for each model in which it has anything.
fn by_model<'a>(set: &[&'a Contribution]) -> BTreeMap<Option<Model>, Set<'a>> {
    let mut models: BTreeMap<Option<Model>, Set> = BTreeMap::new();
    for of in set {
        let vouched = models.entry(of.model).or_default();
        vouched.extend(of.vouched.then_some(*of));
    }
    models
}
