//! Runs a history through the real dataflow and says what was released at the end of every epoch, or what is
//! answered to questions after the last.

#![allow(dead_code, reason = "each test uses its part")]

pub mod shop;
pub mod story;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Barrier, Mutex};

use timely::worker::Worker;
use tributary_operators::ask::{Question, Reply};
use tributary_operators::cell::{Cell, Dim, Family};
use tributary_operators::dataflow::{Dataflow, Output, Salted, build};
use tributary_operators::event::Event;
use tributary_operators::record::{Arrival, BrandId, Day, DeviceDay, Ping, Record, RecordKey};
use tributary_operators::retention::{Cutoffs, Inquiry};
use tributary_operators::salt::Salt;
use tributary_operators::settings::Settings;

/// How much of something a test takes: what the environment says, so that it can be run longer.
pub fn chosen(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// The released cells at one moment.
pub type Released = BTreeMap<(Family, Vec<Dim>), Vec<i128>>;

/// Turns the oracle's list into the same shape.
pub fn released(cells: Vec<Cell>) -> Released {
    cells
        .into_iter()
        .map(|cell| ((cell.family, cell.dims), cell.values))
        .collect()
}

/// Runs the batches as epochs on a number of workers, and returns what is released after each.
pub fn run(settings: &Settings, batches: &[Vec<Event>], workers: usize) -> Vec<Released> {
    run_keeping(settings, batches, &[], workers)
}

/// For every batch, up to where the salt days of brands are over once it has gone in.
pub type Closings = [Vec<(BrandId, Day)>];

/// A pass over the retention of a brand, with the place in the order of arrival of what it takes back.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    pub brand: BrandId,
    pub cutoffs: Cutoffs,
    pub place: Arrival,
    /// The time by which links are judged from here on.
    pub links: i64,
}

/// The same, with passes before each batch, one after the other.
pub fn run_keeping(
    settings: &Settings,
    batches: &[Vec<Event>],
    passes: &[Vec<Pass>],
    workers: usize,
) -> Vec<Released> {
    run_settling(settings, batches, passes, &[], workers).0
}

