//! Exposures become counts in the middle of random histories, and no number changes but the persons of `campaign_day`.
//!
//! Most exposures of a history are given devices that nothing else names. What the dataflow answers that they leave equals what
//! the oracle finds, and both go on with it: with withdrawals and renewals before and after, with records that name such a
//! device later, and with exposures that are sent again. A restart reads what remains before anything else, and ends the same.
//!
//! `TRIBUTARY_HISTORIES` sets the number of histories, `TRIBUTARY_SEED` the first seed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Barrier, Mutex};

use crate::support::runner::{Runner, on_workers};
use crate::support::{Released, number_from_env, released};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tributary_operators::allowed_uses::{AllowedUses, Use};
use tributary_operators::ask::{Question, Reply};
use tributary_operators::cell::Family;
use tributary_operators::dataflow::Output;
use tributary_operators::event::Event;
use tributary_operators::label::{Channel, Label};
use tributary_operators::matching::device_ids;
use tributary_operators::record::{
    Arrival, Body, BrandId, Day, IdSet, Pseudonym, Record, RecordKey, TouchKind,
};
use tributary_operators::settled_exposures::SettledExposures;
use tributary_oracle::history::{History, random};

const DAY: i64 = 86_400_000;

/// What happens to a history beside what it tells.
#[derive(Clone)]
struct Plan {
    /// Before which batches exposures become counts.
    at: Vec<usize>,
    /// As of when, Unix milliseconds.
    now: i64,
    /// The events that made counts of exposures before a restart, which enter before everything else.
    restored: Vec<Event>,
}

/// A device that only exposures name, of a brand.
fn device(brand: BrandId, number: u128) -> Pseudonym {
    (0xd000 + number) << 64 | u128::from(brand.0)
}

/// A statement about a device.
fn statement(brand: BrandId, number: u128, (order, ts): (u128, i64), steps: AllowedUses) -> Event {
    let ids = device_ids(device(brand, number));
    let record = Record {
        brand,
        source: Label::ABSENT,
        id: format!("statement {number} {order}").into(),
        ts,
        day: 0,
        ids,
        body: Body::Consent {
            steps,
            string: None,
            boxes: None,
        },
    };
    Event::Put {
        key: RecordKey(device(brand, number) << 8 | order),
        version: 0,
        arrival: Arrival::default(),
        record,
    }
}

