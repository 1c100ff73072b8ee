//! One person, cookie, hub or sale of which everything is costs no more than the same events spread over many: counted in
//! the records, facts, touches, sets and places that the stages look at, so that no machine's mood is in it. Whoever may
//! send a record chooses whom it is about, and a right is a record like any other.

use crate::support::runner::on_workers;
use tributary_operators::allowed_uses::AllowedUses;
use tributary_operators::event::Event;
use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{
    Arrival, Body, BrandId, Currency, IdKind, IdSet, Identifier, Record, RecordKey, RefundAmount,
    Right, SaleKind, SaleName, TouchKind,
};
use tributary_operators::settings::{BrandSettings, Settings};

const DAY: i64 = 86_400_000;

/// Cookies and e-mail addresses, by number.
#[derive(Clone, Copy)]
enum Who {
    Cookie(usize),
    Email(usize),
}

use Who::{Cookie, Email};

fn identifier(who: Who) -> Identifier {
    let (kind, number, of) = match who {
        Cookie(number) => (IdKind::Cookie, number, 1u128 << 64),
        Email(number) => (IdKind::Email, number, 1u128 << 65),
    };
    // Pseudonyms are hashes, in no order.
    let hash = RecordKey::of("id", &[&(of + number as u128).to_le_bytes()]).0;
    Identifier {
        pseudonym: hash,
        value: hash,
        kind,
    }
}

/// Events in the order of their arrival, cut into epochs.
#[derive(Default)]
struct Trace {
    epochs: Vec<Vec<Event>>,
    open: Vec<Event>,
    arrived: u64,
}

