//! Consent and rights of subjects with many records.
//!
//! A withdrawal, a restriction or an erasure costs the records that it affects, once per epoch,
//! however often the statement changes within the epoch.

use super::trace::{Cookie, DAY, Trace};
use super::{assert_as_spread, behind};
use tributary_operators::allowed_uses::AllowedUses;
use tributary_operators::record::{Body, Right};

/// A statement by the owner of a cookie: it allows every use, or none.
fn consent(allows: bool) -> Body {
    Body::Consent {
        steps: if allows {
            AllowedUses::ALL
        } else {
            AllowedUses::NONE
        },
        string: None,
        boxes: None,
    }
}

/// A withdrawal, a restriction or an erasure costs the same for one cookie with many records as for
/// many cookies with one record each.
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

/// Consent that toggles costs the affected records each time, and once per epoch if it toggles
/// within one.
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
