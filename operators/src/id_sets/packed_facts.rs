//! Packed facts: the facts of one identifier set in as few bytes as they need.
//!
//! A fact is looked at again only when it is retracted or when its set goes to another person. Until then it is kept in the
//! encoding of the crate `postcard`, with numbers for its labels. The facts are a multiset: an entry is the number of times that
//! a fact occurs, and the fact.

use serde::{Deserialize, Serialize};

use crate::facts::{Contact, Conversion, Fact, Redemption, Visit};
use crate::label_numbers::LabelNumbers;
use crate::packed_multiset::PackedMultiset;
use crate::packed_time;
use crate::record::{Currency, Day, SaleKind, SaleName, TouchKind};

/// A fact with numbers for labels.
#[derive(Serialize, Deserialize)]
enum Packed<'a> {
    Contact {
        time: (i64, Day),
        id: &'a str,
        source: u32,
        channel: u32,
        kind: TouchKind,
        touch: bool,
        joins: bool,
    },
    Conversion {
        time: (i64, Day),
        name: [u8; 16],
        source: u32,
        kind: SaleKind,
        store: u32,
        left: i64,
        currency: Currency,
        joins: bool,
        visit: Option<Visit>,
    },
    Redemption {
        day: Day,
        id: &'a str,
        source: u32,
        channel: u32,
        store: u32,
    },
    Panel(i32),
}

/// The facts of an identifier set, as a multiset.
#[derive(Default)]
pub(crate) struct PackedFacts(PackedMultiset);

impl PackedFacts {
    /// Whether there is no fact.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The estimated bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }

    /// The facts, each with the number of times that it occurs.
    pub(crate) fn iter<'a>(
        &'a self,
        numbers: &'a LabelNumbers,
    ) -> impl Iterator<Item = (Fact, i64)> {
        let facts = self.0.iter();
        facts.filter_map(|(fact, times)| Some((unpack(fact, numbers)?, times)))
    }

    /// Changes the number of times that a fact occurs by `diff`.
    pub(crate) fn amend(&mut self, fact: &Fact, diff: i64, numbers: &mut LabelNumbers) {
        let packed = pack(fact, numbers);
        let [held, now] = self.0.amend(&packed, diff);
        debug_assert!(now >= 0, "only what is held is retracted");
        // The entry uses its labels once, however often the fact occurs. They were used once more to find it.
        let uses = 1 + usize::from(held != 0) - usize::from(now != 0);
        for _ in 0..uses {
            release(&packed, numbers);
        }
    }
}

/// Packs a fact, with one more use of its labels.
fn pack(fact: &Fact, numbers: &mut LabelNumbers) -> Vec<u8> {
    let packed = match fact {
        Fact::Contact(contact) => Packed::Contact {
            time: packed_time::pack(contact.ts, contact.day),
            id: &contact.id,
            source: numbers.use_label(contact.source),
            channel: numbers.use_channel(contact.channel),
            kind: contact.kind,
            touch: contact.touch,
            joins: contact.joins,
        },
        Fact::Conversion(conversion) => Packed::Conversion {
            time: packed_time::pack(conversion.ts, conversion.day),
            name: conversion.name.0.to_le_bytes(),
            source: numbers.use_label(conversion.source),
            kind: conversion.kind,
            store: numbers.use_label(conversion.store),
            left: conversion.left,
            currency: conversion.currency,
            joins: conversion.joins,
            visit: conversion.visit,
        },
        Fact::Redemption(redemption) => Packed::Redemption {
            day: redemption.day,
            id: &redemption.id,
            source: numbers.use_label(redemption.source),
            channel: numbers.use_channel(redemption.channel),
            store: numbers.use_label(redemption.store),
        },
        Fact::Panel(month) => Packed::Panel(*month),
    };
    let bytes = postcard::to_allocvec(&packed);
    debug_assert!(bytes.is_ok(), "every fact can be packed");
    bytes.unwrap_or_default()
}

