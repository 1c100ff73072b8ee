//! The main test of correctness: random histories against the batch oracle.
//!
//! Histories contain insertions, duplicates, corrections, refunds, late records, deletions,
//! consent, rights, and a clock by which records expire. At every epoch, on any number of workers
//! and for any division into batches, the released cells are those that the oracle computes from
//! the records stored at that time (invariant I1).
//!
//! `TRIBUTARY_HISTORIES` sets the number of histories, `TRIBUTARY_SEED` the first seed. A failing
//! history is reduced before it is reported.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{Pass, Released, number_from_env, released, run, run_settling};
use tributary_operators::event::Event;
use tributary_operators::record::{BrandId, Day};
use tributary_operators::retention_query::Horizons;
use tributary_oracle::history::{History, random, without_dropped_devices};
use tributary_oracle::retention::{RetentionModel, RetentionPeriods};

/// The cells that the oracle computes after every batch.
fn expected(history: &History) -> Vec<Released> {
    let mut retention = RetentionModel::new(&history.settings, &history.periods);
    let batches = history.batches.iter().zip(&history.arrives).enumerate();
    batches
        .map(|(at, (batch, arrives))| {
            retention.advance_clock(*arrives, history.behind(at));
            for event in batch {
                retention.receive(event.clone(), *arrives);
            }
            let held = tributary_oracle::fold_events(retention.events());
            released(tributary_oracle::cells(&history.settings, &held))
        })
        .collect()
}

/// The horizons of a retention pass at a time, Unix milliseconds.
fn horizons(periods: &RetentionPeriods, now: i64) -> Horizons {
    let cutoffs = periods.cutoffs(now);
    Horizons {
        cookies: cutoffs.web,
        transactions: cutoffs.transactions,
        consent: cutoffs.consent,
        identification: cutoffs.persons,
        visits: cutoffs.visits,
        exposures: cutoffs.exposures,
    }
}

/// The events of each batch that a worker accepts: none that has expired on arrival.
fn taken(history: &History) -> Vec<Vec<Event>> {
    let batches = history.batches.iter().zip(&history.arrives);
    let taken = batches.map(|(batch, arrives)| {
        let is_in_time = |event: &&Event| match event {
            Event::Put { record, .. } => history.periods.get(&record.brand).is_none_or(|periods| {
                let horizons = horizons(periods, *arrives);
                horizons.expired_category(record).is_none()
            }),
            _ => true,
        };
        batch.iter().filter(is_in_time).cloned().collect()
    });
    taken.collect()
}

/// The retention passes before each batch: one for every brand and every day that begins.
fn passes(history: &History) -> Vec<Vec<Pass>> {
    const DAY: i64 = 86_400_000;
    let day = |at: usize| history.arrives[at].div_euclid(DAY);
    let of_day = |at: usize, day: i64| {
        let place = history.behind(at);
        history.periods.iter().map(move |(&brand, periods)| Pass {
            brand,
            horizons: horizons(periods, day * DAY),
            links: day * DAY,
            place,
        })
    };
    let begun = |at: usize| day(at.saturating_sub(1)) + 1..=day(at);
    let batches = 0..history.batches.len();
    batches
        .map(|at| begun(at).flat_map(|day| of_day(at, day)).collect())
        .collect()
}

/// After each batch, the salt days without further pings: they are closed and settled.
pub fn closings(history: &History) -> Vec<Vec<(BrandId, Day)>> {
    let brands = history.settings.brands.keys().copied();
    let of = |event: &Event| match event {
        Event::Ping { ping } => Some((ping.brand, ping.salt_day)),
        Event::DropDevice { device } => Some((device.brand, device.salt_day)),
        _ => None,
    };
    let mut first: BTreeMap<BrandId, Day> = brands.map(|brand| (brand, LAST_DAY)).collect();
    let mut closings = Vec::new();
    for batch in history.batches.iter().rev() {
        closings.push(first.iter().map(|(brand, day)| (*brand, *day)).collect());
        for (brand, day) in batch.iter().filter_map(of) {
            first
                .entry(brand)
                .and_modify(|first| *first = day.min(*first));
        }
    }
    closings.reverse();
    closings
}

/// A day later than all days of a history.
const LAST_DAY: Day = 40_000;

/// The cells that the dataflow releases after every batch.
fn actual(history: &History, workers: usize) -> Vec<Released> {
    let closings = closings(history);
    let passes = passes(history);
    run_settling(
        &history.settings,
        &taken(history),
        &passes,
        &closings,
        workers,
    )
    .0
}

