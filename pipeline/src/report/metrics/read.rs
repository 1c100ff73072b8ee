//! Reads operational metrics back for the page, so that the page shows what
//! Prometheus scrapes.

use std::collections::BTreeMap;

use prometheus::core::Collector;

use tributary_operators::allowed_uses::Use;

use super::label::{CHOICES, Label};
use super::table::Id;
use super::{Metrics, Own};

impl Metrics {
    /// Value of a gauge without labels; `None` if there is no such gauge.
    pub fn gauge(&self, id: Id) -> Option<f64> {
        match self.own(id)? {
            Own::Gauge(of) => Some(of.get_metric_with_label_values::<&str>(&[]).ok()?.get()),
            _ => None,
        }
    }

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

    /// Identifiers that allow each use and that refuse it, summed over the brands.
    /// Uses without a published count are omitted.
    pub fn consents(&self) -> Vec<(Use, [f64; 2])> {
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

    /// A counter by one of its labels, summed over the others.
    pub fn counted(&self, id: Id, by: Label) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        let Some(Own::Counter(of)) = self.own(id) else {
            return sums;
        };
        for family in of.collect() {
            for metric in family.get_metric() {
                let named = metric.get_label().iter().find(|l| l.name() == by.name());
                if let Some(label) = named {
                    *sums.entry(label.value().to_owned()).or_default() +=
                        metric.get_counter().get_value();
                }
            }
        }
        sums
    }
}
