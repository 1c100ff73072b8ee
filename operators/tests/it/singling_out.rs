//! Singling out: an attacker who sees every release before and after one erasure or refund guesses
//! which cell the person was in, and the amount. The gate permits no better guess than one among
//! `k_delta`; without it the same attacker is nearly always right.

use crate::support::number_from_env;
use crate::support::shop::{
    DAY, MINUTE, brand, erased, known, published, refund, revenue, sale, words,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tributary_operators::event::Event;

/// The number of days with sales.
const DAYS: i64 = 8;
/// The number of contributors that must change a cell.
const K_DELTA: u64 = 3;

/// Whether the attacker succeeds in one random case.
fn attacker_succeeds(seed: u64, k_delta: u64) -> bool {
    let mut rng = StdRng::seed_from_u64(seed);
    let buyers = 5;
    let amounts: Vec<i64> = (0..DAYS * buyers)
        .map(|_| rng.random_range(100..10_000))
        .collect();
    let id = |person: i64| format!("sale {person}");
    let day_of = |person: i64| person / buyers;
    let mut persons: Vec<i64> = (0..DAYS * buyers).collect();
    let start = 20 * DAY + DAY / 2;
    let mut steps = vec![
        (words(&["s"]), start),
        (Vec::new(), start + MINUTE),
        (Vec::new(), start + 2 * MINUTE),
        (Vec::new(), start + 3 * MINUTE),
        (Vec::new(), start + DAY),
        (Vec::new(), start + 2 * DAY),
    ];
    for person in &persons {
        let amount = amounts[*person as usize];
        steps[0]
            .0
            .push(sale(*person as u128, &id(*person), day_of(*person), amount));
    }
    let is_refund = rng.random_bool(0.5);
    let act = |rng: &mut StdRng, person: i64, in_full: bool| -> Event {
        let (day, amount) = (day_of(person), amounts[person as usize]);
        match (is_refund, in_full) {
            (false, true) => erased(&id(person)),
            (true, true) => refund(person as u128, &id(person), day, None),
            (_, false) => {
                let new = format!("new {person}");
                sale(person as u128, &new, rng.random_range(0..DAYS), amount)
            }
        }
    };
    let victim = persons.remove(rng.random_range(0..persons.len()));
    let event = act(&mut rng, victim, true);
    steps[2].0.push(event);
    // Others do the same or buy, before and after.
    for _ in 0..rng.random_range(0..8) {
        let other = persons.remove(rng.random_range(0..persons.len()));
        let at = [1, 3][rng.random_range(0..2)];
        let in_full = rng.random_bool(0.6);
        let event = act(&mut rng, other, in_full);
        steps[at].0.push(event);
    }

    let known = known(&published(&brand(2, k_delta), 1, &[], &steps));
    for step in 2..known.len() {
        let mut guesses = Vec::new();
        for day in 0..DAYS {
            let [before, after] = [step - 1, step].map(|step| revenue(&known[step], day));
            let (Some(before), Some(after)) = (before, after) else {
                continue;
            };
            if after[0] == before[0] - 1 {
                guesses.push((day, before[1] - after[1]));
            }
        }
        if !guesses.is_empty() {
            let (day, amount) = guesses[rng.random_range(0..guesses.len())];
            return day == day_of(victim) && amount == amounts[victim as usize].into();
        }
    }
    false
}

/// The gate limits the success of the attacker.
#[test]
fn no_guess_is_better_than_one_among_k_delta() {
    let cases = number_from_env("TRIBUTARY_HISTORIES", 500);
    let right = (0..cases)
        .filter(|seed| attacker_succeeds(*seed, K_DELTA))
        .count();
    // Three deviations above a third of all cases.
    let bound = cases as f64 / K_DELTA as f64 + 3.0 * (cases as f64 * 2.0 / 9.0).sqrt();
    assert!((right as f64) < bound, "{right} of {cases}");
}

/// The attack itself works.
#[test]
fn without_the_gate_the_attacker_is_nearly_always_right() {
    let cases = 300;
    let right = (0..cases)
        .filter(|seed| attacker_succeeds(*seed, 1))
        .count();
    assert!(right * 100 > cases as usize * 95, "{right} of {cases}");
}
