//! The settings of a random world: the defaults, and more often values small enough to matter.

use jiff::tz::{self, TimeZone};
use rand::Rng;
use tributary_operators::label::Label;
use tributary_operators::settings::{BrandSettings, Settings};

use super::pick::pick;
use super::vocabulary::{PARTNERS, TILLS, WEB};
use crate::retention::RetentionPeriods;

/// One hour in milliseconds.
const HOUR: i64 = 3_600_000;
/// One day in milliseconds.
const DAY: i64 = 24 * HOUR;

/// The settings of one or two brands.
pub(super) fn settings(rng: &mut impl Rng) -> Settings {
    let names = ["acme", "bolt"];
    let brands = pick(rng, [1, 1, 2]);
    Settings::new(names.into_iter().take(brands).map(|name| brand(rng, name)))
}

/// Makes some sources of some brands require consent.
pub(super) fn rest_on_consent(rng: &mut impl Rng, settings: &mut Settings) {
    for brand in settings.brands.values_mut() {
        if rng.random_bool(0.4) {
            let sources = WEB.into_iter().chain(TILLS).chain([PARTNERS]);
            let on_consent = sources.filter(|_| rng.random_bool(0.4)).map(Label::of);
            brand.on_consent = on_consent.collect();
        }
    }
}

/// Lets anybody write to some sources of some brands.
pub(super) fn open_some(rng: &mut impl Rng, settings: &mut Settings) {
    for brand in settings.brands.values_mut() {
        if rng.random_bool(0.3) {
            let sources = WEB.into_iter().chain(TILLS);
            let open = sources.filter(|_| rng.random_bool(0.4)).map(Label::of);
            brand.open_sources = open.collect();
        }
    }
}

/// Retention periods, mostly of a month or two, in a time zone with a random offset.
pub(super) fn periods(rng: &mut impl Rng) -> RetentionPeriods {
    let mut months = || pick(rng, [1, 1, 1, 2, 12]);
    let (cookies, transactions) = (months(), months());
    let (consent, identification) = (months(), months());
    let (visits, exposures) = (months(), months());
    RetentionPeriods {
        cookies,
        transactions,
        consent,
        identification,
        visits,
        exposures,
        zone: TimeZone::fixed(tz::offset(pick(rng, [0, 1, -5, 9]))),
    }
}

/// The settings of one brand.
///
/// Limits are often so small that a handful of records exceeds them: degrees of 2, persons of 3
/// identifiers, paths of one step, chains of one channel. `k_delta` is 1, so that what is released
/// depends on the stored state alone, never on when it changed.
fn brand(rng: &mut impl Rng, name: &str) -> BrandSettings {
    let mut window = || pick(rng, [2 * HOUR, DAY, 3 * DAY, 30 * DAY, 30 * DAY]);
    let (click_window, view_window, impression_window) = (window(), window(), window());
    BrandSettings {
        name: name.into(),
        max_degree: std::array::from_fn(|_| pick(rng, [2, 3, 5, 20, 20])),
        link_ttl: std::array::from_fn(|_| pick(rng, [None, None, None, Some(DAY), Some(9 * DAY)])),
        click_id: rng.random_bool(0.5),
        max_identifiers: pick(rng, [3, 5, 8, 100, 100]),
        click_window,
        view_window,
        impression_window,
        max_path: pick(rng, [1, 2, 3, 3, 200, 200, 200]),
        max_channels: pick(rng, [1, 2, 3, 4, 5, 500, 500, 500]),
        // A millisecond makes every earlier touch weigh nothing.
        half_life: pick(rng, [1, HOUR, DAY, 7 * DAY, 12_345_677]),
        position: pick(
            rng,
            [
                [40, 20, 40],
                [40, 20, 40],
                [3, 5, 1],
                [1, 0, 1],
                [0, 1, 1],
                [1, 0, 0],
            ],
        ),
        min_rssi: pick(rng, [-75, -75, -90]),
        min_dwell: pick(rng, [0, 60, 60, 600]),
        max_presence: pick(rng, [1800, 3600, 8 * 3600]),
        max_devices: pick(rng, [64, 64, 128, 200_000]),
        wallet_gap: pick(rng, [HOUR / 2, HOUR, HOUR, 2 * HOUR]),
        cookie_bits: pick(rng, [0, 1, 2, 10, 16]),
        cookie_share: pick(rng, [1, 1, 2, 3]),
        has_partners: pick(rng, [true, true, true, false]),
        slack: pick(rng, [0, 60_000, HOUR / 12, HOUR / 2]),
        k: pick(rng, [1, 1, 1, 1, 1, 2, 3, 5]),
        k_traffic: pick(rng, [1, 1, 1, 1, 2]),
        // What is released then depends on what is held, never on when.
        k_delta: Some(1),
        ..BrandSettings::default()
    }
}