/// The same, with the salt days that end behind each batch. What settled comes as well, with the batch behind which it
/// did.
pub fn run_settling(
    settings: &Settings,
    batches: &[Vec<Event>],
    passes: &[Vec<Pass>],
    closings: &Closings,
    workers: usize,
) -> (Vec<Released>, Vec<(usize, Event)>) {
    let outputs = Arc::new(Mutex::new(Vec::new()));
    let settled = Arc::new(Mutex::new(Vec::new()));
    let (to_keep, closings) = (settled.clone(), Arc::new(closings.to_vec()));
    let ends = Arc::new(Mutex::new(Vec::new()));
    let (settings, batches, passes) = (
        Arc::new(settings.clone()),
        Arc::new(batches.to_vec()),
        Arc::new(passes.to_vec()),
    );
    let (sink, ended) = (outputs.clone(), ends.clone());
    let config = match workers {
        1 => timely::Config::thread(),
        n => timely::Config::process(n),
    };
    let together = Arc::new(Barrier::new(workers));
    let goes_on = Arc::new(AtomicBool::new(false));
    timely::execute(config, move |worker| {
        let (index, peers) = (worker.index(), worker.peers());
        let (sink, kept) = (sink.clone(), to_keep.clone());
        let told = Arc::new(Mutex::new(Vec::new()));
        let answers = told.clone();
        let mut dataflow = build(
            worker,
            settings.clone(),
            move |epoch, output| match output {
                Output::Cell { cell, news, .. } => sink.lock().unwrap().push((epoch, cell, news)),
                Output::Answer(answer) => answers.lock().unwrap().push(answer.reply),
                Output::Settled(_, settled) => kept
                    .lock()
                    .unwrap()
                    .push((epoch, Event::Settled { settled })),
                Output::Closed(brand, before) => kept
                    .lock()
                    .unwrap()
                    .push((epoch, Event::Closed { brand, before })),
                Output::Expired(_) | Output::Unused(..) => {}
            },
        );
        know_salts(&mut dataflow, batches.iter().flatten());
        dataflow.live();
        let mut epoch = 0;
        let mut end = |dataflow: &mut Dataflow, worker: &mut Worker| {
            epoch += 1;
            dataflow.advance_to(epoch);
            while !dataflow.is_done_before(epoch) {
                worker.step_or_park(Some(std::time::Duration::from_micros(200)));
            }
            epoch
        };
        for (at, batch) in batches.iter().enumerate() {
            for pass in passes.get(at).into_iter().flatten() {
                // The first worker asks, and all know by the end of an epoch whether another one follows.
                let (mut inquiry, first) = Inquiry::new(pass.brand, pass.cutoffs);
                let mut next = (index == 0).then_some(first);
                if index == 0 {
                    let (brand, at) = (pass.brand, pass.links);
                    dataflow.event(Event::LinkTime { brand, at });
                }
                loop {
                    if let Some(question) = next.take() {
                        dataflow.ask(0, question);
                    }
                    end(&mut dataflow, worker);
                    if index == 0 {
                        next = inquiry.told(std::mem::take(&mut *told.lock().unwrap()));
                        goes_on.store(next.is_some(), SeqCst);
                    }
                    together.wait();
                    let goes_on = goes_on.load(SeqCst);
                    together.wait();
                    if !goes_on {
                        break;
                    }
                }
                for drop in inquiry.past().drops(pass.place) {
                    dataflow.event(drop);
                }
            }
            for event in batch.iter().skip(index).step_by(peers) {
                put_in(&mut dataflow, worker, event);
            }
            for (brand, before) in closings.get(at).into_iter().flatten() {
                dataflow.days_are_over(*brand, *before);
            }
            if index == at % peers {
                dataflow.release(0);
            }
            let before = end(&mut dataflow, worker);
            if index == 0 {
                ended.lock().unwrap().push(before);
            }
        }
    })
    .expect("the dataflow runs");
    let mut outputs = std::mem::take(&mut *outputs.lock().unwrap());
    outputs.sort_by_key(|(epoch, _, _)| *epoch);
    let mut outputs = outputs.into_iter().peekable();
    let mut now = Released::new();
    let ends = std::mem::take(&mut *ends.lock().unwrap());
    let settled = std::mem::take(&mut *settled.lock().unwrap());
    let settled = settled
        .into_iter()
        .map(|(epoch, event)| (ends.partition_point(|end| *end <= epoch), event))
        .collect();
    let released = ends
        .into_iter()
        .map(|end| {
            while let Some((_, cell, news)) = outputs.next_if(|(of, _, _)| *of < end) {
                assert!(news, "nothing stood outside");
                let key = (cell.family, cell.dims);
                if cell.values.is_empty() {
                    assert!(
                        now.remove(&key).is_some(),
                        "a closed cell was open: {key:?}"
                    );
                } else {
                    let old = now.insert(key, cell.values.clone());
                    assert_ne!(old, Some(cell.values), "what is told is a change");
                }
            }
            now.clone()
        })
        .collect();
    (released, settled)
}

/// The salts of all days of which something is heard: those by which the oracle knows who counts.
pub fn know_salts<'a>(dataflow: &mut Dataflow, events: impl Iterator<Item = &'a Event>) {
    let of = |event: &Event| match event {
        Event::Ping { ping } => Some((ping.brand, ping.salt_day)),
        _ => None,
    };
    let days: BTreeSet<(BrandId, Day)> = events.filter_map(of).collect();
    for (brand, day) in days {
        let salt = Salt::from_bytes(tributary_oracle::crowd::salt(brand, day));
        dataflow.know_salt(brand, day, salt);
    }
}

/// Puts an event in, a ping once its salt is known, as a worker does.
pub fn put_in(dataflow: &mut Dataflow, worker: &mut Worker, event: &Event) {
    match event {
        Event::Ping { ping } => {
            if let Some(heard) = salted(dataflow, worker, *ping) {
                dataflow.event(heard);
            }
        }
        // A history names a device by what it is hashed to, and a worker by its token.
        Event::DropDevice { device } => {
            let ping = Ping {
                brand: device.brand,
                store: device.store,
                device: device.token.0,
                random: false,
                salt_day: device.salt_day,
                second: 0,
                utc_offset: 0,
                rssi: 0,
            };
            if let Some(Event::Heard { heard }) = salted(dataflow, worker, ping) {
                let device = DeviceDay {
                    token: heard.token,
                    ..*device
                };
                dataflow.event(Event::DropDevice { device });
            }
        }
        _ => dataflow.event(event.clone()),
    }
}

