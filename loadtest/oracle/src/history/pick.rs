//! Random choice between a few values.

use rand::Rng;

/// One of several values with equal probability. Repeated values are more likely.
pub(super) fn pick<T, const N: usize>(rng: &mut impl Rng, things: [T; N]) -> T
where
    T: Copy,
{
    things[rng.random_range(0..N)]
}
