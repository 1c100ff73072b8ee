//! A small brand with persons who click and buy, and a run of the real dataflow that is released at given times.

#![allow(dead_code, reason = "each test uses its part")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tributary_operators::cell::{Cell, Dim, Family};
use tributary_operators::dataflow::{Output, build};
use tributary_operators::event::Event;
use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{
    Arrival, Body, BrandId, Currency, IdKind, IdSet, Identifier, Record, RecordKey, SaleKind,
    SaleName, TouchKind,
};
use tributary_operators::settings::{BrandSettings, Settings};

use super::{Released, put_in};

pub const MINUTE: i64 = 60_000;
pub const DAY: i64 = 86_400_000;

/// One brand with a gate.
pub fn brand(k: u64, k_delta: u64) -> Settings {
    let brand = BrandSettings {
        name: "acme".into(),
        k,
        k_traffic: k,
        k_delta: Some(k_delta),
        ..BrandSettings::default()
    };
    Settings {
        brands: [(BrandId(0), brand)].into(),
    }
}

/// The words that channels and stores are made of.
pub fn words(words: &[&str]) -> Vec<Event> {
    let word = |word: &&str| Event::Word {
        brand: BrandId(0),
        label: Label::of(word),
        word: (*word).into(),
    };
    words.iter().map(word).collect()
}

fn put(person: u128, id: &str, ts: i64, body: Body) -> Event {
    let ids = vec![Identifier {
        pseudonym: person,
        value: person,
        kind: IdKind::Customer,
    }];
    Event::Put {
        key: RecordKey::of("acme", &[id.as_bytes()]),
        version: 0,
        arrival: Arrival {
            message: 1,
            line: 0,
        },
        record: Record {
            brand: BrandId(0),
            source: Label::of("till"),
            id: id.into(),
            ts,
            day: ts.div_euclid(DAY) as i32,
            ids: IdSet::new(ids),
            body,
        },
    }
}

/// A person buys in the store `s` on a day; the record is named `id`.
pub fn sale(person: u128, id: &str, day: i64, amount: i64) -> Event {
    sale_in("s", person, id, day, amount)
}

/// A person buys in a store on a day.
pub fn sale_in(store: &str, person: u128, id: &str, day: i64, amount: i64) -> Event {
    let body = Body::Sale {
        kind: SaleKind::Transaction,
        name: SaleName::of(id),
        store: Label::of(store),
        amount,
        currency: Currency(*b"EUR"),
    };
    put(person, id, day * DAY + DAY / 2, body)
}

/// A person gets money back for the sale named `id`.
pub fn refund(person: u128, id: &str, day: i64, amount: Option<i64>) -> Event {
    let body = Body::Refund {
        kind: SaleKind::Transaction,
        name: SaleName::of(id),
        store: Label::ABSENT,
        amount: amount.map(|amount| (amount, Currency(*b"EUR"))).into(),
    };
    put(
        person,
        &format!("refund of {id}"),
        day * DAY + DAY / 2,
        body,
    )
}

/// A person clicks on a channel some minutes after a day began.
pub fn click(person: u128, channel: &str, day: i64, minute: i64) -> Event {
    let body = Body::Contact {
        kind: TouchKind::Click,
        channel: Channel::of(channel, "", ""),
        touch: true,
    };
    let id = format!("click {person} {channel} {day} {minute}");
    put(person, &id, day * DAY + minute * MINUTE, body)
}

/// The record of a name is erased.
pub fn erased(id: &str) -> Event {
    Event::Drop {
        key: RecordKey::of("acme", &[id.as_bytes()]),
        arrival: Arrival {
            message: 2,
            line: 0,
        },
    }
}

