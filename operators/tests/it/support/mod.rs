//! Runs a history through the dataflow, and returns what is released at the end of every epoch, or
//! the answers to questions after the last one.

pub mod announcer;
pub mod crowd;
pub mod runner;
pub mod shop;
pub mod story;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Barrier, Mutex};

use runner::{Runner, on_workers};
use tributary_operators::ask::{Question, Reply};
use tributary_operators::cell::{Cell, Dim, Family};
use tributary_operators::dataflow::Output;
use tributary_operators::event::Event;
use tributary_operators::record::{Arrival, BrandId, Day, Record, RecordKey};
use tributary_operators::retention_query::{Horizons, RetentionQuery};
use tributary_operators::settings::Settings;

/// A number from the environment, so that tests can run longer, or a default.
pub fn number_from_env(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// The released cells at one time.
pub type Released = BTreeMap<(Family, Vec<Dim>), Vec<i128>>;

/// The oracle's cells in the same type.
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

/// For every batch, the salt days that are over after it, by brand.
pub type Closings = [Vec<(BrandId, Day)>];

/// A retention pass of a brand.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// The brand.
    pub brand: BrandId,
    /// The horizons of the pass.
    pub horizons: Horizons,
    /// The position of its retractions in the order of arrival.
    pub place: Arrival,
    /// The time as of which the age of links is determined from then on, Unix milliseconds.
    pub links: i64,
}

/// Like [`run`], with retention passes before each batch, one after the other.
pub fn run_keeping(
    settings: &Settings,
    batches: &[Vec<Event>],
    passes: &[Vec<Pass>],
    workers: usize,
) -> Vec<Released> {
    run_settling(settings, batches, passes, &[], workers).0
}

/// Like [`run_keeping`], with the salt days that end after each batch. Also returns the settled
/// totals, each with the batch after which it was settled.
pub fn run_settling(
    settings: &Settings,
    batches: &[Vec<Event>],
    passes: &[Vec<Pass>],
    closings: &Closings,
    workers: usize,
) -> (Vec<Released>, Vec<(usize, Event)>) {
    let (batches, passes) = (Arc::new(batches.to_vec()), Arc::new(passes.to_vec()));
    let closings = Arc::new(closings.to_vec());
    let together = Arc::new(Barrier::new(workers));
    let goes_on = Arc::new(AtomicBool::new(false));
    let of_workers = on_workers(settings, workers, move |runner| {
        let (mut outputs, mut ends) = (Vec::new(), Vec::new());
        runner.start(batches.iter().flatten());
        for (at, batch) in batches.iter().enumerate() {
            for pass in passes.get(at).into_iter().flatten() {
                // The first worker asks, and all know by the end of an epoch whether another one follows.
                let (mut query, first) = RetentionQuery::new(pass.brand, pass.horizons);
                let mut next = (runner.index == 0).then_some(first);
                if runner.index == 0 {
                    let (brand, at) = (pass.brand, pass.links);
                    runner.dataflow.apply(Event::LinkTime { brand, at });
                }
                loop {
                    if let Some(question) = next.take() {
                        runner.dataflow.ask(0, question);
                    }
                    runner.end(1);
                    let mut replies = Vec::new();
                    for (epoch, output) in runner.take_outputs() {
                        match output {
                            Output::Answer(answer) => replies.push(answer.reply),
                            other => outputs.push((epoch, other)),
                        }
                    }
                    if runner.index == 0 {
                        next = query.advance(replies);
                        goes_on.store(next.is_some(), SeqCst);
                    }
                    together.wait();
                    let goes_on = goes_on.load(SeqCst);
                    together.wait();
                    if !goes_on {
                        break;
                    }
                }
                for drop in query.into_expired().drops(pass.place) {
                    runner.dataflow.apply(drop);
                }
            }
            runner.put(batch);
            for (brand, before) in closings.get(at).into_iter().flatten() {
                runner.dataflow.close_salt_days(*brand, *before);
            }
            if runner.index == at % runner.peers {
                runner.dataflow.release(0);
            }
            if at == 0 {
                runner.dataflow.reconcile_restored();
            }
            ends.push(runner.end(1));
        }
        outputs.extend(runner.take_outputs());
        (outputs, ends)
    });
    let ends = of_workers[0].1.clone();
    let (mut outputs, mut settled) = (Vec::new(), Vec::new());
    for (epoch, output) in of_workers.into_iter().flat_map(|(outputs, _)| outputs) {
        match output {
            Output::Cell { cell, is_new, .. } => outputs.push((epoch, cell, is_new)),
            Output::SettledHour(_, of) => settled.push((epoch, Event::SettledHour { settled: of })),
            Output::SettledDevices(of) => {
                settled.push((epoch, Event::SettledDevices { settled: of }));
            }
            Output::ClosedVisits(visits) => {
                settled.push((epoch, Event::ClosedVisits { visits }));
            }
            Output::SaltDaysClosed(brand, before) => {
                settled.push((epoch, Event::SaltDaysClosed { brand, before }));
            }
            _ => {}
        }
    }
    outputs.sort_by_key(|(epoch, _, _)| *epoch);
    let mut outputs = outputs.into_iter().peekable();
    let mut now = Released::new();
    let settled = settled
        .into_iter()
        .map(|(epoch, event)| (ends.partition_point(|end| *end <= epoch), event))
        .collect();
    let released = ends
        .into_iter()
        .map(|end| {
            while let Some((_, cell, is_new)) = outputs.next_if(|(of, _, _)| *of < end) {
                assert!(is_new, "nothing was published before");
                let key = (cell.family, cell.dims);
                if cell.values.is_empty() {
                    assert!(
                        now.remove(&key).is_some(),
                        "a closed cell was open: {key:?}"
                    );
                } else {
                    let old = now.insert(key, cell.values.clone());
                    assert_ne!(old, Some(cell.values), "what is published is a change");
                }
            }
            now.clone()
        })
        .collect();
    (released, settled)
}

