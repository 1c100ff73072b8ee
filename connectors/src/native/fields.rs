//! The known fields of a JSON object, as the raw text of their values.
//!
//! This is the hot path: no value is built, no string copied. Of a key that
//! occurs twice the last value counts (RFC 8259, section 4, leaves this to the
//! reader). The parser walks values of any depth without recursion, so nesting
//! costs no stack. Ordinary objects are read by [`crate::raw_json`], and what it
//! leaves by `serde_json`, whose errors a dead letter quotes.

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use tributary_config::model::Kind;

use crate::raw_json::{self, Raw};

macro_rules! fields {
    ($($(#[$doc:meta])* $variant:ident $name:literal),* $(,)?) => {
        /// A field that some kind of record has. Its discriminant is its
        /// position in [`Fields`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Field { $($(#[$doc])* $variant),* }

        impl Field {
            /// Every field.
            pub const ALL: &[Field] = &[$(Field::$variant),*];

            /// Its key.
            pub const fn name(self) -> &'static str {
                match self { $(Field::$variant => $name),* }
            }
        }
    };
}

fields! {
    /// The record's identifier, unique per brand and source; at most 256 bytes.
    Id "id",
    /// The time of the event: an integer in the source's unit, or RFC 3339.
    Ts "ts",
    /// The revision of the record, a signed 64-bit integer; the highest counts.
    /// Absent is 0.
    Version "version",
    /// The type of a web record: `impression`, `click`, `view`, `identify`,
    /// `order` or `refund`; or of a wallet or partner record.
    Type "type",
    /// The first-party identifier of a browser; opaque, its case is kept.
    Cookie "cookie",
    /// The source of a channel, such as `google`.
    Source "source",
    /// The medium of a channel, such as `cpc`.
    Medium "medium",
    /// The campaign of a channel.
    Campaign "campaign",
    /// The address of the page, from which a channel is derived; never stored.
    Url "url",
    /// The address of the referring page, from which a channel is derived;
    /// never stored.
    Referrer "referrer",
    /// Whether a view is the first of a visit, so that it counts as a contact.
    Landing "landing",
    /// An e-mail address, in clear or as a digest.
    Email "email",
    /// A phone number, in clear or as a digest.
    Phone "phone",
    /// A customer number, in clear or as a digest.
    Customer "customer",
    /// The order that a record describes, or refunds.
    OrderId "order_id",
    /// The transaction that a record refunds.
    RefundOf "refund_of",
    /// An amount in major units, as decimal digits; negative for refunds and
    /// adjustments.
    Amount "amount",
    /// The ISO 4217 code of the amount; absent for the brand's currency.
    Currency "currency",
    /// A TC string of the IAB Transparency and Consent Framework.
    TcString "tc_string",
    /// A latitude. It is accepted and not stored.
    Lat "lat",
    /// A longitude. It is accepted and not stored.
    Lon "lon",
    /// An IP address. It is accepted and not stored.
    Ip "ip",
    /// The user agent, by which robots are recognized; never stored.
    UserAgent "user_agent",
    /// The store of a transaction, a ping, a sighting, or the scan of a wallet
    /// pass.
    Store "store",
    /// The identifier of a wallet pass; opaque, its case is kept.
    Wallet "wallet",
    /// The number of the device that registers a wallet pass; kept as a keyed hash.
    Holder "holder",
    /// A first name; identifies only together with last name and postcode.
    FirstName "first_name",
    /// A last name; identifies only together with first name and postcode.
    LastName "last_name",
    /// A postcode; identifies only together with first and last name.
    Postcode "postcode",
    /// The sensor that received a ping; required, and not stored.
    Sensor "sensor",
    /// The MAC of the device that sent a ping, or that a captive portal saw: 12
    /// hex digits with any separators.
    Mac "mac",
    /// An identifier of a device: its advertising identifier or another; in a
    /// ping, as a sensor hashed it.
    Device "device",
    /// Whether the device that sent a ping is joined to the brand's Wi-Fi.
    Associated "associated",
    /// The identifier of a click that an advertising platform appends to an
    /// address; opaque, its case is kept.
    ClickId "click_id",
    /// Whether the browser sends the Global Privacy Control signal.
    Gpc "gpc",
    /// The sale whose amount the record replaces.
    Restates "restates",
    /// The strength of the received signal, dBm from -127 to 20.
    Rssi "rssi",
    /// The day of advertising spend, `2025-10-26`.
    Date "date",
    /// The advertising platform that charged, or the platform of a wallet pass.
    Platform "platform",
    /// The amount that the platform charged, as [`Field::Amount`].
    Cost "cost",
    /// The impressions of the day, from 0.
    Impressions "impressions",
    /// The clicks of the day, from 0.
    Clicks "clicks",
    /// A string of the IAB Global Privacy Platform.
    Gpp "gpp",
    /// The applicable GPP sections, kept verbatim as evidence.
    GppSid "gpp_sid",
    /// Checkboxes by name, each `true` or `false`.
    Purposes "purposes",
    /// What the person was shown, any JSON; kept as evidence, with hashes for
    /// wordings.
    Evidence "evidence",
    /// The number that the box of a store made for a device on a day, from 0 to
    /// 2^32 - 1: of a ping, or of a sighting.
    OfflineCookie "offline_cookie",
    /// The end of a sighting, like `ts`; in a CSV source also whole minutes
    /// after `ts`.
    Until "until",
    /// Whether an exposure is an `impression` or a `click`.
    Touch "touch",
}

/// The number of fields.
const COUNT: usize = Field::ALL.len();

// Every field has a bit in [`Fields`].
const _: () = assert!(COUNT <= u64::BITS as usize);

/// The size of the hash table, a power of two.
const PLACES: usize = 256;

/// Field by [`place`] of its key; built when compiling, which fails where two
/// keys share a place: then `place` needs other factors.
#[expect(
    clippy::indexing_slicing,
    reason = "evaluated at compile time, where an index out of range fails the build"
)]
/// The fields by [`place`] of their keys. If two keys ever share a place, the
/// build fails, and `place` needs other factors.
const BY_PLACE: [Option<Field>; PLACES] = {
    let mut table = [None; PLACES];
    let mut n = 0;
    while n < COUNT {
        let field = Field::ALL[n];
        let place = place(field.name().as_bytes());
        assert!(table[place].is_none(), "two keys share a place");
        table[place] = Some(field);
        n += 1;
    }
    table
};

