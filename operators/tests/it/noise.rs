//! Noise on published values.
//!
//! It is the same for any number of workers and after a restart. All released cells are published
//! once per step and never in between, and they are the same cells as without noise. An attacker
//! who knows every other record, both possible worlds and all releases cannot tell whether one
//! person was erased more often than the budget permits; without noise the attacker always can.

use std::collections::BTreeSet;

use crate::support::runner::Message;
use crate::support::shop::{
    DAY, MINUTE, brand, click, erased, five_a_day, known, published, sale, words,
};
use crate::support::{Released, number_from_env, released, run};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tributary_operators::cell::{Cell, Dim, Family};
use tributary_operators::event::Event;
use tributary_operators::record::BrandId;
use tributary_operators::settings::{Noise, Settings};
use tributary_oracle::history::{random, without_dropped_devices};

/// Noon of the twentieth day, Unix milliseconds.
const START: i64 = 20 * DAY + DAY / 2;

/// The largest amount of a sale, in minor units.
const MONEY: u64 = 10_000;

/// The events and the time of each release.
type Steps = Vec<(Vec<Event>, i64)>;

/// A brand with a budget in thousandths of epsilon.
fn noisy(k: u64, k_delta: u64, epsilon: u64, seed: u8) -> Settings {
    let mut settings = brand(k, k_delta);
    settings.brands.get_mut(&BrandId(0)).unwrap().noise = Some(Noise {
        keys: vec![[seed; 32].into()],
        epsilon,
        count: 1,
        money: MONEY,
    });
    settings
}

/// Sales with releases within a step and at the start of steps, and erasures before some of them.
fn story() -> Steps {
    vec![
        (five_a_day(2_000), START),
        (vec![erased("1 0")], START + MINUTE),
        (Vec::new(), START + 2 * MINUTE),
        (vec![erased("2 0")], START + DAY),
        (vec![erased("3 0"), erased("3 1")], START + DAY + MINUTE),
        (Vec::new(), START + 2 * DAY),
        (vec![erased("4 0")], START + 3 * DAY),
    ]
}

/// Sorts the published cells of each step.
fn sorted(steps: Vec<Vec<(Cell, bool)>>) -> Vec<Vec<(Cell, bool)>> {
    let mut steps = steps;
    steps
        .iter_mut()
        .for_each(|published| published.sort_unstable());
    steps
}

/// The published values do not depend on the number of workers.
#[test]
fn any_number_of_workers_publishes_the_same() {
    for k_delta in [1, 3] {
        let settings = noisy(2, k_delta, 5_000, 1);
        let one = sorted(published(&settings, 1, &[], &story()));
        assert!(one.iter().flatten().count() > 100);
        for workers in [2, 3, 8] {
            assert_eq!(one, sorted(published(&settings, workers, &[], &story())));
        }
        let other = noisy(2, k_delta, 5_000, 2);
        assert_ne!(
            one,
            sorted(published(&other, 1, &[], &story())),
            "another key"
        );
    }
}

/// Whether a cell counts visits or wallet passes, which are held back beside noise.
fn is_of_passes((family, dims): &(Family, Vec<Dim>)) -> bool {
    let of_passes = [
        Family::ScanDay,
        Family::WalletDay,
        Family::RedemptionDay,
        Family::VisitMatch,
        Family::VisitLift,
    ];
    of_passes.contains(family) || dims.contains(&Dim::Text("visit".into()))
}

/// Histories with cells of every family release the same cells as the oracle.
#[test]
fn random_histories_release_the_same_cells() {
    for seed in 0..12 {
        let mut history = random(3_000_000 + seed, 80);
        let events = [without_dropped_devices(history.batches.concat())];
        let held = tributary_oracle::fold_events(&events[0]);
        let exact = released(tributary_oracle::cells(&history.settings, &held));
        let mut with = |epsilon| {
            for brand in history.settings.brands.values_mut() {
                brand.noise = noisy(1, 1, epsilon, 1).brands[&BrandId(0)].noise.clone();
            }
            [1, 2, 3, 8].map(|workers| run(&history.settings, &events, workers).remove(0))
        };
        let [one, others @ ..] = with(1_000);
        assert!(others.iter().all(|other| *other == one), "seed {seed}");
        let is_spend = |family: Family| family == Family::SpendDay;
        for (name, values) in &exact {
            let published = one.get(name);
            match name.0 {
                _ if is_of_passes(name) => assert_eq!(published, None),
                Family::MarkovMonth => assert_eq!(published, None),
                family if is_spend(family) => assert_eq!(published, Some(values)),
                _ => assert!(published.is_some_and(|published| published.len() == values.len())),
            }
        }
        // The budget is so large that no noise is left. Without noise, paths are published in multiples of `k`.
        let [mut one, ..] = with(1_000_000_000_000_000_000);
        let mut exact = exact;
        exact.retain(|name, _| !is_of_passes(name));
        for cells in [&mut one, &mut exact] {
            cells.retain(|(family, _), _| is_published_alike(*family));
        }
        same(&one, &exact, &format!("seed {seed}"));
    }
}

