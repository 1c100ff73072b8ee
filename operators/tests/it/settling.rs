//! Settling in the middle of random histories: the sightings of old salt days go, and no cell changes.
//!
//! What the dataflow answers that they leave is entered as a worker enters it, in one epoch with the mark. The oracle receives
//! the same events: before, it computes what stays weigh from sightings and pings; after, from the records alone. What comes
//! later in a history (consent, rights, corrections, links, exposures) changes settled visits like any record, and some of them
//! are erased. A restart reads what settled the days before anything else, and ends the same.
//!
//! `TRIBUTARY_HISTORIES` sets the number of histories, `TRIBUTARY_SEED` the first seed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use crate::random_histories::closings;
use crate::support::runner::{Runner, on_workers};
use crate::support::{Released, number_from_env, released};
use tributary_operators::ask::{Question, Reply};
use tributary_operators::dataflow::Output;
use tributary_operators::event::Event;
use tributary_operators::record::{Arrival, Body, BrandId, Day, IdKind, Record, RecordKey};
use tributary_oracle::history::{History, random};

/// A place in the order of arrival behind every other.
const LAST: Arrival = Arrival {
    message: u64::MAX,
    line: 0,
};

/// What happens to a history beside what it tells.
#[derive(Clone)]
struct Plan {
    /// Before which batch sightings are settled.
    at: usize,
    /// For each brand, the first salt day that is not settled.
    before: BTreeMap<BrandId, Day>,
    /// Whether salt days are closed as they end.
    closes: bool,
    /// After which batch every second of the records that settling leaves is erased.
    erases: usize,
    /// Whether everything is retracted at the end.
    retracts: bool,
    /// The events that settled the days before a restart, which enter before everything else. None are asked for then.
    restored: Vec<Event>,
    /// The drops of the sightings, which a ledger has as well.
    dropped: Vec<Event>,
}

/// A plan for a history; `None` if it has no sightings.
fn plan(history: &History, seed: u64) -> Option<Plan> {
    let mut days: BTreeMap<BrandId, BTreeSet<Day>> = BTreeMap::new();
    for event in history.batches.iter().flatten() {
        if let Event::Put { record, .. } = event
            && let Body::Sighting { salt_day, .. } = record.body
        {
            days.entry(record.brand).or_default().insert(salt_day);
        }
    }
    let before = days.into_iter().map(|(brand, days)| {
        let day = days.iter().nth(seed as usize % days.len()).unwrap();
        (brand, day + 1)
    });
    let before: BTreeMap<BrandId, Day> = before.collect();
    let batches = history.batches.len();
    let at = batches - seed as usize / 5 % batches.div_ceil(2);
    (!before.is_empty()).then_some(Plan {
        at,
        before,
        closes: seed.is_multiple_of(2),
        erases: at + seed as usize % 3,
        retracts: seed.is_multiple_of(3),
        restored: Vec::new(),
        dropped: Vec::new(),
    })
}

/// Leaves out what a decoder refuses: sightings without a device, and those of settled days that arrive later.
fn refuse(history: &mut History, plan: &Plan) {
    for (at, batch) in history.batches.iter_mut().enumerate() {
        batch.retain(|event| {
            let Event::Put { record, .. } = event else {
                return true;
            };
            let Body::Sighting { salt_day, .. } = record.body else {
                return true;
            };
            let has_device = record.ids.ids().iter().any(|id| id.kind == IdKind::Device);
            let before = plan.before.get(&record.brand);
            has_device && (at < plan.at || before.is_none_or(|before| salt_day >= *before))
        });
    }
}

/// Gives sightings the days that a decoder gives them: those of the brand's zone, which is UTC here.
fn date_sightings(history: &mut History) {
    for event in history.batches.iter_mut().flatten() {
        if let Event::Put { record, .. } = event
            && matches!(record.body, Body::Sighting { .. })
        {
            record.day = history.settings.brands[&record.brand]
                .utc_offsets
                .day(record.ts);
        }
    }
}

/// What a run published and did.
struct Outcome {
    /// After each batch, and after the epoch that settles, which precedes the batch of the plan.
    released: Vec<Released>,
    /// The events that settled the days.
    settled: Vec<Event>,
    /// The drops of the sightings.
    dropped: Vec<Event>,
    /// The entries that are left at the end, by operator.
    left: BTreeMap<&'static str, usize>,
}

