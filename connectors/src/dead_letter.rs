//! Dead letters: the closed list of reasons for rejecting a line, and the sink
//! that receives a decoder's output.
//!
//! The decoder publishes a rejected line unchanged on the dead-letter subject,
//! with a reason from this list and a sentence that names the field and the
//! remedy. The sentence never repeats the value of a field: it may be logged,
//! and logs must not identify anyone. Names of reasons are part of headers and
//! metric labels and do not change.

use std::sync::Arc;

use tributary_config::model::Kind;
use tributary_operators::event::Event;
use tributary_operators::record::{Arrival, BrandId, IdSet};

use crate::keys::EmailCounts;
use crate::rights_request::RightsRequest;

/// Receives the output of a decoder.
///
/// For each line the decoder calls exactly one of [`Sink::event`] (or
/// [`Sink::rekeyed_event`]) for a record or a ping, [`Sink::dead_letter`], and
/// [`Sink::ignore`]. Label names, consent statements and evidence that a line
/// carries arrive as further events before it.
pub trait Sink {
    /// Receives an accepted record or ping, or a label name that they use.
    fn event(&mut self, event: Event);
    /// Receives an accepted record of a brand that rotated its secret, with its
    /// identifiers under each earlier secret, the oldest first. The default
    /// treats it like any event.
    fn rekeyed_event(&mut self, event: Event, earlier: &[IdSet]) {
        let _ = earlier;
        self.event(event);
    }
    /// Receives a rejected line, or a rejected message.
    fn dead_letter(&mut self, dead: DeadLetter);
    /// Receives a valid line that is deliberately omitted.
    fn ignore(&mut self, what: Ignored);
    /// Receives a native record before it is read, as it stands in a message or
    /// as an adapter made it. `json` writes it, with what its message supplies.
    /// The default ignores it.
    fn native_record(&mut self, kind: Kind, json: &dyn Fn() -> String) {
        let _ = (kind, json);
    }
    /// Learns the configured source of the records that follow. The default ignores
    /// it.
    fn source(&mut self, name: &Arc<str>) {
        let _ = name;
    }
    /// Learns that an adapter corrected the time of a record. The default
    /// ignores it.
    fn time_corrected(&mut self) {}
    /// Receives a rights request that a vendor passes on to a brand. The default
    /// ignores it.
    fn rights_request(&mut self, brand: &Arc<str>, request: &RightsRequest) {
        let _ = (brand, request);
    }
    /// Receives the e-mail addresses that a record of a brand names in clear. The
    /// default ignores it.
    fn emails(&mut self, brand: BrandId, counts: EmailCounts) {
        let _ = (brand, counts);
    }
    /// Receives the number of unsupported sections of a brand's GPP string. The
    /// default ignores it.
    fn unread_sections(&mut self, brand: BrandId, sections: u32) {
        let _ = (brand, sections);
    }
}

/// The header of a message that `tributary dead-letters resend` has published.
/// What is rejected again carries it on, so that no line goes round.
pub const RESENT_HEADER: &str = "Tributary-Resent";

/// The header of a dead letter in which the worker has masked MAC addresses
/// ([`crate::address_mask`]). It cannot be sent again.
pub const MASKED_HEADER: &str = "Tributary-Masked";

/// A rejected line, or a rejected message if its subject has no route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The brand's name, if it is configured; a name from outside is never
    /// repeated.
    pub brand: Option<String>,
    /// The kind, if the specification defines it.
    pub kind: Option<String>,
    /// Why it is rejected.
    pub reason: Reason,
    /// A sentence with the field and the remedy; never a value.
    pub detail: String,
    /// The subject of the message.
    pub subject: String,
    /// The subject of the configured source of the line, to which it may be sent
    /// again; `None` if the message belongs to no source.
    pub source_subject: Option<String>,
    /// Whether the message was sent again after a dead letter already
    /// ([`RESENT_HEADER`]).
    pub is_resent: bool,
    /// The arrival of the message, Unix milliseconds.
    pub at: i64,
    /// The message's number and the position of the object in it, from 0.
    pub arrival: Arrival,
    /// The line as received; the whole message if its subject has no route.
    pub payload: Vec<u8>,
}

