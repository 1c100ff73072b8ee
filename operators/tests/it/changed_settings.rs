//! Settings that change while the dataflow runs: a brand or a source that is added later counts as if it had been there from
//! the start, on any number of workers, because no record of it came before.
//!
//! `TRIBUTARY_HISTORIES` sets the number of histories, `TRIBUTARY_SEED` the first seed.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::support::number_from_env;
use crate::support::runner::on_workers;
use tributary_operators::cell::Cell;
use tributary_operators::dataflow::Output;
use tributary_operators::event::Event;
use tributary_operators::label::Label;
use tributary_operators::record::BrandId;
use tributary_operators::settings::Settings;
use tributary_oracle::history::random;

/// The cells that each step publishes, if the settings change before one of them.
fn published(
    [first, then]: [&Settings; 2],
    change: usize,
    steps: &[Vec<Event>],
    workers: usize,
) -> Vec<Vec<Cell>> {
    let (steps, count) = (Arc::new(steps.to_vec()), steps.len());
    let then = Arc::new(then.clone());
    let of_workers = on_workers(first, workers, move |runner| {
        runner.start(steps.iter().flatten());
        for (step, events) in steps.iter().enumerate() {
            if step == change {
                runner.dataflow.change_settings(then.clone());
            }
            runner.put(events);
            if runner.index == 0 {
                runner.dataflow.release(step as i64 * 3_600_000);
            }
            if step == 0 {
                runner.dataflow.reconcile_restored();
            }
            runner.end(2);
        }
        runner.take_outputs()
    });
    let mut published = vec![Vec::new(); count];
    for (epoch, output) in of_workers.into_iter().flatten() {
        if let Output::Cell { cell, .. } = output {
            published[epoch as usize / 2].push(cell);
        }
    }
    published.iter_mut().for_each(|cells| cells.sort_unstable());
    published
}

/// The brand of an event that needs to be known.
fn brand_of(event: &Event) -> Option<BrandId> {
    match event {
        Event::Put { record, .. } => Some(record.brand),
        Event::Ping { ping } => Some(ping.brand),
        Event::DropDevice { device } => Some(device.brand),
        Event::LinkTime { brand, .. } => Some(*brand),
        _ => None,
    }
}

#[test]
fn a_brand_that_is_added_later_counts_as_if_it_had_been_there_from_the_start() {
    let start = number_from_env("TRIBUTARY_SEED", 0);
    let mut cells = 0;
    for seed in start..start + number_from_env("TRIBUTARY_HISTORIES", 40) {
        let history = random(seed, 120);
        let all = history.settings;
        let brands: Vec<BrandId> = all.brands.keys().copied().collect();
        let late = brands[seed as usize % brands.len()];
        let change = history.batches.len() / 2;
        let mut steps = history.batches;
        for step in &mut steps[..change] {
            step.retain(|event| brand_of(event) != Some(late));
        }
        let mut first = all.clone();
        first.brands.remove(&late);
        let name = all.brands[&late].name.clone();
        for workers in [1, 3] {
            let from_the_start = published([&all, &all], steps.len(), &steps, workers);
            let later = published([&first, &all], change, &steps, workers);
            assert!(later == from_the_start, "seed {seed}, {workers} workers");
            let of_late = later.iter().flatten();
            cells += of_late.filter(|of| *of.text("brand") == *name).count();
        }
    }
    assert!(cells > 100, "only {cells} cells of brands that came later");
}

#[test]
fn a_source_that_is_added_later_rests_on_consent_from_its_first_record_on() {
    let start = number_from_env("TRIBUTARY_SEED", 0);
    let mut sources = 0;
    for seed in start..start + number_from_env("TRIBUTARY_HISTORIES", 40) {
        let history = random(seed, 120);
        let all = history.settings;
        let special = |of: &Settings, brand: &BrandId| -> BTreeSet<Label> {
            let of = &of.brands[brand];
            of.on_consent.union(&of.open_sources).copied().collect()
        };
        let late = all
            .brands
            .keys()
            .find_map(|brand| Some((*brand, *special(&all, brand).first()?)));
        let Some((brand, source)) = late else {
            continue;
        };
        sources += 1;
        let change = history.batches.len() / 2;
        let mut steps = history.batches;
        for step in &mut steps[..change] {
            step.retain(|event| match event {
                Event::Put { record, .. } => (record.brand, record.source) != (brand, source),
                _ => true,
            });
        }
        let mut first = all.clone();
        for of in first.brands.get_mut(&brand).into_iter() {
            of.on_consent.remove(&source);
            of.open_sources.remove(&source);
        }
        let from_the_start = published([&all, &all], steps.len(), &steps, 2);
        let later = published([&first, &all], change, &steps, 2);
        assert!(later == from_the_start, "seed {seed}");
    }
    assert!(sources > 10, "only {sources} histories have such a source");
}