/// Gives most exposures of a history devices of their own, which allow most of it, and changes their mind. Returns the plan.
fn prepare(history: &mut History, rng: &mut StdRng) -> Option<Plan> {
    let devices = rng.random_range(1..5);
    let mut times: Vec<i64> = Vec::new();
    let brands = history.settings.brands.clone();
    let count = history.batches.len();
    let at = rng.random_range(count / 2..=count);
    for (number, batch) in history.batches.iter_mut().enumerate() {
        for event in batch {
            let Event::Put { key, record, .. } = event else {
                continue;
            };
            let of = record.brand;
            // Some contacts are exposures, too.
            if let Body::Contact { kind, channel, .. } = record.body
                && key.0 >> 40 & 7 < 4
            {
                let kind = match kind {
                    TouchKind::View => TouchKind::Click,
                    kind => kind,
                };
                record.body = Body::Exposure { kind, channel };
            }
            match record.body {
                Body::Exposure { .. } => {
                    times.push(record.ts);
                    // All versions of a record have the same device.
                    let own = key.0 >> 32 & 0xff;
                    if own % 8 > 0 {
                        record.ids = device_ids(device(of, own % devices));
                    }
                    record.day = brands[&of].utc_offsets.day(record.ts);
                }
                // Another record names the device: sometimes before the exposures settle, and sometimes afterwards.
                Body::Sale { .. } | Body::Contact { .. } | Body::PartnerLink
                    if rng.random_bool(if number < at { 0.01 } else { 0.3 }) =>
                {
                    let mut ids = record.ids.ids().to_vec();
                    let own = rng.random_range(0..devices);
                    ids.extend(device_ids(device(of, own)).ids());
                    record.ids = IdSet::new(ids);
                }
                _ => {}
            }
        }
    }
    let (first, last) = (*times.iter().min()?, *times.iter().max()?);
    for brand in brands.keys() {
        for number in 0..devices {
            let no_credit = AllowedUses::ALL.without(Use::Credit);
            let steps = [
                AllowedUses::ALL,
                AllowedUses::ALL,
                AllowedUses::ALL,
                no_credit,
                AllowedUses::NONE,
            ];
            let mut say = |batch: usize, of: (u128, i64), steps: AllowedUses| {
                let of = statement(*brand, number, of, steps);
                history.batches[batch.min(count - 1)].push(of);
            };
            say(0, (0, first), steps[rng.random_range(0..5)]);
            if rng.random_bool(0.3) {
                let batch = rng.random_range(0..count);
                say(batch, (1, last + 1), AllowedUses::NONE);
                if rng.random_bool(0.7) {
                    let batch = rng.random_range(batch..count);
                    say(batch, (2, last + 2), AllowedUses::ALL);
                }
            }
        }
    }
    let between = last + [-DAY, 2 * DAY, 40 * DAY, 40 * DAY][rng.random_range(0..4)];
    let settle_after = brands.values().map(|of| of.settle_after).max()?;
    let again = rng.random_range(at..=count);
    // Some exposures are sent again.
    let arrival = history.behind(at + 1);
    let puts = history.batches[..at].iter().flatten();
    let again_sent = puts.filter_map(|event| match event {
        Event::Put {
            key,
            version,
            record,
            ..
        } if matches!(record.body, Body::Exposure { .. }) => Some(Event::Put {
            key: *key,
            version: *version,
            arrival,
            record: record.clone(),
        }),
        _ => None,
    });
    let mut again_sent: Vec<Event> = again_sent.collect();
    // Of versions that arrive at one place none is the last.
    let mut keys = BTreeSet::new();
    again_sent.retain(|event| {
        matches!(event, Event::Put { key, .. } if keys.insert(*key)) && rng.random_bool(0.3)
    });
    if let Some(batch) = history.batches.get_mut(at) {
        batch.extend(again_sent);
    }
    Some(Plan {
        at: vec![at, again],
        now: between + settle_after,
        restored: Vec::new(),
    })
}

/// Asks what remains of exposures in epochs of their own, and returns it on the first worker.
fn ask(runner: &mut Runner, plan: &Plan, brands: &[BrandId], together: &Barrier) -> Vec<Event> {
    let mut events = Vec::new();
    for brand in brands.iter().copied() {
        let now = plan.now;
        if runner.index == 0 {
            runner
                .dataflow
                .ask(0, Question::DueExposures { brand, now });
        }
        runner.end(1);
        let mut naming: Vec<Pseudonym> = Vec::new();
        let mut others = Vec::new();
        for (epoch, output) in runner.take_outputs() {
            match output {
                Output::Answer(answer) => match answer.reply {
                    Reply::DueDevice(device) => naming.push(device),
                    other => panic!("{other:?}"),
                },
                other => others.push((epoch, other)),
            }
        }
        runner.keep_outputs(others);
        if runner.index == 0 && !naming.is_empty() {
            naming.sort_unstable();
            naming.dedup();
            let naming = naming.into();
            let question = Question::SettleExposures { brand, naming, now };
            runner.dataflow.ask(0, question);
        }
        runner.end(1);
        let mut others = Vec::new();
        for (epoch, output) in runner.take_outputs() {
            match output {
                Output::Answer(answer) => match answer.reply {
                    Reply::SettledExposures(of) => {
                        events.push(Event::SettledExposures { brand, of });
                    }
                    other => panic!("{other:?}"),
                },
                other => others.push((epoch, other)),
            }
        }
        runner.keep_outputs(others);
        together.wait();
    }
    events
}

