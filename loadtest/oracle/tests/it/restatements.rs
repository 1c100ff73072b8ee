//! Restatements: a new amount of a sale, before its refunds.

use crate::support::{DAY, EUR, USD, World, refund};
use tributary_operators::cell::Family;
use tributary_operators::label::Label;
use tributary_operators::record::{Body, Currency, RefundAmount, SaleKind, SaleName};

fn restated(kind: SaleKind, name: &str, amount: RefundAmount) -> Body {
    Body::Restatement {
        kind,
        name: SaleName::of(name),
        store: Label::ABSENT,
        amount,
    }
}

/// The `orders_day` lines of an order of 100 with restatements: id, time, amount and currency.
fn order_with(restatements: &[(&str, i64, i64, Currency)]) -> Vec<String> {
    let mut world = World::new();
    for (id, ts, minor, currency) in restatements {
        let amount = RefundAmount::Of(*minor, *currency);
        world.put(id, *ts, "", restated(SaleKind::Order, "o", amount));
    }
    world.order("o", DAY, "cookie:c", 100);
    world.lines(Family::OrdersDay)
}

#[test]
fn the_latest_in_the_currency_of_the_sale_counts() {
    assert_eq!(order_with(&[("a", 0, 30, EUR)]), ["day1 EUR = 1 30 1"]);
    assert_eq!(order_with(&[("a", 0, 300, EUR)]), ["day1 EUR = 1 300 1"]);
    let later = [("a", 5 * DAY, 30, EUR), ("b", 4 * DAY, 40, EUR)];
    assert_eq!(order_with(&later), ["day1 EUR = 1 30 1"]);
    // Of one time, the greatest id; the bytes count, not the number.
    let same = [("10", DAY, 30, EUR), ("9", DAY, 40, EUR)];
    assert_eq!(order_with(&same), ["day1 EUR = 1 40 1"]);
    let other = [("a", 0, 30, EUR), ("b", 9 * DAY, 5, USD)];
    assert_eq!(order_with(&other), ["day1 EUR = 1 30 1"]);
}

#[test]
fn a_sale_that_becomes_nothing_is_one_of_nothing() {
    assert_eq!(order_with(&[("a", 0, 0, EUR)]), ["day1 EUR = 1 0 1"]);
}

#[test]
fn refunds_are_taken_from_the_new_amount() {
    let mut world = World::new();
    world.order("o", 0, "cookie:c", 100);
    world.put("r", 0, "", refund(SaleKind::Order, "o", Some((60, EUR))));
    assert_eq!(world.lines(Family::OrdersDay), ["day0 EUR = 1 40 1"]);
    let amount = RefundAmount::Of(70, EUR);
    world.put("s", 0, "", restated(SaleKind::Order, "o", amount));
    assert_eq!(world.lines(Family::OrdersDay), ["day0 EUR = 1 10 1"]);
    let amount = RefundAmount::Of(50, EUR);
    world.put("t", DAY, "", restated(SaleKind::Order, "o", amount));
    assert!(world.lines(Family::OrdersDay).is_empty());
}

#[test]
fn an_amount_without_a_currency_is_in_that_of_the_sale() {
    for (digits, decimals, expected) in [(7, 0, 700), (75, 1, 750), (7, 3, 100)] {
        let mut world = World::new();
        world.order("o", 0, "cookie:c", 100);
        let amount = RefundAmount::InCurrencyOfSale { digits, decimals };
        world.put("r", 0, "", restated(SaleKind::Order, "o", amount));
        let line = format!("day0 EUR = 1 {expected} 1");
        assert_eq!(world.lines(Family::OrdersDay), [line]);
    }
}

#[test]
fn a_restatement_makes_no_sale_and_finds_its_own_kind() {
    let mut world = World::new();
    let amount = RefundAmount::Of(70, EUR);
    world.put("r", 0, "", restated(SaleKind::Transaction, "same", amount));
    assert!(world.lines(Family::StoreDay).is_empty());
    world.sale("same", 0, "", 100);
    world.order("same", 0, "", 100);
    assert_eq!(world.lines(Family::StoreDay), ["lyon day0 EUR = 1 70 0"]);
    assert_eq!(world.lines(Family::OrdersDay), ["day0 EUR = 1 100 0"]);
}
