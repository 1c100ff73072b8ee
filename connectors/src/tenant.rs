//! One brand and its sources as a decoder needs them: keys, clock, currency, lists.

use std::sync::Arc;

use jiff::tz::TimeZone;
use tributary_config::model::{Brand, Channels, Format, HashRule, Kind, Source};
use tributary_operators::record::{BrandId, Currency};

use crate::clock::BrandClock;
use crate::keys::{BrandKey, Reading};
use crate::native::currency;
use crate::native::mac::FixedDevices;
use crate::signals::Signals;

/// A brand.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its position in the configuration.
    pub id: BrandId,
    /// Its name.
    pub name: Arc<str>,
    /// What makes its pseudonyms.
    pub key: BrandKey,
    /// Its days and salt days.
    pub clock: BrandClock,
    /// The currency of amounts that name none, with its decimals; none where it is no currency.
    pub currency: Option<(Currency, u8)>,
    /// Whether name and postcode together identify.
    pub name_postcode: bool,
    /// Devices that are no visitors.
    pub fixed: FixedDevices,
    /// How its signals of consent are read.
    pub signals: Signals,
    /// How the channels of its web records are named.
    pub channels: Channels,
}

impl Tenant {
    /// The brand at a position of the configuration.
    pub fn new(position: usize, brand: &Brand) -> Tenant {
        Tenant {
            id: BrandId(u16::try_from(position).unwrap_or(u16::MAX)),
            name: brand.name.as_str().into(),
            key: BrandKey::new(brand),
            clock: BrandClock::new(&brand.timezone, brand.sensors.day_start_s),
            currency: currency::of(&brand.currency),
            name_postcode: brand.identity.name_postcode,
            fixed: FixedDevices::new(&brand.sensors.fixed_devices),
            signals: Signals::new(&brand.consent),
            channels: brand.channels.clone(),
        }
    }
}

/// A source of a brand.
#[derive(Clone, Debug)]
pub struct Feed {
    /// Its name.
    pub name: Arc<str>,
    /// The kind of its records.
    pub kind: Kind,
    /// Whether its values come as text, from a CSV file.
    pub loose: bool,
    /// The zone of time stamps without one.
    pub zone: Option<TimeZone>,
    /// How its identifiers are to be read.
    pub reading: Reading,
}

impl Feed {
    /// The sources of a brand, sorted by name.
    pub fn all(brand: &Brand, key: &BrandKey) -> Vec<Feed> {
        let mut feeds: Vec<Feed> = sources(brand)
            .map(|source| Feed::new(&source, key))
            .collect();
        feeds.sort_by(|a, b| a.name.cmp(&b.name));
        feeds
    }

    fn new(source: &Source, key: &BrandKey) -> Feed {
        Feed {
            name: source.name.as_str().into(),
            kind: source.kind,
            loose: matches!(source.format, Format::Csv(_)),
            zone: source.zone.clone(),
            reading: key.reading(source),
        }
    }
}

/// The sources of a brand; a kind without a source has a native one of its own name.
pub fn sources(brand: &Brand) -> impl Iterator<Item = Source> {
    let implicit = Kind::ALL
        .into_iter()
        .filter(|&kind| brand.sources.iter().all(|source| source.kind != kind))
        .map(|kind| Source {
            name: kind.name().to_owned(),
            kind,
            format: Format::Native,
            zone: None,
            phone_region: None,
            hash_rule: HashRule::Plain,
            basis: None,
        });
    brand.sources.iter().cloned().chain(implicit)
}
