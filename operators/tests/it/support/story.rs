//! A small brand to tell stories in: records put and dropped one by one, epoch by epoch.

use tributary_operators::allowed_uses::AllowedUses;
use tributary_operators::event::Event;
use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{
    Arrival, Body, BrandId, Currency, IdKind, IdSet, Identifier, Ping, Record, RecordKey, SaleKind,
    SaleName, TouchKind,
};
use tributary_operators::settings::{BrandSettings, Settings};

pub const HOUR: i64 = 3_600_000;
pub const DAY: i64 = 24 * HOUR;
pub const ACME: BrandId = BrandId(0);

/// The brand `acme`, in UTC, whose gate lets every cell out.
pub struct Story {
    pub settings: Settings,
    /// What has happened, epoch by epoch.
    pub batches: Vec<Vec<Event>>,
    arrived: u64,
}

impl Story {
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

    /// What happens from here on happens in a later epoch.
    pub fn then(&mut self) {
        self.batches.push(Vec::new());
    }

    fn tell(&mut self, event: Event) {
        self.batches.last_mut().unwrap().push(event);
    }

    fn insert(&mut self, word: &str) -> Label {
        let label = Label::of(word);
        self.tell(Event::LabelName {
            brand: ACME,
            label,
            word: word.into(),
        });
        label
    }

    fn arrive(&mut self) -> Arrival {
        self.arrived += 1;
        Arrival {
            message: self.arrived,
            line: 0,
        }
    }

    /// Puts a record; `who` names identifiers: `email:ann cookie:1`.
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
        self.tell(Event::Put {
            key: key(source, id),
            version: 0,
            arrival,
            record,
        });
    }

    pub fn forget(&mut self, source: &str, id: &str) {
        let arrival = self.arrive();
        self.tell(Event::Drop {
            key: key(source, id),
            arrival,
        });
    }

    /// A click on the channel that has a source alone.
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

    pub fn order(&mut self, id: &str, ts: i64, who: &str, amount: i64) {
        self.put("web", id, ts, who, sale(SaleKind::Order, id, amount));
    }

    pub fn transaction(&mut self, id: &str, ts: i64, who: &str, amount: i64) {
        self.put("till", id, ts, who, sale(SaleKind::Transaction, id, amount));
    }

    pub fn consent(&mut self, id: &str, ts: i64, who: &str, steps: AllowedUses) {
        self.put(
            "consent",
            id,
            ts,
            who,
            Body::Consent {
                steps,
                string: None,
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
        };
        self.tell(Event::Ping { ping });
    }
}

pub fn key(source: &str, id: &str) -> RecordKey {
    RecordKey::of("acme", &[source.as_bytes(), id.as_bytes()])
}

/// `email:ann` as an identifier.
pub fn identifier(text: &str) -> Identifier {
    let (kind, _) = text.split_once(':').unwrap();
    let pseudonym = u128::from(Label::of(text).0);
    Identifier {
        pseudonym,
        value: pseudonym,
        kind: IdKind::ALL.into_iter().find(|k| k.name() == kind).unwrap(),
    }
}

fn sale(kind: SaleKind, name: &str, amount: i64) -> Body {
    Body::Sale {
        kind,
        name: SaleName::of(name),
        store: match kind {
            SaleKind::Order => Label::ABSENT,
            SaleKind::Transaction => Label::of("lyon"),
        },
        amount,
        currency: Currency(*b"EUR"),
    }
}
