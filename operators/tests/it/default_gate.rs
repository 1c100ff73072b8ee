//! The default release gate (`k` 50, `k_delta` 10) in random histories of a crowd.
//!
//! The crowd buys, passes stores, changes its consent, is corrected, refunded and erased, with
//! releases that are minutes, days and months apart. In every history:
//!
//! - any number of workers publishes the same cells and consent counts;
//! - each release publishes exactly the groups that must be published, with the values that the
//!   batch oracle computes from the stored records ([`tributary_oracle::cadence`]), before a
//!   restart in the middle and after it;
//! - once everything is retracted, no cell is published, and no operator stores an entry.
//!
//! `TRIBUTARY_HISTORIES` sets the number of histories, `TRIBUTARY_SEED` the first seed.

use std::collections::BTreeMap;

use crate::support::crowd::{self, START, then_retract_everything};
use crate::support::runner::{Played, Steps, play};
use crate::support::shop::{DAY, MINUTE, known, last_messages};
use crate::support::{Released, number_from_env};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tributary_operators::cell::{Cell, Family};
use tributary_operators::event::Event;
use tributary_operators::record::BrandId;
use tributary_operators::settings::Settings;
use tributary_oracle::cadence::{CadenceModel, ConsentCountsModel};
use tributary_oracle::history::{History, random, without_dropped_devices};
use tributary_oracle::{StoredState, fold_events};

/// The only brand.
const BRAND: BrandId = BrandId(0);

/// Asserts that two runs publish the same in every step.
fn same(one: &Played, other: &Played, case: &str) {
    for (step, (one, other)) in one.published.iter().zip(&other.published).enumerate() {
        let missing = |of: &[(Cell, bool)], from: &[(Cell, bool)]| {
            of.iter()
                .find(|published| !from.contains(published))
                .cloned()
        };
        let (less, more) = (missing(one, other), missing(other, one));
        assert!(
            less.is_none() && more.is_none() && one.len() == other.len(),
            "{case}, step {step}: published by one alone {less:?}, by the others alone {more:?}"
        );
    }
    assert_eq!(one.consents, other.consents, "{case}");
}

/// The stored state after every step.
fn held(steps: &Steps) -> Vec<StoredState> {
    let mut events: Vec<Event> = Vec::new();
    let each = steps.iter().map(|(more, _)| {
        events.extend(more.iter().cloned());
        fold_events(&events)
    });
    each.collect()
}

/// Checks the cells published in each step. Returns the number of steps in which a change waits.
fn assert_waits(
    mut model: CadenceModel,
    steps: &Steps,
    held: &[StoredState],
    known: &[Released],
    case: &str,
) -> usize {
    let mut waited = 0;
    let each = steps.iter().zip(held).zip(known).enumerate();
    for (step, (((_, now), held), outside)) in each {
        match model.release(*now, held, outside) {
            Ok(groups) => waited += usize::from(groups > 0),
            Err(what) => panic!("{case}, step {step}: {what}"),
        }
    }
    waited
}

/// Checks the consent counts published in each step. Returns the number of steps with any.
fn assert_consents(
    settings: &Settings,
    held: &[StoredState],
    played: &Played,
    case: &str,
) -> usize {
    let mut model = ConsentCountsModel::default();
    let mut shown = 0;
    for (step, (held, published)) in held.iter().zip(&played.consents).enumerate() {
        let right = model.release(BRAND, &settings.brands[&BRAND], held);
        let published = published.iter().map(|((_, step), counts)| (*step, *counts));
        assert_eq!(
            published.collect::<BTreeMap<_, _>>(),
            *right,
            "{case}, step {step}"
        );
        shown += usize::from(!right.is_empty());
    }
    shown
}

/// The guarantees of this module, for one history after the other.
#[test]
fn the_default_gate_publishes_what_the_oracle_computes() {
    let start = number_from_env("TRIBUTARY_SEED", 0);
    let (mut shown, mut visits, mut waited, mut consents) = (0, 0, 0, 0);
    let histories = number_from_env("TRIBUTARY_HISTORIES", 15);
    for seed in start..start + histories {
        let mut rng = StdRng::seed_from_u64(seed);
        let settings = crowd::settings(&mut rng);
        let history = crowd::history(&mut rng);
        let steps = then_retract_everything(history.clone());
        let (some, others) = (
            [1, 2, 3, 8][(seed % 4) as usize],
            [2, 3, 8, 1][(seed % 4) as usize],
        );
        let one = play(&settings, some, &[], &steps);
        let other = play(&settings, others, &[], &steps);
        let case = format!("seed {seed}, {some} workers");
        same(&one, &other, &format!("{case} and {others}"));

        let (held, all) = (held(&steps), known(&one.published));
        let model = CadenceModel::new(&settings, BRAND).unwrap();
        waited += assert_waits(model, &steps, &held, &all, &case);
        consents += assert_consents(&settings, &held, &one, &case);
        let published = one
            .published
            .iter()
            .flatten()
            .filter(|(cell, _)| !cell.values.is_empty());
        for (cell, _) in published {
            shown += 1;
            visits += usize::from(cell.family == Family::Visits);
        }
        assert!(all.last().unwrap().is_empty(), "{case}: {:?}", all.last());
        for sizes in one.sizes.iter().chain(&other.sizes) {
            let left: Vec<_> = sizes.iter().filter(|(_, entries)| **entries > 0).collect();
            assert!(left.is_empty(), "{case} or {others}: {left:?}");
        }

        // A restart in the middle: all earlier events arrive at once, and the published cells are reconciled.
        let middle = rng.random_range(0..history.len());
        let before = steps[..=middle]
            .iter()
            .flat_map(|(events, _)| events.clone());
        let mut again = vec![(without_dropped_devices(before), steps[middle].1)];
        again.extend(steps[middle + 1..].iter().cloned());
        let restored = last_messages(&one.messages, middle);
        if all[middle].is_empty() {
            continue;
        }
        let mut model = CadenceModel::new(&settings, BRAND).unwrap();
        model.restore(&all[middle]);
        let published = play(&settings, others, &restored, &again).published;
        let case = format!("seed {seed}, {others} workers, after a restart");
        let all = known(&published);
        assert_waits(model, &again, &held[middle..], &all, &case);
        // Changes from before the restart have unknown contributors and may wait for more than the retractions after it.
    }
    // The histories do what they are there for.
    let many = histories as usize;
    assert!(
        shown > 10 * many && visits > many / 5 && waited > many && consents > many / 20,
        "{shown} published, {visits} of them visits; {waited} steps in which something waits, {consents} that tell consents"
    );
}

/// Histories of all kinds of records with small gates publish the same on any number of workers.
#[test]
fn what_waits_is_the_same_on_any_number_of_workers() {
    let start = number_from_env("TRIBUTARY_SEED", 0);
    for seed in start..start + number_from_env("TRIBUTARY_HISTORIES", 15) {
        let History {
            mut settings,
            batches,
            ..
        } = random(400_000 + seed, 150);
        let mut rng = StdRng::seed_from_u64(seed);
        for brand in settings.brands.values_mut() {
            (brand.k, brand.k_delta) = (2, Some(rng.random_range(2..4)));
        }
        let mut now = START;
        let steps: Steps = batches
            .into_iter()
            .map(|batch| {
                now += [MINUTE, DAY, 8 * DAY][rng.random_range(0..3)];
                (batch, now)
            })
            .collect();
        let workers = [2, 3, 8][(seed % 3) as usize];
        let [one, other] = [1, workers].map(|workers| play(&settings, workers, &[], &steps));
        same(&one, &other, &format!("seed {seed}: {workers} workers"));
    }
}