/// Whether a cell changed is not visible in when it is published.
#[test]
fn all_released_cells_are_published_once_per_step_and_none_in_between() {
    let published_days = |published: &[(Cell, bool)]| -> BTreeSet<Option<i32>> {
        let days = published
            .iter()
            .filter(|(cell, _)| cell.family == Family::StoreDay);
        days.map(|(cell, _)| cell.day()).collect()
    };
    let all: BTreeSet<_> = (0..5).map(Some).collect();
    for k_delta in [1, 3] {
        let published = published(&noisy(2, k_delta, 1_000, 1), 2, &[], &story());
        for (step, published) in published.iter().enumerate() {
            match step {
                0 | 3 | 5 | 6 => assert_eq!(published_days(published), all, "step {step}"),
                _ => assert!(published.is_empty(), "step {step}"),
            }
        }
    }
}

/// Noise does not affect which cells are released.
#[test]
fn noise_does_not_change_which_cells_are_released() {
    for (k, k_delta) in [(1, 1), (2, 3), (3, 1), (4, 2)] {
        let names = |settings: &Settings| -> Vec<BTreeSet<(Family, Vec<Dim>)>> {
            let known = known(&published(settings, 1, &[], &story()));
            let names = known.into_iter().map(|known| {
                let published = known.into_keys();
                // A Markov chain has no bound and is not published.
                published
                    .filter(|(family, _)| *family != Family::MarkovMonth)
                    .collect()
            });
            names.collect()
        };
        let (with, without) = (
            names(&noisy(k, k_delta, 1_000, 1)),
            names(&brand(k, k_delta)),
        );
        // What is within a step waits for the next one.
        for step in [0, 3, 5, 6] {
            assert_eq!(with[step], without[step], "k {k}, step {step}");
        }
    }
}

/// The values under the noise follow the rules of the gate for changes.
#[test]
fn values_under_the_noise_follow_the_gate() {
    // So large a budget that there is no noise left.
    let settings = noisy(2, 3, 1_000_000_000_000_000, 1);
    let with = known(&published(&settings, 1, &[], &story()));
    let without = known(&published(&brand(2, 3), 1, &[], &story()));
    for step in [0, 3, 5, 6] {
        // Without noise, paths are published in multiples of `k`.
        let [with, without] = [&with, &without].map(|known| {
            let mut known = known[step].clone();
            known.retain(|(family, _), _| is_published_alike(*family));
            known
        });
        same(&with, &without, &format!("step {step}"));
    }
}

/// Whether a family is the same with and without noise, apart from the noise.
fn is_published_alike(family: Family) -> bool {
    !matches!(
        family,
        Family::MarkovMonth
            | Family::Paths
            | Family::PathLength
            | Family::PathDays
            | Family::Assists
    )
}

/// Asserts that two states are equal; the message shows at most one cell of each.
fn same(known: &Released, other: &Released, case: &str) {
    let missing = |of: &Released, from: &Released| {
        let mut all = of.clone().into_iter();
        all.find(|(name, values)| from.get(name) != Some(values))
    };
    assert_eq!(missing(known, other), missing(other, known), "{case}");
}

/// The published cells as a restart restores them.
fn restored(known: &Released, at: i64) -> Vec<Message> {
    let cells = known.iter().map(|((family, dims), values)| Cell {
        family: *family,
        dims: dims.clone(),
        values: values.clone(),
    });
    cells.map(|cell| (cell, at, None)).collect()
}

/// A restart publishes nothing that the process would not have published without it.
#[test]
fn a_restart_publishes_the_same_noise() {
    // With much noise many counts are cut off at zero; with little, none is.
    for (k_delta, epsilon, erasures) in [
        (1, 1_000, None),
        (3, 1_000, None),
        (1, 1_000, Some("1 0")),
        (1, 300_000, Some("1 0")),
        (3, 300_000, Some("1 0")),
    ] {
        let settings = noisy(2, k_delta, epsilon, 1);
        let change: Vec<Event> = erasures.into_iter().map(erased).collect();
        let later = [
            (Vec::new(), START + 2 * MINUTE),
            (Vec::new(), START + DAY),
            // Enough without the one whose change nobody remembers.
            (
                vec![erased("2 0"), erased("3 0"), erased("4 0")],
                START + 2 * DAY,
            ),
        ];
        let mut whole = vec![(five_a_day(2_000), START), (change.clone(), START + MINUTE)];
        whole.extend(later.clone());
        let whole = known(&published(&settings, 1, &[], &whole));
        let restored = restored(&whole[1], START);
        for workers in [1, 3] {
            let mut again = vec![([five_a_day(2_000), change.clone()].concat(), START + MINUTE)];
            again.extend(later.clone());
            let published = published(&settings, workers, &restored, &again);
            assert!(published[..2].iter().flatten().all(|(_, is_new)| !is_new));
            assert!(published[2].iter().all(|(_, is_new)| *is_new));
            for (step, (known, whole)) in known(&published).iter().zip(&whole[1..]).enumerate() {
                let case = format!("k_delta {k_delta}, {epsilon}, {erasures:?}, step {step}");
                same(known, whole, &case);
            }
        }
    }
}

