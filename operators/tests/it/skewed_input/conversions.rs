//! Touches, conversions and refunds of one person or one sale.
//!
//! A late touch, one more order or one more refund costs the paths that it changes, not all touches
//! of the person or all refunds of the sale.

use super::trace::{Cookie, DAY, Email, Trace};
use super::{assert_as_spread, assert_flat, behind};
use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{Body, Currency, RefundAmount, SaleKind, SaleName, TouchKind};

/// A person with `n` touches within 20 days, and an order for every fifty of them.
fn whale(trace: &mut Trace, n: usize) {
    for at in 0..n {
        let ts = at as i64 * (20 * DAY / n as i64);
        trace.touch(at, ts, &[Cookie(0)]);
        if at % 50 == 49 {
            let name = at.to_string();
            trace.order(at, &name, ts + 1, &[Cookie(0)]);
        }
    }
}

/// Crossing the size guard costs the conversions of the person and their paths, which are bounded.
#[test]
fn a_person_that_crosses_the_size_guard_costs_its_conversions() {
    let first = |trace: &mut Trace, n: usize| {
        whale(trace, n);
        // As many identifiers as a person may have, and one that comes and goes at their end.
        for at in 0..99 {
            let ids = [Cookie(usize::div_ceil(at, 2)), Email(at / 2)];
            trace.put(&format!("link {at}"), 0, &ids, Body::Identify);
        }
    };
    let cross = |trace: &mut Trace| {
        for at in 0..10 {
            let email = if at % 2 == 0 { 1 << 20 } else { 49 };
            trace.put("last", 0, &[Cookie(49), Email(email)], Body::Identify);
            trace.end();
        }
    };
    let (few, many) = (behind(2_000, first, cross), behind(16_000, first, cross));
    println!("size guard: {few} steps beside 40 orders, {many} beside 320");
    // A conversion is looked at again with its path, which is bounded.
    assert!(many <= 10 * 320 * (200 + 20) + 10_000, "{many}");
    assert!(many <= 9 * few, "{few} grow to {many}");
}

/// Views that are not touchpoints cost the same for one cookie as for many.
#[test]
fn views_of_one_cookie_cost_what_those_of_many_do() {
    assert_as_spread("cookie", |trace, spread| {
        for at in 0..8_000 {
            let body = Body::Contact {
                kind: TouchKind::View,
                channel: Channel::default(),
                touch: false,
            };
            let cookie = if spread { at } else { 0 };
            trace.put(
                &format!("view {at}"),
                at as i64 * 1_000,
                &[Cookie(cookie)],
                body,
            );
        }
    });
}

/// Many different channels cost as much as few.
#[test]
fn channels_that_nobody_shares_cost_what_shared_ones_do() {
    assert_as_spread("channels", |trace, spread| {
        for at in 0..8_000 {
            let campaign = if spread { at % 5 } else { at };
            let body = Body::Contact {
                kind: TouchKind::Click,
                channel: Channel::of("s", "m", &campaign.to_string()),
                touch: true,
            };
            let ids = [Cookie(at / 10)];
            trace.put(&format!("click {at}"), at as i64 * 200, &ids, body);
            if at % 10 == 9 {
                trace.order(at, &at.to_string(), at as i64 * 200 + 1, &ids);
            }
        }
    });
}

/// A late touchpoint costs the paths that contain it.
#[test]
fn a_late_touch_is_credited_where_the_newest_touches_hold_it() {
    assert_flat("late", whale, |trace| {
        for at in 0..20 {
            let ts = 5 * DAY + at as i64;
            trace.touch(1_000_000 + at, ts, &[Cookie(0)]);
            trace.end();
        }
    });
}

/// Touchpoints outside of the window of a conversion are not visited.
#[test]
fn touches_that_no_window_holds_are_not_looked_at() {
    // Impressions count for a week only; before each order there are many older ones.
    let first = |trace: &mut Trace, n: usize| {
        trace.order(1 << 20, "first", -DAY, &[Cookie(0)]);
        for at in 0..n {
            let body = Body::Contact {
                kind: TouchKind::Impression,
                channel: Channel::of("d", "", ""),
                touch: true,
            };
            trace.put(&format!("shown {at}"), at as i64, &[Cookie(0)], body);
        }
        for at in 0..10 {
            trace.touch(at, -(at as i64), &[Cookie(0)]);
        }
    };
    assert_flat("windows", first, |trace| {
        for at in 0..20 {
            let name = format!("late {at}");
            trace.order(at, &name, 20 * DAY + at as i64, &[Cookie(0)]);
            trace.end();
        }
    });
}

/// One more refund, or order of the same name, costs the same however many there are.
#[test]
fn the_next_refund_does_not_look_at_those_before() {
    let refunds = |trace: &mut Trace, from: usize, to: usize| {
        for at in from..to {
            let body = Body::Refund {
                kind: SaleKind::Order,
                name: SaleName::of("o"),
                store: Label::ABSENT,
                amount: RefundAmount::Of(1, Currency(*b"EUR")),
            };
            trace.put(&format!("refund {at}"), 0, &[], body);
        }
    };
    let first = |trace: &mut Trace, n: usize| {
        trace.order(0, "o", 0, &[Cookie(0)]);
        refunds(trace, 0, n);
    };
    assert_flat("refunds", first, |trace| {
        refunds(trace, 1 << 20, (1 << 20) + 50)
    });
    let orders = |trace: &mut Trace, n: usize| {
        for at in 0..n {
            trace.order(at, "o", at as i64, &[Cookie(0)]);
        }
    };
    assert_flat("orders of one name", orders, |trace| {
        for at in 0..50 {
            trace.order(1 << 20, "o", at, &[Cookie(0)]);
            trace.end();
        }
    });
}

/// An order that is added and removed does not visit all touchpoints of its person.
#[test]
fn an_order_that_comes_and_goes_does_not_look_at_all_touches() {
    let toggle = |trace: &mut Trace, times: usize| {
        for at in 0..times {
            trace.order(0, "o", 0, &[Cookie(at % 2)]);
            trace.end();
        }
    };
    let first = |trace: &mut Trace, n: usize| {
        for at in 0..n {
            trace.touch(at, at as i64 * 1_000, &[Cookie(0)]);
        }
        toggle(trace, 2);
    };
    assert_flat("null paths", first, |trace| toggle(trace, 50));
}
