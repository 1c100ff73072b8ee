//! What every adapter knows and shares: the settings of its source, the item,
//! and where the results go.

use tributary_config::model::{Brand, EventMeaning, Format, Mapping, Source};
use tributary_operators::currency;

use super::json::{Json, Object};
use super::record::{NativeRecord, Outcome, wrong_type};
use crate::dead_letter::{Reason, Refusal};
use crate::native::time::TimeFormat;

/// What the adapter of a source needs to know.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// The format.
    pub format: Format,
    /// How the names of the vendor become the product's.
    pub mapping: Mapping,
    /// How time stamps without a zone are read.
    pub(super) times: TimeFormat,
    /// The decimals of the brand's currency.
    pub(super) decimals: Option<u8>,
}

impl Adapter {
    /// The adapter of a source whose time stamps are read by `times`; `None` if
    /// its format needs none.
    pub fn of(brand: &Brand, source: &Source, times: TimeFormat) -> Option<Adapter> {
        source.format.has_adapter().then(|| Adapter {
            format: source.format.clone(),
            mapping: source.mapping.clone(),
            times,
            decimals: currency::of(&brand.currency).map(|(_, decimals)| decimals),
        })
    }

    /// The store of a place: by the table, else the store of the source.
    pub(super) fn store(&self, place: Option<&str>) -> Option<&str> {
        let known = place.and_then(|place| self.mapping.stores.get(place));
        known.or(self.mapping.store.as_ref()).map(String::as_str)
    }

    /// The meaning of an event by the settings of the source, else by a default
    /// of the format.
    pub(super) fn meaning(
        &self,
        event: &str,
        default: Option<EventMeaning>,
    ) -> Option<EventMeaning> {
        let meaning = self.mapping.events.get(event).copied().or(default);
        meaning.filter(|meaning| *meaning != EventMeaning::Ignore)
    }
}

/// The id that a message supplies to records without one. It names one record: the only one of the message, or with a position
/// one of several.
#[derive(Clone, Copy, Debug)]
pub struct SuppliedId<'a> {
    /// The id of the message.
    pub id: &'a str,
    /// The position of the record, from 0; `None` if it is the only one.
    pub position: Option<usize>,
}

impl std::fmt::Display for SuppliedId<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.position {
            None => f.write_str(self.id),
            Some(position) => write!(f, "{}/{position}", self.id),
        }
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
    pub id: Option<SuppliedId<'a>>,
}

impl<'a> Item<'a> {
    /// The element of a list that the item consists of, at a position of several.
    pub(super) fn element(self, position: usize, elements: usize) -> Item<'a> {
        let id = self.id.map(|supplied| match (supplied.position, elements) {
            (None, 1) => supplied,
            (first, _) => SuppliedId {
                position: Some(first.unwrap_or(0) + position),
                ..supplied
            },
        });
        Item { id, ..self }
    }

    /// The id that the message supplies to a record without one.
    pub(super) fn supplied_id(&self) -> Option<std::borrow::Cow<'static, str>> {
        self.id.map(|id| id.to_string().into())
    }
}

/// Receives what becomes of each part of an item, with the part as received.
pub type Emit<'e, 'a> = dyn FnMut(&'a str, Outcome<'a>) + 'e;

/// Emits what an item becomes as a whole: its records, nothing, or a dead letter.
pub(super) fn emit_all<'a>(
    text: &'a str,
    converted: Result<Vec<NativeRecord<'a>>, Refusal>,
    emit: &mut Emit<'_, 'a>,
) {
    match converted {
        Err(refusal) => emit(text, Outcome::Refused(refusal)),
        Ok(records) if records.is_empty() => emit(text, Outcome::NotMapped),
        Ok(records) => {
            for record in records {
                emit(text, Outcome::Record(record));
            }
        }
    }
}

/// The native `type` of a web record with a meaning. What has no type of its own
/// is an order.
pub(super) fn web_type(meaning: EventMeaning) -> &'static str {
    match meaning {
        EventMeaning::View => "view",
        EventMeaning::Click => "click",
        EventMeaning::Impression => "impression",
        EventMeaning::Identify => "identify",
        EventMeaning::Refund => "refund",
        EventMeaning::Order | EventMeaning::Transaction | EventMeaning::Ignore => "order",
    }
}

/// The object of an item.
///
/// # Errors
/// `malformed_json` and `not_an_object`.
pub(super) fn object(text: &str) -> Result<Object<'_>, Refusal> {
    serde_json::from_str(text).map_err(|error| Refusal::no_object(text, &error))
}

/// Refuses members of an object that are present and no objects.
pub(super) fn require_objects(item: &Object<'_>, keys: &[&str]) -> Result<(), Refusal> {
    for key in keys {
        let value = item.get(key);
        if !value.is_absent() && !value.is_object() {
            return Err(wrong_type(key, "an object"));
        }
    }
    Ok(())
}

/// The values of a member that is one value or a list of them.
pub(super) fn one_or_many(value: Json<'_>) -> Vec<Json<'_>> {
    let list = value.raw().starts_with('[').then(|| value.list()).flatten();
    let all = list.unwrap_or_else(|| vec![value]);
    all.into_iter().filter(|value| !value.is_absent()).collect()
}

/// A field of several values as JSON: the one value, or a list of several;
/// `None` if there is none.
pub(super) fn listed(values: &[String]) -> Option<String> {
    match values {
        [] => None,
        [one] => Some(one.clone()),
        several => Some(format!("[{}]", several.join(","))),
    }
}

/// An identifier of a device: a UUID is lower-cased.
pub(super) fn device(text: &str) -> String {
    let text = text.trim();
    match crate::keys::is_uuid(text) {
        true => text.to_ascii_lowercase(),
        false => text.to_owned(),
    }
}

/// The refusal of a time that cannot be read.
pub(super) fn invalid_time(path: &str) -> Refusal {
    let detail = format!("`{path}` must be a date and time of RFC 3339, with a zone");
    Refusal::new(Reason::InvalidTime, detail)
}

/// Unix milliseconds as RFC 3339 in UTC, with three digits of a second.
pub(super) fn rfc3339(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    format!("{time:.3}")
}