/// Why a valid line is omitted. Omissions are counted, but are neither events
/// nor dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ignored {
    /// A ping of a device on the brand's list of fixed devices.
    FixedDevice,
    /// A ping that was read again after its day was settled; the sums of the
    /// day include it already.
    SettledPing,
    /// A web record whose user agent is that of a known robot
    /// ([`crate::native::robots`]).
    Robot,
    /// A record whose retention period had expired when it arrived.
    PastRetention,
    /// An item of a vendor's format that the product has no use for.
    NotMapped,
}

impl Ignored {
    /// The stable name in metric labels and in the output of commands.
    pub fn label(self) -> &'static str {
        match self {
            Ignored::FixedDevice => "fixed_device",
            Ignored::SettledPing => "settled_ping",
            Ignored::Robot => "robot",
            Ignored::PastRetention => "past_retention",
            Ignored::NotMapped => "not_mapped",
        }
    }

    /// A description for reports, in the plural.
    pub fn name(self) -> &'static str {
        match self {
            Ignored::FixedDevice => "pings of fixed devices",
            Ignored::SettledPing => "pings of days that have settled",
            Ignored::Robot => "web records of robots",
            Ignored::PastRetention => "records past their retention when they came",
            Ignored::NotMapped => "items that map to nothing",
        }
    }
}

/// Why a line is rejected.
/// ```
/// use tributary_connectors::dead_letter::Reason;
///
/// assert_eq!(Reason::LatePing.name(), "late_ping");
/// assert!(Reason::ALL.iter().all(|reason| reason.help().ends_with('.')));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The subject is not `tributary.in.<brand>.<kind>`, optionally with a
    /// source and a partition.
    MalformedSubject,
    /// No brand of this name is configured.
    UnknownBrand,
    /// The specification does not define this kind, or it is not supported yet.
    UnknownKind,
    /// The brand has no source of this name for the kind.
    UnknownSource,
    /// The line exceeds `ingest.max_message_bytes`.
    TooLarge,
    /// The line is not valid UTF-8, which RFC 8259 (section 8.1) requires of
    /// JSON.
    NotUtf8,
    /// The line is not valid JSON (RFC 8259), or a string contains an invalid
    /// escape.
    MalformedJson,
    /// The line is valid JSON of another type.
    NotAnObject,
    /// A CSV row has another number of cells than the header, a CSV line a
    /// quotation mark that nothing closes, or a document no header of its format.
    MalformedRow,
    /// A line of Snowplow's TSV has another number of fields than there are
    /// columns.
    MalformedTsv,
    /// A CloudEvent is incomplete, or of another version than 1.0.
    MalformedCloudEvent,
    /// A post does not repeat the secret of its source.
    WrongSecret,
    /// CSV rows that should be summed have different currencies.
    MixedCurrencies,
    /// A field is not defined for the kind; with `ingest.strict` only.
    UnknownField,
    /// A required field is absent, null or empty.
    MissingField,
    /// A field has another JSON type than the kind defines.
    WrongType,
    /// The `type` of a web, wallet or partner record, the platform of a pass, or
    /// the touch of an exposure, is none of the defined ones.
    UnknownType,
    /// A text exceeds the limit of its field.
    TextTooLong,
    /// The record has more than 16 values that identify.
    TooManyIdentifiers,
    /// `ts` is neither an integer nor RFC 3339, and matches no pattern of the
    /// source.
    InvalidTime,
    /// `ts` has no offset, and the source has no zone.
    TimeWithoutZone,
    /// `ts` lies before 1971 or after 9999, or `until` not within 24 hours after
    /// `ts`.
    TimeOutOfRange,
    /// `ts` lies after the arrival by more than `ingest.max_future`.
    TimeInFuture,
    /// `date` is not a date from 1970 to 9999.
    InvalidDate,
    /// An amount is not a decimal number.
    InvalidAmount,
    /// An amount has more decimals than its currency (ISO 4217).
    TooManyDecimals,
    /// An amount exceeds 10^15 minor units.
    AmountOutOfRange,
    /// The currency is not an ISO 4217 code with a minor unit.
    UnknownCurrency,
    /// An integer lies outside of the range of its field.
    NumberOutOfRange,
    /// `mac` is not an address from which a device sends.
    InvalidMac,
    /// A partner record with `mac` came under a subject whose messages the broker
    /// keeps for days.
    MacInClear,
    /// The ping arrived after the salt of its day was destroyed.
    LatePing,
    /// The sighting arrived too long after its day, or, with a MAC, after the
    /// salt of its day was destroyed.
    LateSighting,
    /// The store of a ping or a sighting has no sensors.
    UnknownStore,
    /// The consent signal cannot be parsed, so nothing of the record may be
    /// stored.
    BadConsent,
}

