//! The weight of a set of contributions: who stands behind it, and whether it may be published.
//!
//! A set is *safe* if in every model that credits anything in it at least `k` contributors stand behind it, and none of
//! them holds more than the dominance share of the sum of absolute values. Each contributor's own sum is taken first.
//! Only vouched contributors are counted, for both: whoever can invent records could otherwise invent a crowd around a
//! real one, or a value beside which a real one looks small. A set that a reader must not locate on a single day has to
//! have vouched contributors outside each of its days.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::attribution::Model;
use crate::record::Day;

/// The contributors that a cell of a month has outside any single day. With a single one, whoever knows which cells are
/// empty could often compute what that one contributed.
pub const OUTSIDE_A_DAY: u64 = 2;

/// The settings of the release rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The contributors that a published cell needs.
    pub k: u64,
    /// The share of a cell that one contributor may hold, percent. 100 turns the check off.
    pub dominance: u64,
    /// The models that share a conversion among its touchpoints. They decide together.
    pub shared: Vec<Model>,
    /// The models that credit a single touchpoint, or some of them more. They decide together, after the shared ones.
    pub single: Vec<Model>,
    /// Whether published cells join what is left over until that is safe. Only tests of the rule turn it off.
    pub joins: bool,
}

impl Rule {
    /// The rule for a brand's thresholds.
    ///
    /// The position model decides with the single-touch ones although it credits every touchpoint: if no path has more than
    /// three touchpoints, it and `linear` give the sum of `first` and `last`, behind which fewer may stand than behind
    /// either of them.
    pub fn new(k: u64, dominance: u64) -> Rule {
        let shared = vec![Model::Linear, Model::TimeDecay, Model::Shapley];
        let single = vec![
            Model::First,
            Model::Last,
            Model::LastNonDirect,
            Model::Position,
        ];
        Rule {
            k,
            dominance,
            shared,
            single,
            joins: true,
        }
    }
}

/// What stands behind a set of contributions.
#[derive(Clone, Debug, Default)]
pub struct Weight {
    /// By model: each vouched contributor with its sum of values, minor units.
    by_model: BTreeMap<Option<Model>, ModelWeight>,
}

/// What stands behind a set under one model.
#[derive(Clone, Debug, Default)]
struct ModelWeight {
    vouched: FxHashMap<u64, Contributor>,
}

/// What a vouched contributor has in a set.
#[derive(Clone, Copy, Debug)]
struct Contributor {
    sum: i128,
    first_day: Day,
    last_day: Day,
}

impl Weight {
    /// Adds a contribution. The model is `None` for revenue, which every model shares.
    pub fn add(&mut self, model: Option<Model>, who: u64, is_vouched: bool, day: Day, value: i128) {
        let of = self.by_model.entry(model).or_default();
        if is_vouched {
            let nothing = Contributor {
                sum: 0,
                first_day: day,
                last_day: day,
            };
            let of = of.vouched.entry(who).or_insert(nothing);
            of.sum += value;
            (of.first_day, of.last_day) = (of.first_day.min(day), of.last_day.max(day));
        }
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.by_model.is_empty()
    }

    /// The fewest contributors over the models that credit anything in the set.
    pub fn contributors(&self) -> u64 {
        let counts = self.by_model.values().map(|of| of.vouched.len() as u64);
        counts.min().unwrap_or(0)
    }

    /// Whether the set is spread over days: whichever single day is left out, at least [`OUTSIDE_A_DAY`] vouched contributors
    /// are left, in every model that credits anything in it.
    pub fn is_spread(&self) -> bool {
        !self.is_empty() && self.by_model.values().all(ModelWeight::is_spread)
    }

    /// Whether enough contributors stand behind the set for a cell of revenue. Dominance is not looked at: a store and day is
    /// published at the cadence while it lasts, and must look the same before and after midnight.
    pub fn is_counted(&self, rule: &Rule) -> bool {
        !self.is_empty() && self.contributors() >= rule.k
    }

    /// Whether the set may be published.
    pub fn is_safe(&self, rule: &Rule) -> bool {
        !self.is_empty() && self.by_model.values().all(|of| of.is_safe(rule))
    }
}

impl ModelWeight {
    fn is_spread(&self) -> bool {
        let mut on_one_day: FxHashMap<Day, u64> = FxHashMap::default();
        let only = self.vouched.values();
        for of in only.filter(|of| of.first_day == of.last_day) {
            *on_one_day.entry(of.first_day).or_default() += 1;
        }
        let most = on_one_day.into_values().max().unwrap_or(0);
        self.vouched.len() as u64 >= most + OUTSIDE_A_DAY
    }

    fn is_safe(&self, rule: &Rule) -> bool {
        if (self.vouched.len() as u64) < rule.k {
            return false;
        }
        let shares = self.vouched.values().map(|of| of.sum.unsigned_abs());
        let largest = shares.clone().max();
        let total: u128 = shares.sum();
        rule.dominance >= 100
            || largest.unwrap_or(0).saturating_mul(100)
                <= total.saturating_mul(rule.dominance.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(values: &[i128]) -> Weight {
        let mut weight = Weight::default();
        for (who, value) in values.iter().enumerate() {
            weight.add(None, who as u64, true, 1, *value);
        }
        weight
    }

    #[test]
    fn a_contributor_must_not_hold_nearly_all() {
        let rule = Rule::new(3, 80);
        assert!(!weight(&[5, 5]).is_safe(&rule));
        assert!(weight(&[80, 10, 10]).is_safe(&rule));
        assert!(!weight(&[81, 10, 9]).is_safe(&rule));
        // Refunds do not make a large sale small, and a refunded sale is none.
        assert!(!weight(&[81, -10, -9]).is_safe(&rule));
        assert!(weight(&[0, 0, 0]).is_safe(&rule));
        let off = Rule::new(3, 100);
        assert!(weight(&[1_000, 1, 0]).is_safe(&off));
    }

    #[test]
    fn only_vouched_contributors_count() {
        let rule = Rule::new(2, 80);
        let mut weight = weight(&[5]);
        weight.add(None, 7, false, 2, 5_000);
        assert_eq!(weight.contributors(), 1);
        assert!(!weight.is_safe(&rule));
        assert!(!weight.is_spread());
        weight.add(None, 8, true, 2, 5);
        assert!(weight.is_safe(&rule) && !weight.is_spread());
        weight.add(None, 9, true, 2, 5);
        assert!(!weight.is_spread(), "one is left without day 2");
        weight.add(None, 8, true, 3, 5);
        assert!(weight.is_spread());
    }

    #[test]
    fn every_model_with_a_share_counts() {
        let rule = Rule::new(2, 80);
        let mut weight = Weight::default();
        for (who, day) in [(1, 1), (1, 2), (2, 2), (2, 1)] {
            weight.add(Some(Model::Linear), who, true, day, 5);
        }
        assert!(weight.is_safe(&rule) && weight.is_spread());
        weight.add(Some(Model::First), 1, true, 1, 5);
        assert_eq!(weight.contributors(), 1);
        assert!(!weight.is_safe(&rule) && !weight.is_spread());
    }
}
