//! Operational metrics as others than operators see them.
//!
//! One purchase, erasure or objection moves counters of the process by one, so
//! that exact counters would tell every single act. Everybody but operators
//! therefore sees a *sample*, taken once per release cadence, in which counts
//! are rounded down to multiples of a step of `release.k_delta` units
//! ([`Visibility`]).
//!
//! A counter is rounded down, and never decreases. A gauge that moves back and
//! forth across a multiple would tell each act that moves it, so it keeps the
//! value shown until the true one has left the steps beside it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use prometheus::proto::{Counter, Gauge, Metric, MetricFamily, MetricType};

use super::table::{Part, TABLE, Visibility};

/// Name of the label of a brand.
const BRAND: &str = "brand";

/// Labels of a series, as pairs of name and value.
pub(super) type Series = Vec<(String, String)>;

/// The sampled values, by metric and series.
#[derive(Default)]
pub(super) struct Sample {
    /// When it was taken.
    taken: Option<Instant>,
    /// What is shown.
    values: BTreeMap<(String, Series), f64>,
}

impl Sample {
    /// Whether a cadence has passed since the last sample.
    pub(super) fn is_due(&self, cadence: Duration, now: Instant) -> bool {
        let since = |taken: Instant| now.saturating_duration_since(taken);
        self.taken.is_none_or(|taken| since(taken) >= cadence)
    }

    /// Samples exact families. `k_delta` is that of the configuration.
    pub(super) fn take(&mut self, exact: &[MetricFamily], k_delta: u64, now: Instant) {
        let mut values = BTreeMap::new();
        for family in exact {
            let step = match visibility(family.name()) {
                Visibility::Cadence => None,
                Visibility::Steps(unit) => Some(k_delta.max(1) as f64 * f64::from(unit)),
                Visibility::Open | Visibility::Operate => continue,
            };
            let is_counter = family.get_field_type() == MetricType::COUNTER;
            for metric in family.get_metric() {
                let key = (family.name().to_owned(), series(metric));
                let before = self.values.get(&key).copied();
                let value = value(metric, is_counter);
                let shown = match step {
                    None => value,
                    Some(step) => stepped(before, value, step, is_counter),
                };
                values.insert(key, shown);
            }
        }
        *self = Sample {
            taken: Some(now),
            values,
        };
    }

    /// What is shown of a series; `None` if it had no value at the sample.
    fn get(&self, name: &str, metric: &Metric) -> Option<f64> {
        let key = (name.to_owned(), series(metric));
        self.values.get(&key).copied()
    }

    /// The families with the values that are shown instead of the exact ones.
    /// `is_exact` says whether a viewer sees the exact series of a brand, or with
    /// `None` those of the process.
    pub(super) fn show(
        &self,
        exact: Vec<MetricFamily>,
        is_exact: impl Fn(Option<&str>) -> bool,
    ) -> Vec<MetricFamily> {
        let shown = exact.into_iter().map(|mut family| {
            let is_counter = family.get_field_type() == MetricType::COUNTER;
            let visibility = visibility(family.name());
            let metrics = family.get_metric().iter().filter_map(|metric| {
                if visibility == Visibility::Open || is_exact(brand(metric)) {
                    return Some(metric.clone());
                }
                let value = self.get(family.name(), metric)?;
                Some(with_value(metric, value, is_counter))
            });
            let metrics = metrics.collect();
            family.set_metric(metrics);
            family
        });
        shown
            .filter(|family| !family.get_metric().is_empty())
            .collect()
    }

    /// What a viewer sees of the series of a metric, by their labels.
    pub(super) fn series(
        &self,
        exact: Vec<MetricFamily>,
        audience: &Audience<'_>,
    ) -> Vec<(Series, f64)> {
        let families = self.show(exact, |brand| audience.is_exact(brand));
        let families = of_brands(families, |brand| audience.sees(brand));
        let series = families.iter().flat_map(|family| {
            let is_counter = family.get_field_type() == MetricType::COUNTER;
            let metrics = family.get_metric().iter();
            metrics.map(move |metric| (series(metric), value(metric, is_counter)))
        });
        series.collect()
    }
}