/// Whether a family belongs to the days, whose values share one budget.
fn is_of_a_day(family: Family) -> bool {
    matches!(
        family,
        Family::StoreDay | Family::Attribution | Family::CampaignDay
    )
}

/// Whether the attacker is right in one random case.
///
/// The attacker knows the exact values of both worlds, and chooses the one that is closer to the
/// published values, over all cells and releases, with each value weighted by what one person may
/// change.
fn is_right(seed: u64, settings: &Settings) -> bool {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut events = words(&["s", "a", "b"]);
    for person in 0..12_u128 {
        let (day, channel) = (rng.random_range(0..2), ["a", "b"][rng.random_range(0..2)]);
        events.push(click(person, channel, day, 1));
        let amount = rng.random_range(100..MONEY as i64);
        events.push(sale(person, &format!("sale {person}"), day, amount));
    }
    let victim = rng.random_range(0..12);
    let is_erased = rng.random_bool(0.5);
    let world = |is_erased: bool| -> Steps {
        let mut steps = vec![(events.clone(), START)];
        let erasures = is_erased.then(|| erased(&format!("sale {victim}")));
        steps.push((erasures.into_iter().collect(), START + MINUTE));
        steps.extend((1..5).map(|day| (Vec::new(), START + day * DAY)));
        steps
    };
    let gate_only = brand(2, 1);
    let worlds =
        [false, true].map(|is_erased| known(&published(&gate_only, 1, &[], &world(is_erased))));
    let seen = known(&published(settings, 1, &[], &world(is_erased)));
    let mut closer = [0.0, 0.0];
    for (closer, world) in closer.iter_mut().zip(worlds) {
        for (seen, world) in seen.iter().zip(world).skip(2) {
            for ((family, dims), values) in seen.iter().filter(|((of, _), _)| is_of_a_day(*of)) {
                let exact = world.get(&(*family, dims.clone()));
                for (at, value) in values.iter().enumerate() {
                    let one = match family.values()[at] {
                        "value_minor" | "revenue_minor" => MONEY as f64,
                        "conversions_millionths" => 1_000_000.0,
                        _ => 1.0,
                    };
                    let exact = exact.map_or(0, |exact| exact[at]);
                    *closer += (value - exact).abs() as f64 / one;
                }
            }
        }
    }
    let guess = match closer[1] == closer[0] {
        true => rng.random_bool(0.5),
        false => closer[1] < closer[0],
    };
    guess == is_erased
}

/// The percentage of cases in which the attacker is right.
fn right(cases: u64, settings: impl Fn(u64) -> Settings) -> f64 {
    let right = (0..cases).filter(|seed| is_right(*seed, &settings(*seed)));
    right.count() as f64 * 100.0 / cases as f64
}

/// The success of the attacker is within the bound of differential privacy.
#[test]
fn the_attacker_is_right_no_more_often_than_the_budget_allows() {
    let cases = number_from_env("TRIBUTARY_HISTORIES", 120);
    let with = |epsilon: u64| {
        right(cases, |seed| {
            let mut settings = noisy(2, 1, epsilon, 0);
            let noise = settings
                .brands
                .get_mut(&BrandId(0))
                .unwrap()
                .noise
                .as_mut()
                .unwrap();
            noise.keys[0][..8].copy_from_slice(&seed.to_le_bytes());
            settings
        })
    };
    // Of two worlds that are as likely, an epsilon of 1 leaves e of e + 1; three deviations of so many cases above.
    let bound = 100.0 * 1.0_f64.exp() / (1.0_f64.exp() + 1.0);
    let deviation = 100.0 * (0.25 / cases as f64).sqrt();
    let right = with(1_000);
    assert!(right < bound + 3.0 * deviation, "{right} of 100");
    // He is no fool: with a budget as large as that he reads it.
    let right = with(1_000_000);
    assert!(right > 90.0, "{right} of 100");
}

/// The attack itself works.
#[test]
fn without_noise_the_attacker_is_always_right() {
    let right = right(50, |_| brand(2, 1));
    assert!(right > 99.0, "{right} of 100");
}
