//! The attacker of the release rule: what can be computed from published numbers that were not published.
//!
//! A reader knows the rule, all published cells of all models, and all that the models have in common; he does not know
//! which fields of the table are empty. His numbers are linear combinations of fields, so that three questions decide what
//! he can find out: whether a field is determined, whether a sum of fields is behind which fewer than `k` contributors stand
//! (an integer programme), and how close he comes to a field if he also knows that nothing is negative (a linear programme).
//! In the course of time he has two publications, and may know who came and who left in between.
//!
//! Every attack must find something where a part of the rule is left out. `TRIBUTARY_HISTORIES` sets how many worlds are
//! tried, `TRIBUTARY_SEED` where they start; a world that fails is made as small as it can be before it is shown.

mod comparison;
mod computation;
mod linear;
mod program;
mod simplex;
mod system;
mod time;
mod worlds;

use crate::support::number_from_env;
use worlds::{Shrink, shrink};

/// The seeds of the worlds to try.
fn seeds(otherwise: u64) -> std::ops::Range<u64> {
    let start = number_from_env("TRIBUTARY_SEED", 0);
    start..start + number_from_env("TRIBUTARY_HISTORIES", otherwise)
}

/// Fails with the smallest of what fails a check, if anything does.
fn none_fails<T: Shrink + std::fmt::Debug>(
    seeds: impl IntoIterator<Item = u64>,
    random: impl Fn(u64) -> T,
    check: impl Fn(u64, &T) -> Option<String>,
) {
    for seed in seeds {
        let world = random(seed);
        if check(seed, &world).is_some() {
            let (world, found) = shrink(world, |world| check(seed, world));
            panic!("seed {seed}: {found}\n{world:?}");
        }
    }
}
