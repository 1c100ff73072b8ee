//! Grains: the release of contributions whose cells form one hierarchy, from the finest parts up to the month.
//!
//! A *part* is what no cell separates: a channel on a day, an hour of a store, or a channel of a month. Its chain names the
//! cells that may count it, the finest first, and it is counted in the first of them that is published. Grain by grain,
//! what is safe is published, and what is not goes up whole. What becomes of the parts that no cell covers in the end
//! depends on whether a reader knows the total ([`Rest`]).
//!
//! A published pattern moves towards a newly decided one by one difference at a time. A reader of two publications learns
//! what a part of an old cell held if another cell takes the rest of it, and what was held back if it joins cells that he
//! knows. So each piece that an old and a new cell have in common must be safe in both states, except that an old cell may
//! move as a whole; and what was held back must be safe in both states, too, unless the new cell counts nothing else of
//! the last publication. With these conditions a cell may also be withdrawn, because nothing else counts what it counted
//! and nobody knows a total from which it could be subtracted. That is enough without a known total. With one, everything
//! has a cell, so that no piece is ever held back.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

use crate::record::Day;
use crate::release::pattern::CellName;
use crate::release::table::ChannelName;

/// The name of a cell of a hierarchy. Its order decides between cells with equally many contributors.
pub trait GrainName: Clone + Ord {
    /// How fine the grain is; the month is 0.
    fn grain(&self) -> u8;

    /// The day of the cell, if it is of a single one.
    fn day(&self) -> Option<Day> {
        None
    }

    /// The channel of a cell of a single day. The days of a channel are taken over together.
    fn channel_by_day(&self) -> Option<&ChannelName> {
        None
    }
}

impl GrainName for CellName {
    fn grain(&self) -> u8 {
        CellName::grain(self)
    }
}

/// What becomes of parts that no cell covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// They are the rest of the month: a reader knows the total.
    Published,
    /// They are in no published number.
    HeldBack,
}

/// What stands behind a set of parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Finding {
    /// Whether there are no contributions.
    pub is_empty: bool,
    /// Whether the set is safe.
    pub is_safe: bool,
    /// Whether it may be a cell, which may have to be spread over days.
    pub is_publishable: bool,
}

/// The contributions of one state. Parts are the indices of [`Hierarchy::new`].
pub trait Contributions {
    /// What stands behind the union of some parts.
    fn judge(&self, parts: &[u32]) -> Finding;

    /// The number of contributors of the union of some parts.
    fn contributors(&self, parts: &[u32]) -> u64;
}

/// The judgments of one state, each computed once.
struct Judged<'a> {
    of: &'a dyn Contributions,
    /// The parts with contributions.
    present: Vec<u32>,
    findings: RefCell<FxHashMap<Vec<u32>, Finding>>,
}

impl<'a> Judged<'a> {
    fn new(of: &'a dyn Contributions, parts: usize) -> Judged<'a> {
        let mut judged = Judged {
            of,
            present: Vec::new(),
            findings: RefCell::default(),
        };
        let present = (0..parts as u32).filter(|part| !judged.judge(&[*part]).is_empty);
        judged.present = present.collect();
        judged
    }

    fn judge(&self, parts: &[u32]) -> Finding {
        if let Some(finding) = self.findings.borrow().get(parts) {
            return *finding;
        }
        let finding = self.of.judge(parts);
        self.findings.borrow_mut().insert(parts.to_vec(), finding);
        finding
    }
}

/// The chains of all parts of two states. Names are numbered in their order, so that sets of them are cheap.
pub struct Hierarchy<N> {
    names: Vec<N>,
    /// The names of each part, the finest first.
    chains: Vec<Vec<u32>>,
    rest: Rest,
}

/// A set of names, by number.
type Flags = Vec<bool>;

/// Parts by the cell that counts them, `None` for those that none does.
type Cells = BTreeMap<Option<u32>, Vec<u32>>;

impl<N: GrainName> Hierarchy<N> {
    /// The hierarchy of parts with these chains.
    pub fn new(chains: &[Vec<N>], rest: Rest) -> Hierarchy<N> {
        let mut names: Vec<N> = chains.iter().flatten().cloned().collect();
        names.sort_unstable();
        names.dedup();
        let number = |name: &N| names.binary_search(name).unwrap_or_default() as u32;
        let chains = chains
            .iter()
            .map(|chain| chain.iter().map(number).collect());
        Hierarchy {
            chains: chains.collect(),
            names,
            rest,
        }
    }