/// Unpacks a fact.
fn unpack(bytes: &[u8], numbers: &LabelNumbers) -> Option<Fact> {
    let packed = postcard::from_bytes(bytes);
    debug_assert!(packed.is_ok(), "what was packed can be unpacked");
    Some(match packed.ok()? {
        Packed::Contact {
            time,
            id,
            source,
            channel,
            kind,
            touch,
            joins,
        } => {
            let (ts, day) = packed_time::unpack(time);
            Fact::Contact(Contact {
                ts,
                id: id.into(),
                source: numbers.label(source),
                channel: numbers.channel(channel),
                day,
                kind,
                touch,
                joins,
            })
        }
        Packed::Conversion {
            time,
            name,
            source,
            kind,
            store,
            left,
            currency,
            joins,
            visit,
        } => {
            let (ts, day) = packed_time::unpack(time);
            Fact::Conversion(Conversion {
                ts,
                name: SaleName(u128::from_le_bytes(name)),
                source: numbers.label(source),
                day,
                kind,
                store: numbers.label(store),
                left,
                currency,
                joins,
                visit,
            })
        }
        Packed::Redemption {
            day,
            id,
            source,
            channel,
            store,
        } => Fact::Redemption(Redemption {
            id: id.into(),
            source: numbers.label(source),
            channel: numbers.channel(channel),
            store: numbers.label(store),
            day,
        }),
        Packed::Panel(month) => Fact::Panel(month),
    })
}

/// Takes a use of the labels of a packed fact back.
fn release(bytes: &[u8], numbers: &mut LabelNumbers) {
    match postcard::from_bytes(bytes) {
        Ok(Packed::Contact {
            source, channel, ..
        }) => {
            numbers.release_label(source);
            numbers.release_channel(channel);
        }
        Ok(Packed::Conversion { source, store, .. }) => {
            numbers.release_label(source);
            numbers.release_label(store);
        }
        Ok(Packed::Redemption {
            source,
            channel,
            store,
            ..
        }) => {
            numbers.release_label(source);
            numbers.release_channel(channel);
            numbers.release_label(store);
        }
        Ok(Packed::Panel(_)) | Err(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::{Channel, Label};

    fn facts() -> Vec<Fact> {
        let contact = |ts, id: &str, channel| {
            Fact::Contact(Contact {
                ts,
                id: id.into(),
                source: Label::of("web"),
                channel,
                day: 20_000,
                kind: TouchKind::Click,
                touch: true,
                joins: false,
            })
        };
        let conversion = |name, left| {
            Fact::Conversion(Conversion {
                ts: 1_790_000_000_000,
                name,
                source: Label::of("till"),
                day: -3,
                kind: SaleKind::Transaction,
                store: Label::ABSENT,
                left,
                currency: Currency(*b"EUR"),
                joins: true,
                visit: (left == 0).then_some(Visit {
                    weight: 1_000_000,
                    until: 1_790_000_000_007,
                    scans: 3,
                    redemptions: 1,
                    with_transaction: true,
                }),
            })
        };
        let redemption = Redemption {
            id: "w-2".into(),
            source: Label::of("till"),
            channel: Channel::of("", "", "sale"),
            store: Label::of("lyon"),
            day: 20_000,
        };
        vec![
            contact(i64::MIN, "", Channel::direct()),
            contact(i64::MAX, &"x".repeat(300), Channel::of("a", "b", "c")),
            contact(0, "w-1", Channel::unattributed()),
            conversion(SaleName(u128::MAX), i64::MAX),
            conversion(SaleName(1), 0),
            Fact::Redemption(redemption),
            Fact::Panel(24_300),
        ]
    }

    #[test]
    fn facts_are_what_they_were_as_often_as_they_were_given() {
        let mut numbers = LabelNumbers::default();
        let mut packed = PackedFacts::default();
        let facts = facts();
        for (times, fact) in (1..).zip(&facts) {
            packed.amend(fact, 1, &mut numbers);
            packed.amend(fact, times * 100, &mut numbers);
            packed.amend(fact, -1, &mut numbers);
        }
        let mut all: Vec<_> = packed.iter(&numbers).collect();
        all.sort_unstable();
        let mut expected: Vec<_> = facts.iter().cloned().zip((1..).map(|n| n * 100)).collect();
        expected.sort_unstable();
        assert_eq!(all, expected);
        for (fact, times) in expected {
            packed.amend(&fact, -times, &mut numbers);
        }
        assert!(packed.is_empty());
        assert_eq!(numbers.len(), 0);
    }
}
