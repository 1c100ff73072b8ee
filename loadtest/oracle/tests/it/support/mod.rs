//! A small brand for examples: records and pings are inserted one by one, and cells are read as
//! text.

// Every scenario uses a part of this, and a misspelt identifier may well panic.

use tributary_operators::allowed_uses::AllowedUses;
use tributary_operators::cell::{Cell, Dim, Family};
use tributary_operators::event::Event;
use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{
    Arrival, Body, BrandId, Currency, IdKind, IdSet, Identifier, Ping, Record, RecordKey, Right,
    SaleKind, SaleName, TouchKind,
};
use tributary_operators::settings::{BrandSettings, Settings};

pub const HOUR: i64 = 3_600_000;
pub const DAY: i64 = 24 * HOUR;
pub const EUR: Currency = Currency(*b"EUR");
pub const USD: Currency = Currency(*b"USD");

/// The brand `acme`, in UTC, whose gate lets every cell out.
pub struct World {
    pub settings: Settings,
    pub events: Vec<Event>,
}

impl World {
    /// An empty world.
    pub fn new() -> World {
        let acme = BrandSettings {
            name: "acme".into(),
            k: 1,
            k_traffic: 1,
            ..BrandSettings::default()
        };
        World {
            settings: Settings {
                brands: [(BrandId(0), acme)].into(),
            },
            events: Vec::new(),
        }
    }

    /// The settings of the brand.
    pub fn brand(&mut self) -> &mut BrandSettings {
        self.settings.brands.get_mut(&BrandId(0)).unwrap()
    }

    /// The next position in the order of arrival.
    fn arrival(&self) -> Arrival {
        Arrival {
            message: self.events.len() as u64,
            line: 0,
        }
    }

    /// Announces a label name.
    fn label(&mut self, word: &str) -> Label {
        let label = Label::of(word);
        self.events.push(Event::LabelName {
            brand: BrandId(0),
            label,
            word: word.into(),
        });
        label
    }

    /// Inserts a record of the source `web`; `who` is as for [`ids`].
    pub fn put(&mut self, id: &str, ts: i64, who: &str, body: Body) {
        self.put_from("web", id, ts, who, body);
    }

    /// Inserts a record of a source.
    pub fn put_from(&mut self, source: &str, id: &str, ts: i64, who: &str, body: Body) {
        self.put_version(source, id, 0, ts, who, body);
    }

    /// Inserts a version of a record.
    pub fn put_version(
        &mut self,
        source: &str,
        id: &str,
        version: i64,
        ts: i64,
        who: &str,
        body: Body,
    ) {
        let record = Record {
            brand: BrandId(0),
            source: Label::of(source),
            id: id.into(),
            ts,
            day: ts.div_euclid(DAY) as i32,
            ids: ids(who),
            body,
        };
        let arrival = self.arrival();
        self.events.push(Event::Put {
            key: key(source, id),
            version,
            arrival,
            record,
        });
    }

    /// Drops a record.
    pub fn drop_record(&mut self, source: &str, id: &str) {
        let arrival = self.arrival();
        self.events.push(Event::Drop {
            key: key(source, id),
            arrival,
        });
    }

    /// A channel of source, medium and campaign, whose label names are announced.
    pub fn channel(&mut self, words: [&str; 3]) -> Channel {
        let [source, medium, campaign] = words.map(|word| match word {
            "" => Label::ABSENT,
            word => self.label(word),
        });
        Channel {
            source,
            medium,
            campaign,
        }
    }

    /// A click on a channel that consists of a source.
    pub fn click(&mut self, id: &str, ts: i64, who: &str, source: &str) {
        self.touch(TouchKind::Click, id, ts, who, source);
    }

    /// A contact of a kind.
    pub fn touch(&mut self, kind: TouchKind, id: &str, ts: i64, who: &str, source: &str) {
        let channel = self.channel([source, "", ""]);
        let body = Body::Contact {
            kind,
            channel,
            touch: true,
        };
        self.put(id, ts, who, body);
    }

    /// An order with its ID as `order_id`.
    pub fn order(&mut self, id: &str, ts: i64, who: &str, amount: i64) {
        self.put(id, ts, who, order(id, amount));
    }

    /// A transaction in the store `lyon`, from the source `till`.
    pub fn sale(&mut self, id: &str, ts: i64, who: &str, amount: i64) {
        let store = self.label("lyon");
        let body = Body::Sale {
            kind: SaleKind::Transaction,
            name: SaleName::of(id),
            store,
            amount,
            currency: EUR,
        };
        self.put_from("till", id, ts, who, body);
    }

