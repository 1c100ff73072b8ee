//! Retention passes with concurrent input.
//!
//! A pass takes several epochs, while input continues; it retracts only what it has evaluated. In
//! random histories anything between the evaluation and the retraction counts as if the pass had
//! been instantaneous, every worker reports exactly the records that were retracted, and a ledger
//! that drops them at the reported positions contains the same records.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::runner::on_workers;
use crate::support::{Released, held, number_from_env, released};
use tributary_operators::dataflow::Output;
use tributary_operators::event::Event;
use tributary_operators::record::{Arrival, RecordKey};
use tributary_operators::upsert::ExpiredRecord;
use tributary_oracle::history::{History, random};

/// The numbers of workers of each run.
const WORKERS: [usize; 4] = [1, 2, 3, 8];

/// The final cells, and the retractions that each worker reported.
type Outcome = (Released, Vec<Vec<ExpiredRecord>>);

/// Runs a history in which keys evaluated after one batch expire several batches later.
fn run(
    history: &History,
    judged: (usize, BTreeSet<RecordKey>),
    later: usize,
    workers: usize,
) -> Outcome {
    let batches = history.batches.clone();
    let of_workers = on_workers(&history.settings, workers, move |runner| {
        runner.start(batches.iter().flatten());
        for at in 0..=batches.len().max(judged.0 + later) {
            runner.put(batches.get(at).map(Vec::as_slice).unwrap_or_default());
            if runner.index == 0 && at == judged.0 + later {
                // The epoch of a batch is its number.
                let keys = judged.1.iter();
                keys.for_each(|key| runner.dataflow.expire(*key, judged.0 as u64));
            }
            if runner.index == 0 {
                runner.dataflow.release(0);
            }
            runner.end(1);
        }
        runner.take_outputs()
    });
    let (mut cells, mut stored) = (Vec::new(), vec![Vec::new(); workers]);
    for (stored, outputs) in stored.iter_mut().zip(of_workers) {
        for (epoch, output) in outputs {
            match output {
                Output::Cell { cell, .. } => cells.push((epoch, cell)),
                Output::Expired(expired) => stored.push(expired),
                _ => {}
            }
        }
    }
    cells.sort_by_key(|(epoch, _)| *epoch);
    let mut now = Released::new();
    for (_, cell) in cells {
        let key = (cell.family, cell.dims);
        match cell.values.is_empty() {
            true => drop(now.remove(&key)),
            false => drop(now.insert(key, cell.values)),
        }
    }
    stored.iter_mut().for_each(|stored| stored.sort_unstable());
    (now, stored)
}

/// Makes each position a message of its own, because no message is divided between epochs.
fn alone(event: &mut Event) {
    if let Event::Put { arrival, .. } | Event::Drop { arrival, .. } = event {
        arrival.message = arrival.message * 16 + u64::from(arrival.line);
        arrival.line = 0;
    }
}

/// The version and the position of the stored record of each key.
fn places<'a>(events: impl Iterator<Item = &'a Event>) -> BTreeMap<RecordKey, (i64, Arrival)> {
    let mut places: BTreeMap<RecordKey, (i64, Arrival)> = BTreeMap::new();
    let mut events: Vec<&Event> = events.collect();
    events.sort_by_key(|event| match event {
        Event::Put { arrival, .. } | Event::Drop { arrival, .. } => Some(*arrival),
        _ => None,
    });
    for event in events {
        match event {
            Event::Put {
                key,
                version,
                arrival,
                ..
            } => {
                let place = places.entry(*key).or_insert((*version, *arrival));
                *place = (*place).max((*version, *arrival));
            }
            Event::Drop { key, .. } => drop(places.remove(key)),
            _ => {}
        }
    }
    places
}

/// The guarantees of this module.
#[test]
fn records_after_the_evaluation_stay() {
    let (mut went, mut stayed) = (0, 0);
    for seed in 500_000..500_000 + number_from_env("TRIBUTARY_HISTORIES", 100) {
        let mut history = random(seed, 8 + (seed % 40) as usize);
        history.batches.iter_mut().flatten().for_each(alone);
        if history.batches.len() < 2 {
            continue;
        }
        let at = (seed / 7) as usize % (history.batches.len() - 1);
        let later = 1 + seed as usize % 3;
        let before = history.batches[..=at].iter().flatten();
        // Every second record is past its time, whatever it says.
        let keys = held(before.clone()).into_keys();
        let judged: BTreeSet<RecordKey> = keys.step_by(2).collect();
        let was = places(before);
        // What has changed until the pass retracts stays: changes of its own epoch come after it.
        let until = (at + later).min(history.batches.len());
        let now = places(history.batches[..until].iter().flatten());
        let goes: BTreeSet<RecordKey> = judged
            .iter()
            .filter(|key| now.get(key) == was.get(key))
            .copied()
            .collect();
        went += goes.len();
        stayed += judged.len() - goes.len();

        let workers = WORKERS[(seed % 4) as usize];
        let (cells, stored) = run(&history, (at, judged), later, workers);
        let of_first: BTreeSet<RecordKey> = stored[0].iter().map(|one| one.key).collect();
        assert_eq!(of_first, goes, "seed {seed}, {workers} workers, batch {at}");
        assert!(stored.iter().all(|of| *of == stored[0]), "seed {seed}");

        // A drop at the reported position has the same effect in a ledger.
        let drops = stored[0].iter().map(|one| Event::Drop {
            key: one.key,
            arrival: one.behind,
        });
        let mut events: Vec<Event> = history.batches.concat();
        events.extend(drops);
        let expected =
            tributary_oracle::cells(&history.settings, &tributary_oracle::fold_events(&events));
        let expected = released(expected);
        if cells != expected {
            for event in events
                .iter()
                .filter(|e| !matches!(e, Event::LabelName { .. }))
            {
                println!("{event:?}");
            }
            panic!(
                "seed {seed}, {workers} workers: judged behind batch {at}, retracted {later} later"
            );
        }
    }
    assert!(went > 100 && stayed > 20, "{went} went, {stayed} stayed");
}
