//! From the configuration to what the operators need: plain integers, brands by position.

use tributary_config::model::{Brand, Config, Release};
use tributary_operators::record::IdKind;
use tributary_operators::settings::{BrandSettings, Settings};

/// The settings of every brand, in the order of the configuration, which is that of `BrandId`.
pub fn settings(config: &Config) -> Settings {
    let brands = config.brands.iter();
    Settings {
        brands: brands
            .map(|brand| of_brand(brand, &config.release))
            .collect(),
    }
}

fn of_brand(brand: &Brand, release: &Release) -> BrandSettings {
    let mut max_degree = BrandSettings::default().max_degree;
    for (kind, limit) in IdKind::ALL.into_iter().zip(&mut max_degree) {
        if let Some(own) = brand.identity.max_degree.get(kind.name()) {
            *limit = *own;
        }
    }
    BrandSettings {
        name: brand.name.as_str().into(),
        max_degree,
        on_consent: std::collections::BTreeSet::new(),
        max_identifiers: brand.identity.max_identifiers,
        click_window: brand.attribution.click_window_ms,
        view_window: brand.attribution.view_window_ms,
        impression_window: brand.attribution.impression_window_ms,
        max_path: brand.attribution.max_path,
        half_life: brand.attribution.half_life_ms,
        position: brand.attribution.position,
        min_rssi: brand.sensors.min_rssi,
        min_dwell: brand.sensors.min_dwell_s,
        max_presence: brand.sensors.max_presence_s,
        k: release.k,
        k_traffic: release.k_traffic,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn what_the_configuration_says_reaches_the_operators() {
        let mut brand = fixture::brand("acme");
        brand.identity.max_degree.insert("phone".to_owned(), 3);
        brand.attribution.position = [1, 2, 3];
        let settings = settings(&fixture::config(vec![fixture::brand("a"), brand]));
        let acme = &settings.brands[1];
        assert_eq!(&*acme.name, "acme");
        assert_eq!(acme.max_degree(IdKind::Phone), 3);
        assert_eq!(acme.max_degree(IdKind::Email), 20);
        assert_eq!(acme.max_degree(IdKind::Customer), 50);
        assert_eq!(acme.position, [1, 2, 3]);
        assert_eq!((acme.k, acme.k_traffic), (1, 1));
    }
}