/// Asks what is left of the sightings, in an epoch of its own, and returns the events that settle them on the first worker.
fn ask(runner: &mut Runner, plan: &Plan, outputs: &mut Vec<(u64, Output)>) -> Vec<Event> {
    if runner.index == 0 {
        for (number, (brand, before)) in plan.before.iter().enumerate() {
            let (brand, before) = (*brand, *before);
            let question = Question::Settle { brand, before };
            runner.dataflow.ask(number as u64, question);
        }
    }
    runner.end(1);
    let mut records: BTreeMap<RecordKey, Record> = BTreeMap::new();
    let mut events = Vec::new();
    for (epoch, output) in runner.take_outputs() {
        match output {
            Output::Answer(answer) => match answer.reply {
                Reply::Settled(key, record) => {
                    let held = records.entry(key).or_insert_with(|| (*record).clone());
                    if record.ts > held.ts {
                        *held = *record;
                    }
                }
                Reply::Unmatched(unmatched) if unmatched.stays > 0 => {
                    events.push(Event::UnmatchedStays { unmatched });
                }
                _ => {}
            },
            other => outputs.push((epoch, other)),
        }
    }
    if runner.index > 0 {
        return Vec::new();
    }
    events.extend(records.into_iter().map(|(key, record)| Event::Put {
        key,
        version: 0,
        arrival: Arrival::default(),
        record,
    }));
    let marks = plan.before.iter();
    events.extend(marks.map(|(brand, before)| Event::SightingsSettled {
        brand: *brand,
        before: *before,
    }));
    events
}

/// Erases every second of the records that settling left.
fn erasures(settled: &[Event]) -> Vec<Event> {
    let keys = settled.iter().filter_map(|event| match event {
        Event::Put { key, .. } => Some(*key),
        _ => None,
    });
    let drop = |key| Event::Drop { key, arrival: LAST };
    keys.step_by(2).map(drop).collect()
}

/// Plays a history by a plan.
fn play(history: &History, plan: &Plan, workers: usize) -> Outcome {
    let (batches, of_run) = (Arc::new(history.batches.clone()), plan.clone());
    let closings = closings(history);
    let known: Arc<Mutex<Vec<Event>>> = Arc::default();
    let shared = known.clone();
    let of_workers = on_workers(&history.settings, workers, move |runner| {
        let plan = &of_run;
        let (mut outputs, mut ends) = (Vec::new(), Vec::new());
        let mut settled = Vec::new();
        runner.start(batches.iter().flatten());
        let end = |runner: &mut Runner, ends: &mut Vec<u64>| {
            if runner.index == 0 {
                runner.dataflow.release(0);
            }
            ends.push(runner.end(1));
        };
        for at in 0..=batches.len() {
            if at == 0 {
                runner.put(&plan.restored);
                if runner.index == 0 {
                    settled.clone_from(&plan.restored);
                }
            }
            if at == plan.at {
                if plan.restored.is_empty() {
                    settled = ask(runner, plan, &mut outputs);
                    for event in settled.iter().cloned() {
                        match event {
                            Event::SightingsSettled { brand, before } => {
                                runner.dataflow.settle_sightings(brand, before);
                            }
                            event => runner.dataflow.apply(event),
                        }
                    }
                }
                end(runner, &mut ends);
                // A ledger that erases a sighting does not know what it superseded in others.
                if plan.restored.is_empty() && runner.index == 0 {
                    for (brand, before) in &plan.before {
                        runner.dataflow.erase_sightings(*brand, *before);
                    }
                }
            }
            if at == plan.erases {
                erasures(&settled)
                    .into_iter()
                    .for_each(|event| runner.dataflow.apply(event));
            }
            if let Some(batch) = batches.get(at) {
                runner.put(batch);
            }
            if at == batches.len() && runner.index == 0 {
                let dropped = plan.dropped.iter().cloned();
                dropped.for_each(|event| runner.dataflow.apply(event));
            }
            for (brand, before) in closings
                .get(at)
                .into_iter()
                .flatten()
                .filter(|_| plan.closes)
            {
                runner.dataflow.close_salt_days(*brand, *before);
            }
            end(runner, &mut ends);
        }
        if plan.retracts {
            let all = batches.iter().flatten().chain(&settled);
            let keys: BTreeSet<RecordKey> = all
                .filter_map(|event| match event {
                    Event::Put { key, .. } => Some(*key),
                    _ => None,
                })
                .collect();
            for key in keys {
                runner.dataflow.apply(Event::Drop { key, arrival: LAST });
            }
            runner.end(1);
        }
        if runner.index == 0 {
            *shared.lock().unwrap() = settled;
        }
        outputs.extend(runner.take_outputs());
        (outputs, ends, runner.dataflow.sizes.all())
    });
    let ends = of_workers[0].1.clone();
    let mut left = BTreeMap::new();
    let (mut cells, mut dropped) = (Vec::new(), Vec::new());
    for (index, (outputs, _, sizes)) in of_workers.into_iter().enumerate() {
        for (operator, entries) in sizes {
            *left.entry(operator).or_default() += entries;
        }
        for (epoch, output) in outputs {
            match output {
                Output::Cell { cell, .. } => cells.push((epoch, cell)),
                // All workers hear of it.
                Output::Expired(of) if index == 0 => dropped.push(Event::Drop {
                    key: of.key,
                    arrival: of.behind,
                }),
                _ => {}
            }
        }
    }
    cells.sort_by_key(|(epoch, _)| *epoch);
    let mut cells = cells.into_iter().peekable();
    let mut now = Released::new();
    let released = ends.into_iter().map(|end| {
        while let Some((_, cell)) = cells.next_if(|(epoch, _)| *epoch < end) {
            match cell.values.is_empty() {
                true => drop(now.remove(&(cell.family, cell.dims))),
                false => drop(now.insert((cell.family, cell.dims), cell.values)),
            }
        }
        now.clone()
    });
    let released = released.collect();
    let settled = std::mem::take(&mut *known.lock().unwrap());
    Outcome {
        released,
        settled,
        dropped,
        left,
    }
}

