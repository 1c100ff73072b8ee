//! Elimination: the factorization of a sparse absorbing chain, one state at a time.
//!
//! To eliminate a state is to route the chain past it: for each pair of transitions from `i` into
//! the state and from there to `j`, a share of the first is added to the transition from `i` to
//! `j`. The departures of a state are the sum of its remaining transitions, never a difference
//! (Grassmann, Taksar and Heyman 1985, *Regenerative analysis and steady state distributions for
//! Markov chains*). Since nothing is subtracted, no digits are lost in floating point.
//!
//! Only transitions that exist are stored. Eliminating a state makes all of its neighbors neighbors
//! of each other; this fill decides the cost. The order is that of minimum degree: the state with
//! the fewest remaining neighbors is next, ties by index. A state with `d` remaining neighbors
//! takes O(d²) steps.
//!
//! All vectors and factors are indexed by *place*, the position of a state in this order.

use crate::attribution::number::Number;

/// An absorbing chain, as transition counts between its states, which are numbered from 0.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain {
    /// The transitions from each state to other states, by ascending destination; none to itself.
    pub(super) between: Vec<Vec<(usize, i64)>>,
    /// The transitions from each state into a conversion.
    pub(super) converted: Vec<i64>,
    /// The transitions from each state to null.
    pub(super) lost: Vec<i64>,
}

impl Chain {
    /// The number of states.
    pub(super) fn len(&self) -> usize {
        self.between.len()
    }

    /// The number of transitions that leave a state.
    pub(super) fn departures(&self, state: usize) -> i64 {
        let elsewhere: i64 = self.between[state].iter().map(|(_, count)| count).sum();
        elsewhere + self.converted[state] + self.lost[state]
    }
}

/// The order in which states are eliminated, and the remaining neighbors of each.
pub(super) struct Order {
    /// The state at each place.
    pub(super) state: Vec<usize>,
    /// The place of each state.
    pub(super) place: Vec<usize>,
    /// For each place, the later places that are its neighbors when it is eliminated, ascending.
    later: Vec<Vec<usize>>,
}

impl Order {
    /// The minimum degree order of a chain of `n` states. Takes O(n² · n / 64) steps on rows of
    /// bits.
    pub(super) fn of(chain: &Chain) -> Order {
        let n = chain.len();
        let words = n.div_ceil(64).max(1);
        // A row of bits each: its neighbours among the states that are left.
        let mut neighbours = vec![0u64; n * words];
        for (from, row) in chain.between.iter().enumerate() {
            for (to, _) in row {
                neighbours[from * words + to / 64] |= 1 << (to % 64);
                neighbours[to * words + from / 64] |= 1 << (from % 64);
            }
        }
        let count = |row: &[u64]| row.iter().map(|word| word.count_ones()).sum::<u32>();
        let mut degree: Vec<u32> = neighbours.chunks(words).map(count).collect();
        let mut left: Vec<usize> = (0..n).collect();
        let (mut state, mut place, mut later) = (Vec::new(), vec![0; n], Vec::new());
        while let Some(next) = left.iter().copied().min_by_key(|at| (degree[*at], *at)) {
            left.retain(|at| *at != next);
            place[next] = state.len();
            state.push(next);
            let row = neighbours[next * words..][..words].to_vec();
            let met: Vec<usize> = bits(&row).collect();
            for at in &met {
                let own = &mut neighbours[at * words..][..words];
                own.iter_mut().zip(&row).for_each(|(own, of)| *own |= of);
                own[at / 64] &= !(1 << (at % 64));
                own[next / 64] &= !(1 << (next % 64));
                degree[*at] = count(own);
            }
            later.push(met);
        }
        for met in &mut later {
            met.iter_mut().for_each(|state| *state = place[*state]);
            met.sort_unstable();
        }
        Order {
            state,
            place,
            later,
        }
    }

    /// The number of remaining neighbors of each place when it is eliminated.
    pub(super) fn degrees(&self) -> impl Iterator<Item = usize> {
        self.later.iter().map(Vec::len)
    }
}

/// The indices of the bits that are set, descending within each word.
fn bits(row: &[u64]) -> impl Iterator<Item = usize> {
    row.iter().enumerate().flat_map(|(at, word)| {
        let mut word = *word;
        std::iter::from_fn(move || {
            let bit = word.checked_ilog2()? as usize;
            word &= !(1 << bit);
            Some(at * 64 + bit)
        })
    })
}

/// The factors of an eliminated chain.
///
/// Let `M` be the matrix with the departures of each state on the diagonal and minus the
/// transitions beside it. Then `M = L U`, where `L` has ones on the diagonal and minus
/// [`below`](Self::below) under it, and `U` has the pivots on the diagonal and minus
/// [`above`](Self::above) over it.
pub(super) struct Factors<'a, T> {
    /// The order that defines the places.
    order: &'a Order,
    /// The transitions from each place to each of its later neighbors, when it is eliminated.
    above: Vec<Vec<T>>,
    /// The transitions from each later neighbor to the place, as shares of the departures of the
    /// place.
    below: Vec<Vec<T>>,
    /// The inverse of the pivot of each place: of its departures when it is eliminated.
    inverse: Vec<T>,
    /// The transitions from each place into a conversion, when it is eliminated.
    converted: Vec<T>,
}

