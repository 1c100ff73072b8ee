//! What the metrics know of the configured brands. A reload replaces it as a whole
//! when it adds a brand, and no series of the brands of before changes.

use tributary_config::model::Config;
use tributary_operators::record::BrandId;

/// The configured brands, as far as metrics depend on them.
pub(super) struct MetricBrands {
    /// Their names.
    pub(super) names: Vec<String>,
    /// For each of them, whether its release gate may hide cells, and the days until
    /// all visits of a day count.
    pub(super) gates: Vec<(bool, Option<i32>)>,
    /// Minimum number of changes behind a step of what others than operators see.
    pub(super) k_delta: u64,
}

impl MetricBrands {
    /// The brands of a configuration.
    pub(super) fn new(config: &Config) -> MetricBrands {
        let gate = |brand| config.release.of_brand(brand);
        MetricBrands {
            names: (config.brands.iter())
                .map(|brand| brand.name.clone())
                .collect(),
            gates: (config.brands.iter())
                .map(|brand| {
                    let hides = gate(&brand.release).k > 1;
                    (hides, brand.days_to_settle().filter(|_| hides))
                })
                .collect(),
            k_delta: (config.brands.iter())
                .map(|brand| gate(&brand.release).k_delta)
                .fold(config.release.k_delta, u64::max),
        }
    }

    /// The name of a brand, if it is configured.
    pub(super) fn name(&self, brand: BrandId) -> Option<&str> {
        let mut names = self.names.iter();
        names
            .find(|name| BrandId::of(name) == brand)
            .map(String::as_str)
    }

    /// Whether a brand is configured.
    pub(super) fn has(&self, brand: &str) -> bool {
        self.names.iter().any(|name| name == brand)
    }
}