    /// The pattern of a state on its own, or `None` if a reader who knows the total would learn something small.
    pub fn decide(&self, now: &dyn Contributions) -> Option<BTreeSet<N>> {
        let now = &self.judged(now);
        let (mut published, mut left) = self.publish_grains(now, |_| true);
        while self.rest == Rest::Published && !left.is_empty() {
            if now.judge(&left).is_publishable {
                break;
            }
            let next = published.iter().min_by_key(|(name, parts)| {
                let grain = self.name(**name).map_or(0, N::grain);
                (grain, now.of.contributors(parts), **name)
            });
            let next = next.map(|(name, _)| *name)?;
            left.extend(published.remove(&next).unwrap_or_default());
            left.sort_unstable();
        }
        let names = published.into_keys();
        Some(names.filter_map(|name| self.name(name).cloned()).collect())
    }

    /// The cells of a pattern that count anything in a state, and the parts of each.
    pub fn cells(&self, pattern: &BTreeSet<N>, state: &dyn Contributions) -> Vec<(&N, Vec<u32>)> {
        let cells = self.place_all(&self.flags(pattern), &self.judged(state));
        let cells = cells.into_iter();
        cells
            .filter_map(|(name, parts)| Some((self.name(name?)?, parts)))
            .collect()
    }

    /// The pattern in use, moved towards a decided one as far as no difference between the two publications reveals
    /// anything; `None` if the result may not be published now. `new_days` have never been published.
    pub fn take_over(
        &self,
        used: &BTreeSet<N>,
        decided: &BTreeSet<N>,
        [then, now]: [&dyn Contributions; 2],
        new_days: &BTreeSet<Day>,
    ) -> Option<BTreeSet<N>> {
        let [then, now] = [then, now].map(|state| self.judged(state));
        let states = [&then, &now];
        let of_new_days = self.names_of_days(used, &now, new_days);
        let with_new_days = |pattern: &BTreeSet<N>| {
            let is_old = |name: &&N| name.day().is_none_or(|day| !new_days.contains(&day));
            let mut names: BTreeSet<N> = pattern.iter().filter(is_old).cloned().collect();
            names.extend(of_new_days.iter().cloned());
            self.flags(&names)
        };
        let old = self.flags(used);
        let patterns = [&with_new_days(used), &with_new_days(decided)];
        // Nobody sees the steps in between: where several cells are too small now, a step may leave others of them.
        let may_leave = [false, true].into_iter();
        let mut moved = may_leave.map(|leaves| {
            let next = self.take_steps(&old, patterns, states, leaves);
            match leaves && self.rest == Rest::Published {
                true => self.join(next, states),
                false => next,
            }
        });
        let next = moved.find(|next| self.stands(next, &now))?;
        let names = self.names.iter().zip(&next);
        let names = names.filter(|(_, flag)| **flag);
        Some(names.map(|(name, _)| name.clone()).collect())
    }

