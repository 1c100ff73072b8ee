//! The decoder's view of one brand and its sources: keys, clock, currency and lists.

use std::sync::Arc;

use rustc_hash::FxHashSet;

use tributary_config::model::{
    Brand, Channels, Config, DecimalMark, Format, HashRule, Kind, Source, TimeUnit,
};
use tributary_operators::currency;
use tributary_operators::record::{BrandId, Currency, Day};

use crate::clock::BrandClock;
use crate::keys::{BrandKey, IdentifierRules};
use crate::native::labels;
use crate::native::mac::FixedDevices;
use crate::native::time::TimeFormat;
use crate::signals::SignalReader;

/// A brand.
#[derive(Clone, Debug)]
pub struct BrandContext {
    /// The hash of its name.
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
    /// The first salt day of which pings are still taken, whenever they say that they arrived.
    pub first_salt_day: Day,
    /// Devices that are no visitors.
    pub fixed: FixedDevices,
    /// The stores that have sensors; any where there is none.
    pub stores: FxHashSet<Box<str>>,
    /// How its signals of consent are read.
    pub signals: SignalReader,
    /// How the channels of its web records are named.
    pub channels: Channels,
}

impl BrandContext {
    /// A brand of the configuration.
    pub fn new(brand: &Brand) -> BrandContext {
        BrandContext {
            id: BrandId::of(&brand.name),
            name: brand.name.as_str().into(),
            key: BrandKey::new(brand),
            clock: BrandClock::new(&brand.timezone, brand.sensors.day_start_s),
            currency: currency::of(&brand.currency),
            name_postcode: brand.identity.name_postcode,
            first_salt_day: Day::MIN,
            fixed: FixedDevices::new(&brand.sensors.fixed_devices),
            stores: brand
                .sensors
                .stores
                .iter()
                .map(|store| labels::normalize(store.as_str().into()).into())
                .collect(),
            signals: SignalReader::new(&brand.consent),
            channels: brand.channels.clone(),
        }
    }
}

/// The configuration of a brand; none where no brand of that hash is configured.
pub fn find_brand(config: &Config, id: BrandId) -> Option<&Brand> {
    let mut brands = config.brands.iter();
    brands.find(|brand| BrandId::of(&brand.name) == id)
}

/// A source of a brand.
#[derive(Clone, Debug)]
pub struct SourceContext {
    /// Its name.
    pub name: Arc<str>,
    /// The kind of its records.
    pub kind: Kind,
    /// Whether its values come as text, from a CSV file.
    pub text_values: bool,
    /// How its time stamps are written.
    pub times: TimeFormat,
    /// How the decimals of its amounts are written.
    pub decimal: DecimalMark,
    /// How its identifiers are to be read.
    pub rules: IdentifierRules,
    /// Whether its messages may name an earlier arrival in their header.
    pub arrival_header: bool,
}

impl SourceContext {
    /// The sources of a brand, sorted by name.
    pub fn sorted(brand: &Brand, key: &BrandKey) -> Vec<SourceContext> {
        let mut sources: Vec<SourceContext> = sources(brand)
            .map(|source| SourceContext::new(&source, key))
            .collect();
        sources.sort_by(|a, b| a.name.cmp(&b.name));
        sources
    }

    fn new(source: &Source, key: &BrandKey) -> SourceContext {
        SourceContext {
            name: source.name.as_str().into(),
            kind: source.kind,
            text_values: matches!(source.format, Format::Csv(_)),
            times: time_format(source),
            decimal: match &source.format {
                Format::Native => DecimalMark::Point,
                Format::Csv(map) => map.decimal,
            },
            rules: key.rules_of(source),
            arrival_header: source.arrival_header,
        }
    }
}

/// How the time stamps of a source are written.
pub fn time_format(source: &Source) -> TimeFormat {
    TimeFormat {
        zone: source.zone.clone(),
        unit: source.unit,
        patterns: match &source.format {
            Format::Native => Vec::new(),
            Format::Csv(map) => map.time_patterns.clone(),
        },
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
            unit: TimeUnit::default(),
            arrival_header: false,
        });
    brand.sources.iter().cloned().chain(implicit)
}