/// What a run published and did.
struct Outcome {
    /// After each batch, and after each epoch that settles, which precedes the batch of the plan.
    released: Vec<Released>,
    /// The events that settled exposures, by time.
    settled: Vec<Vec<Event>>,
    /// The keys that ledgers were told to drop.
    dropped: BTreeSet<RecordKey>,
}

/// Plays a history by a plan.
fn play(history: &History, plan: &Plan, workers: usize) -> Outcome {
    let (batches, plan) = (Arc::new(history.batches.clone()), plan.clone());
    let brands: Vec<BrandId> = history.settings.brands.keys().copied().collect();
    let known: Arc<Mutex<Vec<Vec<Event>>>> = Arc::default();
    let shared = known.clone();
    let together = Arc::new(Barrier::new(workers));
    let of_workers = on_workers(&history.settings, workers, move |runner| {
        let mut ends = Vec::new();
        runner.start(batches.iter().flatten());
        let end = |runner: &mut Runner, ends: &mut Vec<u64>| {
            if runner.index == 0 {
                runner.dataflow.release(0);
            }
            ends.push(runner.end(1));
        };
        runner.put(&plan.restored);
        for at in 0..=batches.len() {
            for _ in plan.at.iter().filter(|of| **of == at) {
                if plan.restored.is_empty() {
                    let settled = ask(runner, &plan, &brands, &together);
                    if runner.index == 0 {
                        for event in settled.iter().cloned() {
                            runner.put_here(event);
                        }
                        shared.lock().unwrap().push(settled);
                    }
                }
                end(runner, &mut ends);
            }
            if let Some(batch) = batches.get(at) {
                runner.put(batch);
            }
            end(runner, &mut ends);
        }
        (runner.take_outputs(), ends)
    });
    let ends = of_workers[0].1.clone();
    let (mut cells, mut dropped) = (Vec::new(), BTreeSet::new());
    for (epoch, output) in of_workers.into_iter().flat_map(|(outputs, _)| outputs) {
        match output {
            Output::Cell { cell, .. } => cells.push((epoch, cell)),
            Output::Expired(of) => drop(dropped.insert(of.key)),
            _ => {}
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
    }
}

/// What remains of exposures, added up.
#[derive(Debug, Default, PartialEq)]
struct Remains {
    contacts: BTreeMap<(BrandId, Channel, Day, TouchKind), i64>,
    persons: BTreeMap<(BrandId, i32, Vec<Channel>, Vec<Channel>, bool), i64>,
    keys: BTreeSet<(BrandId, Day, RecordKey)>,
}

impl Remains {
    fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Remains {
        let mut all = Remains::default();
        for event in events {
            let Event::SettledExposures { brand, of } = event else {
                panic!("{event:?}");
            };
            match of.clone() {
                SettledExposures::Contacts {
                    channel,
                    day,
                    kind,
                    contacts,
                } => {
                    let of = (*brand, channel, day, kind);
                    *all.contacts.entry(of).or_default() += contacts;
                }
                SettledExposures::Persons {
                    month,
                    path,
                    reached,
                    in_panel,
                    persons,
                } => {
                    let of = (*brand, month, path, reached, in_panel);
                    *all.persons.entry(of).or_default() += persons;
                }
                SettledExposures::Keys { day, keys } => {
                    let keys = keys.into_iter().map(|key| (*brand, day, key));
                    all.keys.extend(keys);
                }
            }
        }
        all
    }
}

/// Prints what differs.
fn differ(actual: &Released, expected: &Released) {
    let keys: BTreeSet<_> = actual.keys().chain(expected.keys()).collect();
    for key in keys {
        let (actual, expected) = (actual.get(key), expected.get(key));
        if actual != expected {
            println!("{key:?}: {actual:?} instead of {expected:?}");
        }
    }
}

/// Takes out what settling may change: persons of contacts, and what is held of identifiers; of a gate that hides cells,
/// the cells for which persons count.
fn unmoved(mut cells: Released, hides: bool) -> Released {
    let moves = |family: Family| match family {
        Family::Identity => true,
        Family::CampaignDay | Family::MarkovMonth => hides,
        _ => false,
    };
    cells.retain(|(family, _), _| !moves(*family));
    for ((family, _), values) in &mut cells {
        if *family == Family::CampaignDay {
            values[3] = 0;
        }
    }
    cells
}

/// What the oracle says at the same times.
fn expected(history: &History, plan: &Plan, settled: &[Vec<Event>], case: &str) -> Vec<Released> {
    let settings = &history.settings;
    let hides = settings
        .brands
        .values()
        .any(|of| of.k.max(of.k_traffic) > 1);
    let (mut events, mut all, mut settled) = (Vec::new(), Vec::new(), settled.iter());
    let cells = |events: &[Event]| {
        let held = tributary_oracle::fold_events(events);
        released(tributary_oracle::cells(settings, &held))
    };
    for at in 0..=history.batches.len() {
        for _ in plan.at.iter().filter(|of| **of == at) {
            let before = cells(&events);
            let settled = settled.next().unwrap();
            let own = tributary_oracle::settled_exposures(settings, &events, plan.now);
            assert_eq!(Remains::of(settled), Remains::of(&own), "{case}");
            events.extend(settled.iter().cloned());
            let after = cells(&events);
            let (one, other) = (unmoved(after.clone(), hides), unmoved(before, hides));
            if one != other {
                differ(&one, &other);
                panic!("{case}: settling changes what the oracle says");
            }
            all.push(after);
        }
        events.extend(history.batches.get(at).into_iter().flatten().cloned());
        all.push(cells(&events));
    }
    all
}

/// The guarantee of this module, on 1, 2, 3 and 8 workers.
#[test]
fn counts_replace_exposures_and_no_other_number_moves() {
    let start = number_from_env("TRIBUTARY_SEED", 0);
    let mut reached = [0; 6];
    for seed in start..start + number_from_env("TRIBUTARY_HISTORIES", 2_000) / 16 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut history = random(seed, 40 + (seed % 7) as usize * 25);
        if !seed.is_multiple_of(4) {
            for brand in history.settings.brands.values_mut() {
                (brand.k, brand.k_traffic) = (1, 1);
            }
        }
        let Some(plan) = prepare(&mut history, &mut rng) else {
            continue;
        };
        let workers = [1, 2, 3, 8][(seed / 3 % 4) as usize];
        let case = format!("seed {seed}, {workers} workers");
        let outcome = play(&history, &plan, workers);
        let expected = expected(&history, &plan, &outcome.settled, &case);
        assert_eq!(outcome.released.len(), expected.len());
        for (at, (actual, expected)) in outcome.released.iter().zip(&expected).enumerate() {
            if actual != expected {
                differ(actual, expected);
                panic!("{case}: epoch {at} differs, settled before {:?}", plan.at);
            }
        }
        let all = outcome.settled.concat();
        let remains = Remains::of(&all);
        for (_, _, key) in &remains.keys {
            assert!(
                outcome.dropped.contains(key),
                "{case}: {key:?} stays in the ledger"
            );
        }
        reached[0] += remains.contacts.len();
        reached[1] += remains.persons.len();
        let of_touches = remains.persons.keys().filter(|of| of.2.len() > 1);
        reached[2] += of_touches.count();
        reached[3] += remains.persons.keys().filter(|of| !of.3.is_empty()).count();
        reached[4] += remains.persons.keys().filter(|of| of.4).count();
        if all.is_empty() {
            continue;
        }
        // After a restart a ledger may be read before the one with the exposures.
        let restart = Plan {
            restored: all,
            ..plan.clone()
        };
        reached[5] += 1;
        let again = play(&history, &restart, workers);
        let (again, expected) = (again.released.last().unwrap(), expected.last().unwrap());
        if again != expected {
            differ(again, expected);
            panic!("{case}: a restart differs");
        }
    }
    println!(
        "counts, persons, of several channels, reached otherwise, in a panel, restarts: {reached:?}"
    );
    assert!(reached.iter().all(|count| *count > 0), "{reached:?}");
}
