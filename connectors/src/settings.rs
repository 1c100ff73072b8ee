//! Converts the configuration into the settings of the dataflow: plain
//! integers, and brands keyed by the hash of their name.
//!
//! The dataflow depends on neither the configuration crate nor its file format.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tributary_config::key_chain;
use tributary_config::model::{self as config, Brand, Config, Release, Secret};
use tributary_operators::label::Label;
use tributary_operators::record::IdKind;
use tributary_operators::settings::{BrandSettings, Ladder, Noise, Settings, UtcOffsets};
use zeroize::Zeroizing;

use crate::brand;

/// The settings of every brand. What differs between brands, such as windows
/// and limits, is looked up there by the hash of the brand's name.
pub fn settings(config: &Config, draw: NoiseDraw) -> Settings {
    settings_drawn(config, &|_| draw)
}

/// [`settings`] with a draw of noise for each brand: one that was moved from another
/// ledger keeps its own.
pub fn settings_drawn(config: &Config, draw: &dyn Fn(&Brand) -> NoiseDraw) -> Settings {
    let of = |brand: &Brand| {
        let release = config.release.of_brand(&brand.release);
        of_brand(brand, &release, draw(brand))
    };
    Settings::new(config.brands.iter().map(of))
}

/// What distinguishes one draw of noise from another: the ID of the ledger
/// whose records are published.
///
/// Two histories under one noise differ by what is exact, so that whoever sees
/// both subtracts the noise. A replay, a second region and a staging worker have
/// ledgers of their own and therefore draw their own noise. A restart has the
/// same ledger and draws the same, and so do all processes of a cluster, which
/// use the ledger of process 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoiseDraw(pub [u8; 16]);

/// The derivation context of the keys of the noise, one of each secret. A key
/// rotation draws no other noise, because the difference of two draws would reveal
/// both, but adds a draw, which the older secrets do not give.
const NOISE: &str = "tributary 2026-11 noise on the released cells of one brand";

/// The noise of a brand; `None` without a privacy budget.
fn noise(brand: &Brand, draw: NoiseDraw) -> Option<Noise> {
    let key = |secret: &Secret| {
        let of_brand = key_chain::derive_key(NOISE, &brand.name, secret);
        Zeroizing::new(*blake3::keyed_hash(&of_brand, &draw.0).as_bytes())
    };
    Some(Noise {
        keys: brand.secrets().map(key).collect(),
        epsilon: brand.noise.epsilon_thousandths?,
        count: brand.noise.count,
        money: brand.noise.money_minor?,
    })
}

/// The first and the last time whose offsets are known, Unix seconds: the years 1970 to 2199.
const OFFSETS: std::ops::Range<i64> = 0..7_258_118_400;

/// The offsets of a time zone.
fn utc_offsets(zone: &TimeZone) -> UtcOffsets {
    let first = Timestamp::from_second(OFFSETS.start).unwrap_or_default();
    let changes = zone.following(first).map(|change| {
        let at = change.timestamp().as_second();
        (at, change.offset().seconds())
    });
    UtcOffsets {
        first: zone.to_offset(first).seconds(),
        changes: changes.take_while(|(at, _)| OFFSETS.contains(at)).collect(),
    }
}