    /// A statement of consent, from the source `consent`.
    pub fn consent(&mut self, id: &str, ts: i64, who: &str, steps: AllowedUses) {
        self.put_from(
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

    /// A statement that exercises or withdraws a right, from the source `rights`.
    pub fn right(&mut self, id: &str, ts: i64, who: &str, right: Right, stands: bool) {
        self.put_from("rights", id, ts, who, Body::Right { right, stands });
    }

    /// Pings of one device in `lyon`, in one salt day, all of one strength.
    pub fn pings(&mut self, device: u128, random: bool, seconds: &[i64], rssi: i8) {
        let store = self.label("lyon");
        for second in seconds {
            let ping = Ping {
                brand: BrandId(0),
                store,
                device,
                random,
                salt_day: 0,
                second: *second,
                utc_offset: 0,
                rssi,
                offline_cookie: None,
            };
            self.events.push(Event::Ping { ping });
        }
    }

    /// All released cells.
    pub fn cells(&self) -> Vec<Cell> {
        let held = tributary_oracle::fold_events(&self.events);
        tributary_oracle::cells(&self.settings, &held)
    }

    /// The cells of a family as sorted lines: dimensions without the brand, `=`, values.
    pub fn lines(&self, family: Family) -> Vec<String> {
        let cells = self.cells();
        let of_family = cells.iter().filter(|cell| cell.family == family);
        let mut lines: Vec<String> = of_family.map(line).collect();
        lines.sort();
        lines
    }

    /// The credits of one attribution model: source of the channel, `=`, millionths and value.
    pub fn credits(&self, model: &str) -> Vec<String> {
        let cells = self.cells();
        let mut lines: Vec<String> = cells
            .iter()
            .filter(|cell| cell.family == Family::Attribution)
            .filter(|cell| cell.dims[1] == Dim::Text(model.into()))
            .map(|cell| {
                let channel: Vec<String> = cell.dims[2..5].iter().map(dim).collect();
                let channel = channel.join(" ");
                format!("{} = {} {}", channel, cell.values[0], cell.values[1])
            })
            .collect();
        lines.sort();
        lines
    }
}

/// The key of a record.
fn key(source: &str, id: &str) -> RecordKey {
    RecordKey::of("0", &[source.as_bytes(), id.as_bytes()])
}

/// Identifiers by name, such as `email:ann cookie:1`. A name after `=` is the clear value of the
/// hash: `email:ann-google=ann`.
pub fn ids(who: &str) -> IdSet {
    let identifier = |text: &str| {
        let (kind, name) = text.split_once(':').unwrap();
        let (name, value) = name.split_once('=').unwrap_or((name, name));
        let hash = |name: &str| u128::from(Label::of(&format!("{kind}:{name}")).0);
        Identifier {
            pseudonym: hash(name),
            value: hash(value),
            kind: IdKind::ALL.into_iter().find(|k| k.name() == kind).unwrap(),
        }
    };
    IdSet::new(who.split_whitespace().map(identifier).collect())
}

/// An order with an `order_id`.
pub fn order(name: &str, amount: i64) -> Body {
    Body::Sale {
        kind: SaleKind::Order,
        name: SaleName::of(name),
        store: Label::ABSENT,
        amount,
        currency: EUR,
    }
}

/// An order without an `order_id`.
pub fn own_order(id: &str, amount: i64) -> Body {
    match order(id, amount) {
        Body::Sale {
            kind,
            store,
            amount,
            currency,
            ..
        } => Body::Sale {
            kind,
            name: SaleName::of_record(id),
            store,
            amount,
            currency,
        },
        other => other,
    }
}

/// A refund, in full without an amount.
pub fn refund(kind: SaleKind, name: &str, amount: Option<(i64, Currency)>) -> Body {
    Body::Refund {
        kind,
        name: SaleName::of(name),
        store: Label::ABSENT,
        amount: amount.into(),
    }
}

/// A cell as a line.
fn line(cell: &Cell) -> String {
    let dims: Vec<String> = cell.dims.iter().skip(1).map(dim).collect();
    let values: Vec<String> = cell.values.iter().map(i128::to_string).collect();
    format!("{} = {}", dims.join(" "), values.join(" "))
}

/// A dimension as text.
fn dim(dim: &Dim) -> String {
    let word = |word: &Option<std::sync::Arc<str>>| word.as_deref().unwrap_or("-").to_string();
    match dim {
        Dim::Null => "-".to_string(),
        Dim::Text(text) => text.to_string(),
        Dim::Day(day) => format!("day{day}"),
        Dim::Month(month) => format!("{}-{:02}", month / 12, month % 12 + 1),
        Dim::Hour(start, offset) => format!("{start}{offset:+}"),
        Dim::Count(count) => count.to_string(),
        Dim::Path(path) => {
            let channels: Vec<String> = path.iter().map(|channel| word(&channel[0])).collect();
            channels.join(">")
        }
    }
}