/// A perfect hash of the known keys, from their first and last byte and their
/// length.
const fn place(key: &[u8]) -> usize {
    match key {
        [] => 0,
        [only] => *only as usize * 16 % PLACES,
        [first, .., last] => (*first as usize + *last as usize * 3 + key.len() * 24) % PLACES,
    }
}

impl Field {
    /// The field with this key. One comparison, whatever the key: it is called
    /// for every key of every record.
    pub fn of(key: &str) -> Option<Field> {
        let field = BY_PLACE.get(place(key.as_bytes())).copied().flatten()?;
        (field.name() == key).then_some(field)
    }
}

/// The fields of a kind, in the order of the reference; with `ingest.strict`,
/// any other rejects the record.
pub fn of_kind(kind: Kind) -> &'static [Field] {
    use Field::*;
    match kind {
        Kind::Web => &[
            Id, Ts, Version, Type, Cookie, Source, Medium, Campaign, Url, Referrer, Landing, Email,
            Phone, Customer, Device, ClickId, OrderId, RefundOf, Restates, Amount, Currency, Gpc,
            TcString, Gpp, GppSid, Lat, Lon, Ip, UserAgent,
        ],
        Kind::Transaction => &[
            Id, Ts, Version, Store, Amount, Currency, Email, Phone, Customer, Wallet, FirstName,
            LastName, Postcode, Device, ClickId, RefundOf, Restates, OrderId,
        ],
        Kind::Spend => &[
            Date,
            Platform,
            Source,
            Medium,
            Campaign,
            Cost,
            Currency,
            Impressions,
            Clicks,
        ],
        Kind::Ping => &[
            Ts,
            Store,
            Sensor,
            Mac,
            Device,
            Rssi,
            Associated,
            OfflineCookie,
        ],
        Kind::Wallet => &[
            Id, Ts, Version, Type, Wallet, Platform, Store, Source, Medium, Campaign, Holder,
            Email, Phone, Customer,
        ],
        Kind::Partner => &[
            Id,
            Ts,
            Version,
            Type,
            Device,
            Email,
            Phone,
            Customer,
            Wallet,
            Cookie,
            Store,
            Until,
            OfflineCookie,
            Mac,
            Touch,
            Source,
            Medium,
            Campaign,
            TcString,
            Gpp,
            GppSid,
            Purposes,
        ],
        Kind::Consent => &[
            Id, Ts, Version, Email, Phone, Cookie, Customer, Wallet, Device, ClickId, TcString,
            Gpp, GppSid, Purposes, Evidence,
        ],
    }
}

/// The raw JSON texts of an object's values.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    /// The text of each field's value, by discriminant; empty if the key is
    /// absent.
    raw: [&'a str; COUNT],
    /// A bit for each field, by discriminant: [`Raw::is_plain`] of its text.
    plain: u64,
    /// Whether the object has a key that is no field.
    unknown: bool,
}

impl Default for Fields<'_> {
    fn default() -> Self {
        Fields {
            raw: [""; COUNT],
            plain: 0,
            unknown: false,
        }
    }
}