impl Reason {
    /// Every reason, in the order of the reference.
    pub const ALL: [Reason; 35] = [
        Reason::MalformedSubject,
        Reason::UnknownBrand,
        Reason::UnknownKind,
        Reason::UnknownSource,
        Reason::TooLarge,
        Reason::NotUtf8,
        Reason::MalformedJson,
        Reason::NotAnObject,
        Reason::MalformedRow,
        Reason::MalformedTsv,
        Reason::MalformedCloudEvent,
        Reason::WrongSecret,
        Reason::MixedCurrencies,
        Reason::UnknownField,
        Reason::MissingField,
        Reason::WrongType,
        Reason::UnknownType,
        Reason::TextTooLong,
        Reason::TooManyIdentifiers,
        Reason::InvalidTime,
        Reason::TimeWithoutZone,
        Reason::TimeOutOfRange,
        Reason::TimeInFuture,
        Reason::InvalidDate,
        Reason::InvalidAmount,
        Reason::TooManyDecimals,
        Reason::AmountOutOfRange,
        Reason::UnknownCurrency,
        Reason::NumberOutOfRange,
        Reason::InvalidMac,
        Reason::MacInClear,
        Reason::LatePing,
        Reason::LateSighting,
        Reason::UnknownStore,
        Reason::BadConsent,
    ];

