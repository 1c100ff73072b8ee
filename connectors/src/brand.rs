//! The decoder's view of one brand and its sources: keys, clock, currency and
//! lists.
//!
//! The configuration ([`tributary_config::model`]) is parsed once into these
//! contexts, so that the decoder does no lookup by name and no key derivation
//! per record. Each worker thread owns its contexts, because the clock and the
//! signal reader cache answers.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use tributary_config::model::{
    Brand, Channels, Column, Config, Csv, DecimalMark, FormBox, Format, HashRule, Kind, Mapping,
    Source, TimeUnit,
};
use tributary_operators::currency;
use tributary_operators::record::{BrandId, Currency, Day};

use crate::clock::BrandClock;
use crate::formats::adapter::Adapter;
use crate::keys::{BrandKey, IdentifierRules};
use crate::native::labels;
use crate::native::mac::FixedDevices;
use crate::native::time::TimeFormat;
use crate::signals::SignalReader;

/// A brand as the decoder needs it.
#[derive(Clone, Debug)]
pub struct BrandContext {
    /// The 64-bit hash of the name, by which the dataflow knows the brand.
    pub id: BrandId,
    /// The name in subjects, `tributary.in.<name>.<kind>`.
    pub name: Arc<str>,
    /// The key that turns identifiers into pseudonyms.
    pub key: BrandKey,
    /// The days and salt days in the brand's time zone.
    pub clock: BrandClock,
    /// The ISO 4217 currency of amounts without one, with its number of
    /// decimals; `None` if the configured code has no minor unit.
    pub currency: Option<(Currency, u8)>,
    /// Whether first name, last name and postcode together identify a person.
    pub name_postcode: bool,
    /// The first salt day whose pings are accepted. It only advances: the salts
    /// of earlier days are destroyed, so their pings are rejected whatever
    /// arrival time they claim.
    pub first_salt_day: Day,
    /// The first salt day whose sightings are accepted; it only advances.
    pub first_sighting_day: Day,
    /// How long after the end of its salt day a sighting may arrive,
    /// milliseconds.
    pub settle_after: i64,
    /// The MACs and prefixes of devices that are no visitors.
    pub fixed: FixedDevices,
    /// Whether a random address that is joined to the brand's Wi-Fi is a device
    /// like any other.
    pub associated: bool,
    /// The stores that have sensors, as normalized labels; empty to accept any
    /// store.
    pub stores: FxHashSet<Box<str>>,
    /// Evaluates consent signals under the brand's terms.
    pub signals: SignalReader,
    /// The boxes of the brand's forms, by name.
    pub boxes: FxHashMap<Box<str>, FormBox>,
    /// How the channels of web records and spend are named.
    pub channels: Channels,
}

impl BrandContext {
    /// The context of a configured brand, with no salt day closed and nothing
    /// cached.
    pub fn new(brand: &Brand) -> BrandContext {
        BrandContext {
            id: BrandId::of(&brand.name),
            name: brand.name.as_str().into(),
            key: BrandKey::new(brand),
            clock: BrandClock::new(&brand.timezone, brand.sensors.day_start_s),
            currency: currency::of(&brand.currency),
            name_postcode: brand.identity.name_postcode,
            first_salt_day: Day::MIN,
            first_sighting_day: Day::MIN,
            settle_after: brand.partners.settle_after_ms,
            fixed: FixedDevices::new(&brand.sensors.fixed_devices),
            associated: brand.sensors.associated,
            stores: brand
                .sensors
                .stores
                .iter()
                .map(|store| labels::normalize(store.as_str().into()).into())
                .collect(),
            signals: SignalReader::new(&brand.consent),
            boxes: brand
                .boxes
                .iter()
                .map(|of| (of.name.as_str().into(), of.clone()))
                .collect(),
            channels: brand.channels.clone(),
        }
    }
}

/// Finds the configuration of a brand by the hash of its name. The
/// configuration rejects two names with the same hash, so the answer is unique.
pub fn find_brand(config: &Config, id: BrandId) -> Option<&Brand> {
    let mut brands = config.brands.iter();
    brands.find(|brand| BrandId::of(&brand.name) == id)
}

