//! A small brand with persons who click and buy, and runs of the dataflow with releases at given
//! times.

use std::collections::BTreeMap;

use tributary_operators::allowed_uses::AllowedUses;
use tributary_operators::cell::{Cell, Dim, Family};
use tributary_operators::event::Event;
use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{
    Arrival, Body, BrandId, Currency, IdKind, IdSet, Identifier, Record, RecordKey, Right,
    SaleKind, SaleName, TouchKind, WalletPlatform, WalletType,
};
use tributary_operators::settings::{BrandSettings, Settings};

use super::Released;
use super::runner::{Message, play};

/// One minute in milliseconds.
pub const MINUTE: i64 = 60_000;
/// One day in milliseconds.
pub const DAY: i64 = 86_400_000;

/// The settings of one brand with a gate.
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

/// Announces label names.
pub fn words(words: &[&str]) -> Vec<Event> {
    let word = |word: &&str| Event::LabelName {
        brand: BrandId(0),
        label: Label::of(word),
        word: (*word).into(),
    };
    words.iter().map(word).collect()
}

/// A record of a person.
fn put(person: u128, id: &str, ts: i64, body: Body) -> Event {
    // As evenly spread as a hash.
    let pseudonym = person.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let ids = vec![Identifier {
        pseudonym,
        value: pseudonym,
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

/// A sale in the store `s` at noon of a day, under the name `id`.
pub fn sale(person: u128, id: &str, day: i64, amount: i64) -> Event {
    sale_in("s", person, id, day, amount)
}

/// A sale in a store at noon of a day, under the name `id`.
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

/// A refund of the sale named `id`, in full without an amount.
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

/// A click on a channel, `minute` minutes after the start of a day.
pub fn click(person: u128, channel: &str, day: i64, minute: i64) -> Event {
    let body = Body::Contact {
        kind: TouchKind::Click,
        channel: Channel::of(channel, "", ""),
        touch: true,
    };
    let id = format!("click {person} {channel} {day} {minute}");
    put(person, &id, day * DAY + minute * MINUTE, body)
}

/// Some odd number, by which kinds of identifiers are kept apart.
const KIND: u128 = 0xb492_b66f_be98_f273_9ae1_6a3b_2f90_404f;

/// The same record of a person who is known by an identifier of another kind.
pub fn known_by(kind: IdKind, mut event: Event) -> Event {
    if let Event::Put { record, .. } = &mut event {
        let ids = record.ids.ids().iter();
        let ids = ids.map(|id| {
            // No two kinds of identifiers share a pseudonym.
            let pseudonym = id.pseudonym ^ (kind as u128 + 1).wrapping_mul(KIND);
            Identifier {
                pseudonym,
                value: pseudonym,
                kind,
            }
        });
        record.ids = IdSet::new(ids.collect());
    }
    event
}

/// A stay of a settled day, under the name `id`, of a person who is known by a device, `minute` minutes after noon.
pub fn settled_visit(
    (store, person): (&str, u128),
    id: &str,
    (day, minute): (i64, i64),
    weight: u32,
) -> Event {
    let ts = day * DAY + DAY / 2 + minute * MINUTE;
    let body = Body::SettledVisit {
        store: Label::of(store),
        until: ts + 10 * MINUTE,
        candidates: 1,
        weight,
        by_position: false,
    };
    known_by(IdKind::Device, put(person, id, ts, body))
}

/// The mark that a device was of the panel of the month of a day, under the name `id`.
pub fn panel_member(person: u128, id: &str, day: i64) -> Event {
    let body = Body::PanelMember { by_position: false };
    known_by(IdKind::Device, put(person, id, day * DAY + DAY / 2, body))
}

/// A scan of a wallet pass in a store at noon of a day, under the name `id`.
pub fn scan(store: &str, person: u128, id: &str, day: i64) -> Event {
    let body = Body::Wallet {
        kind: WalletType::Scan,
        platform: WalletPlatform::Apple,
        store: Label::of(store),
        channel: Channel::default(),
        holder: 0,
    };
    known_by(IdKind::Wallet, put(person, id, day * DAY + DAY / 2, body))
}

/// A statement of consent, `number` milliseconds after the start of the fifteenth day.
pub fn consent(person: u128, number: u64, steps: AllowedUses) -> Event {
    let body = Body::Consent {
        steps,
        string: None,
        boxes: None,
    };
    put(
        person,
        &format!("consent {number}"),
        15 * DAY + number as i64,
        body,
    )
}

/// A statement about a right, at the time of a [`consent`] with the same number.
pub fn right(person: u128, number: u64, right: Right, stands: bool) -> Event {
    let body = Body::Right { right, stands };
    put(
        person,
        &format!("right {number}"),
        15 * DAY + number as i64,
        body,
    )
}

/// The erasure of the record of a name.
pub fn erased(id: &str) -> Event {
    Event::Drop {
        key: RecordKey::of("acme", &[id.as_bytes()]),
        arrival: Arrival {
            message: 2,
            line: 0,
        },
    }
}

/// The cells published in each step of events and releases; see [`play`].
pub fn published(
    settings: &Settings,
    workers: usize,
    restored: &[Message],
    steps: &[(Vec<Event>, i64)],
) -> Vec<Vec<(Cell, bool)>> {
    play(settings, workers, restored, steps).published
}

/// The cells that a reader knows after every step.
pub fn known(steps: &[Vec<(Cell, bool)>]) -> Vec<Released> {
    let mut known = Released::new();
    let each = steps.iter().map(|published| {
        for (cell, _) in published {
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

/// The last messages of all cells up to a step: what a restart after it reads. A closed cell has no values.
pub fn last_messages(messages: &[Vec<Message>], step: usize) -> Vec<Message> {
    let mut last: BTreeMap<(Family, Vec<Dim>), Message> = BTreeMap::new();
    for message in messages.iter().take(step + 1).flatten() {
        last.insert((message.0.family, message.0.dims.clone()), message.clone());
    }
    last.into_values().collect()
}

/// The known revenue of the store `s` on a day.
pub fn revenue(known: &Released, day: i64) -> Option<&[i128]> {
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

/// Five persons buy on each of the first five days, after clicks on two channels.
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