    /// The stable name in the header `Tributary-Reason` and in metric labels.
    pub fn name(self) -> &'static str {
        match self {
            Reason::MalformedSubject => "malformed_subject",
            Reason::UnknownBrand => "unknown_brand",
            Reason::UnknownKind => "unknown_kind",
            Reason::UnknownSource => "unknown_source",
            Reason::TooLarge => "too_large",
            Reason::NotUtf8 => "not_utf8",
            Reason::MalformedJson => "malformed_json",
            Reason::NotAnObject => "not_an_object",
            Reason::MalformedRow => "malformed_row",
            Reason::MalformedTsv => "malformed_tsv",
            Reason::MalformedCloudEvent => "malformed_cloudevent",
            Reason::WrongSecret => "wrong_secret",
            Reason::MixedCurrencies => "mixed_currencies",
            Reason::UnknownField => "unknown_field",
            Reason::MissingField => "missing_field",
            Reason::WrongType => "wrong_type",
            Reason::UnknownType => "unknown_type",
            Reason::TextTooLong => "text_too_long",
            Reason::TooManyIdentifiers => "too_many_identifiers",
            Reason::InvalidTime => "invalid_time",
            Reason::TimeWithoutZone => "time_without_zone",
            Reason::TimeOutOfRange => "time_out_of_range",
            Reason::TimeInFuture => "time_in_future",
            Reason::InvalidDate => "invalid_date",
            Reason::InvalidAmount => "invalid_amount",
            Reason::TooManyDecimals => "too_many_decimals",
            Reason::AmountOutOfRange => "amount_out_of_range",
            Reason::UnknownCurrency => "unknown_currency",
            Reason::NumberOutOfRange => "number_out_of_range",
            Reason::InvalidMac => "invalid_mac",
            Reason::MacInClear => "mac_in_clear",
            Reason::LatePing => "late_ping",
            Reason::LateSighting => "late_sighting",
            Reason::UnknownStore => "unknown_store",
            Reason::BadConsent => "bad_consent",
        }
    }

    /// The meaning and the remedy, one sentence for the reference.
    pub fn help(self) -> &'static str {
        match self {
            Reason::MalformedSubject => {
                "The subject is not `tributary.in.<brand>.<kind>` or `tributary.in.<brand>.<kind>.<source>`; the whole message is rejected."
            }
            Reason::UnknownBrand => {
                "The subject names a brand that is not configured; the whole message is rejected."
            }
            Reason::UnknownKind => {
                "The subject names an unsupported kind: send `web`, `transaction`, `spend`, `ping`, `consent`, `wallet`, `partner` or `partner_mac`; the whole message is rejected."
            }
            Reason::UnknownSource => {
                "The subject names a source that is not configured for this brand and kind: add it to the configuration; the whole message is rejected."
            }
            Reason::TooLarge => {
                "The line is longer than `ingest.max_message_bytes`: send fewer or smaller records."
            }
            Reason::NotUtf8 => "The line is not UTF-8, which JSON requires.",
            Reason::MalformedJson => {
                "The line is not JSON (`NaN`, `Infinity`, comments and trailing commas are invalid): serialize it with a JSON library, one object per line."
            }
            Reason::NotAnObject => "The line is JSON but not an object.",
            Reason::MalformedRow => {
                "A row of a CSV file has more or fewer cells than the header, or a quotation mark that nothing closes: quote cells that contain the delimiter, and double the marks within them. An offline conversion for Google Ads may also lack the header of its format. With `sum_rows`, all rows with the same id are rejected."
            }
            Reason::MalformedTsv => {
                "A line of Snowplow's TSV has not exactly 131 fields: send enriched events, one on each line."
            }
            Reason::MalformedCloudEvent => {
                "A CloudEvent lacks `id`, `source` or `type`, has another `specversion` than `1.0`, or is not UTF-8 or JSON."
            }
            Reason::WrongSecret => {
                "A post of a Meraki network does not repeat the secret of its source: compare `secret_file` with the dashboard."
            }
            Reason::MixedCurrencies => {
                "With `sum_rows`, rows with the same id have different currencies and cannot be added up."
            }
            Reason::UnknownField => {
                "With `ingest.strict`, the record has a field that is unknown for its kind: remove it, or turn `strict` off."
            }
            Reason::MissingField => {
                "A required field is absent, null or empty: the detail names it."
            }
            Reason::WrongType => {
                "A field has the wrong JSON type for this kind and type of record: the detail names both."
            }
            Reason::UnknownType => {
                "The `type` of a web record is not one of `impression`, `click`, `view`, `identify`, `order`, `refund`; or that of a wallet record not one of `issue`, `void`, `install`, `remove`, `push`, `open`, `scan`, `redeem`, or its `platform` not one of `apple`, `google`, `samsung`, `other`; or that of a partner record not one of `sighting`, `exposure`, `link`, or its `touch` not `impression` or `click`."
            }
            Reason::TextTooLong => {
                "A label or an id has more than 256 bytes, an identifier more than 1,024, a consent string more than 16,384, or the evidence of a consent more than 65,536."
            }
            Reason::TooManyIdentifiers => "The record has more than 16 identifiers.",
            Reason::InvalidTime => {
                "`ts` is neither integer Unix milliseconds (seconds, with the source's `unit = \"s\"`) nor an RFC 3339 date and time, and matches no pattern of the CSV source."
            }
            Reason::TimeWithoutZone => {
                "`ts` has no time zone and the source defines none: send an offset, or set the source's `zone`."
            }
            Reason::TimeOutOfRange => {
                "`ts` is before 1971 or after 9999. Times sent in seconds appear to be before 1971: send milliseconds, or set the source's `unit = \"s\"`. Or the `until` of a sighting lies before its `ts`, or more than 24 hours after it."
            }
            Reason::TimeInFuture => {
                "`ts` is more than `ingest.max_future` after the arrival: check the sender's clock and time zone."
            }
            Reason::InvalidDate => {
                "`date` is not a date such as `2025-10-26` between 1970 and 9999."
            }
            Reason::InvalidAmount => {
                "An amount is not a decimal number with optional sign and fraction (decimal point, no grouping, exponents only in JSON numbers; CSV sources may use a decimal comma)."
            }
            Reason::TooManyDecimals => "An amount has more decimals than its currency allows.",
            Reason::AmountOutOfRange => "An amount exceeds 10^15 minor units.",
            Reason::UnknownCurrency => {
                "The currency is not an ISO 4217 code with a minor unit (`XXX`, `XTS` and metals are not accepted)."
            }
            Reason::NumberOutOfRange => {
                "An integer is out of range: `rssi` -127 to 20, counts from 0, `offline_cookie` 0 to 4,294,967,295, `version` 64 bits."
            }
            Reason::InvalidMac => "`mac` is not 12 hex digits with any separators.",
            Reason::MacInClear => {
                "A partner record with `mac` came under the subject `tributary.in.<brand>.partner`: publish it to `tributary.in.<brand>.partner_mac`, whose messages the broker deletes after `nats.pings_max_age`, or leave `mac` out. With `nats.pings_stream`, the message is deleted from the input stream."
            }
            Reason::LatePing => {
                "The ping arrived 24 hours or more after its day ended: the day's salt has been destroyed."
            }
            Reason::LateSighting => {
                "The sighting arrived more than `partners.settle_after` after its day ended; or with a `mac`, 24 hours or more after its day ended, when the day's salt has been destroyed."
            }
            Reason::UnknownStore => {
                "The `store` of a ping or a sighting is not listed in `sensors.stores`."
            }
            Reason::BadConsent => {
                "The record's consent string or checkboxes cannot be read, so the record must not be stored: the detail describes the problem."
            }
        }
    }
}

