//! Runs: a sorted multiset with bounded cost per change.
//!
//! A sorted vector is the most compact form of a sorted multiset, but an insertion at its front moves all elements. Here the
//! elements are in runs of bounded length, mostly a single one, so an insertion or removal moves at most one run and the list
//! of runs. A run that overflows is split in the middle, or at its end if the elements arrive in order, which leaves full runs.
//! The cost depends neither on who sends records nor on how many a person has.

use crate::engine::{extrapolate, vec_bytes};

/// The largest number of elements in a run.
const LONGEST: usize = 128;

/// A sorted multiset.
#[allow(
    clippy::box_collection,
    reason = "most lists have one run, and need no room for a list of runs"
)]
pub(crate) enum Runs<T> {
    /// A single run, which may be empty.
    One(Vec<T>),
    /// Two or more runs, none of them empty. All elements of a run precede those of the next.
    Many(Box<Vec<Vec<T>>>),
}

impl<T> Default for Runs<T> {
    fn default() -> Self {
        Runs::One(Vec::new())
    }
}

impl<T> Runs<T> {
    /// All runs, in order.
    fn runs(&self) -> &[Vec<T>] {
        match self {
            Runs::One(run) => std::slice::from_ref(run),
            Runs::Many(runs) => runs,
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        matches!(self, Runs::One(run) if run.is_empty())
    }

    /// The number of elements. The cost grows with the number of runs.
    pub fn len(&self) -> usize {
        self.runs().iter().map(Vec::len).sum()
    }

    /// The estimated bytes on the heap. `of` is the size of what one element owns.
    pub fn heap_bytes(&self, of: impl Fn(&T) -> usize) -> usize {
        let runs = self.runs();
        let list = match self {
            Runs::One(_) => 0,
            Runs::Many(runs) => size_of::<Vec<Vec<T>>>() + vec_bytes(runs),
        };
        let own = extrapolate(runs.len(), runs.iter().map(vec_bytes));
        list + own + extrapolate(self.len(), self.iter().map(of))
    }

    #[cfg(test)]
    pub fn first(&self) -> Option<&T> {
        self.runs().first()?.first()
    }

    #[cfg(test)]
    pub fn last(&self) -> Option<&T> {
        self.runs().last()?.last()
    }

    /// The elements, ascending.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.runs().iter().flatten()
    }

    /// The position of the first element for which `is_before` does not hold: its run, and its index in the run.
    fn place(&self, is_before: impl Fn(&T) -> bool) -> (usize, usize) {
        let runs = self.runs();
        let run = runs.partition_point(|run| run.last().is_some_and(&is_before));
        let within = runs.get(run).map(|run| run.partition_point(is_before));
        (run, within.unwrap_or(0))
    }

    /// The elements for which `is_before` does not hold, ascending. Those for which it holds must be a prefix.
    pub fn from(&self, is_before: impl Fn(&T) -> bool) -> impl Iterator<Item = &T> {
        let (run, at) = self.place(is_before);
        let runs = self.runs().get(run..).unwrap_or_default();
        let (first, others) = runs.split_first().unzip();
        let first = first.and_then(|first| first.get(at..)).unwrap_or_default();
        let others: &[Vec<T>] = others.unwrap_or_default();
        first.iter().chain(others.iter().flatten())
    }

    /// The elements for which `is_before` holds, descending. They must be a prefix.
    pub fn before(&self, is_before: impl Fn(&T) -> bool) -> impl Iterator<Item = &T> {
        let (run, at) = self.place(is_before);
        let runs = self.runs();
        let last = runs.get(run).and_then(|run| run.get(..at));
        let others = runs.get(..run).unwrap_or_default().iter();
        let last = last.unwrap_or_default().iter().rev();
        last.chain(others.rev().flat_map(|run| run.iter().rev()))
    }
}