fn salted(dataflow: &mut Dataflow, worker: &mut Worker, ping: Ping) -> Option<Event> {
    loop {
        match dataflow.salted(ping) {
            Salted::Heard(heard) => return Some(Event::Heard { heard }),
            Salted::Closed => return None,
            Salted::Waits(_) => {
                worker.step_or_park(Some(std::time::Duration::from_micros(200)));
            }
        }
    }
}

/// What came out of questions.
#[derive(Default)]
pub struct Seen {
    /// The answers to each question, sorted.
    pub answers: Vec<Vec<Reply>>,
}

/// Runs the batches as epochs on a number of workers, then asks one question after the other, each on the next worker
/// and in an epoch of its own. `next` says what is asked, from what was seen so far, until it has no more questions.
pub fn ask(
    settings: &Settings,
    batches: &[Vec<Event>],
    workers: usize,
    next: impl Fn(&Seen) -> Option<Question> + Send + Sync + 'static,
) -> Seen {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let (settings, batches, shared) = (
        Arc::new(settings.clone()),
        Arc::new(batches.to_vec()),
        seen.clone(),
    );
    let config = match workers {
        1 => timely::Config::thread(),
        n => timely::Config::process(n),
    };
    timely::execute(config, move |worker| {
        let (index, peers) = (worker.index(), worker.peers());
        let sink = shared.clone();
        let mut dataflow = build(worker, settings.clone(), move |_, output| {
            if let Output::Answer(answer) = output {
                assert_eq!(answer.asker, index as u64, "who asks is answered");
                let mut seen = sink.lock().unwrap();
                seen.answers[answer.number as usize].push(answer.reply);
            }
        });
        know_salts(&mut dataflow, batches.iter().flatten());
        dataflow.live();
        for (epoch, batch) in (1..).zip(batches.iter()) {
            for event in batch.iter().skip(index).step_by(peers) {
                put_in(&mut dataflow, worker, event);
            }
            dataflow.advance_to(epoch);
            while !dataflow.is_done_before(epoch) {
                worker.step_or_park(Some(std::time::Duration::from_micros(200)));
            }
        }
        // An epoch is over when every worker is through it, so all see the same when they choose what to ask.
        for number in 0.. {
            let question = {
                let mut seen = shared.lock().unwrap();
                seen.answers.truncate(number);
                seen.answers.resize_with(number, Vec::new);
                seen.answers.iter_mut().for_each(|all| all.sort_unstable());
                let question = next(&seen);
                seen.answers.resize_with(number + 1, Vec::new);
                question
            };
            let Some(question) = question else {
                break;
            };
            if index == number % peers {
                dataflow.ask(number as u64, question);
            }
            let epoch = (batches.len() + number + 1) as u64;
            dataflow.advance_to(epoch);
            while !dataflow.is_done_before(epoch) {
                worker.step_or_park(Some(std::time::Duration::from_micros(200)));
            }
        }
    })
    .expect("the dataflow runs");
    let mut seen = seen.lock().unwrap();
    // The last place waited for a question that was not asked.
    seen.answers.pop();
    std::mem::take(&mut *seen)
}

/// What is held under each key after the events, taken in the order of their arrival.
pub fn held<'a>(events: impl IntoIterator<Item = &'a Event>) -> BTreeMap<RecordKey, Record> {
    let mut changes: Vec<&Event> = events.into_iter().collect();
    changes.sort_by_key(|event| match event {
        Event::Put { arrival, .. } | Event::Drop { arrival, .. } => Some(*arrival),
        _ => None,
    });
    let mut held: BTreeMap<RecordKey, (i64, Record)> = BTreeMap::new();
    for event in changes {
        match event {
            Event::Put {
                key,
                version,
                record,
                ..
            } if held.get(key).is_none_or(|(old, _)| version >= old) => {
                held.insert(*key, (*version, record.clone()));
            }
            Event::Drop { key, .. } => drop(held.remove(key)),
            _ => {}
        }
    }
    held.into_iter()
        .map(|(key, (_, record))| (key, record))
        .collect()
}
