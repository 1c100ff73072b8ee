//! Turns: what an epoch does, up to where a chain is away to be solved.
//!
//! An epoch first lets the batch of the one before leave, then adds what has changed, then releases. In front of both
//! steps that tell something the chains that they look at are solved; until then the epoch stays where it is, and nothing
//! is added to what is being solved.

use crate::ask::{Answer, Asked};
use crate::cells::gate::Times;
use crate::cells::group::GroupKey;
use crate::cells::release::News;
use crate::cells::{Cells, CellsOut, Lots};
use crate::engine::{Diff, Wake};
use crate::sums::{CellKey, MonthGroup, Sums};

/// An epoch under way.
#[derive(Default)]
pub(super) struct Turn {
    /// What waits for a batch, on all workers.
    pub(super) due: Lots,
    pub(super) sums: Vec<(CellKey, Sums, Diff)>,
    /// The time of the release at its end.
    pub(super) release: Option<i64>,
    pub(super) questions: Vec<Asked>,
    pub(super) answers: Vec<Answer>,
    told: News,
    step: Step,
}

/// What is next.
#[derive(Clone, Copy, Default)]
enum Step {
    /// The batch leaves, and the sums are added.
    #[default]
    Batch,
    /// What has changed is told.
    Release(Times),
    /// Questions are answered.
    Answer,
}

impl Cells {
    /// Goes on with the epoch under way. Whether it is finished.
    pub(super) fn take_turn(&mut self, wake: &Wake, out: &mut Vec<(CellsOut, Diff)>) -> bool {
        let Some(mut turn) = self.turn.take() else {
            return true;
        };
        if let Step::Batch = turn.step {
            let leaving = self.leaving(&turn.due);
            if !self.are_solved(&leaving, wake) {
                self.turn = Some(turn);
                return false;
            }
            self.batch(&turn.due, &mut turn.told);
            for (key, sums, diff) in std::mem::take(&mut turn.sums) {
                self.add(key, &sums, diff);
            }
            self.completed(&mut turn.told);
            turn.step = match turn.release {
                Some(now) => Step::Release(self.prepare(now)),
                None => Step::Answer,
            };
        }
        if let Step::Release(times) = turn.step {
            let weighed = self.weighed(times);
            if !self.are_solved(&weighed, wake) {
                self.turn = Some(turn);
                return false;
            }
            self.release(times, &mut turn.told, out);
        }
        let Turn {
            mut told,
            questions,
            answers,
            ..
        } = turn;
        told.sort_unstable();
        let told = told.into_iter();
        out.extend(told.map(|(cell, news)| (CellsOut::Cell(cell, news), 1)));
        for asked in questions {
            self.answer(&asked, out);
        }
        let answers = answers.into_iter();
        out.extend(answers.map(|answer| (CellsOut::Answer(self.name(answer)), 1)));
        true
    }

    /// Whether the chains of some months are solved. If not, they are on their way.
    fn are_solved(&mut self, months: &[MonthGroup], wake: &Wake) -> bool {
        for (of, solved) in self.solver.solved() {
            let group = self.groups.get_mut(&GroupKey::Month(of));
            if let Some(chain) = group.and_then(|group| group.chain.as_mut()) {
                chain.solve(solved);
            }
        }
        if self.solver.is_busy() {
            return false;
        }
        for of in months {
            let settings = self.settings.brands.get(usize::from(of.brand.0));
            let group = self.groups.get_mut(&GroupKey::Month(*of));
            let chain = group.and_then(|group| group.chain.as_mut());
            // No noise would hide what one path does to all effects.
            let (Some(settings), Some(chain)) = (settings.filter(|of| of.noise.is_none()), chain)
            else {
                continue;
            };
            let null = self.null.get(&(of.brand, of.month));
            let Some(unsolved) = chain.unsolved(null, settings.max_channels, &self.words) else {
                continue;
            };
            if let Some(solved) = self.solver.hand_over(*of, unsolved, wake) {
                chain.solve(solved);
            }
        }
        !self.solver.is_busy()
    }
}
