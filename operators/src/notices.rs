//! Notices: how many statements agreed to each wording, by the boxes of consent statements.
//!
//! A box counts on the day of its statement: as ticked, unticked, or preticked, which allows nothing. A tick is *withdrawn* when
//! the next statement of the same subject with that box leaves it empty, whatever notice was shown beside it then. Statements
//! stand in the order of their time, source and ID. The subject of a statement is the first of its identifiers by kind, in the
//! order of [`IdKind`](crate::record::IdKind), then by pseudonym: a form that asks for an e-mail address knows its subject by that.
//!
//! A statement that comes or goes changes its own cells and that of the box before it, so that it costs a logarithm of the
//! statements of its subject. Statements are the contributors of a cell, and the changes are those of the subject.

use std::rc::Rc;

use differential_dataflow::consolidation::consolidate;
use serde::{Deserialize, Serialize};

use crate::aggregate::{Aggregate, CellKey};
use crate::delta_buffer::DeltaBuffer;
use crate::engine::{Diff, Epoch, KeyedOperator, KeyedState, State, text_bytes};
use crate::label::Label;
use crate::record::{BoxAnswer, BrandId, Day, IdSet, NoticeBox, Pseudonym, Record};
use crate::runs::Runs;
use crate::stats::Stats;

/// A box of a statement. The derived order is that of the boxes of one subject.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NoticeUpdate {
    brand: BrandId,
    subject: Pseudonym,
    name: Label,
    ts: i64,
    source: Label,
    id: crate::record::RecordId,
    day: Day,
    answer: BoxAnswer,
    notice: Label,
    version: Label,
    language: Label,
}

impl NoticeUpdate {
    /// The box of a statement; `None` without identifiers.
    pub fn of(record: &Record, of: &NoticeBox) -> Option<NoticeUpdate> {
        Some(NoticeUpdate {
            brand: record.brand,
            subject: subject(&record.ids)?,
            name: of.name,
            ts: record.ts,
            source: record.source,
            id: record.id.clone(),
            day: record.day,
            answer: of.answer,
            notice: of.notice,
            version: of.version,
            language: of.language,
        })
    }

    fn key(&self) -> CellKey {
        CellKey::NoticeDay {
            brand: self.brand,
            notice: self.notice,
            version: self.version,
            language: self.language,
            name: self.name,
            day: self.day,
        }
    }

    /// What the box adds to its cell.
    fn sums(&self, is_withdrawn: bool) -> Aggregate {
        let is = |answer: BoxAnswer| i128::from(self.answer == answer);
        let (ticked, unticked) = (is(BoxAnswer::Ticked), is(BoxAnswer::Unticked));
        let sums = [
            ticked,
            unticked,
            is(BoxAnswer::Preticked),
            is_withdrawn.into(),
        ];
        let sums = Aggregate::of(&sums).with_contributors(1);
        sums.changed_by(self.subject as u64)
    }
}

/// The subject of a statement with these identifiers.
fn subject(ids: &IdSet) -> Option<Pseudonym> {
    let first = ids.ids().iter().min_by_key(|id| (id.kind, id.pseudonym));
    first.map(|id| id.pseudonym)
}

/// The boxes of one subject that were ticked or left empty.
#[derive(Default)]
struct Answers(Runs<NoticeUpdate>);

impl State for Answers {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Answers {
    /// Applies a change, and adds what it changes of the cells to `deltas`.
    fn amend(&mut self, update: &NoticeUpdate, diff: Diff, deltas: &mut DeltaBuffer) -> u64 {
        if update.answer == BoxAnswer::Preticked {
            deltas.add(update.key(), update.sums(false), diff);
            return 1;
        }
        let before = self.0.before(|held| held < update).next().cloned();
        let before = before.filter(|before| before.name == update.name);
        let count = |answers: &Answers, times: Diff, deltas: &mut DeltaBuffer| {
            for of in before.iter().chain([update]) {
                let held = answers.0.from(|held| held < of);
                let held = held.take_while(|held| *held == of).count() as Diff;
                let next = answers.0.from(|held| held <= of).next();
                let next = next.filter(|next| next.name == of.name);
                let is_withdrawn = of.answer == BoxAnswer::Ticked
                    && next.is_some_and(|next| next.answer == BoxAnswer::Unticked);
                deltas.add(of.key(), of.sums(is_withdrawn), held * times);
            }
        };
        count(self, -1, deltas);
        let moved = self.0.amend(update, diff);
        count(self, 1, deltas);
        4 + moved
    }
}

/// The operator. State: the boxes of every subject.
pub struct Notices {
    stats: Rc<Stats>,
    subjects: KeyedState<(BrandId, Pseudonym), Answers>,
    deltas: DeltaBuffer,
}

impl Notices {
    /// An operator without statements.
    pub fn new(stats: Rc<Stats>) -> Notices {
        Notices {
            stats,
            subjects: KeyedState::default(),
            deltas: DeltaBuffer::default(),
        }
    }
}

impl KeyedOperator for Notices {
    type In = NoticeUpdate;
    type Out = (CellKey, Aggregate);
    const NAME: &'static str = "Notices";

    /// By the subject.
    fn route(update: &NoticeUpdate) -> u64 {
        update.subject as u64
    }

    fn entries(&self) -> usize {
        self.subjects.len()
    }

    fn bytes(&self) -> usize {
        let text = |of: &NoticeUpdate| text_bytes(&of.id);
        self.subjects.bytes(|answers| answers.0.heap_bytes(text))
    }

    fn apply_epoch(
        &mut self,
        _: Epoch,
        mut updates: Vec<(NoticeUpdate, Diff)>,
        out: &mut Vec<((CellKey, Aggregate), Diff)>,
    ) {
        consolidate(&mut updates);
        let same = |a: &(NoticeUpdate, Diff), b: &(NoticeUpdate, Diff)| {
            (a.0.brand, a.0.subject) == (b.0.brand, b.0.subject)
        };
        for updates in updates.chunk_by(same) {
            let Some((first, _)) = updates.first() else {
                continue;
            };
            let deltas = &mut self.deltas;
            let steps = self
                .subjects
                .amend((first.brand, first.subject), |answers| {
                    // Retractions first, so that nothing is retracted before it is held.
                    let sides = [false, true].into_iter();
                    let ordered = sides.flat_map(|side| {
                        let of_side = updates.iter();
                        of_side.filter(move |(_, diff)| (*diff > 0) == side)
                    });
                    let steps = ordered.map(|(update, diff)| answers.amend(update, *diff, deltas));
                    steps.sum::<u64>()
                });
            deltas.end_contributor();
            self.stats.steps(steps);
        }
        self.deltas.drain_into(|key, sums| (key, sums), out);
    }
}