impl<'a> Fields<'a> {
    /// Parses a text that is one JSON object and nothing else.
    ///
    /// ```
    /// use tributary_connectors::native::fields::{Field, Fields};
    ///
    /// let fields = Fields::read(r#"{"id": "w1", "amount": 12.50}"#)?;
    /// assert_eq!(fields.raw(Field::Id), r#""w1""#);
    /// assert_eq!(fields.raw(Field::Amount), "12.50");
    /// assert_eq!(fields.raw(Field::Email), "");
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    ///
    /// # Errors
    /// The parser's error for anything other than one JSON object.
    pub fn read(line: &'a str) -> Result<Fields<'a>, serde_json::Error> {
        let mut fields = Fields::default();
        fields.fill(line)?;
        Ok(fields)
    }

    /// Parses an object into these fields, which must be empty.
    ///
    /// # Errors
    /// As [`Fields::read`]; the fields are then unspecified.
    pub fn fill(&mut self, line: &'a str) -> Result<(), serde_json::Error> {
        let whole = raw_json::members(line, |key, value| match Field::of(key) {
            Some(field) => self.set(field, value),
            None => self.unknown = true,
        });
        if whole.is_some() {
            return Ok(());
        }
        // What is set already is found again.
        let mut json = serde_json::Deserializer::from_str(line);
        Object(self).deserialize(&mut json)?;
        json.end()
    }

    /// The raw JSON of a field's value; empty if the object lacks the key.
    pub fn raw(&self, field: Field) -> &'a str {
        self.raw.get(field as usize).copied().unwrap_or_default()
    }

    /// The value of a field, with an empty text if the object lacks the key.
    pub(crate) fn value(&self, field: Field) -> Raw<'a> {
        Raw {
            text: self.raw(field),
            is_plain: self.plain >> field as u8 & 1 == 1,
        }
    }

    /// Sets the raw JSON of a field's value.
    pub(crate) fn set(&mut self, field: Field, raw: Raw<'a>) {
        if let Some(place) = self.raw.get_mut(field as usize) {
            *place = raw.text;
        }
        let bit = 1 << field as u8;
        match raw.is_plain {
            true => self.plain |= bit,
            false => self.plain &= !bit,
        }
    }

    /// Whether the object has a key that the kind does not define.
    pub fn has_unknown(&self, kind: Kind) -> bool {
        let known = of_kind(kind);
        let foreign = |field: &Field| !self.raw(*field).is_empty() && !known.contains(field);
        self.unknown || Field::ALL.iter().any(foreign)
    }
}

/// Deserializes an object into fields.
struct Object<'f, 'a>(&'f mut Fields<'a>);

impl<'de> DeserializeSeed<'de> for Object<'_, 'de> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(field) = map.next_key_seed(Key)? {
            match field {
                Some(field) => {
                    let value = map.next_value::<&'de RawValue>()?;
                    self.0.set(field, Raw::of(value.get()));
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                    self.0.unknown = true;
                }
            }
        }
        Ok(())
    }
}

/// Deserializes a key into the field of that name.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Option<Field>;

    fn deserialize<D: serde::Deserializer<'de>>(self, key: D) -> Result<Self::Value, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<Field>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Field::of(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_two_equal_keys_counts_and_values_stay_text() {
        let line = r#"{"id":"a","ts": 12 ,"id":"b","x":[{"id":1}],"am\u006funt":1.50}"#;
        let fields = Fields::read(line).unwrap();
        assert_eq!(fields.raw(Field::Id), "\"b\"");
        assert_eq!(fields.raw(Field::Ts), "12");
        assert_eq!(fields.raw(Field::Amount), "1.50");
        assert_eq!(fields.raw(Field::Email), "");
    }

    #[test]
    fn what_is_no_object_is_an_error() {
        for line in [
            "",
            "[]",
            "1",
            "{",
            "{}x",
            "{\"a\":NaN}",
            "{\"a\":1,}",
            "{'a':1}",
            "{} {}",
        ] {
            assert!(Fields::read(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_million_brackets_are_no_problem() {
        let deep = format!(
            "{{\"x\":{}{}}}",
            "[".repeat(1_000_000),
            "]".repeat(1_000_000)
        );
        assert!(Fields::read(&deep).is_ok());
        let open = format!("{{\"id\":{}", "{\"a\":".repeat(1_000_000));
        assert!(Fields::read(&open).is_err());
    }

    #[test]
    fn a_field_of_another_kind_is_unknown() {
        let fields = Fields::read(r#"{"ts":1,"rssi":-1}"#).unwrap();
        assert!(!fields.has_unknown(Kind::Ping));
        assert!(fields.has_unknown(Kind::Web));
        let fields = Fields::read(r#"{"ts":1,"colour":"red"}"#).unwrap();
        assert!(fields.has_unknown(Kind::Ping));
    }

    #[test]
    fn every_key_finds_its_field() {
        for &field in Field::ALL {
            assert_eq!(Field::of(field.name()), Some(field));
        }
    }

    #[test]
    fn the_configuration_knows_the_same_fields() {
        for kind in Kind::ALL {
            let mut own: Vec<&str> = of_kind(kind).iter().map(|field| field.name()).collect();
            let mut configured = tributary_config::fields::of(kind).to_vec();
            own.sort_unstable();
            configured.sort_unstable();
            assert_eq!(own, configured, "{}", kind.name());
        }
    }
}
