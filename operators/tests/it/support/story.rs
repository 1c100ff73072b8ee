//! A small brand with a hand-written history: records are inserted and dropped one by one, epoch by
//! epoch.

use tributary_operators::allowed_uses::AllowedUses;
use tributary_operators::event::Event;
use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{
    Arrival, Body, BrandId, Currency, IdKind, IdSet, Identifier, Ping, Record, RecordKey, SaleKind,
    SaleName, TouchKind,
};
use tributary_operators::settings::{BrandSettings, Settings};

/// One hour in milliseconds.
pub const HOUR: i64 = 3_600_000;
/// One day in milliseconds.
pub const DAY: i64 = 24 * HOUR;
/// The brand.
pub const ACME: BrandId = BrandId(0);

/// The brand `acme` in UTC, whose gate releases every cell, and its history.
pub struct Story {
    /// The settings of the brand.
    pub settings: Settings,
    /// The events of each epoch.
    pub batches: Vec<Vec<Event>>,
    /// The number of messages so far.
    arrived: u64,
}

impl Story {
    /// An empty history.
    pub fn new() -> Story {
        let acme = BrandSettings {
            name: "acme".into(),
            k: 1,
            k_traffic: 1,
            ..BrandSettings::default()
        };
        Story {
            settings: Settings {
                brands: [(ACME, acme)].into(),
            },
            batches: vec![Vec::new()],
            arrived: 0,
        }
    }

    /// Starts the next epoch.
    pub fn then(&mut self) {
        self.batches.push(Vec::new());
    }

    /// Adds an event to the current epoch.
    fn push(&mut self, event: Event) {
        self.batches.last_mut().unwrap().push(event);
    }

    /// Announces a label name.
    pub fn insert(&mut self, word: &str) -> Label {
        let label = Label::of(word);
        self.push(Event::LabelName {
            brand: ACME,
            label,
            word: word.into(),
        });
        label
    }

    /// The next position in the order of arrival.
    fn arrive(&mut self) -> Arrival {
        self.arrived += 1;
        Arrival {
            message: self.arrived,
            line: 0,
        }
    }

    /// Inserts a record; `who` lists its identifiers: `email:ann cookie:1`.
    pub fn put(&mut self, source: &str, id: &str, ts: i64, who: &str, body: Body) {
        let (source_label, arrival) = (self.insert(source), self.arrive());
        let record = Record {
            brand: ACME,
            source: source_label,
            id: id.into(),
            ts,
            day: ts.div_euclid(DAY) as i32,
            ids: IdSet::new(who.split_whitespace().map(identifier).collect()),
            body,
        };
        self.push(Event::Put {
            key: key(source, id),
            version: 0,
            arrival,
            record,
        });
    }

    /// Drops a record.
    pub fn forget(&mut self, source: &str, id: &str) {
        let arrival = self.arrive();
        self.push(Event::Drop {
            key: key(source, id),
            arrival,
        });
    }

    /// A click on a channel that consists of a source.
    pub fn click(&mut self, id: &str, ts: i64, who: &str, source: &str) {
        let channel = Channel {
            source: self.insert(source),
            ..Channel::default()
        };
        let body = Body::Contact {
            kind: TouchKind::Click,
            channel,
            touch: true,
        };
        self.put("web", id, ts, who, body);
    }

    /// An order with its ID as `order_id`.
    pub fn order(&mut self, id: &str, ts: i64, who: &str, amount: i64) {
        self.put("web", id, ts, who, sale(SaleKind::Order, id, amount));
    }

    /// A transaction in the store `lyon`.
    pub fn transaction(&mut self, id: &str, ts: i64, who: &str, amount: i64) {
        self.put("till", id, ts, who, sale(SaleKind::Transaction, id, amount));
    }

    /// A statement of consent.
    pub fn consent(&mut self, id: &str, ts: i64, who: &str, steps: AllowedUses) {
        self.put(
            "consent",
            id,
            ts,
            who,
            Body::Consent {
                steps,
                string: None,
                boxes: None,
            },
        );
    }

    /// One ping of a device in a store, in the first salt day.
    pub fn ping(&mut self, store: &str, device: u128, second: i64) {
        let store = self.insert(store);
        let ping = Ping {
            brand: ACME,
            store,
            device,
            random: false,
            salt_day: 0,
            second,
            utc_offset: 0,
            rssi: -50,
            offline_cookie: None,
        };
        self.push(Event::Ping { ping });
    }
}

/// The key of a record.
pub fn key(source: &str, id: &str) -> RecordKey {
    RecordKey::of("acme", &[source.as_bytes(), id.as_bytes()])
}

/// An identifier from its text, such as `email:ann`.
pub fn identifier(text: &str) -> Identifier {
    let (kind, _) = text.split_once(':').unwrap();
    let pseudonym = u128::from(Label::of(text).0);
    Identifier {
        pseudonym,
        value: pseudonym,
        kind: IdKind::ALL.into_iter().find(|k| k.name() == kind).unwrap(),
    }
}

/// The content of a sale.
pub fn sale(kind: SaleKind, name: &str, amount: i64) -> Body {
    Body::Sale {
        kind,
        name: SaleName::of(name),
        store: match kind {
            SaleKind::Order => Label::ABSENT,
            SaleKind::Transaction | SaleKind::Visit => Label::of("lyon"),
        },
        amount,
        currency: Currency(*b"EUR"),
    }
}
