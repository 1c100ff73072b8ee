//! The formats of vendors: what becomes of each item, compared with what it must become.

mod bad_input;
mod cloud_events;
mod fuzz;
mod ga4_bigquery;
mod google_offline;
mod meraki;
mod meta;
mod native_fields;
mod segment;
mod shared;
mod snowplow;
mod wallet;

use std::sync::Arc;

use serde_json::{Value, json};
use tributary_config::model::{
    Brand, EventMeaning, Format, HashRule, Kind, Mapping, Source, TimeUnit,
};
use tributary_connectors::dead_letter::{DeadLetter, Ignored, Sink};
use tributary_connectors::decode::{Decoder, Message};
use tributary_connectors::rights_request::RightsRequest;
use tributary_operators::event::Event;

use crate::common::{brand, config};

/// A source of a format.
pub fn source(name: &str, kind: Kind, format: Format) -> Source {
    Source {
        name: name.to_owned(),
        kind,
        format,
        zone: None,
        phone_region: None,
        hash_rule: HashRule::Plain,
        basis: None,
        trust: None,
        unit: TimeUnit::default(),
        arrival_header: false,
        blur_ms: None,
        mapping: Mapping::default(),
    }
}

/// The mapping that the samples of all formats assume.
pub fn mapping() -> Mapping {
    let boxes = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let store = |place: &str, store: &str| (place.to_owned(), store.to_owned());
    Mapping {
        consent_categories: [
            ("Advertising", boxes(&["1", "7"])),
            ("Analytics", boxes(&["1", "9"])),
            ("statistics", boxes(&["1", "9"])),
            ("marketing", boxes(&["1", "7"])),
            ("analytics_storage", boxes(&["1", "9"])),
        ]
        .map(|(name, boxes)| (name.to_owned(), boxes))
        .into(),
        conversions: [("In store".to_owned(), EventMeaning::Transaction)].into(),
        stores: [
            store("lyon-2", "Lyon 2"),
            store("L_000000000000000001", "Paris 9"),
            store("2", "Paris 9"),
        ]
        .into(),
        store: Some("Lyon 2".to_owned()),
        secret: "supersecret".into(),
        ..Mapping::default()
    }
}

/// The brand `acme` with a source of every format.
pub fn acme() -> Brand {
    let mut acme = brand("acme");
    acme.sources = [
        ("segment", Kind::Web, Format::Segment),
        ("snowplow", Kind::Web, Format::Snowplow),
        ("meraki", Kind::Ping, Format::Meraki),
        ("google", Kind::Transaction, Format::GoogleOffline),
        ("meta", Kind::Transaction, Format::Meta),
        ("ga4", Kind::Web, Format::Ga4Bigquery),
        ("apple_wallet", Kind::Wallet, Format::AppleWallet),
        ("google_wallet", Kind::Wallet, Format::GoogleWallet),
        ("apple_signin", Kind::Consent, Format::AppleSignin),
        ("web", Kind::Web, Format::Native),
        ("shop", Kind::Web, Format::Native),
    ]
    .map(|(name, kind, format)| Source {
        mapping: mapping(),
        ..source(name, kind, format)
    })
    .into();
    for source in &mut acme.sources {
        match source.name.as_str() {
            // Its samples have no store of their own but the network, and its rows no consent.
            "meraki" => source.mapping.store = None,
            "ga4" => source.mapping.consent_categories.clear(),
            "shop" => source.mapping.ce_source = Some("/shop/fr".to_owned()),
            _ => {}
        }
    }
    acme
}

/// What became of the parts of a message, as the command `decode` writes it, and the dead letters.
#[derive(Default)]
pub struct Given {
    pub gives: Vec<Value>,
    pub dead: Vec<DeadLetter>,
    pub events: Vec<Event>,
    pending: Option<Value>,
}

impl Given {
    fn accept(&mut self) {
        self.gives.extend(self.pending.take());
    }
}

impl Sink for Given {
    fn event(&mut self, event: Event) {
        let is_record = match &event {
            Event::Put { record, .. } => !record.id.is_empty(),
            Event::Ping { .. } => true,
            _ => false,
        };
        if is_record {
            self.accept();
        }
        self.events.push(event);
    }

    fn native_record(&mut self, kind: Kind, json: &dyn Fn() -> String) {
        self.accept();
        let data: Value = serde_json::from_str(&json()).expect("a record is JSON");
        self.pending = Some(json!({"kind": kind.name(), "data": data}));
    }

    fn rights_request(&mut self, _: &Arc<str>, request: &RightsRequest) {
        self.accept();
        let data: Value = serde_json::from_str(&request.to_json()).expect("a request is JSON");
        self.gives.push(json!({"kind": "rights", "data": data}));
    }

    fn dead_letter(&mut self, dead: DeadLetter) {
        self.pending = None;
        self.gives.push(json!({"refused": dead.reason.name()}));
        self.dead.push(dead);
    }

    fn ignore(&mut self, what: Ignored) {
        match what {
            Ignored::NotMapped => self.accept(),
            _ => self.pending = None,
        }
        self.gives.push(json!({"ignored": what.label()}));
    }
}

/// What a source of a brand makes of a message.
pub fn decode_with(
    brand: Brand,
    source: &str,
    at: i64,
    headers: &[(String, String)],
    data: &[u8],
) -> Given {
    let kind = brand.sources.iter().find(|one| one.name == source);
    let kind = kind.expect("a source of the brand").kind.name();
    let subject = format!("tributary.in.acme.{kind}.{source}");
    let message = Message {
        subject: &subject,
        at,
        number: 1,
        headers,
        data,
    };
    let mut given = Given::default();
    Decoder::new(&config(vec![brand])).decode(&message, &mut given);
    given.accept();
    given
}

/// What a source of [`acme`] makes of a payload that arrives at a time.
pub fn decode(source: &str, at: i64, data: &str) -> Given {
    decode_with(acme(), source, at, &[], data.as_bytes())
}

/// 2025-10-09T08:53:20Z.
pub const AT: i64 = 1_760_000_000_000;

/// Compares what a source makes of a payload with JSON of the expected outcomes.
#[track_caller]
pub fn assert_gives(source: &str, data: &str, expected: Value) {
    let given = decode(source, AT, data);
    let details: Vec<&String> = given.dead.iter().map(|dead| &dead.detail).collect();
    assert_eq!(json!(given.gives), expected, "{data}\n{details:?}");
}