/// The answers to questions.
#[derive(Default)]
pub struct Answers {
    /// The answers to each question, sorted.
    pub answers: Vec<Vec<Reply>>,
}

/// Runs the batches as epochs on a number of workers, then asks one question after the other, each
/// on the next worker and in an epoch of its own. `next` returns the next question from the answers
/// so far, or `None` at the end.
pub fn ask(
    settings: &Settings,
    batches: &[Vec<Event>],
    workers: usize,
    next: impl Fn(&Answers) -> Option<Question> + Send + Sync + 'static,
) -> Answers {
    let seen = Arc::new(Mutex::new(Answers::default()));
    let together = Arc::new(Barrier::new(workers));
    let (batches, shared) = (Arc::new(batches.to_vec()), seen.clone());
    on_workers(settings, workers, move |runner| {
        let index = runner.index;
        let collect_answers = |runner: &mut Runner| {
            for (_, output) in runner.take_outputs() {
                if let Output::Answer(answer) = output {
                    assert_eq!(answer.asker, index as u64, "who asks is answered");
                    let mut seen = shared.lock().unwrap();
                    seen.answers[answer.number as usize].push(answer.reply);
                }
            }
        };
        runner.start(batches.iter().flatten());
        for batch in batches.iter() {
            runner.put(batch);
            runner.end(1);
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
            if index == number % runner.peers {
                runner.dataflow.ask(number as u64, question);
            }
            runner.end(1);
            collect_answers(runner);
            // Every worker has received the input before any result is read.
            together.wait();
        }
    });
    let mut seen = seen.lock().unwrap();
    // The last place waited for a question that was not asked.
    seen.answers.pop();
    std::mem::take(&mut *seen)
}

/// The stored record of each key after some events, in the order of their arrival.
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
