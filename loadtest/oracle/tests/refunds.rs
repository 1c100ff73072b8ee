//! Refunds: what is left of a sale, and when it stops counting.

mod support;

use support::{DAY, EUR, USD, World, refund};
use tributary_operators::cell::Family;
use tributary_operators::label::Label;
use tributary_operators::record::{Body, Currency, SaleKind, SaleName};

use SaleKind::{Order, Transaction};

/// An order of 100 on day 1 with refunds put by `source` at various times; the `orders_day` lines.
fn order_with(refunds: &[Option<(i64, Currency)>]) -> Vec<String> {
    let mut world = World::new();
    for (number, amount) in refunds.iter().enumerate() {
        // Before, on and after the day of the sale: their time does not matter.
        let ts = number as i64 * DAY;
        world.put(&number.to_string(), ts, "", refund(Order, "o", *amount));
    }
    world.order("o", DAY, "cookie:c", 100);
    world.lines(Family::OrdersDay)
}

#[test]
fn a_part_is_taken_from_the_sales_day() {
    assert_eq!(order_with(&[Some((30, EUR))]), ["day1 EUR = 1 70 1"]);
    assert_eq!(
        order_with(&[Some((30, EUR)), Some((69, EUR))]),
        ["day1 EUR = 1 1 1"]
    );
}

#[test]
fn all_is_gone_once_or_beyond() {
    let nothing: [&str; 0] = [];
    assert_eq!(order_with(&[Some((100, EUR))]), nothing);
    assert_eq!(order_with(&[Some((70, EUR)), Some((70, EUR))]), nothing);
    assert_eq!(order_with(&[None]), nothing);
    assert_eq!(order_with(&[None, Some((1, EUR))]), nothing);
}

#[test]
fn another_currency_never_applies() {
    assert_eq!(order_with(&[Some((100, USD))]), ["day1 EUR = 1 100 1"]);
    assert_eq!(
        order_with(&[Some((100, USD)), Some((1, EUR))]),
        ["day1 EUR = 1 99 1"]
    );
}

#[test]
fn a_refund_of_nothing_changes_nothing() {
    assert_eq!(order_with(&[Some((0, EUR))]), ["day1 EUR = 1 100 1"]);
}

#[test]
fn a_zero_sale_counts_until_any_refund_applies() {
    let zero = |refund_amount: Option<Option<(i64, Currency)>>| {
        let mut world = World::new();
        world.order("o", 0, "cookie:c", 0);
        if let Some(amount) = refund_amount {
            world.put("r", 0, "", refund(Order, "o", amount));
        }
        world.lines(Family::OrdersDay)
    };
    let counted = ["day0 EUR = 1 0 1"];
    assert_eq!(zero(None), counted);
    assert_eq!(zero(Some(Some((5, USD)))), counted);
    assert!(zero(Some(Some((0, EUR)))).is_empty());
    assert!(zero(Some(None)).is_empty());
}

#[test]
fn kinds_have_their_own_names() {
    let mut world = World::new();
    world.sale("same", 0, "", 100);
    world.order("same", 0, "", 100);
    world.put("r", 0, "", refund(Transaction, "same", Some((40, EUR))));
    assert_eq!(world.lines(Family::StoreDay), ["lyon day0 EUR = 1 60 0"]);
    assert_eq!(world.lines(Family::OrdersDay), ["day0 EUR = 1 100 0"]);
}

/// Two sources each have a transaction `7`: a till's refund means its own, anybody else's the
/// earliest.
#[test]
fn a_source_means_its_own_transaction() {
    let refunded_by = |source: &str| {
        let mut world = World::new();
        for (source, ts) in [("till", 5), ("crm", 3)] {
            let body = Body::Sale {
                kind: Transaction,
                name: SaleName::of("7"),
                store: Label::ABSENT,
                amount: ts,
                currency: EUR,
            };
            world.put_from(source, "7", ts, "", body);
        }
        world.put_from(source, "r", 0, "", refund(Transaction, "7", None));
        world.lines(Family::StoreDay)
    };
    assert_eq!(refunded_by("till"), ["- day0 EUR = 1 3 0"]);
    assert_eq!(refunded_by("crm"), ["- day0 EUR = 1 5 0"]);
    assert_eq!(refunded_by("web"), ["- day0 EUR = 1 5 0"]);
}

#[test]
fn credit_follows_what_is_left() {
    let mut world = World::new();
    world.click("1", 0, "cookie:c", "google");
    world.order("o", 1, "cookie:c", 100);
    world.put("r", 2, "", refund(Order, "o", Some((40, EUR))));
    assert_eq!(world.credits("linear"), ["google - - = 1000000 60"]);
    assert_eq!(
        world.lines(Family::MarkovMonth),
        ["order 1970-01 EUR google - - = 1000000 1000000 60"]
    );
    world.put("r2", 2, "", refund(Order, "o", None));
    assert!(world.credits("linear").is_empty());
    assert!(world.lines(Family::MarkovMonth).is_empty());
}
