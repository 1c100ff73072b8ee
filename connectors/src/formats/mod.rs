//! Formats of vendors: one adapter each, from an item to native records.
//!
//! An *item* is what a vendor sends at once: a JSON object, or a line of TSV or
//! CSV. An adapter turns it into no, one or several native records
//! ([`NativeRecord`]), which are then read like any others. It keeps no state,
//! looks nothing up, and reads no clock but the arrival of the message, so that
//! any decoder, and the batch computation that checks the dataflow, gives the
//! same.
//!
//! | module | items |
//! |---|---|
//! | [`segment`] | messages of Segment and RudderStack, alone or in a `batch` |
//! | [`snowplow`] | enriched events, TSV or JSON |
//! | [`meraki`] | posts of the Scanning API |
//! | [`google_offline`] | rows of offline conversions, Data Manager events |
//! | [`meta`] | events of the Conversions API, alone or in `data` |
//! | [`ga4_bigquery`] | rows of the export of Google Analytics 4 |
//!
//! What an adapter has no use for is *not mapped*: it is counted, and no dead
//! letter. A value of the wrong type refuses its record alone, and the dead
//! letter holds the item and names the vendor's path. Addresses of the network,
//! user agents, positions, fingerprints and the names of products are not read
//! at all.

mod consent;
pub mod ga4_bigquery;
pub mod google_offline;
mod items;
pub mod json;
pub mod meraki;
pub mod meta;
pub mod money;
mod page;
mod record;
pub mod segment;
pub mod snowplow;

use tributary_config::model::{Brand, EventMeaning, Format, Mapping, Source};
use tributary_operators::currency;

use crate::brand::time_format;
use crate::dead_letter::{Reason, Refusal};
use crate::native::time::TimeFormat;
pub use items::{Items, items};
use json::{Json, Object};
pub use record::{NativeRecord, Outcome};

/// What the adapter of a source needs to know.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// The format.
    pub format: Format,
    /// How the names of the vendor become the product's.
    pub mapping: Mapping,
    /// How time stamps without a zone are read.
    times: TimeFormat,
    /// The decimals of the brand's currency.
    decimals: Option<u8>,
}

impl Adapter {
    /// The adapter of a source; `None` if its format needs none.
    pub fn of(brand: &Brand, source: &Source) -> Option<Adapter> {
        source.format.has_adapter().then(|| Adapter {
            format: source.format.clone(),
            mapping: source.mapping.clone(),
            times: time_format(source),
            decimals: currency::of(&brand.currency).map(|(_, decimals)| decimals),
        })
    }

    /// The store of a place: by the table, else the store of the source.
    fn store(&self, place: Option<&str>) -> Option<&str> {
        let known = place.and_then(|place| self.mapping.stores.get(place));
        known.or(self.mapping.store.as_ref()).map(String::as_str)
    }

    /// The meaning of an event by the settings of the source, else by a default
    /// of the format.
    fn meaning(&self, event: &str, default: Option<EventMeaning>) -> Option<EventMeaning> {
        let meaning = self.mapping.events.get(event).copied().or(default);
        meaning.filter(|meaning| *meaning != EventMeaning::Ignore)
    }
}

/// One item with what its message says of it.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// The text of the item.
    pub text: &'a str,
    /// The arrival of its message, Unix milliseconds.
    pub at: i64,
    /// How far a time may lie after the arrival, milliseconds.
    pub max_future: i64,
    /// `ingest.strict`: nothing is corrected.
    pub strict: bool,
    /// The id that the message supplies to a record without one.
    pub id: Option<&'a str>,
}

/// Receives what becomes of each part of an item, with the part as received.
pub type Emit<'e, 'a> = dyn FnMut(&'a str, Outcome<'a>) + 'e;

/// Reads one item. `emit` is called at least once.
pub fn read<'a>(adapter: &Adapter, item: Item<'a>, emit: &mut Emit<'_, 'a>) {
    match adapter.format {
        Format::Native | Format::Csv(_) => emit(item.text, Outcome::NotMapped),
        Format::Segment => segment::read(adapter, item, emit),
        Format::Snowplow => snowplow::read(adapter, item, emit),
        Format::Meraki => meraki::read(adapter, item, emit),
        Format::GoogleOffline => google_offline::read(adapter, item, emit),
        Format::Meta => meta::read(adapter, item, emit),
        Format::Ga4Bigquery => ga4_bigquery::read(adapter, item, emit),
    }
}

/// The object of an item.
///
/// # Errors
/// `malformed_json` and `not_an_object`.
fn object(text: &str) -> Result<Object<'_>, Refusal> {
    serde_json::from_str(text).map_err(|error| crate::decode::object_refusal(text, &error))
}

/// Refuses members of an object that are present and no objects.
fn require_objects(item: &Object<'_>, keys: &[&str]) -> Result<(), Refusal> {
    for key in keys {
        let value = item.get(key);
        if !value.is_absent() && !value.is_object() {
            return Err(record::wrong_type(key, "an object"));
        }
    }
    Ok(())
}

/// The values of a member that is one value or a list of them.
fn one_or_many(value: Json<'_>) -> Vec<Json<'_>> {
    let list = value.raw().starts_with('[').then(|| value.list()).flatten();
    let all = list.unwrap_or_else(|| vec![value]);
    all.into_iter().filter(|value| !value.is_absent()).collect()
}

/// A field of several values as JSON: the one value, or a list of several;
/// `None` if there is none.
fn listed(values: &[String]) -> Option<String> {
    match values {
        [] => None,
        [one] => Some(one.clone()),
        several => Some(format!("[{}]", several.join(","))),
    }
}

/// An identifier of a device: a UUID is lower-cased.
fn device(text: &str) -> String {
    let text = text.trim();
    match crate::keys::is_uuid(text) {
        true => text.to_ascii_lowercase(),
        false => text.to_owned(),
    }
}

/// The refusal of a time that cannot be read.
fn invalid_time(path: &str) -> Refusal {
    let detail = format!("`{path}` must be a date and time of RFC 3339, with a zone");
    Refusal::new(Reason::InvalidTime, detail)
}

/// Unix milliseconds as RFC 3339 in UTC, with three digits of a second.
fn rfc3339(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    format!("{time:.3}")
}
