//! The known fields of a JSON object, as the raw text of their values.
//!
//! This is the hot path: no value is built, no string copied. A key that occurs twice keeps its last
//! value. The parser walks values of any depth without recursion, so that nesting costs no stack.

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use tributary_config::model::Kind;

macro_rules! fields {
    ($($variant:ident $name:literal),* $(,)?) => {
        /// A field that some kind of record knows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)] // The specification's table says what each one holds.
        #[repr(u8)]
        pub enum Field { $($variant),* }

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
    Id "id", Ts "ts", Version "version", Type "type", Cookie "cookie", Source "source",
    Medium "medium", Campaign "campaign", Url "url", Referrer "referrer", Landing "landing",
    Email "email", Phone "phone", Customer "customer", OrderId "order_id", RefundOf "refund_of",
    Amount "amount", Currency "currency", TcString "tc_string", Lat "lat", Lon "lon", Ip "ip",
    UserAgent "user_agent", Store "store", Wallet "wallet", FirstName "first_name",
    LastName "last_name", Postcode "postcode", Sensor "sensor", Mac "mac", Device "device",
    Rssi "rssi", Date "date", Platform "platform", Cost "cost", Impressions "impressions",
    Clicks "clicks", Gpp "gpp", GppSid "gpp_sid", Purposes "purposes", Evidence "evidence",
}

const COUNT: usize = Field::ALL.len();

const PLACES: usize = 128;

/// Field by [`place`] of its key; built when compiling, which fails where two keys share a place: then
/// `place` needs other factors.
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

/// A hash without collisions among the known keys.
const fn place(key: &[u8]) -> usize {
    match key {
        [] => 0,
        [only] => *only as usize * 16 % PLACES,
        [first, .., last] => (*first as usize + *last as usize * 15 + key.len() * 18) % PLACES,
    }
}

impl Field {
    /// The field of a key. One comparison, whatever the key: this is asked for every key of every record.
    pub fn of(key: &str) -> Option<Field> {
        let field = BY_PLACE.get(place(key.as_bytes())).copied().flatten()?;
        (field.name() == key).then_some(field)
    }
}

/// The fields that a kind knows; with `strict`, any other refuses the record.
pub fn of_kind(kind: Kind) -> &'static [Field] {
    use Field::*;
    match kind {
        Kind::Web => &[
            Id, Ts, Version, Type, Cookie, Source, Medium, Campaign, Url, Referrer, Landing, Email,
            Phone, Customer, OrderId, RefundOf, Amount, Currency, TcString, Gpp, GppSid, Lat, Lon,
            Ip, UserAgent,
        ],
        Kind::Transaction => &[
            Id, Ts, Version, Store, Amount, Currency, Email, Phone, Customer, Wallet, FirstName,
            LastName, Postcode, RefundOf, OrderId,
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
        Kind::Ping => &[Ts, Store, Sensor, Mac, Device, Rssi],
        Kind::Consent => &[
            Id, Ts, Version, Email, Phone, Cookie, Customer, Wallet, Device, TcString, Gpp, GppSid,
            Purposes, Evidence,
        ],
    }
}

/// The raw JSON texts of an object's fields.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    raw: [&'a str; COUNT],
    unknown: bool,
}

impl Default for Fields<'_> {
    fn default() -> Self {
        Fields {
            raw: [""; COUNT],
            unknown: false,
        }
    }
}

impl<'a> Fields<'a> {
    /// Reads an object, and nothing but an object.
    pub fn read(line: &'a str) -> Result<Fields<'a>, serde_json::Error> {
        let mut fields = Fields::default();
        fields.fill(line)?;
        Ok(fields)
    }

    /// Reads an object into empty fields, where they stand.
    pub fn fill(&mut self, line: &'a str) -> Result<(), serde_json::Error> {
        let mut json = serde_json::Deserializer::from_str(line);
        Object(self).deserialize(&mut json)?;
        json.end()
    }

    /// The text of a field's value; empty where the object has no such key.
    pub fn raw(&self, field: Field) -> &'a str {
        self.raw.get(field as usize).copied().unwrap_or_default()
    }

    /// Whether the object has a field that the kind does not know.
    pub fn has_unknown(&self, kind: Kind) -> bool {
        let known = of_kind(kind);
        let foreign = |field: &Field| !self.raw(*field).is_empty() && !known.contains(field);
        self.unknown || Field::ALL.iter().any(foreign)
    }
}

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
                    let value: &'de RawValue = map.next_value()?;
                    if let Some(raw) = self.0.raw.get_mut(field as usize) {
                        *raw = value.get();
                    }
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
}