    /// A pattern, moved towards another one by the steps that keep every piece of the old one. The result of each step stands in
    /// both states, or if a step may leave what was unsafe before it, it leaves nothing else.
    fn take_steps(
        &self,
        old: &Flags,
        [from, wanted]: [&Flags; 2],
        states: [&Judged<'_>; 2],
        may_leave: bool,
    ) -> Flags {
        let mut current = from.clone();
        let mut left = match may_leave {
            true => states.map(|state| self.unsafe_parts(&current, state)),
            false => Default::default(),
        };
        let mut moved = true;
        while std::mem::take(&mut moved) {
            for difference in self.differences(&current, wanted) {
                let mut next = current.clone();
                for name in difference {
                    if let Some(flag) = next.get_mut(name as usize) {
                        *flag = !*flag;
                    }
                }
                let now_left = states.map(|state| self.unsafe_parts(&next, state));
                let mut both = now_left.iter().zip(&left);
                let improves = both.all(|(now, before)| now.is_subset(before));
                if improves && self.keeps_pieces([old, &next], states) {
                    (current, left, moved) = (next, now_left, true);
                }
            }
        }
        current
    }

    /// A pattern with the cells joined that may not be published: each to the coarser one that covers it, up to the rest of the
    /// month, and to that the weakest others. Whole cells move, so that no piece of one is seen.
    fn join(&self, mut names: Flags, states: [&Judged<'_>; 2]) -> Flags {
        let grain = |name: u32| self.name(name).map_or(0, N::grain);
        loop {
            let cells = states.map(|state| self.place_all(&names, state));
            let mut left: BTreeSet<u32> = BTreeSet::new();
            for (cells, state) in cells.iter().zip(states) {
                let unsafe_cells = cells.iter();
                let unsafe_cells =
                    unsafe_cells.filter(|(_, parts)| !state.judge(parts).is_publishable);
                left.extend(unsafe_cells.filter_map(|(name, _)| *name));
            }
            let mut joins: Vec<u32> = left.iter().copied().filter(|of| grain(*of) > 0).collect();
            if joins.is_empty() && !left.is_empty() {
                let [_, now] = states;
                let [_, cells] = &cells;
                let cells = cells.iter();
                let others = cells.filter_map(|(name, parts)| Some(((*name)?, parts)));
                let others = others.filter(|(name, _)| grain(*name) > 0);
                let weakest = others
                    .min_by_key(|(name, parts)| (grain(*name), now.of.contributors(parts), *name));
                joins.extend(weakest.map(|(name, _)| name));
            }
            if joins.is_empty() {
                return names;
            }
            for name in joins {
                if let Some(flag) = names.get_mut(name as usize) {
                    *flag = false;
                }
            }
        }
    }

    /// The parts in cells that may not be published.
    fn unsafe_parts(&self, names: &Flags, state: &Judged<'_>) -> BTreeSet<u32> {
        let mut cells = self.place_all(names, state);
        cells.remove(&None);
        let cells = cells.into_values();
        let cells = cells.filter(|parts| !state.judge(parts).is_publishable);
        cells.flatten().collect()
    }

    fn name(&self, number: u32) -> Option<&N> {
        self.names.get(number as usize)
    }

    fn flags(&self, pattern: &BTreeSet<N>) -> Flags {
        self.names
            .iter()
            .map(|name| pattern.contains(name))
            .collect()
    }

    /// The cell that counts a part.
    fn place(&self, names: &Flags, part: u32) -> Option<u32> {
        let chain = self.chains.get(part as usize)?;
        let is_named = |name: &&u32| names.get(**name as usize).copied().unwrap_or(false);
        let first = chain.iter().find(is_named);
        let first = first.or_else(|| chain.last().filter(|_| self.rest == Rest::Published));
        first.copied()
    }

    /// The parts with contributions in a state, by cell.
    fn place_all(&self, names: &Flags, state: &Judged<'_>) -> Cells {
        let mut cells = Cells::new();
        for part in &state.present {
            let name = self.place(names, *part);
            cells.entry(name).or_default().push(*part);
        }
        cells
    }

    fn judged<'a>(&self, of: &'a dyn Contributions) -> Judged<'a> {
        Judged::new(of, self.chains.len())
    }

