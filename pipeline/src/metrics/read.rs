//! Reading the operational metrics back, for the page: what it shows is what Prometheus scrapes.

use std::collections::BTreeMap;

use prometheus::core::Collector;

use tributary_operators::steps::Step;

use super::label::{CHOICES, Label};
use super::table::Id;
use super::{Metrics, Own};

impl Metrics {
    /// The value of a gauge without labels; none where there is no such gauge.
    pub fn gauge(&self, id: Id) -> Option<f64> {
        match self.own(id)? {
            Own::Gauge(of) => Some(of.get_metric_with_label_values::<&str>(&[]).ok()?.get()),
            _ => None,
        }
    }

    /// The values of a gauge under all its labels.
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

    /// Identifiers that allow each step and that refuse it, added up over the brands; steps that are not told of are
    /// left out.
    pub fn consents(&self) -> Vec<(Step, [f64; 2])> {
        let told = |step: &Step| {
            let mut sums = [0.0; 2];
            let mut any = false;
            for brand in &self.brands {
                for (sum, choice) in sums.iter_mut().zip(CHOICES) {
                    let value = self.labelled(Id::Consents, &[brand, choice, step.name()]);
                    any |= value.is_some();
                    *sum += value.unwrap_or_default();
                }
            }
            any.then_some((*step, sums))
        };
        Step::ALL.iter().filter_map(told).collect()
    }

    /// A gauge under exactly these labels, in the order of its table; none where it has none such.
    fn labelled(&self, id: Id, labels: &[&str]) -> Option<f64> {
        let Some(Own::Gauge(of)) = self.own(id) else {
            return None;
        };
        let families = of.collect();
        let mut metrics = families.iter().flat_map(|family| family.get_metric());
        let found = metrics.find(|metric| {
            let values = metric.get_label().iter().map(|label| label.value());
            values.eq(labels.iter().copied())
        });
        found.map(|metric| metric.get_gauge().get_value())
    }

    /// A counter by one of its labels, added up over the others.
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