impl<T: Ord + Clone> Runs<T> {
    /// Changes the multiplicity of an element by `diff`. Returns the number of other elements and runs that moved in memory.
    pub fn amend(&mut self, element: &T, diff: i64) -> u64 {
        let mut moved = 0;
        for _ in 0..diff.unsigned_abs() {
            let (run, at) = self.place(|held| held < element);
            moved += match diff > 0 {
                true => self.insert(run, at, element.clone()),
                false => self.remove(run, at, element),
            };
        }
        moved
    }

    /// Inserts an element at a position. Returns the number of elements and runs that moved.
    fn insert(&mut self, run: usize, at: usize, element: T) -> u64 {
        // A position behind all runs is the end of the last one.
        let (run, at) = match self.runs() {
            [others @ .., last] if run > others.len() => (others.len(), last.len()),
            _ => (run, at),
        };
        let runs = match self {
            Runs::One(one) if one.len() < LONGEST => {
                if one.len() == one.capacity() {
                    // Most lists stay short, so that room for many would be most of their memory.
                    one.reserve_exact(1 + one.len() / 4);
                }
                one.insert(at, element);
                return (one.len() - 1 - at) as u64;
            }
            Runs::One(one) => {
                let runs = vec![std::mem::take(one)];
                *self = Runs::Many(Box::new(runs));
                return self.insert(0, at, element);
            }
            Runs::Many(runs) => runs,
        };
        let all = runs.len();
        let Some(of) = runs.get_mut(run) else {
            return 0;
        };
        of.insert(at, element);
        let mut moved = of.len() - 1 - at;
        if of.len() > LONGEST {
            // Elements that arrive in order leave full runs.
            let behind = of.split_off(if at == LONGEST { at } else { LONGEST / 2 });
            moved += behind.len() + all - run;
            runs.insert(run + 1, behind);
        }
        moved as u64
    }

    /// Removes the element at a position. Returns the number of elements and runs that moved.
    fn remove(&mut self, run: usize, at: usize, element: &T) -> u64 {
        let of = match self {
            Runs::One(one) => Some(one),
            Runs::Many(runs) => runs.get_mut(run),
        };
        let held = of.filter(|of| of.get(at) == Some(element));
        debug_assert!(held.is_some(), "only what is held is retracted");
        let Some(of) = held else {
            return 0;
        };
        of.remove(at);
        let mut moved = of.len() - at;
        if let Runs::Many(runs) = self {
            if runs.get(run).is_some_and(Vec::is_empty) {
                runs.remove(run);
                moved += runs.len() - run;
            }
            if runs.len() <= 1 {
                *self = Runs::One(runs.pop().unwrap_or_default());
            }
        }
        moved as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_a_sorted_list_and_moves_little() {
        // Numbers as they come out of a linear congruence: in no order, with repetitions.
        let number = |at: u64| at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(11) >> 50;
        let (mut runs, mut list) = (Runs::default(), Vec::new());
        for at in 0..20_000 {
            let moved = runs.amend(&number(at), 1);
            assert!(moved <= 3 * LONGEST as u64 + 400, "{moved} moved");
            list.push(number(at));
        }
        list.sort_unstable();
        assert!(runs.iter().eq(&list));
        assert_eq!((runs.first(), runs.last()), (list.first(), list.last()));
        assert_eq!(runs.len(), list.len());
        for edge in [0, 1, 77, 5_000, 9_999, 16_383, 20_000] {
            let at = list.partition_point(|held| *held < edge);
            assert!(runs.from(|held| *held < edge).eq(&list[at..]));
            assert!(runs.before(|held| *held < edge).eq(list[..at].iter().rev()));
        }
        for at in 0..20_000 {
            runs.amend(&number(at), -1);
        }
        assert!(runs.is_empty() && runs.first().is_none());
    }

    #[test]
    fn what_comes_in_order_moves_nothing() {
        let mut runs = Runs::default();
        let moved: u64 = (0..100_000).map(|at| runs.amend(&at, 1)).sum();
        assert!(moved < 300_000, "{moved}");
        let moved: u64 = (0..100_000).rev().map(|at| runs.amend(&at, -1)).sum();
        assert!(moved < 300_000, "{moved}");
    }
}
