//! Stores and days that become empty: once all sales or visits of a store on a day are retracted, a worker that goes on publishes
//! what one publishes that starts again, and so does it when others come to that store and day later.
//!
//! A restart knows the published cells alone. A name that a worker kept for an empty store and day would place what comes later
//! otherwise than a restarted worker does.

use std::collections::BTreeSet;

use crate::support::runner::{Steps, play};
use crate::support::shop::{
    DAY, MINUTE, brand, click, erased, known, last_messages, sale_in, scan, settled_visit, words,
};
use crate::support::{Released, number_from_env};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tributary_operators::cell::{Dim, Family};
use tributary_operators::event::Event;
use tributary_operators::settings::{Ladder, Settings};

const STORES: [&str; 2] = ["s", "t"];
/// The store and day that become empty.
const EMPTIED: (&str, i64) = ("s", 11);
/// A day by which the stays of all days count.
const START: i64 = 22 * DAY;

/// Who comes to a store on a day, by number.
#[derive(Clone, Copy, PartialEq)]
enum Comes {
    Buys,
    Scans,
    Stays,
}

fn settings(rng: &mut StdRng) -> Settings {
    let mut settings = brand(rng.random_range(2..5), 1);
    for brand in settings.brands.values_mut() {
        brand.ladder = Ladder::Month;
        brand.max_hold = 60 * MINUTE;
        brand.has_partners = true;
    }
    settings
}

/// A number of persons who come to a store on a day, some of them after a click.
fn come(
    rng: &mut StdRng,
    comes: Comes,
    (store, day): (&str, i64),
    people: &mut u128,
) -> Vec<Event> {
    let mut events = Vec::new();
    for _ in 0..rng.random_range(1..8) {
        *people += 1;
        let (person, id) = (*people, format!("{store} {day} {people}"));
        if rng.random_bool(0.7) {
            let channel = ["a", "b"][rng.random_range(0..2)];
            events.push(click(person, channel, day, 5));
        }
        events.push(match comes {
            Comes::Buys => sale_in(store, person, &id, day, 1000 + person as i64),
            Comes::Scans => scan(store, person, &id, day),
            Comes::Stays => settled_visit((store, person), &id, (day, 0), 700_000),
        });
    }
    events
}

/// The ids of the records of a store and day.
fn ids_of(events: &[Event], (store, day): (&str, i64)) -> Vec<String> {
    let of = format!("{store} {day} ");
    let ids = events.iter().filter_map(|event| match event {
        Event::Put { record, .. } => Some(record.id.to_string()),
        _ => None,
    });
    ids.filter(|id| id.starts_with(&of)).collect()
}

/// The published cells of sales and visits.
fn revenue(outside: &Released) -> Released {
    let families = [Family::StoreDay, Family::ScanDay, Family::VisitMatch];
    let mut cells = outside.clone();
    cells.retain(|(family, _), _| families.contains(family));
    cells
}

/// The published cells of a store and day.
fn of_emptied(outside: &Released) -> usize {
    let (store, day) = EMPTIED;
    let cells = revenue(outside).into_keys().filter(|(_, dims)| {
        let is_store = dims.contains(&Dim::Text(store.into()));
        is_store && dims.contains(&Dim::Day(day as i32))
    });
    cells.count()
}

#[test]
fn a_restart_after_a_store_and_day_became_empty_changes_nothing() {
    let start = number_from_env("TRIBUTARY_SEED", 0);
    let histories = number_from_env("TRIBUTARY_HISTORIES", 120);
    let (mut emptied, mut came_again, mut waited) = (0, 0, 0);
    for seed in start..start + histories {
        let mut rng = StdRng::seed_from_u64(seed);
        let settings = settings(&mut rng);
        let comes = [Comes::Buys, Comes::Scans, Comes::Stays][(seed % 3) as usize];
        let mut people = 0;
        let mut first = Vec::new();
        for day in 10..13 {
            for store in STORES {
                if (store, day) == EMPTIED || rng.random_bool(0.8) {
                    first.extend(come(&mut rng, comes, (store, day), &mut people));
                }
            }
        }
        let ids = ids_of(&first, EMPTIED);
        let goes = ids.iter().map(|id| erased(id)).collect();
        let mut again = come(&mut rng, comes, EMPTIED, &mut people);
        if rng.random_bool(0.5) {
            let other = (STORES[1], rng.random_range(10..13));
            again.extend(come(&mut rng, comes, other, &mut people));
        }
        let mut steps: Steps = Vec::new();
        let mut step = |events: Vec<Event>, quiet: usize| {
            for events in std::iter::once(events).chain(vec![Vec::new(); quiet]) {
                steps.push((events, START + steps.len() as i64 * 61 * MINUTE));
            }
            steps.len() - 1
        };
        step(words(&["s", "t", "a", "b", "till"]), 0);
        let full = step(first, 3);
        let empty = step(goes, 3);
        let last = step(again, 6);
        let workers = [1, 2, 3, 8][(seed / 3 % 4) as usize];
        let case = format!("seed {seed}, {workers} workers");
        let played = play(&settings, workers, &[], &steps);
        let on = known(&played.published);

        // Where the rest of the month is too small by then, the group waits as it is, and nothing is empty outside. What such a
        // month last published is known to a worker that goes on, and to no other.
        if of_emptied(&on[empty]) > 0 || revenue(&on[empty]) == revenue(&on[full]) {
            waited += 1;
            continue;
        }

        // A restart after the store and day has become empty.
        let before = steps[..=empty]
            .iter()
            .flat_map(|(events, _)| events.clone());
        let mut restart = vec![(before.collect(), steps[empty].1)];
        restart.extend(steps[empty + 1..].iter().cloned());
        let restored = last_messages(&played.messages, empty);
        let others = [2, 3, 8, 1][(seed / 3 % 4) as usize];
        // What a restarted worker publishes changes what was published before.
        let mut outside = on[empty].clone();
        let again = play(&settings, others, &restored, &restart).published;
        for (cell, _) in again.into_iter().flatten() {
            let name = (cell.family, cell.dims);
            match cell.values.is_empty() {
                true => outside.remove(&name),
                false => outside.insert(name, cell.values),
            };
        }
        let cells = outside.keys().chain(on[last].keys());
        let differs = cells.filter(|cell| outside.get(*cell) != on[last].get(*cell));
        let differs: BTreeSet<_> = differs.collect();
        for cell in &differs {
            let (restarted, went_on) = (outside.get(*cell), on[last].get(*cell));
            println!("{cell:?}: {restarted:?} after a restart, else {went_on:?}");
        }
        assert!(differs.is_empty(), "{case}");
        emptied += usize::from(of_emptied(&on[full]) > 0 && of_emptied(&on[empty]) == 0);
        came_again += usize::from(of_emptied(&on[last]) > 0);
    }
    println!(
        "{emptied} times a published store and day became empty, {came_again} times it came again, {waited} times it waited"
    );
    assert!(emptied > 0 && came_again > 0, "{emptied}, {came_again}");
}
