//! Markov months: which paths enter which chain, and how the conversions of the month are divided.

use crate::support::{DAY, EUR, USD, World, refund};
use tributary_operators::cell::Family;
use tributary_operators::label::Label;
use tributary_operators::record::{Body, SaleKind, SaleName, TouchKind};

/// 1970-02-01.
const FEBRUARY: i64 = 31 * DAY;

/// Two customers by a, then b; one by b; and one visitor by a without a conversion.
fn month() -> World {
    let mut world = World::new();
    for who in ["1", "2"] {
        world.click(&format!("a{who}"), 0, &format!("cookie:{who}"), "a");
        world.click(&format!("b{who}"), 1, &format!("cookie:{who}"), "b");
        world.order(&format!("o{who}"), 2, &format!("cookie:{who}"), 100);
    }
    world.click("b3", 1, "cookie:3", "b");
    world.order("o3", 2, "cookie:3", 1);
    world.click("a4", 0, "cookie:4", "a");
    world
}

#[test]
fn effects_share_the_month() {
    // start: a 3/4, b 1/4; a: b 2/3, null 1/3; b: conversion. Effects: a 2/3, b 1.
    // 3,000,000 · 666,667/1,666,667 = 1,200,000.36; 201 · 0.4 = 80.40.
    assert_eq!(
        month().lines(Family::MarkovMonth),
        [
            "order 1970-01 EUR a - - = 666667 1200000 80",
            "order 1970-01 EUR b - - = 1000000 1800000 121"
        ]
    );
}

#[test]
fn spare_units_go_by_the_channels_words_null_first() {
    let mut world = World::new();
    let steps = [["", "", "z"], ["b", "", ""], ["a", "z", ""], ["a", "", "z"]];
    for (ts, words) in (0..).zip(steps) {
        let channel = world.channel(words);
        let body = Body::Contact {
            kind: TouchKind::Click,
            channel,
            touch: true,
        };
        world.put(&ts.to_string(), ts, "cookie:c", body);
    }
    world.order("o", 9, "cookie:c", 6);
    // All effects are 1: 6/4 each, two spare units.
    assert_eq!(
        world.lines(Family::MarkovMonth),
        [
            "order 1970-01 EUR - - z = 1000000 250000 2",
            "order 1970-01 EUR a - z = 1000000 250000 2",
            "order 1970-01 EUR a z - = 1000000 250000 1",
            "order 1970-01 EUR b - - = 1000000 250000 1"
        ]
    );
}

#[test]
fn a_null_path_is_of_its_month_uncut_and_enters_every_chain_of_it() {
    let mut world = month();
    world.brand().max_path = 1;
    // Another chain of January, and one of February.
    world.click("c5", 0, "cookie:5", "c");
    world.put("o5", 1, "cookie:5", {
        Body::Sale {
            kind: SaleKind::Order,
            name: SaleName::of("o5"),
            store: Label::ABSENT,
            amount: 10,
            currency: USD,
        }
    });
    world.click("c6", FEBRUARY, "cookie:6", "c");
    world.order("o6", FEBRUARY, "cookie:6", 5);
    // The visitor comes back twice in February: one null path of two touches there, in the order of
    // time, whatever max_path says.
    world.click("x", FEBRUARY + 1, "cookie:4", "c");
    world.click("y", FEBRUARY, "cookie:4", "a");
    assert_eq!(
        world.lines(Family::MarkovMonth),
        [
            // Cut to one touch the customers' paths are b, b, b.
            "order 1970-01 EUR b - - = 1000000 3000000 201",
            "order 1970-01 USD c - - = 1000000 1000000 10",
            // start: a 1/2, c 1/2; a: c; c: conversion 1/2. Without a half is lost. The visitor alone
            // stands behind a.
            "order 1970-02 EUR a - - = 500000 333333 2",
            "order 1970-02 EUR c - - = 1000000 666667 3",
        ]
    );
    // Only one person bought in February, so nothing is published, however many contributors its channels have.
    world.brand().k = 2;
    assert_eq!(
        world.lines(Family::MarkovMonth),
        ["order 1970-01 EUR b - - = 1000000 3000000 201"]
    );
}