    /// The cells that may be published on their own, and the parts that are left. The rest of a month with a known total is
    /// none of them.
    fn publish_grains(
        &self,
        state: &Judged<'_>,
        is_considered: impl Fn(u32) -> bool,
    ) -> (BTreeMap<u32, Vec<u32>>, Vec<u32>) {
        let mut published = BTreeMap::new();
        let mut left = state.present.clone();
        left.retain(|part| is_considered(*part));
        let finest = self.names.iter().map(N::grain).max().unwrap_or_default();
        let coarsest = u8::from(self.rest == Rest::Published);
        for grain in (coarsest..=finest).rev() {
            let of_grain = |name: &u32| self.name(*name).is_some_and(|name| name.grain() == grain);
            let mut candidates: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
            for part in &left {
                let chain = self.chains.get(*part as usize);
                let name = chain.and_then(|chain| chain.iter().copied().find(of_grain));
                if let Some(name) = name {
                    candidates.entry(name).or_default().push(*part);
                }
            }
            candidates.retain(|_, parts| state.judge(parts).is_publishable);
            let taken: BTreeSet<u32> = candidates.values().flatten().copied().collect();
            left.retain(|part| !taken.contains(part));
            published.extend(candidates);
        }
        (published, left)
    }

    /// The cells of days that were never published: by the rule, and for channels only if the pattern in use publishes them
    /// by day.
    fn names_of_days(
        &self,
        used: &BTreeSet<N>,
        now: &Judged<'_>,
        days: &BTreeSet<Day>,
    ) -> BTreeSet<N> {
        let by_day: BTreeSet<&ChannelName> = used.iter().filter_map(N::channel_by_day).collect();
        let is_new = |part: u32| {
            let finest = self
                .chains
                .get(part as usize)
                .and_then(|chain| chain.first());
            let day = finest.and_then(|name| self.name(*name)?.day());
            day.is_some_and(|day| days.contains(&day))
        };
        let (published, _) = self.publish_grains(now, is_new);
        let names = published.into_keys().filter_map(|name| self.name(name));
        let names = names.filter(|name| {
            let channel = name.channel_by_day();
            name.day().is_some() && channel.is_none_or(|channel| by_day.contains(channel))
        });
        names.cloned().collect()
    }

    /// Whether every cell may be published.
    fn stands(&self, names: &Flags, state: &Judged<'_>) -> bool {
        let mut cells = self.place_all(names, state);
        cells.remove(&None);
        cells
            .values()
            .all(|parts| state.judge(parts).is_publishable)
    }

    /// Whether a change of patterns reveals nothing small of the last publication, as the head of this file says.
    fn keeps_pieces(&self, [old, new]: [&Flags; 2], [then, now]: [&Judged<'_>; 2]) -> bool {
        let mut pieces: BTreeMap<(Option<u32>, Option<u32>), Vec<u32>> = BTreeMap::new();
        for part in &then.present {
            let piece = (self.place(old, *part), self.place(new, *part));
            pieces.entry(piece).or_default().push(*part);
        }
        let mut pieces_of: BTreeMap<u32, usize> = BTreeMap::new();
        let mut counts_known: BTreeSet<u32> = BTreeSet::new();
        for (from, to) in pieces.keys() {
            if let Some(from) = from {
                *pieces_of.entry(*from).or_default() += 1;
                counts_known.extend(to);
            }
        }
        pieces.iter().all(|((from, to), parts)| {
            let is_whole = match (from, to) {
                (None, None) => true,
                (Some(from), _) => pieces_of.get(from) == Some(&1),
                (None, Some(to)) => !counts_known.contains(to),
            };
            is_whole || then.judge(parts).is_safe && now.judge(parts).is_safe
        })
    }

    /// The differences between two patterns, in order; the days of a channel are one.
    fn differences(&self, current: &Flags, wanted: &Flags) -> Vec<Vec<u32>> {
        let mut steps: Vec<Vec<u32>> = Vec::new();
        let mut last: Option<&ChannelName> = None;
        let differ = current.iter().zip(wanted).map(|(one, other)| one != other);
        for ((name, number), _) in self.names.iter().zip(0..).zip(differ).filter(|(_, is)| *is) {
            let channel = name.channel_by_day();
            match steps
                .last_mut()
                .filter(|_| channel.is_some() && channel == last)
            {
                Some(step) => step.push(number),
                None => steps.push(vec![number]),
            }
            last = channel;
        }
        steps
    }
}
