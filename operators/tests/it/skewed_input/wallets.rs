//! Records of one wallet pass.
//!
//! One registration more costs the days whose numbers it changes, not the registrations of the pass, and one scan more costs the
//! presence that it belongs to as a whole, not its scans.

use super::trace::Trace;
use super::{assert_flat, assert_sorted};
use tributary_operators::record::WalletType::{Install, Remove, Scan, Void};

/// Registrations of two holders of one pass within two days, at each of which it becomes active or ceases to be.
fn registrations(trace: &mut Trace, n: usize) {
    for at in 0..n {
        let kind = if at % 2 == 0 { Install } else { Remove };
        trace.wallet(
            &format!("held {at}"),
            10_000 + at as i64 * 10_000,
            0,
            kind,
            1,
        );
    }
}

/// A holder that comes before all others, and goes, takes back or restores each change of the pass.
#[test]
fn a_registration_of_a_pass_does_not_look_at_the_others() {
    assert_flat("registrations", registrations, |trace| {
        for at in 0..40 {
            let kind = if at % 2 == 0 { Install } else { Remove };
            trace.wallet("another", 0, 0, kind, 2);
            trace.end();
        }
    });
    assert_flat("the end of a pass", registrations, |trace| {
        for at in 0..40 {
            trace.wallet("void", 100_000 * at, 0, Void, 0);
            trace.end();
        }
    });
}

/// Scans of one presence, ten seconds apart: it gets longer, is divided, and is one again.
#[test]
fn a_scan_of_a_long_presence_does_not_look_at_the_others() {
    let scans = |trace: &mut Trace, n: usize| {
        // The gap between the two halves, 40 minutes, is one that a scan closes.
        for at in 0..n {
            let late = if 2 * at >= n { 2_400_000 } else { 0 };
            let ts = at as i64 * (40_000_000 / n as i64) + late;
            trace.wallet(&format!("scan {at}"), ts, 0, Scan, 0);
        }
    };
    assert_flat("scans", scans, |trace| {
        for at in 0..40 {
            // Between the halves, and not.
            let ts = if at % 2 == 0 {
                21_200_000
            } else {
                1_000_000 + at
            };
            trace.wallet("between", ts, 0, Scan, 0);
            trace.end();
        }
    });
}

/// Records of one pass cost a logarithm of their number, as in any sorted map.
#[test]
fn records_of_one_pass_cost_a_logarithm_of_their_number() {
    assert_flat("passes in an epoch", registrations, |trace| {
        for at in 0..400 {
            let kind = if at % 3 == 0 { Remove } else { Install };
            trace.wallet(
                &format!("more {at}"),
                5_000 * at as i64,
                0,
                kind,
                at as u64 % 7,
            );
        }
    });
    assert_sorted("holders", |trace, spread| {
        for at in 0..8_000 {
            let kind = if at % 2 == 0 { Install } else { Remove };
            let (pass, holder) = if spread {
                (at / 8, 0)
            } else {
                (0, at as u64 / 8)
            };
            trace.wallet(&format!("{at}"), at as i64 * 1_000, pass, kind, holder);
        }
    });
}
