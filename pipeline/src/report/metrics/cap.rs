//! The cap on series: whatever names records contain, a metric has a bounded
//! number of them per brand.
//!
//! Of the channels (stores, platforms with their channels) of a metric, a brand
//! keeps the `http.max_series` with the greatest weight over all of its series,
//! ties in the order of their names. The others are summed as `other`, so that
//! every total is unchanged; ratios are computed after that, from the sums.
//! What the release gate publishes of several channels together is no channel
//! that `other` may contain: beyond the cap it is summed as `*`, which is always
//! kept.
//!
//! Anyone who may send records chooses the names of campaigns. Without a cap, a
//! campaign per visit would give Prometheus a series per visit. All series of a
//! channel are kept or summed together: a dashboard that divides two of them
//! never divides values of different sets of channels.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::label::{Label, OTHER, REST, is_rest};

/// A value before it is divided, which can be summed exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Amount {
    /// The value, or the numerator of a ratio.
    above: i128,
    /// The denominator of a ratio.
    below: Option<i128>,
    /// Weight in the ranking.
    weight: i128,
    /// Units of `above` (or of the ratio) in one unit of the metric.
    scale: f64,
}

impl Amount {
    /// An amount of `value` units, `scale` of which are one unit of the metric.
    pub fn plain(value: i128, scale: f64) -> Amount {
        Amount {
            above: value,
            below: None,
            weight: value.saturating_abs(),
            scale,
        }
    }

    /// The ratio `above / below / scale`, ranked by `weight`.
    pub fn ratio(above: i128, below: i128, weight: i128, scale: f64) -> Amount {
        Amount {
            above,
            below: Some(below),
            weight: weight.saturating_abs(),
            scale,
        }
    }

    /// Adds another amount of the same metric.
    fn add(&mut self, other: Amount) {
        self.above = self.above.saturating_add(other.above);
        self.below = self
            .below
            .zip(other.below)
            .map(|(a, b)| a.saturating_add(b));
        self.weight = self.weight.saturating_add(other.weight);
    }

    /// The exported number; `None` for a ratio with a denominator of 0.
    pub fn value(self) -> Option<f64> {
        let above = self.above as f64 / self.scale;
        match self.below {
            None => Some(above),
            Some(below) if below > 0 => Some(above / below as f64),
            Some(_) => None,
        }
    }
}

/// Amounts by the values of a metric's labels, in the order of its row.
pub type Points = BTreeMap<Vec<String>, Amount>;

/// Adds an amount to the one with the same labels.
pub fn add(points: &mut Points, labels: Vec<String>, amount: Amount) {
    match points.get_mut(&labels) {
        Some(sum) => sum.add(amount),
        None => {
            points.insert(labels, amount);
        }
    }
}

