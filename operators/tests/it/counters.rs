//! The counters of records: over random histories each equals what the oracle counts from
//! everything that arrived, with any number of workers and any division into batches.

use crate::support::number_from_env;
use crate::support::runner::{Steps, play};
use tributary_operators::event::Event;
use tributary_operators::stats::Snapshot;
use tributary_oracle::counts::{Counts, counts};
use tributary_oracle::history::random;
use tributary_oracle::{Withheld, fold_events, withheld};

/// The counters of a snapshot, in the oracle's type.
fn of(snapshot: Snapshot) -> Counts {
    Counts {
        held: snapshot.held,
        duplicates: snapshot.duplicates,
        corrections: snapshot.corrections,
        superseded: snapshot.superseded,
    }
}

/// The withheld records of a snapshot, in the oracle's type.
fn withheld_of(snapshot: Snapshot) -> Withheld {
    Withheld {
        restricted: snapshot.restricted,
        unasked: snapshot.without_consent,
        refused: snapshot.refused,
        uncredited: snapshot.uncredited,
    }
}

/// Records that are not used, or not for everything, are counted by reason, also after corrections,
/// withdrawals, restrictions and renewals.
#[test]
fn withheld_records_are_counted_by_reason() {
    let mut sum = Withheld::default();
    for seed in 0..number_from_env("TRIBUTARY_HISTORIES", 400) {
        let history = random(seed, 4 + (seed % 90) as usize);
        let expected = withheld(
            &history.settings,
            &fold_events(history.batches.iter().flatten()),
        );
        let workers = [1, 2, 3, 8][(seed % 4) as usize];
        let steps: Steps = history.batches.into_iter().map(|of| (of, 0)).collect();
        let counted = play(&history.settings, workers, &[], &steps).counts;
        assert_eq!(
            withheld_of(counted),
            expected,
            "seed {seed}, {workers} workers"
        );
        sum.restricted += expected.restricted;
        sum.unasked += expected.unasked;
        sum.refused += expected.refused;
        sum.uncredited += expected.uncredited;
    }
    let Withheld {
        restricted,
        unasked,
        refused,
        uncredited,
    } = sum;
    assert!(
        [restricted, unasked, refused, uncredited]
            .iter()
            .all(|of| *of > 20),
        "{sum:?}"
    );
}

/// Duplicates, corrections and superseded records are counted as the oracle does.
#[test]
fn counters_equal_those_of_the_oracle() {
    let mut sum = Counts::default();
    let mut repeated_statements = 0;
    for seed in 0..number_from_env("TRIBUTARY_HISTORIES", 100) {
        let history = random(seed, 4 + (seed % 90) as usize);
        let expected = counts(history.batches.iter().flatten());
        let workers = [1, 2, 3, 8][(seed % 4) as usize];
        let once = vec![history.batches.concat()];
        let by_one: Vec<Vec<Event>> = match seed % 8 {
            0 => history
                .batches
                .concat()
                .into_iter()
                .map(|e| vec![e])
                .collect(),
            _ => Vec::new(),
        };
        for batches in [&history.batches, &once, &by_one] {
            // One event a batch is in the order of arrival only where no batch was shuffled.
            if batches.is_empty() || batches.len() > 1 && !in_order(batches) {
                continue;
            }
            let steps: Steps = batches.iter().map(|batch| (batch.clone(), 0)).collect();
            let counted = play(&history.settings, workers, &[], &steps).counts;
            assert_eq!(of(counted), expected, "seed {seed}, {workers} workers");
            repeated_statements += counted.repeated_statements;
        }
        sum.duplicates += expected.duplicates;
        sum.corrections += expected.corrections;
        sum.superseded += expected.superseded;
    }
    // The histories do what they are there for.
    assert!(
        sum.duplicates > 100 && sum.corrections > 100 && sum.superseded > 30,
        "{sum:?}"
    );
    assert!(repeated_statements > 10, "{repeated_statements}");
}

/// Whether positions in the order of arrival ascend from batch to batch.
fn in_order(batches: &[Vec<Event>]) -> bool {
    let mut last = None;
    batches.iter().all(|batch| {
        let places = batch.iter().filter_map(|event| match event {
            Event::Put { arrival, .. } | Event::Drop { arrival, .. } => Some(*arrival),
            _ => None,
        });
        let places: Vec<_> = places.collect();
        let ascends = places.iter().min().is_none_or(|first| last <= Some(*first));
        last = last.max(places.into_iter().max());
        ascends
    })
}