/// The settings of one brand. What the configuration does not define keeps the
/// dataflow's default.
fn of_brand(brand: &Brand, release: &Release, draw: NoiseDraw) -> BrandSettings {
    let mut max_degree = BrandSettings::default().max_degree;
    for (kind, limit) in IdKind::ALL.into_iter().zip(&mut max_degree) {
        if let Some(own) = brand.identity.max_degree.get(kind.name()) {
            *limit = *own;
        }
    }
    let ttl = |kind: IdKind| brand.identity.link_ttl.get(kind.name()).copied().flatten();
    let mut settings = BrandSettings {
        name: brand.name.as_str().into(),
        max_degree,
        link_ttl: IdKind::ALL.map(ttl),
        click_id: brand.identity.click_id,
        on_consent: brand::sources(brand)
            .filter(|source| brand.rests_on_consent(source))
            .map(|source| Label::of(&source.name))
            .collect(),
        open_sources: brand::sources(brand)
            .filter(|source| source.is_open())
            .map(|source| Label::of(&source.name))
            .collect(),
        max_identifiers: brand.identity.max_identifiers,
        click_window: brand.attribution.click_window_ms,
        view_window: brand.attribution.view_window_ms,
        impression_window: brand.attribution.impression_window_ms,
        max_path: brand.attribution.max_path,
        max_channels: brand.attribution.max_channels,
        half_life: brand.attribution.half_life_ms,
        position: brand.attribution.position,
        min_rssi: brand.sensors.min_rssi,
        min_dwell: brand.sensors.min_dwell_s,
        max_presence: brand.sensors.max_presence_s,
        max_devices: brand.sensors.max_devices,
        cookie_bits: brand.sensors.cookie_bits,
        cookie_share: brand.sensors.cookie_share,
        has_partners: brand.has_partners(),
        slack: brand.partners.slack_ms,
        settle_after: brand.partners.settle_after_ms,
        wallet_gap: brand.wallet.gap_ms,
        k: release.k,
        k_traffic: release.k_traffic,
        ladder: match release.ladder {
            config::Ladder::Month => Ladder::Month,
            config::Ladder::Finest => Ladder::Finest,
        },
        dominance: release.dominance,
        utc_offsets: utc_offsets(&brand.timezone),
        k_delta: Some(release.k_delta),
        max_hold: release.max_hold_ms.cast_signed(),
        freeze_after: release.freeze_after_ms.cast_signed(),
        noise: noise(brand, draw),
        ..BrandSettings::default()
    };
    // Where nothing is hidden nobody has to be vouched for.
    if settings.publishes_all() {
        settings.open_sources.clear();
    }
    settings
}

#[cfg(test)]
mod tests {
    use tributary_config::model::{Basis, Kind, Source, Trust};
    use tributary_operators::record::BrandId;

    use super::*;
    use crate::fixture;

    #[test]
    fn what_the_configuration_says_reaches_the_operators() {
        let mut brand = fixture::brand("acme");
        brand.identity.max_degree.insert("phone".to_owned(), 3);
        brand.identity.link_ttl.insert("phone".to_owned(), Some(5));
        brand.attribution.position = [1, 2, 3];
        let config = fixture::config(vec![fixture::brand("a"), brand]);
        let settings = settings(&config, NoiseDraw::default());
        let acme = &settings.brands[&BrandId::of("acme")];
        assert_eq!(&*acme.name, "acme");
        // The configuration refuses two names of one number, and this is the number.
        assert_eq!(
            BrandId::of("acme").0,
            tributary_config::brand_number("acme")
        );
        assert_eq!(acme.max_degree(IdKind::Phone), 3);
        assert_eq!(acme.max_degree(IdKind::Email), 20);
        assert_eq!(acme.max_degree(IdKind::Customer), 50);
        assert_eq!(acme.link_ttl[IdKind::Phone as usize], Some(5));
        assert_eq!(acme.link_ttl.iter().flatten().count(), 1);
        assert_eq!(acme.position, [1, 2, 3]);
        assert_eq!((acme.k, acme.k_traffic), (1, 1));
    }

    #[test]
    fn days_begin_as_in_the_zone_of_the_brand() {
        let zone = TimeZone::get("Europe/Paris").unwrap();
        let offsets = utc_offsets(&zone);
        for day in [-20_000, 0, 5_000, 20_026, 20_175, 20_387, 60_000] {
            for hour in 0..30 {
                let at = Timestamp::from_second(day * 86_400 + hour * 3_600 - 7_200).unwrap();
                let date = at.to_zoned(zone.clone()).date();
                let epoch = jiff::civil::date(1970, 1, 1);
                let days = date.since((jiff::Unit::Day, epoch)).unwrap().get_days();
                if at.as_second() >= 0 {
                    assert_eq!(offsets.day(at.as_millisecond()), days);
                }
            }
        }
        assert_eq!(utc_offsets(&TimeZone::UTC), UtcOffsets::default());
    }