/// The first epoch at which the dataflow and the oracle differ.
fn differs(history: &History, workers: usize) -> Option<usize> {
    let (actual, expected) = (actual(history, workers), expected(history));
    actual.iter().zip(&expected).position(|(a, b)| a != b)
}

/// Removes events as long as the history still fails.
fn smallest(mut history: History, workers: usize) -> History {
    history
        .batches
        .truncate(differs(&history, workers).unwrap_or(0) + 1);
    let mut chunk = history
        .batches
        .iter()
        .map(Vec::len)
        .sum::<usize>()
        .div_ceil(2);
    while chunk > 0 {
        let total: usize = history.batches.iter().map(Vec::len).sum();
        let mut from = 0;
        let mut shrunk = false;
        while from < total {
            let mut at = 0;
            let batches = history.batches.iter().map(|batch| {
                let kept = batch.iter().filter(|event| {
                    let drop = (from..from + chunk).contains(&at);
                    at += 1;
                    !drop || matches!(event, Event::LabelName { .. })
                });
                kept.cloned().collect::<Vec<_>>()
            });
            let candidate = History {
                batches: batches.collect(),
                ..history.clone()
            };
            let smaller = candidate.batches.iter().map(Vec::len).sum::<usize>() < total;
            if smaller && differs(&candidate, workers).is_some() {
                history = candidate;
                shrunk = true;
                break;
            }
            from += chunk;
        }
        if !shrunk {
            chunk /= 2;
        }
    }
    history
}

/// Prints the reduced history and panics.
fn report(history: History, workers: usize, seed: u64) -> ! {
    let history = smallest(history, workers);
    let epoch = differs(&history, workers).unwrap_or(0);
    println!("seed {seed}, {workers} workers: epoch {epoch} differs in the history");
    for (epoch, batch) in history.batches.iter().enumerate() {
        for event in batch
            .iter()
            .filter(|event| !matches!(event, Event::LabelName { .. }))
        {
            println!("  epoch {epoch}: {event:?}");
        }
    }
    println!("settings: {:?}", history.settings);
    println!(
        "arrives: {:?}, periods: {:?}",
        history.arrives, history.periods
    );
    let actual = &actual(&history, workers)[epoch];
    let expected = &expected(&history)[epoch];
    for (key, values) in actual {
        if expected.get(key) != Some(values) {
            println!(
                "dataflow: {key:?} {values:?}, oracle: {:?}",
                expected.get(key)
            );
        }
    }
    for (key, values) in expected.iter().filter(|(key, _)| !actual.contains_key(key)) {
        println!("dataflow: nothing, oracle: {key:?} {values:?}");
    }
    panic!("the dataflow and the oracle differ");
}

/// The guarantee of this module, on 1, 2, 3 and 8 workers.
#[test]
fn every_epoch_equals_the_batch_oracle() {
    let start = number_from_env("TRIBUTARY_SEED", 0);
    for seed in start..start + number_from_env("TRIBUTARY_HISTORIES", 400) {
        // Small histories shrink well; rare corners need large ones.
        let size = if seed % 16 == 0 {
            300
        } else {
            4 + (seed % 60) as usize
        };
        let history = random(seed, size);
        let workers = [1, 2, 3, 8][(seed / 3 % 4) as usize];
        if differs(&history, workers).is_some() {
            report(history, workers, seed);
        }
    }
}

/// In many histories the clock lets stored records expire.
#[test]
fn stored_records_expire_in_many_histories() {
    let past = |seed: &u64| {
        let history = random(*seed, 60);
        let mut retention = RetentionModel::new(&history.settings, &history.periods);
        for (at, batch) in history.batches.iter().enumerate() {
            retention.advance_clock(history.arrives[at], history.behind(at));
            for event in batch {
                let _ = retention.receive(event.clone(), history.arrives[at]);
            }
        }
        retention.dropped() > 0
    };
    let many = (0..300).filter(past).count();
    assert!(many > 100, "{many} of 300");
}

/// In many histories a record has expired when it arrives.
#[test]
fn records_expire_before_arrival_in_many_histories() {
    let late = |seed: &u64| {
        let history = random(*seed, 60);
        let taken = taken(&history).into_iter().map(|batch| batch.len());
        taken.sum::<usize>() < history.batches.concat().len()
    };
    let many = (0..300).filter(late).count();
    assert!(many > 100, "{many} of 300");
}