/// The reference of all reasons as a Markdown table.
pub fn markdown() -> String {
    let mut table = String::from("| reason | what it means |\n|---|---|\n");
    for reason in Reason::ALL {
        table.push_str(&format!("| `{}` | {} |\n", reason.name(), reason.help()));
    }
    table
}

/// A reason with its sentence: the error type of everything that decodes a
/// line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why the line is rejected.
    pub reason: Reason,
    /// A sentence with the field and the remedy; never a value.
    pub detail: String,
}

impl Refusal {
    /// A refusal. `detail` must not contain a value from outside.
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Refusal {
        Refusal {
            reason,
            detail: detail.into(),
        }
    }

    /// The refusal of a text that is not a JSON object, with the position of a
    /// syntax error.
    pub(crate) fn no_object(text: &str, error: &serde_json::Error) -> Refusal {
        match serde_json::from_str::<serde::de::IgnoredAny>(text) {
            Ok(_) if text.trim_start().starts_with('[') => Refusal::new(
                Reason::NotAnObject,
                "the line is a JSON array: write one object a line, as `jq -c '.[]'` does",
            ),
            Ok(_) => Refusal::new(Reason::NotAnObject, "the line must be a JSON object"),
            Err(_) => Refusal::new(
                Reason::MalformedJson,
                format!(
                    "no JSON at line {}, column {} of the object",
                    error.line(),
                    error.column()
                ),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_snake_case_and_in_the_table() {
        let table = markdown();
        let mut seen = std::collections::BTreeSet::new();
        for reason in Reason::ALL {
            assert!(seen.insert(reason.name()));
            let plain = |c: char| c.is_ascii_lowercase() || c == '_' || c == '8';
            assert!(reason.name().chars().all(plain));
            assert!(!reason.help().is_empty());
            assert!(table.contains(reason.name()));
        }
        assert_eq!(table.lines().count(), Reason::ALL.len() + 2);
    }
}
