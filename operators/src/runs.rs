//! Runs: a sorted multiset in which nothing moves far.
//!
//! It is kept as runs of bounded length, mostly a single one. To add or take away an element moves what stands behind it
//! in its run, never all that somebody has done.

/// How many elements a run has at most.
const LONGEST: usize = 128;

/// A sorted multiset.
pub(crate) enum Runs<T> {
    /// All in one run, which may be empty.
    One(Vec<T>),
    /// Several runs, none of them empty.
    Many(Vec<Vec<T>>),
}

impl<T> Default for Runs<T> {
    fn default() -> Self {
        Runs::One(Vec::new())
    }
}

impl<T> Runs<T> {
    fn runs(&self) -> &[Vec<T>] {
        match self {
            Runs::One(run) => std::slice::from_ref(run),
            Runs::Many(runs) => runs,
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        matches!(self, Runs::One(run) if run.is_empty())
    }

    /// How many elements there are, counted run by run.
    pub fn len(&self) -> usize {
        self.runs().iter().map(Vec::len).sum()
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

    /// Where the elements begin that do not stand before something: the run, and the place in it.
    fn place(&self, is_before: impl Fn(&T) -> bool) -> (usize, usize) {
        let runs = self.runs();
        let run = runs.partition_point(|run| run.last().is_some_and(&is_before));
        let within = runs.get(run).map(|run| run.partition_point(is_before));
        (run, within.unwrap_or(0))
    }

    /// The elements that do not stand before something, ascending. Which do is a prefix.
    pub fn from(&self, is_before: impl Fn(&T) -> bool) -> impl Iterator<Item = &T> {
        let (run, at) = self.place(is_before);
        let runs = self.runs().get(run..).unwrap_or_default();
        let (first, others) = runs.split_first().unzip();
        let first = first.and_then(|first| first.get(at..)).unwrap_or_default();
        let others: &[Vec<T>] = others.unwrap_or_default();
        first.iter().chain(others.iter().flatten())
    }

    /// The elements that stand before something, descending. Which do is a prefix.
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
    /// Adds an element so many times, or takes it away. Returns how many others moved.
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

    fn insert(&mut self, run: usize, at: usize, element: T) -> u64 {
        // Behind all of them it is the end of the last run.
        let (run, at) = match self.runs() {
            [others @ .., last] if run > others.len() => (others.len(), last.len()),
            _ => (run, at),
        };
        let runs = match self {
            Runs::One(one) if one.len() < LONGEST => {
                one.insert(at, element);
                return (one.len() - 1 - at) as u64;
            }
            Runs::One(one) => {
                let runs = vec![std::mem::take(one)];
                *self = Runs::Many(runs);
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
            // What comes in order leaves full runs behind.
            let behind = of.split_off(if at == LONGEST { at } else { LONGEST / 2 });
            moved += behind.len() + all - run;
            runs.insert(run + 1, behind);
        }
        moved as u64
    }

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
