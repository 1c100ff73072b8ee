//! Properties of every random history: conservation of revenue, independence of order, and the
//! guarantees of the generator.

use std::collections::{BTreeMap, BTreeSet};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use tributary_operators::cell::{Cell, Dim, Family};
use tributary_operators::event::Event;
use tributary_operators::record::{Arrival, Body};
use tributary_oracle::history::{History, random, without_dropped_devices};
use tributary_oracle::rules::Model;
use tributary_oracle::{StoredState, cells, fold_events};

/// The stored state after a history.
fn held(history: &History) -> StoredState {
    fold_events(history.batches.iter().flatten())
}

/// Lets the gate release every cell.
fn open_gate(history: &mut History) {
    for brand in history.settings.brands.values_mut() {
        brand.k = 0;
        brand.k_traffic = 0;
    }
}

/// The sums of a family's values by some of its dimensions.
fn sums(
    cells: &[Cell],
    family: Family,
    keep: impl Fn(&Cell) -> Vec<Dim>,
) -> BTreeMap<Vec<Dim>, [i128; 4]> {
    let mut sums: BTreeMap<Vec<Dim>, [i128; 4]> = BTreeMap::new();
    for cell in cells.iter().filter(|cell| cell.family == family) {
        let sum = sums.entry(keep(cell)).or_default();
        for (sum, value) in sum.iter_mut().zip(&cell.values) {
            *sum += value;
        }
    }
    sums
}

/// For every model, the credits of a day add up to its revenue.
#[test]
fn every_model_conserves_what_tills_and_orders_say() {
    for seed in 0..150 {
        let mut history = random(seed, 150);
        open_gate(&mut history);
        let cells = cells(&history.settings, &held(&history));
        // Brand, store, day and currency; millionths and value per model.
        let mut takings = sums(&cells, Family::StoreDay, |cell| cell.dims.clone());
        takings.extend(sums(&cells, Family::OrdersDay, |cell| {
            let [brand, day, currency] = &cell.dims[..] else {
                panic!("{cell:?}");
            };
            vec![brand.clone(), Dim::Null, day.clone(), currency.clone()]
        }));
        // Visits have neither currency nor value.
        let presences = sums(&cells, Family::ScanDay, |cell| {
            [cell.dims.clone(), vec![Dim::Null]].concat()
        });
        takings.extend(
            presences
                .into_iter()
                .map(|(dims, [visits, ..])| (dims, [visits, 0, 0, 0])),
        );
        // A stay weighs nothing beside a presence of its person, so that what matching says is the most.
        let stays = sums(&cells, Family::VisitMatch, |cell| {
            let [brand, store, day] = [0, 1, 2].map(|dim| cell.dims[dim].clone());
            vec![brand, store, day, Dim::Null]
        });
        for dims in stays.keys() {
            takings.entry(dims.clone()).or_default();
        }
        for model in Model::ALL {
            let of_model: Vec<Cell> = cells
                .iter()
                .filter(|cell| cell.dims.get(1) == Some(&Dim::Text(model.name().into())))
                .cloned()
                .collect();
            let credits = sums(&of_model, Family::Attribution, |cell| {
                [0, 6, 7, 8].map(|dim| cell.dims[dim].clone()).to_vec()
            });
            for (dims, [number, revenue, ..]) in &takings {
                let credit = credits.get(dims).copied().unwrap_or_default();
                let stays = stays.get(dims).copied().unwrap_or_default();
                let least = number * 1_000_000;
                let range = least..=least + stays[3];
                assert!(range.contains(&credit[0]), "seed {seed} {model:?}");
                assert_eq!(credit[1], *revenue, "seed {seed} {model:?}");
            }
            assert!(credits.keys().all(|dims| takings.contains_key(dims)));
        }
    }
}

/// The chain and the path statistics of a month have the same conversions and value.
#[test]
fn markov_months_and_paths_agree_on_what_converted() {
    for seed in 0..150 {
        let mut history = random(seed, 150);
        open_gate(&mut history);
        let cells = cells(&history.settings, &held(&history));
        let group = |cell: &Cell| cell.dims[..4].to_vec();
        let paths = sums(&cells, Family::Paths, group);
        let months = sums(&cells, Family::MarkovMonth, group);
        let lengths = sums(&cells, Family::PathLength, group);
        let days = sums(&cells, Family::PathDays, group);
        assert!(paths.keys().eq(months.keys()), "seed {seed}");
        for (group, [conversions, value, ..]) in paths {
            // A stay is a conversion of a path, and weighs less than one in the chain.
            let millionths = months[&group][1];
            match group.contains(&Dim::Text("visit".into())) {
                true => assert!(0 < millionths && millionths <= conversions * 1_000_000),
                false => assert_eq!(millionths, conversions * 1_000_000),
            }
            assert_eq!(months[&group][2], value);
            assert_eq!(lengths[&group][0], conversions);
            assert_eq!(days[&group][0], conversions);
        }
    }
}

