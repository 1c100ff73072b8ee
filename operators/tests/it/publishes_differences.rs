//! A restart publishes differences only.
//!
//! Published cells are restored beside the recomputed aggregates. For random histories that
//! continued while no process ran, on any number of workers, the published state finally equals the
//! batch computation, and no cell was published with its known value (invariant I4).

use std::collections::BTreeMap;

use crate::support::runner::on_workers;
use crate::support::{Released, released};
use tributary_operators::cell::Cell;
use tributary_operators::dataflow::Output;
use tributary_oracle::history::{History, random, without_dropped_devices};

/// The released cells after the first `batches` of a history.
fn after(history: &History, batches: usize) -> Released {
    let held = tributary_oracle::fold_events(history.batches[..batches].iter().flatten());
    released(tributary_oracle::cells(&history.settings, &held))
}

/// Restarts with all events and the published cells. Returns the published updates, each with
/// whether it differs from the published state.
fn restart(history: &History, restored: &Released, workers: usize) -> Vec<(Cell, bool)> {
    // All events arrive at once; within an epoch, drops of devices precede pings.
    let events = without_dropped_devices(history.batches.concat());
    let restored = restored.clone();
    let published = on_workers(&history.settings, workers, move |runner| {
        if runner.index == 0 {
            for ((family, dims), values) in restored.iter() {
                let (family, dims, values) = (*family, dims.clone(), values.clone());
                let cell = Cell {
                    family,
                    dims,
                    values,
                };
                runner.dataflow.restore_cell(cell, 0, None);
            }
        }
        runner.start(events.iter());
        runner.put(&events);
        // Workers come to the end of what they know at different times, and one releases before all have.
        for epoch in 0..=runner.peers {
            runner.end(1);
            if epoch == runner.index {
                runner.dataflow.reconcile_restored();
                runner.dataflow.release(0);
            }
        }
        runner.end(1);
        runner.take_outputs()
    });
    let mut published: Vec<_> = published.into_iter().flatten().collect();
    published.sort_by_key(|(epoch, _)| *epoch);
    let published = published
        .into_iter()
        .filter_map(|(_, output)| match output {
            Output::Cell { cell, is_new, .. } => Some((cell, is_new)),
            _ => None,
        });
    published.collect()
}

/// The guarantee of this module.
#[test]
fn only_differences_are_published() {
    for seed in 0..40 {
        let history = random(1_000_000 + seed, 60);
        let epochs = history.batches.len();
        for workers in [1, 2, 3, 8] {
            // The outside knows an earlier moment, from nothing at all to the present one.
            let restored = after(&history, seed as usize % (epochs + 1));
            let expected = after(&history, epochs);
            let published = restart(&history, &restored, workers);
            let mut outside = restored.clone();
            let mut shown = BTreeMap::new();
            for (cell, is_new) in published {
                let name = (cell.family, cell.dims);
                match cell.values.is_empty() {
                    true => drop(shown.remove(&name)),
                    false => drop(shown.insert(name.clone(), cell.values.clone())),
                }
                if is_new {
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