impl<'a, T: Number> Factors<'a, T> {
    /// Eliminates a chain. Returns `None` if the departures of a state are zero when it is
    /// eliminated, which happens modulo a prime that divides a pivot, or for a state that cannot be
    /// absorbed.
    pub(super) fn of(chain: &Chain, order: &'a Order) -> Option<Factors<'a, T>> {
        let n = chain.len();
        let zeros = || -> Vec<Vec<T>> {
            let zeros = order.degrees().map(|degree| vec![T::ZERO; degree]);
            zeros.collect()
        };
        let (mut above, mut below) = (zeros(), zeros());
        for (from, row) in chain.between.iter().enumerate() {
            for (to, count) in row {
                let (from, to) = (order.place[from], order.place[*to]);
                let (place, other, side) = match from < to {
                    true => (from, to, &mut above),
                    false => (to, from, &mut below),
                };
                if let Ok(at) = order.later[place].binary_search(&other) {
                    side[place][at] = T::of(*count);
                }
            }
        }
        let by_place = |counts: &[i64]| -> Vec<T> {
            let counts = order.state.iter().map(|state| T::of(counts[*state]));
            counts.collect()
        };
        let (mut converted, mut lost) = (by_place(&chain.converted), by_place(&chain.lost));
        let mut inverse = vec![T::ZERO; n];
        for place in 0..n {
            let (row, mut column) = (
                std::mem::take(&mut above[place]),
                std::mem::take(&mut below[place]),
            );
            let exits = converted[place].plus(lost[place]);
            inverse[place] = row.iter().fold(exits, |sum, to| sum.plus(*to)).inverse()?;
            for part in &mut column {
                *part = part.times(inverse[place]);
            }
            let later = &order.later[place];
            for (i, from) in later.iter().enumerate() {
                converted[*from] = converted[*from].plus(column[i].times(converted[place]));
                lost[*from] = lost[*from].plus(column[i].times(lost[place]));
                let of_from = &order.later[*from];
                let (to_others, from_others) = (&mut above[*from], &mut below[*from]);
                // The later neighbours of the place are neighbours of each other: each is found among them.
                let mut at = 0;
                for (j, to) in later.iter().enumerate().skip(i + 1) {
                    while of_from[at] != *to {
                        at += 1;
                    }
                    to_others[at] = to_others[at].plus(column[i].times(row[j]));
                    from_others[at] = from_others[at].plus(column[j].times(row[i]));
                }
            }
            (above[place], below[place]) = (row, column);
        }
        Some(Factors {
            order,
            above,
            below,
            inverse,
            converted,
        })
    }

    /// The probability of a conversion from each place: `M⁻¹ r`, where `r` are the transitions into
    /// a conversion.
    pub(super) fn to_conversion(&self) -> Vec<T> {
        self.back(self.converted.clone())
    }

    /// `U⁻¹` times a vector, by back substitution.
    fn back(&self, mut vector: Vec<T>) -> Vec<T> {
        for place in (0..vector.len()).rev() {
            let row = self.order.later[place].iter().zip(&self.above[place]);
            let sum = row.fold(vector[place], |sum, (to, part)| {
                sum.plus(part.times(vector[*to]))
            });
            vector[place] = sum.times(self.inverse[place]);
        }
        vector
    }

    /// `M⁻¹` times a vector, by forward and back substitution. Takes as many steps as there are
    /// factors.
    pub(super) fn solve(&self, mut vector: Vec<T>) -> Vec<T> {
        for place in 0..vector.len() {
            let column = self.order.later[place].iter().zip(&self.below[place]);
            for (from, part) in column {
                vector[*from] = vector[*from].plus(part.times(vector[place]));
            }
        }
        self.back(vector)
    }

    /// The entry of `M⁻¹` at a place of its diagonal.
    ///
    /// Only the places on the path of first later neighbors from the place contribute: the
    /// elimination tree of the chain. Takes the sum of their degrees in steps.
    pub(super) fn diagonal(&self, place: usize) -> T {
        let n = self.inverse.len();
        let (mut left, mut right) = (vec![T::ZERO; n], vec![T::ZERO; n]);
        (left[place], right[place]) = (T::ONE, T::ONE);
        let mut sum = T::ZERO;
        let mut next = Some(place);
        while let Some(place) = next {
            let (of_left, of_right) = (left[place].times(self.inverse[place]), right[place]);
            sum = sum.plus(of_left.times(of_right));
            let later = &self.order.later[place];
            let parts = self.above[place].iter().zip(&self.below[place]);
            for (at, (above, below)) in later.iter().zip(parts) {
                left[*at] = left[*at].plus(above.times(of_left));
                right[*at] = right[*at].plus(below.times(of_right));
            }
            next = later.first().copied();
        }
        sum
    }
}
