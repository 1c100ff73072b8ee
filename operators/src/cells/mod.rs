//! Cells: aggregates with names, published through the release gate.
//!
//! Aggregates are summed as they arrive, in groups that are published together ([`group`]). Nothing is published, and no
//! Markov chain is solved, before a release; then each group that changed since the last one is evaluated once: which of its
//! cells may be released ([`threshold`], [`suppress`]), and whether their published state may change now ([`gate`]). Chains
//! are solved by another thread, while the epoch stays open ([`solver`], [`epoch`]). The published state is kept, so that
//! every output is a change ([`release`]). A brand may add noise to published values ([`noise`]); internally all values are
//! exact.
//!
//! After a restart every cell is computed again. The state of the output stream is restored as the published state and
//! reconciled with the aggregates: an equal value is no change, and a different one passes the gate like any other change,
//! with unknown contributors. A group with restored cells waits until all workers have completed their restore, so that no
//! cell is closed that would only return. If a restore is interrupted it starts again with the published state of that time:
//! publishing an absolute value twice is harmless (invariant I4).

mod disclosure;
mod epoch;
mod gate;
mod group;
mod group_key;
mod ladder;
mod lift;
mod lift_release;
mod months;
mod noise;
mod pass_release;
mod passes;
mod release;
mod restored;
mod solver;
mod standing;
mod state;
mod stricter;
mod suppress;
mod threshold;
mod traffic;

use crate::ask::Reply;
use crate::engine::{
    Diff, Epoch, KeyedOperator, Query, QueryOperator, WakeFn, extrapolate, table_bytes,
};
pub use gate::BatchClass;
use group::Group;
use ladder::LadderGroup;
use lift::LiftMonth;
use passes::PassDays;
pub use standing::{Standing, Thresholds};
use state::EpochWork;
pub use state::{BatchVote, Cells, CellsIn, CellsOut, CellsQuestion};
use traffic::TrafficGroup;

/// The cells as a keyed operator: [`CellsIn`] in, [`CellsOut`] out.
///
/// A cell belongs to the worker of its group, so that the cells that are published together are on
/// one worker. Everything else is broadcast with the receiving worker as its first field.
impl KeyedOperator for Cells {
    type In = CellsIn;
    type Out = CellsOut;
    const NAME: &'static str = "Cells";

    /// The owner of an aggregate is the worker of its group key; see [`group_key`].
    fn route(update: &CellsIn) -> u64 {
        match update {
            CellsIn::Sum(key, _) => key.home(),
            CellsIn::Restored(home, ..) => *home,
            CellsIn::LabelName(target, ..)
            | CellsIn::LabelWithdrawn(target, ..)
            | CellsIn::LabelUse(target, ..)
            | CellsIn::RecheckLabel(target, ..)
            | CellsIn::Release(target, _)
            | CellsIn::Republish(target) => *target,
            CellsIn::AllRestored { target, .. } | CellsIn::BatchVote(BatchVote { target, .. }) => {
                *target
            }
        }
    }

    /// The number of groups, months, marks, restored cells and labels: what must be zero once every
    /// record has been retracted.
    fn entries(&self) -> usize {
        let work = self.work.as_ref().map_or(0, |_| 1);
        let marks = self.dirty.len()
            + self.dirty_null.len()
            + self.waiting.len()
            + self.batch_candidates.len();
        let restored = self.restored_groups.len() + self.orphans.len();
        let ladders: usize = self.ladders.values().map(LadderGroup::entries).sum();
        let traffic: usize = self.traffic.values().map(TrafficGroup::entries).sum();
        let passes: usize = self.passes.values().map(PassDays::entries).sum();
        let passes = passes + self.lifts.values().map(LiftMonth::entries).sum::<usize>();
        let candidates = self.ladder_candidates.len() + self.traffic_candidates.len();
        let marks = marks + ladders + traffic + passes + candidates;
        self.groups.len() + self.null.len() + marks + restored + work + self.labels.entries()
    }

    /// The months of a ladder dominate: each of their conversions is a row of its own.
    fn bytes(&self) -> usize {
        let groups = self.groups.values().map(Group::heap_bytes);
        let ladders = self.ladders.values().map(LadderGroup::heap_bytes);
        let traffic = self.traffic.values().map(TrafficGroup::heap_bytes);
        table_bytes(&self.groups)
            + extrapolate(self.groups.len(), groups)
            + table_bytes(&self.ladders)
            + ladders.sum::<usize>()
            + table_bytes(&self.traffic)
            + traffic.sum::<usize>()
    }

    /// Collects the changes of an epoch. [`Self::resume`] carries them out, because a Markov chain
    /// may have to be solved first.
    fn apply_epoch(
        &mut self,
        _: Epoch,
        updates: Vec<(CellsIn, Diff)>,
        _: &mut Vec<(CellsOut, Diff)>,
    ) {
        let mut work = EpochWork::default();
        if let Some(before) = self.settings.take_change() {
            self.withdraw(&before, &mut work.updates);
        }
        for (update, diff) in updates {
            match update {
                CellsIn::Sum(key, sum) => work.sums.push((key, sum, diff)),
                CellsIn::LabelName(_, brand, label, word) => {
                    self.labels.announce((brand, label), word, diff);
                }
                CellsIn::LabelWithdrawn(_, brand, label) => {
                    self.labels.withdraw((brand, label), diff)
                }
                CellsIn::LabelUse(_, brand, label) => self.labels.used((brand, label), diff),
                CellsIn::RecheckLabel(_, brand, label) => self.labels.mark_changed((brand, label)),
                CellsIn::Release(_, now) => work.release = work.release.max(Some(now)),
                CellsIn::Republish(_) => work.republish = true,
                CellsIn::Restored(_, cell, at, standing) => self.restore(cell, at, standing),
                CellsIn::AllRestored {
                    from, has_cells, ..
                } => {
                    self.has_restored_cells |= has_cells;
                    if let Some(workers) = &mut self.restoring {
                        workers.insert(from);
                    }
                }
                CellsIn::BatchVote(vote) => {
                    let all = work.votes.entry((vote.brand, vote.class)).or_default();
                    *all = match (*all, vote.changed) {
                        (Some(all), Some(changed)) => Some(all | changed),
                        (all, changed) => all.or(changed),
                    };
                }
            }
        }
        self.work = Some(work);
    }

    /// Continues the epoch. Returns whether it is complete.
    fn resume(&mut self, wake: &WakeFn, out: &mut Vec<(CellsOut, Diff)>) -> bool {
        self.advance_epoch(wake, out)
    }
}

impl QueryOperator for Cells {
    type Question = CellsQuestion;
    type Reply = Reply;

    fn answer(&mut self, query: Query<CellsQuestion>, replies: &mut Vec<Reply>) {
        match query.question {
            CellsQuestion::Released(brand, family) => {
                let cells = self.released_cells(brand, family).into_iter();
                replies.extend(cells.map(Reply::Cell));
            }
            CellsQuestion::Name(reply) => replies.push(self.name(reply)),
        }
    }
}