/// A source as the decoder needs it.
#[derive(Clone, Debug)]
pub struct SourceContext {
    /// The name within the brand; part of every record key.
    pub name: Arc<str>,
    /// The kind of its records.
    pub kind: Kind,
    /// Whether every value is text, as in a CSV file: numbers and truth values
    /// may then be quoted.
    pub text_values: bool,
    /// The time zone, unit and patterns of its time stamps.
    pub times: TimeFormat,
    /// The headers of the columns that supply each field of a CSV source.
    pub columns: Vec<(Box<str>, Box<str>)>,
    /// The decimal separator of its amounts; a point in the native format.
    pub decimal: DecimalMark,
    /// The phone region and the hash rule of its identifiers.
    pub rules: IdentifierRules,
    /// How far the source blurs the times of sightings, milliseconds.
    pub blur: i64,
    /// The adapter of a vendor's format.
    pub adapter: Option<Arc<Adapter>>,
    /// The CloudEvents attribute `source` that chooses this source.
    pub ce_source: Option<Box<str>>,
    /// Whether its messages may state an earlier arrival in a header
    /// ([`crate::decode::Arrivals`]).
    pub arrival_header: bool,
}

impl SourceContext {
    /// All sources of a brand, including the implicit ones, sorted by name so
    /// that a position in the list identifies a source.
    pub fn sorted(brand: &Brand, key: &BrandKey) -> Vec<SourceContext> {
        let mut sources: Vec<SourceContext> = sources(brand)
            .map(|source| SourceContext::new(brand, &source, key))
            .collect();
        sources.sort_by(|a, b| a.name.cmp(&b.name));
        sources
    }

    /// The context of one source, under the rules that the brand's key defines
    /// for it.
    fn new(brand: &Brand, source: &Source, key: &BrandKey) -> SourceContext {
        SourceContext {
            name: source.name.as_str().into(),
            kind: source.kind,
            text_values: matches!(source.format, Format::Csv(_)),
            times: time_format(source),
            columns: match &source.format {
                Format::Csv(map) => columns(map),
                _ => Vec::new(),
            },
            decimal: match &source.format {
                Format::Csv(map) => map.decimal,
                _ => DecimalMark::Point,
            },
            rules: key.rules_of(source),
            blur: source.blur_ms.unwrap_or(0),
            adapter: Adapter::of(brand, source, time_format(source)).map(Arc::new),
            ce_source: source.mapping.ce_source.as_deref().map(Into::into),
            arrival_header: source.arrival_header,
        }
    }
}

/// The headers of the columns that supply each field; a constant has none.
fn columns(map: &Csv) -> Vec<(Box<str>, Box<str>)> {
    let all = map.columns.iter().filter_map(|(field, column)| {
        let header = match column {
            Column::Name(name) => name.clone(),
            Column::Join { columns, .. } => columns.join("`, `"),
            Column::Lookup { by, .. } => by.clone(),
            Column::Const(_) => return None,
        };
        Some((field.as_str().into(), header.into()))
    });
    all.collect()
}

/// How the time stamps of a source are written. Only CSV sources have patterns.
pub fn time_format(source: &Source) -> TimeFormat {
    TimeFormat {
        zone: source.zone.clone(),
        unit: source.unit,
        patterns: match &source.format {
            Format::Csv(map) => map.time_patterns.clone(),
            _ => Vec::new(),
        },
    }
}

/// The sources of a brand: the configured ones, and for each kind without one,
/// except partners, an implicit native source that is named like the kind. A parsed
/// configuration contains the implicit sources already; models that a program
/// builds may not.
pub fn sources(brand: &Brand) -> impl Iterator<Item = Source> {
    let implicit = Kind::ALL
        .into_iter()
        .filter(|kind| kind.is_implied())
        .filter(|&kind| brand.sources.iter().all(|source| source.kind != kind))
        .map(|kind| Source {
            name: kind.name().to_owned(),
            kind,
            format: Format::Native,
            zone: None,
            phone_region: None,
            hash_rule: HashRule::Plain,
            basis: None,
            trust: None,
            unit: TimeUnit::default(),
            arrival_header: false,
            blur_ms: None,
            mapping: Mapping::default(),
        });
    brand.sources.iter().cloned().chain(implicit)
}