/// Whose metrics are shown, and how.
#[derive(Clone, Debug, Default)]
pub struct Audience<'a> {
    /// Whether it sees exact series of the process, and with it all brands.
    pub is_operator: bool,
    /// The brands that it sees, and whether it sees exact series of each.
    pub brands: Vec<(&'a str, bool)>,
}

impl Audience<'_> {
    /// Operators of all brands.
    pub const OPERATORS: Audience<'static> = Audience {
        is_operator: true,
        brands: Vec::new(),
    };

    /// Whether it sees exact series of a brand, or with `None` of the process.
    pub(super) fn is_exact(&self, brand: Option<&str>) -> bool {
        let of_brand = |own: &&(&str, bool)| Some(own.0) == brand;
        self.is_operator || self.brands.iter().find(of_brand).is_some_and(|own| own.1)
    }

    /// Whether it sees the series of a brand.
    pub(super) fn sees(&self, brand: &str) -> bool {
        self.is_operator || self.brands.iter().any(|own| own.0 == brand)
    }
}

/// The value shown for `value`, of which `before` was shown last.
fn stepped(before: Option<f64>, value: f64, step: f64, is_counter: bool) -> f64 {
    let floor = (value / step).floor() * step;
    match before {
        Some(before) if is_counter => floor.max(before),
        Some(before) if before - step < value && value < before + step => before,
        _ => floor,
    }
}

/// Without the series of brands that a viewer may not see.
pub(super) fn of_brands(
    families: Vec<MetricFamily>,
    is_seen: impl Fn(&str) -> bool,
) -> Vec<MetricFamily> {
    let seen = families.into_iter().map(|mut family| {
        let is_seen = |metric: &&Metric| brand(metric).is_none_or(&is_seen);
        let metrics = family.get_metric().iter().filter(is_seen).cloned();
        let metrics = metrics.collect();
        family.set_metric(metrics);
        family
    });
    seen.filter(|family| !family.get_metric().is_empty())
        .collect()
}

/// How others than operators see a metric. A metric that is not in the table is
/// not seen.
fn visibility(name: &str) -> Visibility {
    let row = TABLE.iter().find(|row| row.full_name() == name);
    row.map_or(Visibility::Operate, |row| match row.part {
        Part::Operation => row.visibility,
        Part::Business => Visibility::Open,
    })
}

/// The brand of a series; `None` for a series of the process.
fn brand(metric: &Metric) -> Option<&str> {
    let mut labels = metric.get_label().iter();
    let label = labels.find(|label| label.name() == BRAND)?;
    Some(label.value())
}

/// Labels of a series.
fn series(metric: &Metric) -> Series {
    let labels = metric.get_label().iter();
    let pair =
        |label: &prometheus::proto::LabelPair| (label.name().to_owned(), label.value().to_owned());
    labels.map(pair).collect()
}

/// Value of a counter or gauge.
fn value(metric: &Metric, is_counter: bool) -> f64 {
    match is_counter {
        true => metric.get_counter().get_value(),
        false => metric.get_gauge().get_value(),
    }
}

/// A series with another value.
fn with_value(metric: &Metric, value: f64, is_counter: bool) -> Metric {
    let mut shown = metric.clone();
    if is_counter {
        let mut counter = Counter::default();
        counter.set_value(value);
        shown.set_counter(counter);
    } else {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        shown.set_gauge(gauge);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_rounded_down_and_never_decrease() {
        assert_eq!(stepped(None, 9.0, 10.0, true), 0.0);
        assert_eq!(stepped(Some(0.0), 29.0, 10.0, true), 20.0);
        assert_eq!(stepped(Some(20.0), 3.0, 10.0, true), 20.0);
        assert_eq!(stepped(Some(2.0), 3.0, 1.0, true), 3.0);
    }

    #[test]
    fn a_gauge_at_a_multiple_does_not_tell_single_acts() {
        let mut shown = Some(stepped(None, 20.0, 10.0, false));
        for value in [19.0, 20.0, 19.0, 21.0, 29.0, 11.0] {
            shown = Some(stepped(shown, value, 10.0, false));
            assert_eq!(shown, Some(20.0), "{value}");
        }
        assert_eq!(stepped(shown, 30.0, 10.0, false), 30.0);
        assert_eq!(stepped(shown, 10.0, 10.0, false), 10.0);
        assert_eq!(stepped(shown, 3.0, 10.0, false), 0.0);
    }
}
