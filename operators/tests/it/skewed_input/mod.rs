//! Skewed input: the cost of an event does not depend on how many others concern the same subject.
//!
//! Anyone who may send a record chooses the person, cookie, hub or sale that it concerns. These tests
//! give most events the same subject and count the records, facts, touches, identifier sets and tree
//! nodes that the operators visit ([`all_steps`](tributary_operators::stats::Stats::all_steps)), which
//! is a deterministic measure. The cost must stay that of the same events spread over many subjects,
//! and the cost of one more event must not grow with the events before it.

mod conversions;
mod identity;
mod rights;
mod trace;
mod wallets;

use trace::{Trace, steps};

/// The number of steps of a whole trace.
fn all(trace: Trace) -> u64 {
    let (before, after) = steps(trace, 0);
    before + after
}

/// The number of steps that the events of `then` take after a trace of `n` events made by `first`.
fn behind(n: usize, first: impl Fn(&mut Trace, usize), then: impl Fn(&mut Trace)) -> u64 {
    let mut trace = Trace::default();
    first(&mut trace, n);
    trace.end();
    let place = trace.epochs.len();
    then(&mut trace);
    steps(trace, place).1
}

/// Asserts that the cost of the events of `then` grows at most logarithmically with the number of
/// events before them: 16 times the events may cost three times the steps, and 1,000 more.
fn assert_flat(what: &str, first: impl Fn(&mut Trace, usize), then: impl Fn(&mut Trace)) {
    let (few, many) = (behind(1_000, &first, &then), behind(16_000, &first, &then));
    println!("{what}: {few} steps behind 1,000 events, {many} behind 16,000");
    assert!(many <= 3 * few + 1_000, "{what}: {few} grow to {many}");
}

/// Asserts that skewed events cost what places in a sorted map do: among 8,000 of one subject they are found in 4.3 times as many
/// steps as among 8 of each.
fn assert_sorted(what: &str, make: impl Fn(&mut Trace, bool)) {
    let (skewed, spread) = both(what, make);
    assert!(skewed <= 5 * spread, "{what}: {skewed} against {spread}");
}

/// The steps of skewed events, and of the same events spread over many subjects.
fn both(what: &str, make: impl Fn(&mut Trace, bool)) -> (u64, u64) {
    let count = |spread| {
        let mut trace = Trace::default();
        make(&mut trace, spread);
        all(trace)
    };
    let (skewed, spread) = (count(false), count(true));
    println!("{what}: {skewed} steps, {spread} where they are spread");
    (skewed, spread)
}

/// Asserts that skewed events cost at most 1.5 times as many steps as the same events spread over
/// many subjects. `make` receives the trace and whether to spread.
fn assert_as_spread(what: &str, make: impl Fn(&mut Trace, bool)) {
    let (skewed, spread) = both(what, make);
    assert!(
        2 * skewed <= 3 * spread,
        "{what}: {skewed} against {spread}"
    );
}
