//! Reads operational metrics back for the page, so that the page shows what
//! Prometheus scrapes.

use std::collections::BTreeMap;

use prometheus::core::Collector;

use tributary_operators::allowed_uses::Use;

use super::label::{CHOICES, Label};
use super::table::Id;
use super::{Audience, Metrics, Own, lock};

impl Metrics {
    /// Values of a gauge under all its labels.
    pub fn gauges(&self, id: Id) -> Vec<f64> {
        let Some(Own::Gauge(of)) = self.own(id) else {
            return Vec::new();
        };
        let families = of.collect();
        let metrics = families.iter().flat_map(|family| family.get_metric());
        metrics
            .map(|metric| metric.get_gauge().get_value())
            .collect()
    }

    /// Identifiers that allow each use and that refuse it, summed over the brands
    /// that an audience sees. Uses without a published count are omitted.
    pub fn consents(&self, audience: &Audience<'_>) -> Vec<(Use, [f64; 2])> {
        let Some(Own::Gauge(of)) = self.own(Id::Consents) else {
            return Vec::new();
        };
        let mut sums: BTreeMap<String, [f64; 2]> = BTreeMap::new();
        for family in of.collect() {
            for metric in family.get_metric() {
                let word = |label: Label| {
                    let mut labels = metric.get_label().iter();
                    let found = labels.find(|l| l.name() == label.name());
                    found.map_or("", |label| label.value())
                };
                if !audience.sees(word(Label::Brand)) {
                    continue;
                }
                let sum = sums.entry(word(Label::Step).to_owned()).or_default();
                for (sum, choice) in sum.iter_mut().zip(CHOICES) {
                    if choice == word(Label::Choice) {
                        *sum += metric.get_gauge().get_value();
                    }
                }
            }
        }
        let steps = Use::ALL.into_iter();
        steps
            .filter_map(|step| Some((step, *sums.get(step.name())?)))
            .collect()
    }

    /// What an audience sees of a metric: a counter or gauge, summed over its series
    /// by one of its labels, or under the empty text for a label that it does not
    /// have. Empty if the audience sees nothing of it.
    pub fn seen(&self, id: Id, by: Label, audience: &Audience<'_>) -> BTreeMap<String, f64> {
        let exact = match self.own(id) {
            Some(Own::Counter(of)) => of.collect(),
            Some(Own::Gauge(of)) => of.collect(),
            _ => Vec::new(),
        };
        let mut sums = BTreeMap::new();
        for (labels, value) in lock(&self.sample).series(exact, audience) {
            let named = labels.into_iter().find(|(name, _)| name == by.name());
            let word = named.map_or_else(String::new, |(_, value)| value);
            *sums.entry(word).or_default() += value;
        }
        sums
    }
}
