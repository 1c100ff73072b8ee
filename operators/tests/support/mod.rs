//! Runs a history through the real dataflow and says what was released at the end of every epoch.

#![allow(dead_code, reason = "each test uses its part")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tributary_operators::cell::{Cell, Dim, Family};
use tributary_operators::dataflow::{Output, build};
use tributary_operators::event::Event;
use tributary_operators::settings::Settings;

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
    let outputs = Arc::new(Mutex::new(Vec::new()));
    let (settings, batches, sink) = (
        Arc::new(settings.clone()),
        Arc::new(batches.to_vec()),
        outputs.clone(),
    );
    let epochs = batches.len();
    let config = match workers {
        1 => timely::Config::thread(),
        n => timely::Config::process(n),
    };
    timely::execute(config, move |worker| {
        let (index, peers) = (worker.index(), worker.peers());
        let sink = sink.clone();
        let mut dataflow = build(worker, settings.clone(), move |epoch, output| {
            sink.lock().unwrap().push((epoch, output));
        });
        dataflow.live();
        for (epoch, batch) in batches.iter().enumerate() {
            for event in batch.iter().skip(index).step_by(peers) {
                let event = dataflow.salted(worker, event.clone());
                dataflow.event(event);
            }
            if index == epoch % peers {
                dataflow.release();
            }
            let next = epoch as u64 + 1;
            dataflow.advance_to(next);
            while !dataflow.is_done_before(next) {
                worker.step_or_park(Some(std::time::Duration::from_micros(200)));
            }
        }
    })
    .expect("the dataflow runs");
    let mut outputs = std::mem::take(&mut *outputs.lock().unwrap());
    outputs.sort_by_key(|(epoch, _)| *epoch);
    let mut outputs = outputs.into_iter().peekable();
    let mut now = Released::new();
    (0..epochs as u64)
        .map(|epoch| {
            while let Some((_, output)) = outputs.next_if(|(of, _)| *of == epoch) {
                let Output::Cell { cell, news } = output else {
                    continue;
                };
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
        .collect()
}
