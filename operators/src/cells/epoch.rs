//! The phases of an epoch, interrupted while months are looked at and chains are solved.
//!
//! An epoch first publishes the batch of the previous one, then adds its changes, then releases. Before each phase that
//! publishes, the months that it may publish are looked at, and the chains that it needs are solved. Until then the epoch stays
//! open, and nothing is added to a month that is being looked at, or to a chain that is being solved.

use std::collections::BTreeSet;

use crate::aggregate::MonthGroup;
use crate::cell::Cell;
use crate::cells::group_key::GroupKey;
use crate::cells::solver::{Answer, Task};
use crate::cells::state::{Cells, CellsOut, EpochWork, Phase};
use crate::engine::{Diff, WakeFn};

impl Cells {
    /// Continues the epoch in progress. Returns whether it is complete; otherwise the
    /// solver is busy, and `wake` is called once it has done something.
    ///
    /// The output of an epoch is sorted, so that it does not depend on the number of workers or on
    /// the iteration order of the groups.
    pub(super) fn advance_epoch(&mut self, wake: &WakeFn, out: &mut Vec<(CellsOut, Diff)>) -> bool {
        let Some(mut work) = self.work.take() else {
            return true;
        };
        if let Phase::Batch = work.phase {
            self.begin_looks(&work.votes);
            let leaving = self.flushed_months(&work.votes);
            if !self.are_solved(&leaving, wake) {
                self.work = Some(work);
                return false;
            }
            // The cells of the epoch bear the time of its release.
            let now = work.release.max(self.released).unwrap_or_default();
            self.publish_plans(now, &mut work.updates);
            self.publish_traffic(now, &work.votes, &mut work.updates);
            self.flush_batch(&work.votes, &mut work.updates);
            if !work.votes.is_empty() {
                self.report_counts();
            }
            for (key, sums, diff) in std::mem::take(&mut work.sums) {
                self.add(key, &sums, diff);
            }
            self.close_orphans(&mut work.updates);
            work.phase = match work.release {
                Some(now) => Phase::Release(self.prepare(now)),
                None => Phase::Emit,
            };
        }
        if let Phase::Release(times) = work.phase {
            let weighed = self.months_to_solve(times);
            if !self.are_solved(&weighed, wake) {
                self.work = Some(work);
                return false;
            }
            self.release(times, &mut work.updates, out);
        }
        let EpochWork {
            mut updates,
            republish,
            ..
        } = work;
        // Until a release has reconciled what was restored, nobody knows how its cells stand.
        self.must_republish |= republish;
        if self.must_republish && self.has_reconciled {
            self.must_republish = false;
            // New updates of this epoch are already in the list.
            let is_new: BTreeSet<(Cell, bool)> = updates.iter().cloned().collect();
            let all = self.published_cells().map(|cell| (cell, true));
            updates.extend(all.filter(|cell| !is_new.contains(cell)));
        }
        let closed = updates.iter().filter(|(cell, _)| cell.values.is_empty());
        self.labels.closed(closed.count());
        updates.sort_unstable();
        let updates = updates.into_iter();
        let released = self.released.unwrap_or_default();
        out.extend(updates.map(|(cell, is_new)| {
            let standing = self.standing(&cell);
            (CellsOut::Cell(cell, is_new, released, standing), 1)
        }));
        self.withdrawn.clear();
        self.report_unused_labels(out);
        true
    }

    /// Takes the answers that have arrived, and hands the looks of the batch and the unsolved chains of `months` to the
    /// solver. Returns whether all is done. Chains of brands with noise are never solved.
    fn are_solved(&mut self, months: &[MonthGroup], wake: &WakeFn) -> bool {
        for (of, answer) in self.solver.answers() {
            self.take_answer(of, answer);
        }
        if self.solver.is_busy() {
            return false;
        }
        self.hand_over_looks(wake);
        for of in months {
            let settings = self.settings.brands.get(&of.brand);
            let group = self.groups.get_mut(&GroupKey::Month(*of));
            let chain = group.and_then(|group| group.chain.as_mut());
            // No noise would hide what one path does to all effects.
            let (Some(settings), Some(chain)) = (settings.filter(|of| of.noise.is_none()), chain)
            else {
                continue;
            };
            let null = self.null.get(&(of.brand, of.month));
            let Some(unsolved) = chain.unsolved(
                of.kind,
                null,
                settings.max_channels,
                self.labels.of(of.brand),
            ) else {
                continue;
            };
            let task = Task::Chain(unsolved);
            if let Some(answer) = self.solver.hand_over(*of, task, wake) {
                self.take_answer(*of, answer);
            }
        }
        !self.solver.is_busy()
    }

