//! Retraction leaves nothing behind: after any history and any restart, once every record and every
//! device is dropped, no operator of any worker stores an entry, and none a label name.
//!
//! `TRIBUTARY_HISTORIES` sets the number of histories, `TRIBUTARY_SEED` the first seed.

use std::collections::BTreeMap;

use crate::support::crowd::retractions;
use crate::support::number_from_env;
use crate::support::runner::{Steps, play};
use crate::support::shop::DAY;
use tributary_operators::event::Event;
use tributary_oracle::history::random;

/// A release per day, after every batch.
fn daily(batches: Vec<Vec<Event>>) -> Steps {
    batches
        .into_iter()
        .zip((0..).map(|day| day * DAY))
        .collect()
}

/// The guarantee of this module.
#[test]
fn all_retracted_is_all_empty() {
    let start = number_from_env("TRIBUTARY_SEED", 0);
    let mut reached: BTreeMap<&str, usize> = BTreeMap::new();
    let mut withdrawn = 0;
    for seed in start..start + number_from_env("TRIBUTARY_HISTORIES", 400) / 10 {
        let size = if seed % 16 == 0 {
            300
        } else {
            4 + (seed % 60) as usize
        };
        let history = random(seed, size);
        let workers = [1, 2, 3, 8][(seed / 3 % 4) as usize];
        let whole = play(
            &history.settings,
            workers,
            &[],
            &daily(history.batches.clone()),
        );
        for (stage, entries) in whole.sizes.into_iter().flatten() {
            *reached.entry(stage).or_default() += entries;
        }
        let mut batches = history.batches.clone();
        let arrival = history.behind(history.batches.len());
        batches.push(retractions(history.batches.iter().flatten(), arrival));
        // Old days are corrected once a week.
        batches.extend(vec![Vec::new(); 9]);
        let played = play(&history.settings, workers, &[], &daily(batches));
        withdrawn += played.withdrawn;
        for (worker, sizes) in played.sizes.iter().enumerate() {
            let left: Vec<_> = sizes.iter().filter(|(_, entries)| **entries > 0).collect();
            assert!(
                left.is_empty(),
                "seed {seed}, worker {worker} of {workers}: {left:?} of {:?}",
                history.settings
            );
        }
    }
    assert!(withdrawn > 1_000, "{withdrawn} words ended");
    // The histories fill every stage; these two keep what they know in the sets of the policy filter.
    assert_eq!(reached.len(), 14, "{reached:?}");
    for stage in ["IdSetCounts", "PersonJoin"] {
        assert_eq!(reached.remove(stage), Some(0), "{stage}");
    }
    assert!(reached.values().all(|entries| *entries > 0), "{reached:?}");
}
