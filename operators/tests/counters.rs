//! Every counter of records says what its help says: over random histories it is what the oracle counts from all that
//! arrived, on any number of workers and in any batches.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

use std::sync::{Arc, Mutex};

use tributary_operators::dataflow::build;
use tributary_operators::event::Event;
use tributary_operators::settings::Settings;
use tributary_operators::stats::Snapshot;
use tributary_oracle::counts::{Counts, counts};
use tributary_oracle::history::random;

/// What all workers together have counted after the last batch.
fn counted(settings: &Settings, batches: &[Vec<Event>], workers: usize) -> Snapshot {
    let snapshots = Arc::new(Mutex::new(Vec::new()));
    let into = snapshots.clone();
    let (settings, batches) = (Arc::new(settings.clone()), Arc::new(batches.to_vec()));
    let config = match workers {
        1 => timely::Config::thread(),
        n => timely::Config::process(n),
    };
    timely::execute(config, move |worker| {
        let (index, peers) = (worker.index(), worker.peers());
        let mut dataflow = build(worker, settings.clone(), |_, _| {});
        dataflow.live();
        for (epoch, batch) in (1..).zip(batches.iter()) {
            let share = batch.iter().skip(index).step_by(peers);
            for event in share.filter(|event| !matches!(event, Event::Ping { .. })) {
                dataflow.event(event.clone());
            }
            dataflow.advance_to(epoch);
            while !dataflow.is_done_before(epoch) {
                worker.step_or_park(Some(std::time::Duration::from_micros(200)));
            }
        }
        into.lock().unwrap().push(dataflow.stats.snapshot());
    })
    .expect("the dataflow runs");
    let snapshots = snapshots.lock().unwrap();
    let all = snapshots.iter().copied();
    all.fold(Snapshot::default(), |sum, one| sum + one)
}

fn of(snapshot: Snapshot) -> Counts {
    Counts {
        held: snapshot.held,
        duplicates: snapshot.duplicates,
        corrections: snapshot.corrections,
        superseded: snapshot.superseded,
    }
}

#[test]
fn counters_say_what_the_oracle_counts() {
    let mut sum = Counts::default();
    let mut restated = 0;
    for seed in 0..200 {
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
            let counted = counted(&history.settings, batches, workers);
            assert_eq!(of(counted), expected, "seed {seed}, {workers} workers");
            restated += counted.restated;
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
    assert!(restated > 10, "{restated}");
}

/// Whether places in the order of arrival ascend from batch to batch.
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
