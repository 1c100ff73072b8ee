//! Skewed identities: large persons, long chains of links, and hubs.
//!
//! Adding or removing one link costs the smaller side of the two it joins or separates, and a number
//! of tree nodes that is polylogarithmic in the size of the person.

use super::trace::{Cookie, Email, Trace};
use super::{all, assert_as_spread, assert_flat, behind};
use tributary_operators::record::Body;

/// `n` touches of one cookie, and three cookies that share an address.
fn landings(trace: &mut Trace, n: usize) {
    for at in 0..n {
        trace.touch(at, at as i64 * 1_000, &[Cookie(0)]);
    }
    for at in 1..4 {
        trace.put(
            &format!("big {at}"),
            0,
            &[Cookie(at), Email(0)],
            Body::Identify,
        );
    }
}

/// A record that merges two persons costs as much as the smaller one has facts.
#[test]
fn a_record_that_joins_much_to_little_moves_the_little() {
    assert_flat("merge", landings, |trace| {
        trace.put("joins", 0, &[Cookie(0), Email(0)], Body::Identify);
    });
}

/// A link that is added and removed repeatedly costs the smaller side each time.
#[test]
fn a_link_that_comes_and_goes_costs_the_smaller_side() {
    assert_flat("thrash", landings, |trace| {
        for at in 0..50 {
            let ids = [Cookie(0), Email(at % 2)];
            trace.put("toggles", 0, &ids, Body::Identify);
            trace.end();
        }
    });
}

/// A chain of `n` links between cookies and addresses.
fn chain(trace: &mut Trace, n: usize) {
    for at in 0..n {
        let ids = [Cookie(at / 2), Email(at.div_ceil(2))];
        trace.put(&format!("link {at}"), 0, &ids, Body::Identify);
    }
}

/// A chain of `n / 2` links with two more identifier sets for each link, so that most links are no
/// part of the spanning forest.
fn ladder(trace: &mut Trace, n: usize) {
    chain(trace, n / 2);
    for at in 0..n / 4 {
        let ids = [Cookie(at), Cookie(at + 1), Email(at + 1)];
        trace.put(&format!("beam {at}"), 0, &ids, Body::Identify);
    }
}

/// Cutting and restoring a link of a long chain takes a polylogarithmic number of steps.
#[test]
fn a_link_of_a_long_chain_opens_and_closes_in_few_steps() {
    let toggle = |number: usize| {
        move |trace: &mut Trace| {
            for at in 0..50 {
                let email = if at % 2 == 0 {
                    1 << 30
                } else {
                    number.div_ceil(2)
                };
                let ids = [Cookie(number / 2), Email(email)];
                trace.put(&format!("link {number}"), 0, &ids, Body::Identify);
                trace.end();
            }
        }
    };
    assert_flat("chain", chain, toggle(500));
    assert_flat("ladder", ladder, toggle(100));
    // In the midst of each.
    let few = behind(1_000, chain, toggle(500));
    let many = behind(16_000, chain, toggle(8_000));
    assert!(many <= 3 * few, "{few} steps grow to {many}");
}

/// Removing many links of a ladder takes a quasilinear number of steps in total.
#[test]
fn chains_that_fall_apart_everywhere_are_cheap_together() {
    let torn = |trace: &mut Trace, n: usize| {
        ladder(trace, n);
        trace.end();
        for at in 0..n / 4 {
            // Each rung goes, from the middle outwards.
            let rung = if at % 2 == 0 {
                n / 8 + at / 2
            } else {
                n / 8 - at.div_ceil(2)
            };
            trace.put(&format!("beam {rung}"), 0, &[Cookie(rung)], Body::Identify);
            trace.end();
        }
    };
    let count = |n| {
        let mut trace = Trace::default();
        torn(&mut trace, n);
        all(trace)
    };
    let (few, many) = (count(1_000), count(8_000));
    assert!(many <= 8 * 2 * few, "{few} steps grow to {many}");
}

/// A hub costs no more than its neighbors would cost without it.
#[test]
fn a_cookie_beside_many_addresses_costs_what_they_cost_alone() {
    assert_as_spread("hub", |trace, spread| {
        for at in 0..8_000 {
            let cookie = if spread { at } else { 0 };
            let ids = [Cookie(cookie), Email(at)];
            trace.put(&format!("identify {at}"), 0, &ids, Body::Identify);
        }
    });
    assert_flat(
        "one more address",
        |trace, n| {
            for at in 0..n {
                let ids = [Cookie(0), Email(at)];
                trace.put(&format!("identify {at}"), 0, &ids, Body::Identify);
            }
        },
        |trace| {
            for at in 0..50 {
                let ids = [Cookie(0), Email(1_000_000 + at)];
                trace.put("one more", 0, &ids, Body::Identify);
                trace.end();
            }
        },
    );
}

/// An identifier that becomes a hub and ceases to be one costs its own identifier sets only.
#[test]
fn a_hub_that_flips_looks_at_its_own_sets_only() {
    // Ten addresses are allowed beside a cookie; the eleventh comes and goes. Behind one of them there is a lot.
    let first = |trace: &mut Trace, n: usize| {
        for at in 0..10 {
            let ids = [Cookie(0), Email(at)];
            trace.put(&format!("identify {at}"), 0, &ids, Body::Identify);
        }
        for at in 0..n {
            trace.touch(at, at as i64 * 1_000, &[Email(3)]);
        }
    };
    let flip = |trace: &mut Trace| {
        for at in 0..50 {
            let ids = [Cookie(if at % 2 == 0 { 0 } else { 1 }), Email(10)];
            trace.put("eleventh", 0, &ids, Body::Identify);
            trace.end();
        }
    };
    assert_flat("flip", first, flip);
}