    #[test]
    fn noise_is_off_without_a_budget_and_outlives_an_exchange_of_the_secret() {
        let noise_of = |brand: &Brand, ledger: u8| {
            let config = fixture::config(vec![brand.clone()]);
            let settings = settings(&config, NoiseDraw([ledger; 16]));
            settings.brands[&BrandId::of(&brand.name)].noise.clone()
        };
        let noise = |brand: &Brand| noise_of(brand, 1);
        let mut brand = fixture::brand("a");
        assert!(noise(&brand).is_none());
        brand.noise.epsilon_thousandths = Some(500);
        brand.noise.money_minor = Some(5_000);
        let before = noise(&brand).unwrap();
        assert_eq!(
            (before.epsilon, before.count, before.money),
            (500, 1, 5_000)
        );
        brand.previous_secrets.push(brand.secret.clone());
        brand.secret = "another secret of more than thirty-two bytes".into();
        // The draws of before stay, and another is added that the older secret does not give.
        let exchanged = noise(&brand).unwrap().keys;
        assert_eq!((exchanged.len(), &exchanged[..1]), (2, &before.keys[..]));
        assert_ne!(exchanged[0], exchanged[1]);
        let other_ledger = noise_of(&brand, 2).unwrap();
        assert!(other_ledger.keys.iter().all(|key| !exchanged.contains(key)));
        brand.name = "b".to_owned();
        assert_ne!(noise(&brand).unwrap().keys[0], before.keys[0]);
        assert!(!format!("{before:?}").contains("key"));
    }

    #[test]
    fn open_sources_are_known_by_their_labels() {
        let mut brand = fixture::brand("a");
        brand.release.k = Some(5);
        let open = |brand: &Brand| {
            let config = fixture::config(vec![brand.clone()]);
            let settings = settings(&config, NoiseDraw::default());
            settings.brands[&BrandId::of("a")].open_sources.clone()
        };
        assert!(open(&brand).is_empty());
        let template = brand::sources(&brand).next().unwrap();
        brand.sources = vec![Source {
            name: "tag".to_owned(),
            kind: Kind::Web,
            trust: Some(Trust::Open),
            ..template
        }];
        assert_eq!(open(&brand), [Label::of("tag")].into());
        brand.release.k = Some(1);
        assert!(
            open(&brand).is_empty(),
            "a gate that hides nothing shows open sources, too"
        );
    }

    #[test]
    fn the_sources_that_rest_on_consent_are_known_by_their_labels() {
        let on_consent = |brand| {
            let config = fixture::config(vec![brand]);
            let settings = settings(&config, NoiseDraw::default());
            settings.brands[&BrandId::of("a")].on_consent.clone()
        };
        assert!(on_consent(fixture::brand("a")).is_empty());
        let mut brand = fixture::brand("a");
        brand.consent.vendor = Some(755);
        assert_eq!(on_consent(brand.clone()), [Label::of("web")].into());
        let template = brand::sources(&brand).find(|source| source.kind == Kind::Web);
        let template = template.unwrap();
        let source = |name: &str, kind, basis| Source {
            name: name.to_owned(),
            kind,
            basis,
            unit: tributary_config::model::TimeUnit::default(),
            ..template.clone()
        };
        brand.sources = vec![
            source("us", Kind::Web, Some(Basis::LegitimateInterest)),
            source("tills", Kind::Transaction, Some(Basis::Consent)),
        ];
        assert_eq!(on_consent(brand), [Label::of("tills")].into());
    }
}
