//! Refunds: what remains of a sale, and when it stops counting.

use crate::support::{DAY, EUR, USD, World, order, own_order, refund};
use tributary_operators::cell::Family;
use tributary_operators::label::Label;
use tributary_operators::record::{Body, Currency, RefundAmount, SaleKind, SaleName};

use SaleKind::{Order, Transaction};

/// The `orders_day` lines of an order of 100 on day 1 with refunds.
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
fn full_and_excess_refunds_remove_the_sale() {
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

/// Two sources each have a transaction `7`: the refund of a till applies to its own, any other
/// refund to the earliest.
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

#[test]
fn a_refund_that_names_no_currency_is_in_that_of_its_sale() {
    let left = |currency: &[u8; 3], amounts: &[(i64, u8)]| {
        let mut world = World::new();
        for (number, (digits, decimals)) in amounts.iter().enumerate() {
            let amount = RefundAmount::InCurrencyOfSale {
                digits: *digits,
                decimals: *decimals,
            };
            let (kind, name) = (Order, SaleName::of("o"));
            let store = Label::ABSENT;
            let body = Body::Refund {
                kind,
                name,
                store,
                amount,
            };
            world.put(&number.to_string(), 0, "", body);
        }
        let body = Body::Sale {
            kind: Order,
            name: SaleName::of("o"),
            store: Label::ABSENT,
            amount: 1000,
            currency: Currency(*currency),
        };
        world.put("o", 0, "", body);
        world.lines(Family::OrdersDay)
    };
    assert_eq!(left(b"USD", &[(4, 0)]), ["day0 USD = 1 600 0"]);
    assert_eq!(left(b"USD", &[(45, 1), (1, 2)]), ["day0 USD = 1 549 0"]);
    assert_eq!(left(b"JPY", &[(4, 0)]), ["day0 JPY = 1 996 0"]);
    assert_eq!(left(b"KWD", &[(45, 2)]), ["day0 KWD = 1 550 0"]);
    // More decimals than the currency of the sale has never apply.
    assert_eq!(left(b"JPY", &[(45, 1)]), ["day0 JPY = 1 1000 0"]);
    assert_eq!(left(b"USD", &[(1, 3)]), ["day0 USD = 1 1000 0"]);
    assert!(left(b"USD", &[(1_000_000_000_000_000, 0)]).is_empty());
}

/// Two shops number their orders from 1 and send no `order_id`.
#[test]
fn orders_without_an_order_id_are_known_by_source_and_id() {
    let shops = |refunded: Option<&str>, also: Option<i64>| {
        let mut world = World::new();
        world.put_from("a", "1", 0, "", own_order("1", 1000));
        world.put_from("b", "1", 5, "", own_order("1", 2000));
        if let Some(amount) = also {
            world.put_from("c", "x", 9, "", order("1", amount));
        }
        if let Some(source) = refunded {
            world.put_from(source, "r", 0, "", refund(Order, "1", None));
        }
        world.lines(Family::OrdersDay)
    };
    assert_eq!(shops(None, None), ["day0 EUR = 2 3000 0"]);
    // A refund goes to the order of its own source, and else to the earliest.
    assert_eq!(shops(Some("b"), None), ["day0 EUR = 1 1000 0"]);
    assert_eq!(shops(Some("a"), None), ["day0 EUR = 1 2000 0"]);
    assert_eq!(shops(Some("till"), None), ["day0 EUR = 1 2000 0"]);
    // An order that has the `order_id` comes first.
    assert_eq!(shops(None, Some(70)), ["day0 EUR = 3 3070 0"]);
    assert_eq!(shops(Some("b"), Some(70)), ["day0 EUR = 2 3000 0"]);
}