/// The division into batches does not affect the released cells.
#[test]
fn batches_and_workers_do_not_matter() {
    for seed in 100_000..100_000 + number_from_env("TRIBUTARY_HISTORIES", 600) / 100 {
        let history = random(seed, 120);
        let last = |batches: &[Vec<Event>], workers| {
            run(&history.settings, batches, workers)
                .pop()
                .unwrap_or_default()
        };
        // The name of a label arrives before its first use, as decoders ensure.
        let (words, others): (Vec<Event>, Vec<Event>) = history
            .batches
            .concat()
            .into_iter()
            .partition(|e| matches!(e, Event::LabelName { .. }));
        let others = without_dropped_devices(others);
        let at = history.arrives.last().copied().unwrap_or_default();
        let brands = history.settings.brands.keys().copied();
        let links: Vec<Event> = brands.map(|brand| Event::LinkTime { brand, at }).collect();
        let whole = [history.batches.clone(), vec![links.clone()]].concat();
        let reference = last(&whole, 1);
        let mut events = [words, links, others].concat();
        // What is dropped enters no later than its drop; all else may enter in any order.
        let drops = |event: &Event| matches!(event, Event::Drop { .. });
        if events.iter().any(drops) {
            events.sort_by_key(|event| match event {
                Event::Put { arrival, .. } | Event::Drop { arrival, .. } => Some(*arrival),
                _ => None,
            });
        }
        for workers in [1, 2, 3, 8] {
            for batch in [1, 7, usize::MAX] {
                let batches: Vec<Vec<Event>> = events
                    .chunks(batch.min(events.len().max(1)))
                    .map(<[Event]>::to_vec)
                    .collect();
                let result = last(&batches, workers);
                assert!(
                    result == reference,
                    "seed {seed}, {workers} workers, batches of {batch}"
                );
            }
        }
    }
}

/// Settled totals replace the pings of their days: whatever a crash leaves of these pings, and on
/// any number of workers, each ping counts once, and later days settle as they would have.
#[test]
fn settled_totals_count_once_after_a_restart() {
    let mut reached = BTreeSet::new();
    for seed in 200_000..200_000 + number_from_env("TRIBUTARY_HISTORIES", 400) / 10 {
        let history = random(seed, 120);
        let (workers, later) = [(1, 3), (2, 1), (3, 8), (8, 2)][(seed % 4) as usize];
        let all = closings(&history);
        let (before, settled) =
            run_settling(&history.settings, &history.batches, &[], &all, workers);
        let kill = history.batches.len() / 2;
        let kept: Vec<Event> = settled
            .iter()
            .filter(|(at, _)| *at < kill)
            .map(|(_, event)| event.clone())
            .collect();
        let closed: BTreeMap<BrandId, Day> = kept
            .iter()
            .filter_map(|event| match event {
                Event::SaltDaysClosed { brand, before } => Some((*brand, *before)),
                _ => None,
            })
            .collect();
        // The pings of days that settled are there as long as no rewrite has left them out; a part of them may be.
        let mut pings = 0;
        let mut still = |event: &Event| {
            let (brand, day) = match event {
                Event::Ping { ping } => (ping.brand, ping.salt_day),
                Event::DropDevice { device } => (device.brand, device.salt_day),
                _ => return true,
            };
            pings += 1;
            closed.get(&brand).is_none_or(|before| day >= *before) || (seed + pings) % 3 > 0
        };
        let mut restored: Vec<Vec<Event>> = history.batches[..kill].to_vec();
        restored
            .iter_mut()
            .for_each(|batch| batch.retain(&mut still));
        let place = (seed as usize / 4) % (kill + 1);
        restored.insert(place, kept.clone());
        // Nothing is released before all words are there again.
        let is_word = |event: &&Event| matches!(event, Event::LabelName { .. });
        let words = restored.iter().flatten().filter(is_word).cloned().collect();
        restored.insert(0, words);
        let batches = [restored, history.batches[kill..].to_vec()].concat();
        let restoring = vec![Vec::new(); kill + 2];
        let closings = [restoring, all[kill..].to_vec()].concat();
        let (after, _) = run_settling(&history.settings, &batches, &[], &closings, later);
        // With what settles behind the last restored batch the two are level.
        let level = kill + 2;
        for (at, (after, before)) in after[level..].iter().zip(&before[kill..]).enumerate() {
            for (key, values) in before {
                assert_eq!(
                    after.get(key),
                    Some(values),
                    "seed {seed}, batch {at}: {key:?}"
                );
            }
            assert_eq!(after.len(), before.len(), "seed {seed}, batch {at}");
        }
        reached.insert((kept.len() > closed.len(), closed.len() > 1));
    }
    assert!(reached.contains(&(true, true)), "{reached:?}");
}
