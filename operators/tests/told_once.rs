//! A restart: what stood outside is put in beside what is computed anew, and only the differences are told. For random
//! histories that went on while nobody was there, on any number of workers, the outside holds in the end what a batch
//! computation says, and nothing was told that it knew (invariant I4).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use support::{Released, know_salts, put_in, released};
use tributary_operators::cell::Cell;
use tributary_operators::dataflow::{Output, build};
use tributary_oracle::history::{History, random, without_dropped_devices};

/// The cells after the first `batches` of a history.
fn after(history: &History, batches: usize) -> Released {
    let held = tributary_oracle::hold(history.batches[..batches].iter().flatten());
    released(tributary_oracle::cells(&history.settings, &held))
}

/// Restarts with everything that was held and with what stood outside, and returns what is told, each with whether it is
/// news.
fn restart(history: &History, stood: &Released, workers: usize) -> Vec<(Cell, bool)> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let settings = Arc::new(history.settings.clone());
    // All of it goes in at once, and in one epoch what is dropped goes before what is heard.
    let events = Arc::new(without_dropped_devices(history.batches.concat()));
    let (stood, sink) = (Arc::new(stood.clone()), told.clone());
    let config = match workers {
        1 => timely::Config::thread(),
        n => timely::Config::process(n),
    };
    timely::execute(config, move |worker| {
        let (index, peers) = (worker.index(), worker.peers());
        let sink = sink.clone();
        let mut dataflow = build(worker, settings.clone(), move |_, output| {
            if let Output::Cell { cell, news, .. } = output {
                sink.lock().unwrap().push((cell, news));
            }
        });
        if index == 0 {
            for ((family, dims), values) in stood.iter() {
                let (family, dims, values) = (*family, dims.clone(), values.clone());
                let cell = Cell {
                    family,
                    dims,
                    values,
                };
                dataflow.stood(cell, 0);
            }
        }
        know_salts(&mut dataflow, events.iter());
        dataflow.live();
        for event in events.iter().skip(index).step_by(peers) {
            put_in(&mut dataflow, worker, event);
        }
        // Workers come to the end of what they know at different times, and one releases before all have.
        for epoch in 0..peers as u64 + 1 {
            dataflow.advance_to(epoch + 1);
            while !dataflow.is_done_before(epoch + 1) {
                worker.step_or_park(Some(Duration::from_micros(200)));
            }
            if epoch == index as u64 {
                dataflow.complete();
                dataflow.release(0);
            }
        }
        dataflow.end();
    })
    .expect("the dataflow runs");
    let mut told = told.lock().unwrap();
    std::mem::take(&mut *told)
}

#[test]
fn only_differences_are_told() {
    for seed in 0..40 {
        let history = random(1_000_000 + seed, 60);
        let epochs = history.batches.len();
        for workers in [1, 2, 3, 8] {
            // The outside knows an earlier moment, from nothing at all to the present one.
            let stood = after(&history, seed as usize % (epochs + 1));
            let expected = after(&history, epochs);
            let told = restart(&history, &stood, workers);
            let mut outside = stood.clone();
            let mut shown = BTreeMap::new();
            for (cell, news) in told {
                let name = (cell.family, cell.dims);
                match cell.values.is_empty() {
                    true => drop(shown.remove(&name)),
                    false => drop(shown.insert(name.clone(), cell.values.clone())),
                }
                if news {
                    let known = outside.get(&name).cloned().unwrap_or_default();
                    assert_ne!(known, cell.values, "seed {seed}: known outside: {name:?}");
                    match cell.values.is_empty() {
                        true => drop(outside.remove(&name)),
                        false => drop(outside.insert(name, cell.values)),
                    }
                }
            }
            assert_eq!(outside, expected, "seed {seed}, {workers} workers: outside");
            assert_eq!(shown, expected, "seed {seed}, {workers} workers: the board");
        }
    }
}