    /// Takes an answer of the solver about a month.
    pub(super) fn take_answer(&mut self, of: MonthGroup, answer: Answer) {
        match answer {
            Answer::Look(looked) => self.take_look(of, *looked),
            Answer::Chain(solved) => {
                let group = self.groups.get_mut(&GroupKey::Month(of));
                if let Some(chain) = group.and_then(|group| group.chain.as_mut()) {
                    chain.solve(solved);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;
    use crate::aggregate::{Aggregate, CellKey};
    use crate::cell::Family;
    use crate::cells::CellsIn;
    use crate::engine::KeyedOperator;
    use crate::label::Channel;
    use crate::record::{BrandId, Currency, SaleKind};
    use crate::settings::{BrandSettings, Settings};
    use crate::stats::Stats;

    /// The aggregates of a month with one conversion through each of some channels, `diff` times.
    fn month(channels: u32, diff: i64) -> Vec<(CellsIn, Diff)> {
        let group = MonthGroup {
            brand: BrandId(0),
            month: 1,
            kind: SaleKind::Order,
            currency: Currency(*b"EUR"),
        };
        let end = Channel::default();
        let mut parts = vec![(
            CellKey::Converted { group },
            Aggregate::of(&[channels.into(), channels.into()]).with_contributors(channels.into()),
        )];
        for at in 0..channels {
            let channel = Channel::of("s", "m", &at.to_string());
            for (from, to) in [(end, channel), (channel, end)] {
                parts.push((
                    CellKey::ConvertingEdge { group, from, to },
                    Aggregate::of(&[1]),
                ));
            }
            let reach = CellKey::ConvertingReach { group, channel };
            parts.push((reach, Aggregate::default().with_contributors(1)));
        }
        let parts = parts.into_iter();
        parts
            .map(|(key, sums)| (CellsIn::Sum(key, sums), diff))
            .collect()
    }

    /// A release waits for the chains that it publishes, another thread solves them, and no chain
    /// is solved before a release or solved again without a change.
    #[test]
    fn chains_are_solved_by_another_thread_and_the_epoch_waits() {
        let brand = BrandSettings {
            name: "acme".into(),
            k: 1,
            max_channels: 10,
            ..BrandSettings::default()
        };
        let settings = Arc::new(Settings {
            brands: [(BrandId(0), brand)].into(),
        });
        let stats = Rc::new(Stats::default());
        let mut cells = Cells::new(settings.into(), stats.clone(), 1);
        let (woken, wakes) = channel();
        let wake: WakeFn = Arc::new(move || {
            woken.send(std::thread::current().id()).unwrap();
        });
        let mut epoch = |updates: Vec<(CellsIn, Diff)>, is_solved: bool| {
            let mut out = Vec::new();
            cells.apply_epoch(0, updates, &mut out);
            let mut is_finished = cells.resume(&wake, &mut out);
            // Without a chain there is nothing to wait for. A chain may return at once, but even that takes a thread.
            let mut away = 0;
            while !is_finished {
                let by = wakes.recv_timeout(Duration::from_secs(60)).unwrap();
                assert_ne!(by, std::thread::current().id());
                away += 1;
                is_finished = cells.resume(&wake, &mut out);
            }
            assert_eq!(away > 0, is_solved);
            let updates = out.into_iter().filter_map(|(updates, _)| match updates {
                CellsOut::Cell(cell, ..) if cell.family == Family::MarkovMonth => Some(cell),
                _ => None,
            });
            (updates.collect::<Vec<_>>(), stats.snapshot().folded)
        };
        let release = |parts: Vec<(CellsIn, Diff)>| {
            let release = (CellsIn::Release(0, 0), 1);
            parts.into_iter().chain([release]).collect()
        };
        // Nothing is solved before a release.
        assert_eq!(epoch(month(25, 1), false), (Vec::new(), 0));
        let (updates, folded) = epoch(release(Vec::new()), true);
        assert_eq!((updates.len(), folded), (10, 16));
        // An unchanged chain is not solved again.
        assert_eq!(epoch(release(Vec::new()), false), (Vec::new(), 16));
        // A complete retraction leaves nothing.
        let (updates, folded) = epoch(release(month(25, -1)), true);
        assert!(updates.iter().all(|cell| cell.values.is_empty()));
        assert_eq!((updates.len(), folded), (10, 0));
        assert!(cells.groups.is_empty() && cells.null.is_empty());
    }
}
