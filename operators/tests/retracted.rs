//! Whatever was put in and is taken back again leaves nothing behind: after any history and any restart, every record
//! dropped and every device forgotten, no stage of any worker holds an entry.
//!
//! `TRIBUTARY_HISTORIES` sets how many histories are run, `TRIBUTARY_SEED` where they start.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use support::chosen;
use support::shop::{DAY, sizes};
use tributary_operators::event::Event;
use tributary_operators::record::{DeviceDay, Token};
use tributary_oracle::history::{History, random};

/// Takes back every record and device of a history.
fn retractions(history: &History) -> Vec<Event> {
    let arrival = history.behind(history.batches.len());
    let (mut keys, mut devices) = (BTreeSet::new(), BTreeSet::new());
    for event in history.batches.iter().flatten() {
        match event {
            Event::Put { key, .. } => drop(keys.insert(*key)),
            Event::Ping { ping } => drop(devices.insert(DeviceDay {
                brand: ping.brand,
                store: ping.store,
                salt_day: ping.salt_day,
                token: Token(ping.device),
            })),
            _ => {}
        }
    }
    let keys = keys.into_iter().map(|key| Event::Drop { key, arrival });
    let devices = devices
        .into_iter()
        .map(|device| Event::DropDevice { device });
    keys.chain(devices).collect()
}

/// A release a day, behind every batch.
fn daily(batches: Vec<Vec<Event>>) -> Vec<(Vec<Event>, i64)> {
    batches
        .into_iter()
        .zip((0..).map(|day| day * DAY))
        .collect()
}

#[test]
fn all_retracted_is_all_empty() {
    let start = chosen("TRIBUTARY_SEED", 0);
    let mut reached: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in start..start + chosen("TRIBUTARY_HISTORIES", 2_000) / 10 {
        let size = if seed % 16 == 0 {
            300
        } else {
            4 + (seed % 60) as usize
        };
        let history = random(seed, size);
        let workers = [1, 2, 3, 8][(seed / 3 % 4) as usize];
        for (stage, entries) in sizes(&history.settings, workers, &daily(history.batches.clone()))
            .into_iter()
            .flatten()
        {
            *reached.entry(stage).or_default() += entries;
        }
        let mut batches = history.batches.clone();
        batches.push(retractions(&history));
        // Old days are corrected once a week.
        batches.extend(vec![Vec::new(); 9]);
        for (worker, sizes) in sizes(&history.settings, workers, &daily(batches))
            .iter()
            .enumerate()
        {
            let left: Vec<_> = sizes.iter().filter(|(_, entries)| **entries > 0).collect();
            assert!(
                left.is_empty(),
                "seed {seed}, worker {worker} of {workers}: {left:?} of {:?}",
                history.settings
            );
        }
    }
    // The histories fill every stage.
    assert_eq!(reached.len(), 10, "{reached:?}");
    assert!(reached.values().all(|entries| *entries > 0), "{reached:?}");
}
