//! Traces of skewed events, and the number of steps that the dataflow takes for them.

use crate::support::runner::on_workers;
use tributary_operators::event::Event;
use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{
    Arrival, Body, BrandId, Currency, IdKind, IdSet, Identifier, Record, RecordKey, SaleKind,
    SaleName, TouchKind, WalletPlatform, WalletType,
};
use tributary_operators::settings::{BrandSettings, Settings};

/// One day in milliseconds.
pub(super) const DAY: i64 = 86_400_000;

/// An identifier by its kind and number.
#[derive(Clone, Copy)]
pub(super) enum Who {
    Cookie(usize),
    Email(usize),
    Pass(usize),
}

pub(super) use Who::{Cookie, Email, Pass};

/// The pseudonym of an identifier: a hash, so that pseudonyms are in no order.
fn identifier(who: Who) -> Identifier {
    let (kind, number, of) = match who {
        Cookie(number) => (IdKind::Cookie, number, 1u128 << 64),
        Email(number) => (IdKind::Email, number, 1u128 << 65),
        Pass(number) => (IdKind::Wallet, number, 1u128 << 66),
    };
    // Pseudonyms are hashes, in no order.
    let hash = RecordKey::of("id", &[&(of + number as u128).to_le_bytes()]).0;
    Identifier {
        pseudonym: hash,
        value: hash,
        kind,
    }
}

/// A trace under construction: events in the order of their arrival, cut into epochs of 100.
#[derive(Default)]
pub(super) struct Trace {
    pub(super) epochs: Vec<Vec<Event>>,
    open: Vec<Event>,
    arrived: u64,
}

impl Trace {
    /// Inserts a record named `id`, or replaces the record of that name.
    pub(super) fn put(&mut self, id: &str, ts: i64, ids: &[Who], body: Body) {
        self.arrived += 1;
        let record = Record {
            brand: BrandId(0),
            source: Label::of("web"),
            id: id.into(),
            ts,
            day: ts.div_euclid(DAY) as i32,
            ids: IdSet::new(ids.iter().copied().map(identifier).collect()),
            body,
        };
        self.open.push(Event::Put {
            key: RecordKey::of("acme", &[id.as_bytes()]),
            version: 0,
            arrival: Arrival {
                message: self.arrived,
                line: 0,
            },
            record,
        });
        if self.open.len() == 100 {
            self.end();
        }
    }

    /// Drops a record within the current epoch: an erasure or a retention pass is one epoch.
    pub(super) fn drop_record(&mut self, id: &str) {
        self.arrived += 1;
        self.open.push(Event::Drop {
            key: RecordKey::of("acme", &[id.as_bytes()]),
            arrival: Arrival {
                message: self.arrived,
                line: 0,
            },
        });
    }

    /// Inserts a click on one of three channels.
    pub(super) fn touch(&mut self, number: usize, ts: i64, ids: &[Who]) {
        let body = Body::Contact {
            kind: TouchKind::Click,
            channel: Channel::of(["a", "b", "c"][number % 3], "", ""),
            touch: true,
        };
        self.put(&format!("touch {number}"), ts, ids, body);
    }

    /// Inserts an order with the `order_id` `name`.
    pub(super) fn order(&mut self, number: usize, name: &str, ts: i64, ids: &[Who]) {
        let body = Body::Sale {
            kind: SaleKind::Order,
            name: SaleName::of(name),
            store: Label::ABSENT,
            amount: 1_000_000,
            currency: Currency(*b"EUR"),
        };
        self.put(&format!("order {number}"), ts, ids, body);
    }

    /// Inserts a record of a wallet pass, of a holder or in the only store.
    pub(super) fn wallet(&mut self, id: &str, ts: i64, pass: usize, kind: WalletType, holder: u64) {
        let body = Body::Wallet {
            kind,
            platform: WalletPlatform::Apple,
            store: match kind.is_scan() {
                true => Label::of("Lyon"),
                false => Label::ABSENT,
            },
            channel: Channel::default(),
            holder,
        };
        self.put(id, ts, &[Pass(pass)], body);
    }

    /// Ends the current epoch.
    pub(super) fn end(&mut self) {
        self.epochs.push(std::mem::take(&mut self.open));
    }
}

/// Counts the steps of a trace on one worker: those before the epoch `place`, and those from it on.
pub(super) fn steps(mut trace: Trace, place: usize) -> (u64, u64) {
    trace.end();
    let brand = BrandSettings {
        name: "acme".into(),
        k: 1,
        k_delta: Some(1),
        ..BrandSettings::default()
    };
    let settings = Settings {
        brands: [(BrandId(0), brand)].into(),
    };
    let epochs = trace.epochs;
    let counted = on_workers(&settings, 1, move |runner| {
        runner.start(epochs.iter().flatten());
        let mut before = 0;
        for (epoch, events) in epochs.iter().enumerate() {
            if epoch == place {
                before = runner.dataflow.stats.all_steps();
            }
            runner.put(events);
            runner.end(1);
        }
        (before, runner.dataflow.stats.all_steps() - before)
    });
    counted[0]
}