impl Trace {
    /// A record named `id`, in the place of the one before.
    fn put(&mut self, id: &str, ts: i64, ids: &[Who], body: Body) {
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

    /// A record is dropped, in the epoch of those before: an erasure or a retention pass is one epoch.
    fn drop_record(&mut self, id: &str) {
        self.arrived += 1;
        self.open.push(Event::Drop {
            key: RecordKey::of("acme", &[id.as_bytes()]),
            arrival: Arrival {
                message: self.arrived,
                line: 0,
            },
        });
    }

    fn touch(&mut self, number: usize, ts: i64, ids: &[Who]) {
        let body = Body::Contact {
            kind: TouchKind::Click,
            channel: Channel::of(["a", "b", "c"][number % 3], "", ""),
            touch: true,
        };
        self.put(&format!("touch {number}"), ts, ids, body);
    }

    fn order(&mut self, number: usize, name: &str, ts: i64, ids: &[Who]) {
        let body = Body::Sale {
            kind: SaleKind::Order,
            name: SaleName::of(name),
            store: Label::ABSENT,
            amount: 1_000_000,
            currency: Currency(*b"EUR"),
        };
        self.put(&format!("order {number}"), ts, ids, body);
    }

    /// What comes next is another epoch.
    fn end(&mut self) {
        self.epochs.push(std::mem::take(&mut self.open));
    }
}

/// How many steps a trace takes on one worker, before and behind a place in it.
fn steps(mut trace: Trace, place: usize) -> (u64, u64) {
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

/// All steps of a trace.
fn all(trace: Trace) -> u64 {
    let (before, behind) = steps(trace, 0);
    before + behind
}

/// AllowedUses of what comes behind a trace of `n` events.
fn behind(n: usize, first: impl Fn(&mut Trace, usize), then: impl Fn(&mut Trace)) -> u64 {
    let mut trace = Trace::default();
    first(&mut trace, n);
    trace.end();
    let place = trace.epochs.len();
    then(&mut trace);
    steps(trace, place).1
}

/// What one message costs does not depend on how much there is of whom it is about: at most by logarithms.
fn assert_flat(what: &str, first: impl Fn(&mut Trace, usize), then: impl Fn(&mut Trace)) {
    let (few, many) = (behind(1_000, &first, &then), behind(16_000, &first, &then));
    println!("{what}: {few} steps behind 1,000 events, {many} behind 16,000");
    assert!(many <= 3 * few + 1_000, "{what}: {few} grow to {many}");
}

/// Skewed events cost about as much as the same spread over many.
fn assert_as_spread(what: &str, make: impl Fn(&mut Trace, bool)) {
    let count = |spread| {
        let mut trace = Trace::default();
        make(&mut trace, spread);
        all(trace)
    };
    let (skewed, spread) = (count(false), count(true));
    println!("{what}: {skewed} steps, {spread} where they are spread");
    assert!(
        2 * skewed <= 3 * spread,
        "{what}: {skewed} against {spread}"
    );
}

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

#[test]
fn a_record_that_joins_much_to_little_moves_the_little() {
    assert_flat("merge", landings, |trace| {
        trace.put("joins", 0, &[Cookie(0), Email(0)], Body::Identify);
    });
}

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

fn chain(trace: &mut Trace, n: usize) {
    for at in 0..n {
        let ids = [Cookie(at / 2), Email(at.div_ceil(2))];
        trace.put(&format!("link {at}"), 0, &ids, Body::Identify);
    }
}

/// Two more sets for each link of the chain, so that the forest is less than the links.
fn ladder(trace: &mut Trace, n: usize) {
    chain(trace, n / 2);
    for at in 0..n / 4 {
        let ids = [Cookie(at), Cookie(at + 1), Email(at + 1)];
        trace.put(&format!("beam {at}"), 0, &ids, Body::Identify);
    }
}

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

/// What a cookie's owner allows, or no longer.
fn consent(allows: bool) -> Body {
    Body::Consent {
        steps: if allows {
            AllowedUses::ALL
        } else {
            AllowedUses::NONE
        },
        string: None,
    }
}

#[test]
fn a_withdrawal_costs_what_is_withdrawn() {
    let restriction = Body::Right {
        right: Right::Restriction,
        stands: true,
    };
    for (what, body) in [("restriction", restriction), ("consent", consent(false))] {
        assert_as_spread(what, |trace, spread| {
            let cookie = |at: usize| if spread { at } else { 0 };
            for at in 0..8_000 {
                trace.touch(at, at as i64 * 1_000, &[Cookie(cookie(at))]);
            }
            trace.end();
            for at in 0..if spread { 8_000 } else { 1 } {
                let ids = [Cookie(cookie(at))];
                trace.put(&format!("right {at}"), DAY, &ids, body.clone());
            }
        });
    }
    // An erasure, an objection and a retention drop the records themselves.
    assert_as_spread("erasure", |trace, spread| {
        let cookie = |at: usize| if spread { at } else { 0 };
        for at in 0..8_000 {
            trace.touch(at, at as i64 * 1_000, &[Cookie(cookie(at))]);
        }
        trace.end();
        for at in 0..8_000 {
            trace.drop_record(&format!("touch {at}"));
        }
    });
}

#[test]
fn a_consent_that_comes_and_goes_costs_what_it_moves_and_once_an_epoch() {
    let first = |trace: &mut Trace, n: usize| {
        for at in 0..n {
            trace.touch(at, at as i64 * 1_000, &[Cookie(0)]);
        }
    };
    let toggle = |times: usize, apart: bool| {
        move |trace: &mut Trace| {
            for at in 0..times {
                let ts = DAY + at as i64;
                trace.put(
                    &format!("toggle {at}"),
                    ts,
                    &[Cookie(0)],
                    consent(at % 2 == 1),
                );
                if apart {
                    trace.end();
                }
            }
        }
    };
    let n = 8_000;
    let once = behind(n, first, toggle(1, true));
    let many = behind(n, first, toggle(20, true));
    let together = behind(n, first, toggle(21, false));
    println!("toggle: {once} steps once, {many} twenty times, {together} for 21 in an epoch");
    // Each record in each of the stages that know it.
    assert!(once <= 6 * n as u64 && many <= 21 * once, "{once}, {many}");
    assert!(together <= once + 1_000, "{together} against {once}");
}

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

/// A person with many touches, and an order for each fifty of them.
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
