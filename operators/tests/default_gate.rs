//! The default gate in random histories: a crowd buys, is corrected, refunded and erased, and what is told goes by `k` 50
//! and `k_delta` 10 over releases that are minutes, days and months apart.
//!
//! In every history any number of workers tells the same; what is told is what the batch oracle computes from the records
//! held at that release, and nothing that it hides; a restart in the middle tells nothing else; and once all is taken
//! back nothing stands outside and no stage holds an entry.
//!
//! `TRIBUTARY_HISTORIES` sets how many histories are run, `TRIBUTARY_SEED` where they start.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use support::shop::{
    DAY, MINUTE, brand, click, erased, known, refund, sale_in, sizes, told, words,
};
use support::{Released, chosen, released};
use tributary_operators::cell::Cell;
use tributary_operators::event::Event;
use tributary_operators::record::RecordKey;
use tributary_operators::settings::Settings;
use tributary_oracle::history::{History, random};

type Steps = Vec<(Vec<Event>, i64)>;

/// Noon of the twentieth day.
const START: i64 = 20 * DAY + DAY / 2;

const STORES: [&str; 2] = ["s", "t"];
const CHANNELS: [&str; 3] = ["a", "b", "c"];

/// What the crowd does, and what is released when.
fn crowd(rng: &mut StdRng) -> Steps {
    let (mut people, mut bought) = (0_u128, Vec::<(u128, String, i64)>::new());
    let (mut now, mut steps) = (START, Steps::new());
    let all_words = [&STORES[..], &CHANNELS[..]].concat();
    steps.push((words(&all_words), now));
    for step in 1..rng.random_range(5..10) {
        let mut events = Vec::new();
        for _ in 0..rng.random_range(0..4) {
            let (day, store) = (rng.random_range(0..4), STORES[rng.random_range(0..2)]);
            match rng.random_range(0..6) {
                // Many or few buy something.
                0..3 => {
                    for buyer in 0..[1, 3, 9, 10, 11, 60, 90, 150][rng.random_range(0..8)] {
                        people += 1;
                        let channel = CHANNELS[rng.random_range(0..3)];
                        let name = format!("{step} {people}");
                        events.push(click(people, channel, day, buyer % 600));
                        events.push(sale_in(store, people, &name, day, rng.random_range(1..999)));
                        bought.push((people, name, day));
                    }
                }
                // Some are erased.
                3 => {
                    for _ in 0..[1, 2, 9, 10, 40][rng.random_range(0..5)].min(bought.len()) {
                        let (_, name, _) = bought.swap_remove(rng.random_range(0..bought.len()));
                        events.push(erased(&name));
                    }
                }
                // Some bring back what they bought, or a part of it.
                _ => {
                    for _ in 0..[1, 5, 12, 30][rng.random_range(0..4)] {
                        if let Some((person, name, day)) = bought
                            .get(rng.random_range(0..bought.len().max(1)))
                            .cloned()
                        {
                            let amount = rng.random_bool(0.5).then(|| rng.random_range(1..99));
                            events.push(refund(person, &name, day, amount));
                        }
                    }
                }
            }
        }
        now += [MINUTE, MINUTE, DAY, 3 * DAY, 8 * DAY, 100 * DAY][rng.random_range(0..6)];
        // What is put in and taken back in one epoch may come in any order; a record once an epoch.
        let mut keys = BTreeSet::<RecordKey>::new();
        events.retain(|event| match event {
            Event::Put { key, .. } | Event::Drop { key, .. } => keys.insert(*key),
            _ => true,
        });
        for event in &mut events {
            if let Event::Put { arrival, .. } | Event::Drop { arrival, .. } = event {
                arrival.message = step;
            }
        }
        steps.push((events, now));
    }
    steps
}

/// Takes everything back, and lets old days follow.
fn and_all_is_taken_back(mut steps: Steps) -> Steps {
    let (_, mut now) = *steps.last().unwrap();
    let keys = steps.iter().flat_map(|(events, _)| events);
    let keys = keys.filter_map(|event| match event {
        Event::Put { key, .. } => Some(*key),
        _ => None,
    });
    let keys: BTreeSet<RecordKey> = keys.collect();
    let arrival = tributary_operators::record::Arrival {
        message: u64::MAX,
        line: 0,
    };
    let gone = keys.into_iter().map(|key| Event::Drop { key, arrival });
    steps.push((gone.collect(), now + MINUTE));
    for _ in 0..4 {
        now += 8 * DAY;
        steps.push((Vec::new(), now));
    }
    steps
}

fn sorted(mut steps: Vec<Vec<(Cell, bool)>>) -> Vec<Vec<(Cell, bool)>> {
    steps.iter_mut().for_each(|told| told.sort_unstable());
    steps
}

/// Two runs tell the same in every step.
fn same(one: &[Vec<(Cell, bool)>], other: &[Vec<(Cell, bool)>], case: &str) {
    for (step, (one, other)) in one.iter().zip(other).enumerate() {
        let missing = |of: &[(Cell, bool)], from: &[(Cell, bool)]| {
            of.iter().find(|told| !from.contains(told)).cloned()
        };
        let (less, more) = (missing(one, other), missing(other, one));
        assert!(
            less.is_none() && more.is_none() && one.len() == other.len(),
            "{case}, step {step}: told by one alone {less:?}, by the others alone {more:?}"
        );
    }
}

