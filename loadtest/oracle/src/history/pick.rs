//! Chance: one of a few things.

use rand::Rng;

/// One of a few things, all equally likely.
pub(super) fn pick<T, const N: usize>(rng: &mut impl Rng, things: [T; N]) -> T
where
    T: Copy,
{
    things[rng.random_range(0..N)]
}