/// Caps the amounts of one metric and brand.
pub fn cap(points: Points, labels: &[Label], max_series: usize) -> Points {
    let open = |values: &[String]| -> Vec<String> {
        let values = labels
            .iter()
            .zip(values)
            .filter(|(label, _)| label.is_open());
        values.map(|(_, value)| value.clone()).collect()
    };
    if !labels.iter().any(|label| label.is_open()) {
        return points;
    }
    let mut weights: BTreeMap<Vec<String>, i128> = BTreeMap::new();
    for (values, amount) in &points {
        let open = open(values);
        if open.iter().all(|value| value == REST) {
            continue;
        }
        let weight = weights.entry(open).or_default();
        *weight = weight.saturating_add(amount.weight);
    }
    if weights.len() <= max_series {
        return points;
    }
    let mut ranked: Vec<(Reverse<i128>, Vec<String>)> = weights
        .into_iter()
        .map(|(words, weight)| (Reverse(weight), words))
        .collect();
    ranked.sort_unstable();
    let kept: BTreeSet<Vec<String>> = ranked
        .into_iter()
        .take(max_series)
        .map(|(_, words)| words)
        .collect();

    let mut capped = Points::new();
    for (mut values, amount) in points {
        if !kept.contains(&open(&values)) {
            let word = match open(&values).iter().any(|value| is_rest(value)) {
                true => REST,
                false => OTHER,
            };
            for (label, value) in labels.iter().zip(&mut values) {
                if label.is_open() {
                    *value = word.to_owned();
                }
            }
        }
        add(&mut capped, values, amount);
    }
    capped
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: &[Label] = &[Label::Window, Label::Channel];

    fn points(of: &[(&str, &str, Amount)]) -> Points {
        let mut points = Points::new();
        for (window, channel, amount) in of {
            add(
                &mut points,
                vec![window.to_string(), channel.to_string()],
                *amount,
            );
        }
        points
    }

    fn shown(points: &Points) -> Vec<(String, Option<f64>)> {
        points
            .iter()
            .map(|(labels, amount)| (labels.join(" "), amount.value()))
            .collect()
    }

    fn whole(value: i128) -> Amount {
        Amount::plain(value, 1.0)
    }

    #[test]
    fn the_heaviest_stay_equals_go_by_name_and_totals_are_kept() {
        let all = points(&[
            ("30d", "a", whole(5)),
            ("30d", "b", whole(-9)),
            ("30d", "c", whole(5)),
            ("30d", "d", whole(1)),
            ("today", "c", whole(0)),
            ("today", "d", whole(1)),
        ]);
        assert_eq!(cap(all.clone(), LABELS, 4), all);
        let two = cap(all.clone(), LABELS, 2);
        let expected = [
            ("30d a", 5.0),
            ("30d b", -9.0),
            ("30d other", 6.0),
            ("today other", 1.0),
        ];
        assert_eq!(
            shown(&two),
            expected.map(|(name, value)| (name.to_owned(), Some(value)))
        );
        let none = cap(all, LABELS, 0);
        assert_eq!(shown(&none)[0], ("30d other".to_owned(), Some(2.0)));
    }

    #[test]
    fn what_the_gate_publishes_together_is_never_other() {
        let all = points(&[
            ("month", "google/cpc/*", whole(2)),
            ("month", "google/cpc/a", whole(1)),
            ("month", "google/cpc/b", whole(9)),
            ("month", "mail/*/*", whole(1)),
            ("month", "*", whole(5)),
        ]);
        assert_eq!(cap(all.clone(), LABELS, 4), all);
        let names = ["month *", "month google/cpc/b", "month other"];
        let sums = [8.0, 9.0, 1.0].map(Some);
        let expected: Vec<_> = names.map(str::to_owned).into_iter().zip(sums).collect();
        assert_eq!(shown(&cap(all, LABELS, 1)), expected);
    }

    #[test]
    fn a_channel_keeps_or_loses_all_of_its_series_together() {
        let all = points(&[
            ("30d", "a", whole(10)),
            ("today", "a", whole(1)),
            ("30d", "b", whole(9)),
            ("today", "b", whole(9)),
        ]);
        let names: Vec<_> = shown(&cap(all, LABELS, 1))
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["30d b", "30d other", "today b", "today other"]);
    }

    #[test]
    fn ratios_are_of_the_sums() {
        let all = points(&[
            ("30d", "a", Amount::ratio(100, 10, 10, 1.0)),
            ("30d", "b", Amount::ratio(8, 4, 4, 1.0)),
            ("30d", "c", Amount::ratio(1, 5, 5, 1.0)),
            ("30d", "d", Amount::ratio(1, 0, 0, 1.0)),
        ]);
        assert_eq!(
            shown(&cap(all.clone(), LABELS, 1)),
            [
                ("30d a".to_owned(), Some(10.0)),
                ("30d other".to_owned(), Some(10.0 / 9.0))
            ]
        );
        assert_eq!(shown(&all)[3], ("30d d".to_owned(), None));
    }

    #[test]
    fn what_has_no_open_label_is_left_alone() {
        let all = points(&[("30d", "a", whole(1)), ("30d", "b", whole(2))]);
        assert_eq!(cap(all.clone(), &[Label::Window, Label::Sale], 1), all);
    }

    #[test]
    fn money_comes_out_in_major_units() {
        assert_eq!(Amount::plain(1_999, 100.0).value(), Some(19.99));
        assert_eq!(Amount::plain(-5, 1000.0).value(), Some(-0.005));
    }
}