/// What the oracle releases of the records held behind every step, whatever was told before.
fn oracle(settings: &Settings, steps: &Steps) -> Vec<Released> {
    let mut events = Vec::new();
    let each = steps.iter().map(|(more, _)| {
        events.extend(more.iter().cloned());
        released(tributary_oracle::cells(
            settings,
            &tributary_oracle::hold(&events),
        ))
    });
    each.collect()
}

#[test]
fn the_default_gate_tells_what_is_so_and_takes_it_back() {
    let settings = brand(50, 10);
    let start = chosen("TRIBUTARY_SEED", 0);
    let (mut shown, mut waited) = (0, 0);
    for seed in start..start + chosen("TRIBUTARY_HISTORIES", 2_000) / 40 {
        let mut rng = StdRng::seed_from_u64(seed);
        let history = crowd(&mut rng);
        let steps = and_all_is_taken_back(history.clone());
        let workers = [1, 2, 3, 8];
        let [one, others @ ..] =
            workers.map(|workers| sorted(told(&settings, workers, &[], &steps)));
        for (other, workers) in others.iter().zip(&workers[1..]) {
            same(&one, other, &format!("seed {seed}: {workers} workers"));
        }
        let (right, all) = (oracle(&settings, &steps), known(&one));
        for (step, (told, right)) in one.iter().zip(&right).enumerate() {
            for (cell, _) in told.iter().filter(|(cell, _)| !cell.values.is_empty()) {
                let so = right.get(&(cell.family, cell.dims.clone()));
                assert_eq!(so, Some(&cell.values), "seed {seed}, step {step}: {cell:?}");
                shown += 1;
            }
        }
        waited += all
            .iter()
            .zip(&right)
            .filter(|(all, right)| all != right)
            .count();
        assert!(
            all.last().unwrap().is_empty(),
            "seed {seed}: {:?}",
            all.last()
        );
        let workers = workers[(seed % 4) as usize];
        for sizes in sizes(&settings, workers, &steps) {
            let left: Vec<_> = sizes.iter().filter(|(_, entries)| **entries > 0).collect();
            assert!(left.is_empty(), "seed {seed}, {workers} workers: {left:?}");
        }

        // A restart in the middle: all that was known goes in at once, and what stood outside is met.
        let middle = rng.random_range(0..history.len());
        let before = steps[..=middle]
            .iter()
            .flat_map(|(events, _)| events.clone());
        let mut again = vec![(before.collect(), steps[middle].1)];
        again.extend(steps[middle + 1..].iter().cloned());
        let stood = all[middle].iter().map(|((family, dims), values)| {
            let cell = Cell {
                family: *family,
                dims: dims.clone(),
                values: values.clone(),
            };
            (cell, steps[middle].1)
        });
        let stood: Vec<(Cell, i64)> = stood.collect();
        if stood.is_empty() {
            continue;
        }
        let again = told(&settings, workers, &stood, &again);
        for (step, (told, right)) in again.iter().zip(&right[middle..]).enumerate() {
            for (cell, news) in told.iter().filter(|(cell, _)| !cell.values.is_empty()) {
                let so = right.get(&(cell.family, cell.dims.clone()));
                let is_known = !news && stood.iter().any(|(stood, _)| stood == cell);
                assert!(
                    is_known || so == Some(&cell.values),
                    "seed {seed}, step {step} after a restart: {cell:?}, not {so:?}"
                );
            }
        }
        let last = known(&again).pop().unwrap();
        assert!(last.is_empty(), "seed {seed}, after a restart: {last:?}");
    }
    assert!(
        shown > 1_000 && waited > 10,
        "{shown} told, {waited} steps in which something waits"
    );
}

/// The histories of all kinds of records, at small gates: the same on any number of workers.
#[test]
fn what_waits_is_the_same_on_any_number_of_workers() {
    for seed in 0..chosen("TRIBUTARY_HISTORIES", 2_000) / 40 {
        let History {
            mut settings,
            batches,
            ..
        } = random(400_000 + seed, 150);
        let mut rng = StdRng::seed_from_u64(seed);
        for brand in settings.brands.values_mut() {
            (brand.k, brand.k_delta) = (2, Some(rng.random_range(2..4)));
        }
        let mut now = START;
        let steps: Steps = batches
            .into_iter()
            .map(|batch| {
                now += [MINUTE, DAY, 8 * DAY][rng.random_range(0..3)];
                // Pings need salts, which other tests have.
                let is_ping =
                    |event: &Event| matches!(event, Event::Ping { .. } | Event::DropDevice { .. });
                let events = batch.into_iter().filter(|event| !is_ping(event));
                (events.collect(), now)
            })
            .collect();
        let one = sorted(told(&settings, 1, &[], &steps));
        for workers in [2, 3, 8] {
            let other = sorted(told(&settings, workers, &[], &steps));
            same(&one, &other, &format!("seed {seed}: {workers} workers"));
        }
    }
}
