//! The cells: sums become aggregates with names, and only what the release gate admits leaves.
//!
//! Aggregate are added up as they come, in groups that leave together ([`group`]). Nothing is written, and no Markov chain is
//! solved, until a release is called for; then every group that changed since the last one is looked at once: which of
//! its cells may be seen ([`weigh`], [`suppress`]), and whether what is known of it outside may change now ([`gate`]).
//! Chains are solved by another thread, for which the epoch stays open ([`solver`], [`turn`]).
//! What was told is remembered, so that what is told is always a change ([`release`]). A brand may have noise put on what
//! leaves ([`noise`]); inside everything is exact.
//!
//! After a restart every cell is computed anew. What the output stream held before is put in as what was told, and meets
//! the sums here: an equal value is no news, and a different one goes through the gate like any other change, of nobody
//! knows whom. A group of which something stood outside waits until every worker has said that all it knew of has gone
//! in, so that nothing is closed that only comes back. A restart in the middle begins anew, with what stands outside by
//! then: telling an absolute value twice is harmless (invariant I4).

mod days;
mod gate;
mod group;
mod group_key;
mod months;
mod naming;
mod noise;
mod release;
mod solver;
mod state;
mod suppress;
mod turn;
mod weigh;

use crate::engine::{Diff, Epoch, KeyedOperator, WakeFn};
pub use gate::{Class, Lot};
use state::Turn;
pub use state::{Cells, CellsIn, CellsOut, Due};

impl KeyedOperator for Cells {
    type In = CellsIn;
    type Out = CellsOut;
    const NAME: &'static str = "Cells";

    fn route(update: &CellsIn) -> u64 {
        match update {
            CellsIn::Sum(key, _) => key.home(),
            CellsIn::Stood(home, ..) => *home,
            CellsIn::Word(target, ..)
            | CellsIn::WordGone(target, ..)
            | CellsIn::Used(target, ..)
            | CellsIn::JudgeAgain(target, ..)
            | CellsIn::Release(target, _)
            | CellsIn::Again(target) => *target,
            CellsIn::Complete { target, .. } | CellsIn::Due(Due { target, .. }) => *target,
            CellsIn::Ask(asked) => asked.target,
            CellsIn::Name(answer) => answer.asker,
        }
    }

    fn entries(&self) -> usize {
        let turn = self.turn.as_ref().map_or(0, |_| 1);
        let marks = self.dirty.len() + self.dirty_null.len() + self.waiting.len() + self.due.len();
        let stood = self.stood.len() + self.strangers.len();
        self.groups.len() + self.null.len() + marks + stood + turn + self.words.entries()
    }

    fn apply_epoch(
        &mut self,
        _: Epoch,
        updates: Vec<(CellsIn, Diff)>,
        _: &mut Vec<(CellsOut, Diff)>,
    ) {
        let mut turn = Turn::default();
        for (update, diff) in updates {
            match update {
                CellsIn::Sum(key, sum) => turn.sums.push((key, sum, diff)),
                CellsIn::Word(_, brand, label, word) => {
                    self.words.announce((brand, label), word, diff);
                }
                CellsIn::WordGone(_, brand, label) => self.words.withdraw((brand, label), diff),
                CellsIn::Used(_, brand, label) => self.words.used((brand, label), diff),
                CellsIn::JudgeAgain(_, brand, label) => self.words.judge_again((brand, label)),
                CellsIn::Release(_, now) => turn.release = turn.release.max(Some(now)),
                CellsIn::Again(_) => turn.again = true,
                CellsIn::Stood(_, cell, at) => self.stand(cell, at),
                CellsIn::Complete { from, stood, .. } => {
                    self.anything_stood |= stood;
                    if let Some(complete) = &mut self.complete {
                        complete.insert(from);
                    }
                }
                CellsIn::Due(told) => {
                    let all = turn.due.entry((told.brand, told.lot)).or_default();
                    *all = match (*all, told.changed) {
                        (Some(all), Some(changed)) => Some(all | changed),
                        (all, changed) => all.or(changed),
                    };
                }
                CellsIn::Ask(asked) => turn.questions.push(asked),
                CellsIn::Name(answer) => turn.answers.push(answer),
            }
        }
        self.turn = Some(turn);
    }

    fn resume(&mut self, wake: &WakeFn, out: &mut Vec<(CellsOut, Diff)>) -> bool {
        self.take_turn(wake, out)
    }
}