/// One customer by a, then b, and a visitor by b without a conversion. The chain is start: a 1/2, b
/// 1/2; a: b; b: conversion 1/2. Half is lost without a; without the visitor's null path everything
/// would be.
fn customer_and_visitor() -> World {
    let mut world = World::new();
    world.click("1", 0, "cookie:customer", "a");
    world.click("2", 1, "cookie:customer", "b");
    world.order("o", 2, "cookie:customer", 9);
    world.click("3", 0, "cookie:visitor", "b");
    world
}

const WITH_VISITOR: [&str; 2] = [
    "order 1970-01 EUR a - - = 500000 333333 3",
    "order 1970-01 EUR b - - = 1000000 666667 6",
];
const WITHOUT_VISITOR: [&str; 2] = [
    "order 1970-01 EUR a - - = 1000000 500000 5",
    "order 1970-01 EUR b - - = 1000000 500000 4",
];

#[test]
fn a_customer_of_any_month_and_kind_leaves_no_null_path() {
    let mut world = customer_and_visitor();
    assert_eq!(world.lines(Family::MarkovMonth), WITH_VISITOR);
    // A transaction too late for the touch makes the visitor a customer all the same.
    world.sale("s", FEBRUARY + DAY, "cookie:visitor", 5);
    assert_eq!(world.lines(Family::MarkovMonth), WITHOUT_VISITOR);
    // Refunded, it is no sale.
    let all = Some((5, EUR));
    world.put("r", 0, "", refund(SaleKind::Transaction, "s", all));
    assert_eq!(world.lines(Family::MarkovMonth), WITH_VISITOR);
}

#[test]
fn neither_the_oversized_nor_the_anonymous_leave_a_null_path() {
    let mut world = customer_and_visitor();
    world.brand().max_identifiers = 1;
    world.click("4", 0, "", "b");
    assert_eq!(world.lines(Family::MarkovMonth), WITH_VISITOR);
    world.put("5", 0, "cookie:visitor email:visitor", Body::Identify);
    assert_eq!(world.lines(Family::MarkovMonth), WITHOUT_VISITOR);
}

#[test]
fn of_too_many_channels_the_smallest_are_one() {
    let mut world = month();
    for (at, campaign) in ["x", "y"].into_iter().enumerate() {
        let channel = world.channel(["g", "cpc", campaign]);
        let body = Body::Contact {
            kind: TouchKind::Click,
            channel,
            touch: true,
        };
        world.put(campaign, 0, &format!("cookie:{at}{campaign}"), body);
    }
    world.order("ox", 2, "cookie:0x", 100);
    world.brand().max_channels = 3;
    // g's campaigns are met once on a converting path and once on a null path.
    // start: a 3/6, b 1/6, g 2/6; a: b 2/3, null 1/3; b: conversion; g: conversion 1/2, null 1/2.
    // P = 1/3 + 1/6 + 1/6 = 2/3. Without a: 1/3, a half is lost. Without b: 1/6, 3/4. Without g: 1/2, 1/4.
    assert_eq!(
        world.lines(Family::MarkovMonth),
        [
            "order 1970-01 EUR a - - = 500000 1333333 100",
            "order 1970-01 EUR b - - = 750000 2000000 151",
            "order 1970-01 EUR g cpc * = 250000 666667 50"
        ]
    );
    // Two places are for b and for whatever is left of the month.
    world.brand().max_channels = 2;
    let lines = world.lines(Family::MarkovMonth);
    assert!(lines[0].contains(" * * * = "), "{lines:?}");
    assert!(lines[1].contains(" b - - = "), "{lines:?}");
    assert_eq!(lines.len(), 2);
}
