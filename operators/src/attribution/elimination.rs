//! Elimination: a sparse absorbing chain, state by state.
//!
//! To eliminate a state means to let the chain pass through it unseen: whoever could go from `i` to it and from it to `j`
//! now also goes from `i` to `j` at once. What leaves a state is added up from where it goes, as Grassmann, Taksar and
//! Heyman (1985) do it, so that nothing is ever subtracted.
//!
//! Only transitions that exist are kept. The state with the fewest neighbours goes first, of equals the one that comes
//! first, because its neighbours are all neighbours of each other afterwards: that fill decides what an elimination
//! costs. With `d` neighbours left at its turn, a state costs `d²` steps.

use crate::attribution::number::Number;

/// An absorbing chain as transition counts between its states.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain {
    /// From each state to others, ascending; none to itself.
    pub(super) between: Vec<Vec<(usize, i64)>>,
    /// From each state into a conversion.
    pub(super) converted: Vec<i64>,
    /// From each state to null.
    pub(super) lost: Vec<i64>,
}

impl Chain {
    /// The number of states.
    pub(super) fn len(&self) -> usize {
        self.between.len()
    }

    /// All that leaves a state.
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
    /// The later places that are neighbours of each at its turn, ascending.
    later: Vec<Vec<usize>>,
}

impl Order {
    /// The order for a chain.
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

    /// How many neighbours each place has left at its turn.
    pub(super) fn degrees(&self) -> impl Iterator<Item = usize> {
        self.later.iter().map(Vec::len)
    }
}

/// The positions of the bits that are set.
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

/// An eliminated chain. With `M` the matrix that has the departures of each state on its diagonal and minus the
/// transitions beside it, `M = L U`: `L` has ones and minus `below` under them, `U` the pivots and minus `above` over them.
/// All of it is by place.
pub(super) struct Factors<'a, T> {
    order: &'a Order,
    /// From each place to each of its later neighbours, at its turn.
    above: Vec<Vec<T>>,
    /// From each later neighbour to the place, in parts of what leaves the place.
    below: Vec<Vec<T>>,
    /// One divided by what leaves each place at its turn.
    inverse: Vec<T>,
    /// From each place into a conversion, at its turn.
    converted: Vec<T>,
}

impl<'a, T: Number> Factors<'a, T> {
    /// Eliminates a chain; none where nothing leaves a state at its turn.
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

    /// The probability of a conversion from each place.
    pub(super) fn to_conversion(&self) -> Vec<T> {
        self.back(self.converted.clone())
    }

    /// `U⁻¹` times a vector.
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

    /// `M⁻¹` times a vector.
    pub(super) fn solve(&self, mut vector: Vec<T>) -> Vec<T> {
        for place in 0..vector.len() {
            let column = self.order.later[place].iter().zip(&self.below[place]);
            for (from, part) in column {
                vector[*from] = vector[*from].plus(part.times(vector[place]));
            }
        }
        self.back(vector)
    }

    /// `M⁻¹` at a place of its diagonal. Only what is met on the way of later first neighbours plays a part.
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