/// Runs events and releases: of each step its events, and the time of the release behind them. Gives what is told in each
/// step. With something that stood outside, told at some time, the first step is a restart.
pub fn told(
    settings: &Settings,
    workers: usize,
    stood: &[(Cell, i64)],
    steps: &[(Vec<Event>, i64)],
) -> Vec<Vec<(Cell, bool)>> {
    let heard = Arc::new(Mutex::new(vec![Vec::new(); steps.len()]));
    let (settings, sink) = (Arc::new(settings.clone()), heard.clone());
    let (stood, steps) = (stood.to_vec(), steps.to_vec());
    let config = match workers {
        1 => timely::Config::thread(),
        n => timely::Config::process(n),
    };
    timely::execute(config, move |worker| {
        let (index, peers) = (worker.index(), worker.peers());
        let sink = sink.clone();
        // A batch leaves in the epoch behind its release, which belongs to the same step.
        let mut dataflow = build(worker, settings.clone(), move |epoch, output| {
            if let Output::Cell { cell, news, .. } = output {
                sink.lock().unwrap()[epoch as usize / 2].push((cell, news));
            }
        });
        if index == 0 {
            let stood = stood.iter().cloned();
            stood.for_each(|(cell, at)| dataflow.stood(cell, at));
        }
        dataflow.live();
        for (step, (events, now)) in steps.iter().enumerate() {
            for event in events.iter().skip(index).step_by(peers) {
                dataflow.event(event.clone());
            }
            if index == 0 {
                dataflow.release(*now);
            }
            if step == 0 && !stood.is_empty() {
                dataflow.complete();
            }
            let next = 2 * (step as u64 + 1);
            dataflow.advance_to(next);
            while !dataflow.is_done_before(next) {
                worker.step_or_park(Some(Duration::from_micros(200)));
            }
        }
    })
    .expect("the dataflow runs");
    let mut heard = heard.lock().unwrap();
    std::mem::take(&mut *heard)
}

/// Runs events and releases as [`told`] does, pings included. Gives what the stages of each worker hold in the end.
pub fn sizes(
    settings: &Settings,
    workers: usize,
    steps: &[(Vec<Event>, i64)],
) -> Vec<BTreeMap<&'static str, usize>> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (settings, sizes) = (Arc::new(settings.clone()), seen.clone());
    let steps = Arc::new(steps.to_vec());
    let config = match workers {
        1 => timely::Config::thread(),
        n => timely::Config::process(n),
    };
    timely::execute(config, move |worker| {
        let (index, peers) = (worker.index(), worker.peers());
        let mut dataflow = build(worker, settings.clone(), |_, _| {});
        dataflow.live();
        for (step, (events, now)) in steps.iter().enumerate() {
            for event in events.iter().skip(index).step_by(peers) {
                put_in(&mut dataflow, worker, event);
            }
            if index == 0 {
                dataflow.release(*now);
            }
            let next = 2 * (step as u64 + 1);
            dataflow.advance_to(next);
            while !dataflow.is_done_before(next) {
                worker.step_or_park(Some(Duration::from_micros(200)));
            }
        }
        sizes.lock().unwrap().push(dataflow.sizes.all());
    })
    .expect("the dataflow runs");
    let mut seen = seen.lock().unwrap();
    std::mem::take(&mut *seen)
}

/// What a reader knows after every step.
pub fn known(steps: &[Vec<(Cell, bool)>]) -> Vec<Released> {
    let mut known = Released::new();
    let each = steps.iter().map(|told| {
        for (cell, _) in told {
            let name = (cell.family, cell.dims.clone());
            match cell.values.is_empty() {
                true => known.remove(&name),
                false => known.insert(name, cell.values.clone()),
            };
        }
        known.clone()
    });
    each.collect()
}

/// The takings of the store on a day, as they are known.
pub fn takings(known: &Released, day: i64) -> Option<&[i128]> {
    let name = vec![
        Dim::Text("acme".into()),
        Dim::Text("s".into()),
        Dim::Day(day as i32),
        Dim::Text("EUR".into()),
    ];
    known
        .get(&(Family::StoreDay, name))
        .map(|values| &values[..])
}

/// Five persons buy on each of the days before the fifth, after a click on a channel of the day's parity.
pub fn five_a_day(amount: i64) -> Vec<Event> {
    let mut events = words(&["s", "a", "b"]);
    for day in 0..5 {
        for buyer in 0..5 {
            let person = (10 * day + buyer) as u128;
            let channel = if buyer % 2 == 0 { "a" } else { "b" };
            events.push(click(person, channel, day, buyer));
            events.push(sale(person, &format!("{day} {buyer}"), day, amount));
        }
    }
    events
}