/// What the oracle says at the same times.
fn expected(history: &History, plan: &Plan, settled: &[Event]) -> Vec<Released> {
    let mut events: Vec<Event> = Vec::new();
    let mut all = Vec::new();
    let cells = |events: &[Event]| {
        let held = tributary_oracle::fold_events(events);
        released(tributary_oracle::cells(&history.settings, &held))
    };
    for at in 0..=history.batches.len() {
        if at == plan.at {
            all.push(cells(&events));
            events.extend(settled.iter().cloned());
            // Nothing changes by it.
            let after = cells(&events);
            if let Some(before) = all.last().filter(|before| **before != after) {
                differ(&after, before);
                panic!("settling changes what the oracle says, before batch {at}");
            }
        }
        if at == plan.erases {
            events.extend(erasures(settled));
        }
        events.extend(history.batches.get(at).into_iter().flatten().cloned());
        all.push(cells(&events));
    }
    all
}

/// Prints what differs.
fn differ(actual: &Released, expected: &Released) {
    let keys: BTreeSet<_> = actual.keys().chain(expected.keys()).collect();
    for key in keys {
        let (actual, expected) = (actual.get(key), expected.get(key));
        if actual != expected {
            println!("{key:?}: dataflow {actual:?}, oracle {expected:?}");
        }
    }
}

/// The guarantee of this module, on 1, 2, 3 and 8 workers.
#[test]
fn settling_changes_no_cell_and_what_follows_equals_the_oracle() {
    let start = number_from_env("TRIBUTARY_SEED", 0);
    let mut reached = [0; 4];
    for seed in start..start + number_from_env("TRIBUTARY_HISTORIES", 400) / 16 {
        let mut history = random(seed, 40 + (seed % 7) as usize * 25);
        if !seed.is_multiple_of(4) {
            for brand in history.settings.brands.values_mut() {
                (brand.k, brand.k_traffic) = (0, 0);
            }
        }
        let Some(plan) = plan(&history, seed) else {
            continue;
        };
        refuse(&mut history, &plan);
        date_sightings(&mut history);
        let workers = [1, 2, 3, 8][(seed / 3 % 4) as usize];
        let outcome = play(&history, &plan, workers);
        for event in &outcome.settled {
            match event {
                Event::Put { record, .. } if record.ids.ids().len() > 1 => reached[1] += 1,
                Event::Put { record, .. } => {
                    reached[0] += usize::from(matches!(record.body, Body::SettledVisit { .. }));
                }
                Event::UnmatchedStays { .. } => reached[2] += 1,
                _ => {}
            }
        }
        let expected = expected(&history, &plan, &outcome.settled);
        assert_eq!(outcome.released.len(), expected.len());
        for (at, (actual, expected)) in outcome.released.iter().zip(&expected).enumerate() {
            if actual != expected {
                differ(actual, expected);
                println!("{:?} settled before batch {}", plan.before, plan.at);
                panic!("seed {seed}, {workers} workers: epoch {at} differs");
            }
        }
        // After a restart a ledger may be read before the one with the sightings.
        let restart = Plan {
            restored: outcome.settled.clone(),
            dropped: outcome.dropped.clone(),
            ..plan.clone()
        };
        let again = play(&history, &restart, workers);
        let again = again.released.last().unwrap();
        let expected = expected.last().unwrap();
        if again != expected {
            differ(again, expected);
            panic!("seed {seed}, {workers} workers: a restart differs");
        }
        if plan.retracts {
            reached[3] += 1;
            for operator in ["Upsert", "PolicyFilter", "PersonJoin", "Person"] {
                assert_eq!(
                    outcome.left.get(operator),
                    Some(&0),
                    "seed {seed}: {operator}"
                );
            }
            if plan.closes && plan.before.values().all(|before| *before > 40_000) {
                assert_eq!(outcome.left.get("Matching"), Some(&0), "seed {seed}");
            }
        }
    }
    println!("settled visits, links, numbers of stays, retractions: {reached:?}");
    assert!(reached.iter().all(|count| *count > 0), "{reached:?}");
}