/// The order of events in the input does not affect the cells.
#[test]
fn the_order_of_events_never_shows() {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    for seed in 0..60 {
        let history = random(seed, 120);
        let expected = cells(&history.settings, &held(&history));
        let mut events = without_dropped_devices(history.batches.concat());
        events.shuffle(&mut rng);
        assert_eq!(cells(&history.settings, &fold_events(&events)), expected);
    }
}

#[test]
fn cells_are_sorted_unique_and_of_the_shape_of_their_family() {
    for seed in 0..60 {
        let mut history = random(seed, 120);
        open_gate(&mut history);
        let cells = cells(&history.settings, &held(&history));
        let ordered = cells
            .windows(2)
            .all(|pair| (pair[0].family, &pair[0].dims) < (pair[1].family, &pair[1].dims));
        assert!(ordered, "seed {seed}");
        for cell in &cells {
            assert_eq!(cell.dims.len(), cell.family.dims().len(), "{cell:?}");
            assert_eq!(cell.values.len(), cell.family.values().len(), "{cell:?}");
            assert!(cell.values.iter().any(|value| *value != 0), "{cell:?}");
        }
    }
}

#[test]
fn a_seed_is_a_history() {
    let one = random(3, 200);
    assert_eq!(one.batches, random(3, 200).batches);
    assert_ne!(one.batches, random(4, 200).batches);
    assert!(random(3, 0).batches.is_empty());
}

/// The guarantees in the documentation of [`tributary_oracle::history`].
#[test]
fn histories_keep_what_they_promise() {
    for seed in 0..100 {
        let history = random(seed, 150);
        let mut named = BTreeSet::new();
        let mut last = Arrival::default();
        for batch in &history.batches {
            let mut arrivals = Vec::new();
            let mut used = BTreeSet::new();
            let mut has_pings = false;
            for event in batch {
                match event {
                    Event::Put {
                        arrival, record, ..
                    } => {
                        arrivals.push(*arrival);
                        used.insert(record.source);
                        if let Body::Contact { channel, .. } = record.body {
                            used.extend([channel.source, channel.medium, channel.campaign]);
                        }
                    }
                    Event::Drop { arrival, .. } => arrivals.push(*arrival),
                    Event::Ping { ping } => {
                        used.insert(ping.store);
                        has_pings = true;
                    }
                    Event::DropDevice { .. } => {
                        assert!(
                            !has_pings,
                            "seed {seed}: a device is dropped before the pings of its epoch"
                        );
                    }
                    Event::TokenizedPing { .. }
                    | Event::Evidence { .. }
                    | Event::SettledHour { .. }
                    | Event::SettledDevices { .. }
                    | Event::ClosedVisits { .. }
                    | Event::UnmatchedStays { .. }
                    | Event::SightingsSettled { .. }
                    | Event::LinkTime { .. }
                    | Event::SaltDaysClosed { .. } => {
                        panic!("a history salts nothing")
                    }
                    Event::LabelName { label, .. } => {
                        named.insert(*label);
                    }
                }
            }
            assert!(arrivals.iter().all(|arrival| *arrival > last));
            last = arrivals.into_iter().max().unwrap_or(last);
            used.retain(|label| !label.is_absent() && !named.contains(label));
            assert!(used.is_empty(), "seed {seed}: {used:?} before their words");
        }
    }
}

/// Coverage: over a few seeds every family appears, and so do the rare cases.
#[test]
fn histories_reach_the_corners() {
    let mut families: BTreeSet<Family> = BTreeSet::new();
    let mut corners: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..450 {
        let mut history = random(seed, 150);
        open_gate(&mut history);
        let cells = cells(&history.settings, &held(&history));
        let mut reach = |corner, reached: bool| {
            *corners.entry(corner).or_default() += usize::from(reached);
        };
        reach("empty batch", history.batches.iter().any(Vec::is_empty));
        for cell in &cells {
            families.insert(cell.family);
            let v = &cell.values;
            match cell.family {
                Family::Identity => {
                    reach("hub", v[3] > 0);
                    reach("oversized", v[4] > 0);
                    reach("linked", v[0] + v[3] < v[1]);
                }
                Family::Attribution => {
                    let oversized = Dim::Text("oversized".into());
                    reach("oversized conversion", cell.dims[3] == oversized);
                    reach("parts of a conversion", v[0] % 1_000_000 != 0);
                    reach("adjustment alone", v[0] == 0);
                    reach("zero sale", v[1] == 0);
                }
                Family::MarkovMonth => {
                    let is_several = |at: usize| cell.dims[at] == Dim::Text("*".into());
                    reach("removal effect below one", v[0] < 1_000_000);
                    reach("other campaigns", is_several(6) && !is_several(5));
                    reach("other media of a source", is_several(5) && !is_several(4));
                    reach("other sources", is_several(4));
                }
                Family::Visits => {
                    reach("visit", v[0] > 0);
                    reach("random device", v[4] > 0);
                }
                Family::PathLength => {
                    reach("long path", matches!(cell.dims[4], Dim::Count(5..)));
                }
                _ => {}
            }
        }
    }
    assert_eq!(families.len(), Family::ALL.len());
    for (corner, times) in corners {
        assert!(times >= 20, "{corner}: {times}");
    }
}
